/**
 * The gateway itself: for everybody how this page is connected, and for those whose role may see it all the rest.
 */

import { clientPanel, Rates } from "./clientpanel.js";
import { h } from "./dom.js";
import { age, clockTime, size } from "./format.js";
import { facts, panel, quiet, table } from "./panels.js";
import { figurePanel, historyPanel, listenerPanel, memoryPanel, originPanel, refusalPanel } from "./statuspanels.js";

const EVERY = 10000;
// The second look comes soon after the first: it takes two to tell a rate.
const SECOND_LOOK = 1000;

/** @typedef {{status: number, data: any}} Answer */

export class GatewayView {
  #context;
  /** @type {any} */
  #timer;
  #control = new AbortController();
  /** @type {Answer | null} */
  #status = null;
  /** @type {any} */
  #before = null;
  /** @type {Answer | null} */
  #clients = null;
  #rates = new Rates();
  #rendered = "";
  #turn = 0;
  /** @type {string | null} the role that was asked as, last */
  #askedAs = null;

  /** @param {import("./main.js").Context} context */
  constructor(context) {
    this.#context = context;
    this.body = h("div", { class: "panels" });
    this.element = h("section", { class: "gateway", "aria-label": "Gateway" }, this.body);
  }

  end() {
    clearTimeout(this.#timer);
    this.#control.abort();
  }

  /** @param {number} next milliseconds until the next look */
  async #load(next) {
    const turn = ++this.#turn;
    if (document.visibilityState !== "hidden") {
      const [status, clients] = await Promise.all([this.#get("api/status"), this.#get("api/clients")]);
      if (this.#control.signal.aborted || turn !== this.#turn) return;
      this.#before = this.#status?.data ?? null;
      [this.#status, this.#clients] = [status, clients];
      if (clients.data) this.#rates.look(clients.data.clients, performance.now() / 1000);
      this.render();
    }
    // Who was refused once is refused again, and each time stands in the gateway's audit log.
    if (!this.#refused) this.#timer = setTimeout(() => this.#load(EVERY), next);
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
    if (state.status === "open" && state.role !== null && state.role !== this.#askedAs) {
      // Not before this page's own connection is part of what it will be told.
      this.#askedAs = state.role;
      clearTimeout(this.#timer);
      this.#load(SECOND_LOOK);
    }
    const picture = JSON.stringify([state, this.#status, this.#clients, Math.floor(now() / 5)]);
    // What somebody is just selecting or reading by keyboard is not taken from under their hands.
    if (picture === this.#rendered || this.#busy()) return;
    this.#rendered = picture;
    const [status, clients] = [this.#status?.data, this.#clients?.data];
    this.body.replaceChildren(
      ...[
        status && figurePanel(status, this.#before),
        this.#upstreams(),
        clients && clientPanel(clients.clients, this.#rates),
        status && memoryPanel(status),
        status && historyPanel(status),
        status && refusalPanel(status),
        status && originPanel(status, now()),
        status && listenerPanel(status, now()),
        this.#withheld(),
        this.#about(),
      ].filter(Boolean),
    );
  }

  #busy() {
    const selection = document.getSelection();
    return selection !== null && !selection.isCollapsed && this.element.contains(selection.anchorNode);
  }

  get #refused() {
    return [this.#status, this.#clients].some((answer) => answer?.status === 401 || answer?.status === 403);
  }

  /** What this role is not told, and what would change that. */
  #withheld() {
    if (!this.#refused) return null;
    const { role } = this.#context.gateway.state;
    return panel(
      "More",
      h("p", { class: "hint" }, `Clients, memory, history and refused origins are for roles with the right “gateway”; yours is “${role ?? "none"}”. Whoever keeps the gateway can give it: `, h("code", null, `[[role]] name = "${role ?? "viewer"}", rights = ["gateway"]`), "."),
    );
  }

  #about() {
    const { state } = this.#context.gateway;
    const by = state.transport === "events" ? "Server-Sent Events" : state.transport === "websocket" ? "WebSocket" : "nothing now";
    const { subscriptions, commands_per_second: commands, message_size: bytes, history } = state.limits;
    /** @type {[string, string][]} */
    const pairs = [
      ["Gateway", `${state.name ?? "–"}${state.build ? ` (${state.build})` : ""}`],
      ["Connected by", by],
      ["Role", state.role ?? "–"],
      ["Heartbeat", `${state.heartbeat} s`],
      ["Epoch", state.epoch ?? "–"],
    ];
    if (history) pairs.push(["History of", age(history)]);
    if (subscriptions) pairs.push(["Subscriptions", `at most ${subscriptions}`]);
    if (commands) pairs.push(["Commands", `at most ${commands} a second`]);
    if (bytes) pairs.push(["Message size", `at most ${size(bytes)}`]);
    return panel("This page", facts(pairs));
  }

  #upstreams() {
    const { gateway, now } = this.#context;
    /** @type {any[]} */
    const told = this.#status?.data?.upstreams ?? [];
    const rows = gateway.state.upstreams.map(({ name, state, since }) => [
      h("span", { class: `status ${state === "connected" ? "good" : "bad"}` }, h("span", { class: "dot" }), name),
      state,
      `${clockTime(since, now())} (${age(Math.max(0, now() - since))})`,
      ...told.filter((one) => one.name === name).map(({ url, reason }) => [url ? h("code", null, url) : "–", reason ? quiet(reason) : null]),
    ]);
    return panel("Brokers", table(["Name", "State", "Since", ...(told.length > 0 ? ["Address"] : [])], rows, "No broker is configured."));
  }
}
