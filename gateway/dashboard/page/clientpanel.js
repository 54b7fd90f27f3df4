/**
 * Who is connected, what each asked for, and whether it keeps up.
 */

import { age, number, size } from "./format.js";
import { h } from "./dom.js";
import { panel, quiet, table } from "./panels.js";

/**
 * @typedef {object} Client as `/api/clients` tells of it
 * @property {string} session
 * @property {string} address
 * @property {boolean} secure
 * @property {string} user
 * @property {string | null} role
 * @property {string} dialect
 * @property {number} age seconds
 * @property {number | null} rtt seconds
 * @property {number | null} sent bytes
 * @property {number | null} interval seconds between values, where the gateway imposes it
 * @property {number} queue bytes
 * @property {number} lost messages
 * @property {string[]} subscriptions
 */

// More than these at once is nothing that anybody reads; those furthest behind come first.
const MOST_CLIENTS = 200;

/** What went to each client a second: told by two looks at what has gone in all. */
export class Rates {
  /** @type {Map<string, {at: number, sent: number}>} */
  #before = new Map();
  /** @type {Map<string, number>} bytes a second, by session */
  #rates = new Map();

  /**
   * @param {Client[]} clients
   * @param {number} now seconds, of any clock that is steady
   */
  look(clients, now) {
    const before = this.#before;
    this.#before = new Map();
    this.#rates = new Map();
    for (const { session, sent } of clients) {
      if (typeof sent !== "number") continue;
      this.#before.set(session, { at: now, sent });
      const last = before.get(session);
      if (last !== undefined && now > last.at) this.#rates.set(session, Math.max(0, sent - last.sent) / (now - last.at));
    }
  }

  /**
   * @param {string} session
   * @returns {number | null} null as long as nobody can know
   */
  of(session) {
    return this.#rates.get(session) ?? null;
  }
}

/**
 * @param {Client[]} clients
 * @param {Rates} rates
 */
export function clientPanel(clients, rates) {
  const columns = ["User", "Address", "Subscriptions", { title: "Queue", number: true }, { title: "Rate", number: true }, { title: "Round trip", number: true }, { title: "Lost", number: true }, { title: "For", number: true }];
  const shown = [...clients].sort((a, b) => b.queue - a.queue || b.lost - a.lost || b.age - a.age).slice(0, MOST_CLIENTS);
  const rows = shown.map((client) => {
    const { user, role, address, dialect, secure, subscriptions, queue, rtt, lost, interval } = client;
    const rate = rates.of(client.session);
    return [
      [user || role || "not signed in", user && role ? quiet(role) : null],
      [address, quiet(`${dialect}${secure ? ", TLS" : ""}`)],
      subscriptions.length > 0 ? h("code", null, subscriptions.join(", ")) : "none",
      queue > 0 ? size(queue) : "empty",
      [rate === null ? "–" : `${size(Math.round(rate))}/s`, interval ? quiet(`held to one value per ${interval} s`) : null],
      typeof rtt === "number" ? `${number(Number((rtt * 1000).toPrecision(2)))} ms` : "–",
      lost > 0 ? number(lost) : "none",
      age(client.age),
    ];
  });
  const title = `Clients (${clients.length})`;
  const more = clients.length > shown.length ? h("p", { class: "hint" }, `The ${shown.length} that are furthest behind.`) : null;
  return panel(title, more, table(columns, rows, "Nobody is connected."));
}
