/**
 * The top of the page: where this is, what can be seen, what is searched for, and how the connection is.
 */

import { h, setAttribute, setText, svg } from "./dom.js";
import { clockTime } from "./format.js";

const TABS = [
  ["overview", "Overview"],
  ["topics", "Topics"],
  ["gateway", "Gateway"],
];
const PULSE = "M2 13h4l2.5-7 4 12 3-8 1.5 3H22";
const THEMES = { auto: "light dark", light: "light", dark: "dark" };

/** @param {import("../client/gateway.js").State} state */
function statusOf(state) {
  if (state.status === "open") {
    const gone = state.upstreams.filter((upstream) => upstream.state !== "connected");
    if (state.upstreams.length > 0 && gone.length === state.upstreams.length) return { kind: "bad", text: "No broker" };
    return gone.length > 0 ? { kind: "warn", text: "Partly live" } : { kind: "good", text: "Live" };
  }
  if (state.status === "unauthorized") return { kind: "warn", text: "Sign in" };
  if (state.status === "connecting" && state.attempt === 0) return { kind: "wait", text: "Connecting" };
  return { kind: "bad", text: "Offline" };
}

/** The choice of dark and light is this device's, not part of a link. */
function storedTheme() {
  try {
    return localStorage.getItem("sensor-gateway.theme") ?? "auto";
  } catch {
    // Storage may be forbidden; the system's own choice holds then.
    return "auto";
  }
}

export class Header {
  #context;
  /** @type {Map<string, any>} */
  #tabs = new Map();

  /** @param {import("./main.js").Context} context */
  constructor(context) {
    this.#context = context;
    this.title = h("span", { class: "name" }, "sensor-gateway");
    for (const [view, title] of TABS) this.#tabs.set(view, h("a", { href: context.href({ view }) }, title));
    this.search = h("input", {
      type: "search",
      placeholder: "Search",
      value: context.route.q ?? "",
      autocomplete: "off",
      spellcheck: false,
      "aria-label": "Search devices, quantities and topics",
      oninput: () => {
        const { view } = context.route;
        context.go({ q: this.search.value, topic: null, ...(view === "topics" ? {} : { view: "overview", r: null, range: null, from: null, to: null }) }, { replace: true });
      },
    });
    this.dot = h("span", { class: "dot" });
    this.words = h("span", null, "Connecting");
    this.status = h("span", { class: "status" }, this.dot, this.words);
    this.paging = h("span", { class: "paging" });
    this.clock = h("span", { class: "clock" });
    this.theme = h("button", { class: "theme", type: "button", onclick: () => this.#nextTheme() }, "");
    this.element = h(
      "header",
      { id: "header" },
      h("a", { class: "brand", href: context.href({ view: "overview" }) }, svg(PULSE), this.title),
      h("nav", { "aria-label": "Views" }, ...this.#tabs.values()),
      h("label", { class: "search" }, svg("M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13m5 11.5L21 21"), this.search),
      this.paging,
      this.status,
      this.clock,
      this.theme,
    );
    this.#setTheme(storedTheme());
  }

  render() {
    const { route, gateway } = this.#context;
    const { state } = gateway;
    const { kind, text } = statusOf(state);
    setText(this.words, text);
    setAttribute(this.status, "class", `status ${kind}`);
    setAttribute(this.element, "data-status", state.status);
    if (route.wall) {
      setText(this.paging, this.#context.paging);
      setText(this.clock, clockTime(this.#context.now()));
    }
    if (state.name !== null) {
      setText(this.title, state.name);
      const tab = TABS.find(([view]) => view === route.view && view !== "overview")?.[1] ?? (route.view === "chart" ? "Chart" : null);
      const title = tab === null ? state.name : `${tab} · ${state.name}`;
      if (document.title !== title) document.title = title;
    }
    for (const [view, tab] of this.#tabs) {
      const current = route.view === view || (view === "overview" && route.view === "chart");
      setAttribute(tab, "aria-current", current ? "page" : null);
      const href = this.#context.href({ view, q: route.q });
      setAttribute(tab, "href", href);
    }
    if (document.activeElement !== this.search && this.search.value !== (route.q ?? "")) this.search.value = route.q ?? "";
  }

  #nextTheme() {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(storedTheme()) + 1) % names.length];
    try {
      localStorage.setItem("sensor-gateway.theme", next);
    } catch {
      // Not kept then, but worn until the next load.
    }
    this.#setTheme(next);
  }

  /** @param {string} name */
  #setTheme(name) {
    const theme = name in THEMES ? name : "auto";
    document.documentElement.style.colorScheme = THEMES[/** @type {keyof typeof THEMES} */ (theme)];
    const symbols = { auto: "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18zM12 3v18M15 5v14M18 7.500v9", light: "M12 7a5 5 0 1 1 0 10 5 5 0 0 1 0-10M12 1v3M12 20v3M1 12h3M20 12h3M4.2 4.2l2.1 2.1M17.7 17.7l2.1 2.1M4.2 19.8l2.1-2.1M17.7 6.3l2.1-2.1", dark: "M20 14.5A8.5 8.5 0 1 1 9.5 4a7 7 0 0 0 10.500 10.500z" };
    this.theme.replaceChildren(svg(symbols[/** @type {keyof typeof symbols} */ (theme)]));
    this.theme.title = `Colours: ${theme === "auto" ? "as the system has them" : theme}`;
    this.theme.setAttribute("aria-label", this.theme.title);
  }
}
