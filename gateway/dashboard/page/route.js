/**
 * What the page shows, as its address says it: `#/topics?q=kitchen`. Whoever gets the link sees the same. Pure.
 */

/** @typedef {{view: string, by?: string, q?: string, quantity?: string, state?: string, r?: string, range?: string, from?: string, to?: string, topic?: string, wall?: string, every?: string}} Route */

export const VIEWS = ["overview", "topics", "chart", "gateway"];

/**
 * @param {string} hash with or without `#`
 * @param {string} [search] the query of the address, where kiosks name their view
 * @returns {Route}
 */
export function parseRoute(hash, search = "") {
  const [path, query = ""] = hash.replace(/^#/, "").split("?");
  const view = path.replace(/^\//, "");
  /** @type {Route & Record<string, string>} */
  const route = { view: VIEWS.includes(view) ? view : "overview" };
  for (const [name, value] of new URLSearchParams(query)) if (name !== "view") route[name] = value;
  const outer = new URLSearchParams(search);
  if (outer.get("view") === "wall") {
    route.wall = "1";
    route.every = outer.get("every") ?? "30s";
  }
  return route;
}

/**
 * The address of a route; what is empty is left out.
 * @param {Record<string, string | null | undefined>} route
 */
export function hrefOf({ view, wall, every, ...rest }) {
  const pairs = Object.entries(rest).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = pairs.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join("&");
  return `#/${view ?? "overview"}${query ? `?${query}` : ""}`;
}

/**
 * A duration as people write it: "30s", "2min", "1h", or plain seconds.
 * @param {string} text
 * @param {number} otherwise
 */
export function seconds(text, otherwise) {
  const parts = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)?\s*$/.exec(text);
  if (!parts) return otherwise;
  const units = { ms: 0.001, s: 1, min: 60, m: 60, h: 3600, d: 86400 };
  return Number(parts[1]) * units[/** @type {keyof typeof units} */ (parts[2] ?? "s")];
}
