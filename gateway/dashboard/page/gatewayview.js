/**
 * The gateway itself, for those whose role may see it: brokers, clients, refused origins, memory.
 */

import { h } from "./dom.js";
import { age, clockTime, number, size } from "./format.js";

const EVERY = 5000;

/** @typedef {{status: number, data: any}} Answer */

export class GatewayView {
  #context;
  #timer;
  #control = new AbortController();
  /** @type {Answer | null} */
  #status = null;
  /** @type {Answer | null} */
  #clients = null;
  #rendered = "";
  #loaded = false;

  /** @param {import("./main.js").Context} context */
  constructor(context) {
    this.#context = context;
    this.body = h("div", { class: "panels" });
    this.element = h("section", { class: "gateway", "aria-label": "Gateway" }, this.body);
    this.#timer = setInterval(() => this.#load(), EVERY);
  }

  end() {
    clearInterval(this.#timer);
    this.#control.abort();
  }

  async #load() {
    if (document.visibilityState === "hidden") return;
    [this.#status, this.#clients] = await Promise.all([this.#get("api/status"), this.#get("api/clients")]);
    if (!this.#control.signal.aborted) this.render();
  }

  /**
   * @param {string} path
   * @returns {Promise<Answer>}
   */
  async #get(path) {
    const { gateway, credentials } = this.#context;
    /** @type {Record<string, string>} */
    const headers = credentials.token ? { Authorization: `Bearer ${credentials.token}` } : {};
    try {
      const response = await fetch(new URL(path, gateway.base), { headers, signal: this.#control.signal, cache: "no-store" });
      return { status: response.status, data: response.status === 200 ? await response.json() : null };
    } catch {
      // The banner above says that there is no connection.
      return { status: 0, data: null };
    }
  }

  render() {
    const { gateway, now } = this.#context;
    const { state } = gateway;
    if (!this.#loaded && state.status === "open" && state.role !== null) {
      // Not before this page's own connection is part of what it will be told.
      this.#loaded = true;
      this.#load();
    }
    const picture = JSON.stringify([state, this.#status, this.#clients, Math.floor(now() / 5)]);
    if (picture === this.#rendered) return;
    this.#rendered = picture;
    const panels = [this.#about(), this.#upstreams()];
    const refused = [this.#status, this.#clients].find((answer) => answer !== null && (answer.status === 401 || answer.status === 403));
    if (refused) {
      panels.push(panel("More", h("p", { class: "hint" }, `Clients, refused origins and memory are for roles with the right “gateway”; yours is “${state.role ?? "none"}”.`)));
    } else if (this.#status?.status === 404 && this.#clients?.status === 404) {
      panels.push(panel("More", h("p", { class: "hint" }, "This gateway does not tell of its clients and its memory.")));
    } else {
      if (this.#clients?.data) panels.push(this.#clientTable(listOf(this.#clients.data, "clients")));
      if (this.#status?.data) panels.push(...this.#statusPanels(this.#status.data));
    }
    this.body.replaceChildren(...panels);
  }

  #about() {
    const { state } = this.#context.gateway;
    return panel(
      "This page",
      facts([
        ["Gateway", `${state.name ?? "–"}${state.build ? ` (${state.build})` : ""}`],
        ["Connected by", state.transport === "events" ? "Server-Sent Events" : state.transport === "websocket" ? "WebSocket" : "nothing now"],
        ["Role", state.role ?? "–"],
        ["Heartbeat", `${state.heartbeat} s`],
        ["Epoch", state.epoch ?? "–"],
        ...Object.entries(state.limits).map(([name, value]) => [`Limit: ${name.replaceAll("_", " ")}`, String(value)]),
      ]),
    );
  }

  #upstreams() {
    const { gateway, now } = this.#context;
    const rows = gateway.state.upstreams.map(({ name, state, since, host, reason }) => [
      h("span", { class: `status ${state === "connected" ? "good" : "bad"}` }, h("span", { class: "dot" }), name),
      state,
      clockTime(since, now()),
      [host, reason].filter(Boolean).join(": "),
    ]);
    return panel("Brokers", table(["Name", "State", "Since", "Detail"], rows, "No broker is configured."));
  }

  /** @param {any[]} clients */
  #clientTable(clients) {
    const known = (/** @type {any} */ value, /** @type {(value: any) => string} */ text) => (value === null || value === undefined || value === "" ? "–" : text(value));
    const rows = clients.map((client) => [
      client.user || client.role || "–",
      client.address ?? "–",
      client.dialect ?? "–",
      h("code", null, known(client.subscriptions, (list) => list.join(", "))),
      known(client.queue, size),
      ...(rated(clients) ? [known(client.rate, (rate) => `${number(rate)}/s`)] : []),
      known(client.rtt, (rtt) => `${number(rtt * 1000)} ms`),
      known(client.lost, number),
      known(client.age, age),
    ]);
    const heads = ["User", "Address", "Dialect", "Subscriptions", "Queue", ...(rated(clients) ? ["Rate"] : []), "Round trip", "Lost", "For"];
    return panel(`Clients (${clients.length})`, table(heads, rows, "Nobody is connected."));
  }

  /** @param {any} status */
  #statusPanels(status) {
    const { now } = this.#context;
    const panels = [];
    const { rejected_origins: rejected, upstreams, listeners, connections, history: log, memory, since, timestamp, ...rest } = status;
    if (Array.isArray(rejected)) {
      const rows = rejected.map(({ origin, reason, remedy, count, last }) => [
        h("code", null, origin),
        reason ?? "",
        h("code", null, remedy ?? "–"),
        String(count ?? 1),
        typeof last === "number" ? `${age(now() - last)} ago` : "–",
      ]);
      const none = "None. A page of another origin that is refused appears here, with the line that would let it in.";
      panels.push(panel("Refused origins", table(["Origin", "Why", "What would allow it", "Times", "Last"], rows, none)));
    }
    if (Array.isArray(listeners)) {
      const rows = listeners.map(({ address, names, certificate_expires: expires }) => [
        h("code", null, address),
        (names ?? []).join(", ") || "–",
        typeof expires === "number" ? `${new Date(expires * 1000).toLocaleDateString()} (in ${age(expires - now())})` : "–",
      ]);
      panels.push(panel("Listeners", table(["Address", "Certificate for", "Expires"], rows, "None.")));
    }
    if (log && typeof log === "object") panels.push(panel("History", facts(plain(log))));
    if (memory && typeof memory === "object") {
      const bar = typeof memory.used === "number" && typeof memory.budget === "number" ? h("meter", { min: 0, max: memory.budget, value: memory.used, high: memory.budget * 0.8, "aria-label": "Memory used of the budget" }) : null;
      panels.push(panel("Memory", ...(bar ? [bar] : []), facts(plain(memory))));
    }
    const { refused, ...counted } = connections ?? {};
    const figures = [...(typeof since === "number" ? [["running for", age(now() - since)]] : []), ...plain(rest), ...prefixed("connections", plain(counted)), ...prefixed("refused", plain(refused ?? {}))];
    if (figures.length > 0) panels.push(panel("Figures", facts(figures)));
    return panels;
  }
}

/** @param {any[]} clients */
function rated(clients) {
  return clients.some(({ rate }) => typeof rate === "number");
}

/**
 * @param {string} name
 * @param {string[][]} pairs
 */
function prefixed(name, pairs) {
  return pairs.map(([key, value]) => [`${name}: ${key}`, value]);
}

/**
 * @param {any} data
 * @param {string} name
 */
function listOf(data, name) {
  if (Array.isArray(data)) return data;
  return Array.isArray(data[name]) ? data[name] : [];
}

/**
 * Numbers and texts of an object, bytes as such.
 * @param {Record<string, any>} object
 * @returns {string[][]}
 */
function plain(object) {
  const bytes = /bytes|memory|^(used|budget|base|queued|size|limit)$/;
  return Object.entries(object)
    .filter(([, value]) => ["number", "string", "boolean"].includes(typeof value))
    .map(([name, value]) => [name.replaceAll("_", " "), typeof value === "number" ? (bytes.test(name) ? size(value) : number(value)) : String(value)]);
}

/** @param {string} title @param {...Element} content */
function panel(title, ...content) {
  return h("section", { class: "panel", "aria-label": title }, h("h2", null, title), ...content);
}

/** @param {string[][]} pairs */
function facts(pairs) {
  return h("dl", { class: "facts" }, ...pairs.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

/**
 * @param {string[]} heads
 * @param {(string | Element)[][]} rows
 * @param {string} none
 */
function table(heads, rows, none) {
  if (rows.length === 0) return h("p", { class: "hint" }, none);
  return h(
    "div",
    { class: "scroll", tabIndex: 0 },
    h("table", null, h("thead", null, h("tr", null, ...heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", null, ...rows.map((row) => h("tr", null, ...row.map((cell) => h("td", null, cell)))))),
  );
}
