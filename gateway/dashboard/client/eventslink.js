/**
 * A link to the gateway over Server-Sent Events, for where WebSocket is blocked: one stream for each subscribe.
 *
 * It takes the commands of the native protocol and answers them itself where plain HTTP has no answer, so that nobody
 * above has to know which of the two links carries the objects.
 */

import { EventStream } from "./eventstream.js";

/** @typedef {import("./socketlink.js").LinkEvents} LinkEvents */

// HTTP's refusals in the words of close codes; what is not here is transient.
/** @type {Record<number, number>} */
const CODES = { 401: 4401, 403: 403, 429: 4429, 503: 1013 };

// What a refused question is over a WebSocket.
/** @type {Record<number, string>} */
const ERRORS = { 401: "not-authenticated", 403: "forbidden", 404: "no-history", 429: "too-fast" };

/**
 * The query that `/events` takes for what a subscribe asks.
 * @param {any} command
 */
function queryOf({ topics, mode, interval, readings, replay }) {
  /** @type {[string, any][]} */
  const pairs = topics.map((/** @type {string} */ topic) => ["topic", topic]);
  pairs.push(["status", 1], ["mode", mode]);
  if (interval) pairs.push(["interval", interval]);
  if (readings) pairs.push(["readings", 1]);
  if (typeof replay === "string") pairs.push(["replay", replay]);
  else if ("count" in replay) pairs.push(["replay", `count:${replay.count}`]);
  else if ("age" in replay) pairs.push(["replay", `age:${replay.age}`]);
  else pairs.push(["replay", `${replay.epoch}:${replay.offset}`]);
  return encoded(pairs);
}

/**
 * Not URLSearchParams, which writes a blank as `+`: the gateway takes that for the wildcard.
 * @param {[string, any][]} pairs
 */
function encoded(pairs) {
  return pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
}

/** @param {Response} response */
function reasonOf(response) {
  return response.headers.get("Sensor-Gateway-Reason") ?? `the gateway answers ${response.status}`;
}

export class EventsLink {
  transport = /** @type {"events"} */ ("events");
  opened = true;
  #base;
  #fetch;
  #token;
  #events;
  #over = false;
  #welcomed = false;
  /** @type {{id: number, topics: Set<string>, abort: AbortController}[]} */
  #streams = [];

  /**
   * @param {URL} base the gateway's address, ending in a slash
   * @param {{fetch: typeof globalThis.fetch, token?: string}} options
   * @param {LinkEvents} events
   */
  constructor(base, { fetch, token }, events) {
    this.#base = base;
    this.#fetch = fetch;
    this.#token = token;
    this.#events = events;
    this.#reach();
  }

  /** @param {any} command */
  send(command) {
    if (command.type === "subscribe") this.#stream(command);
    else if (command.type === "unsubscribe") this.#unsubscribe(command.topics);
    else if (command.type === "history") this.#history(command);
    else if (command.type === "ping") return;
    else {
      const message = "not over Server-Sent Events, which this connection had to fall back to";
      queueMicrotask(() => this.#hear({ type: "error", id: command.id, code: "unsupported", message }));
    }
  }

  /**
   * @param {number} [code]
   * @param {string} [reason]
   */
  end(code = 1000, reason = "") {
    if (this.#over) return;
    this.#over = true;
    for (const { abort } of this.#streams) abort.abort();
    this.#events.ended(code, reason);
  }

  /** Whether plain HTTP gets through at all, before anything is built on it. */
  async #reach() {
    const response = await this.#request("healthz").catch(() => null);
    if (this.#over) return;
    if (response === null) this.end(1006, "neither WebSocket nor plain HTTP reaches the gateway");
    else if (response.status === 200) this.#events.ready();
    else this.#refused(response);
  }

  /**
   * @param {string} path
   * @param {AbortSignal} [signal]
   */
  #request(path, signal) {
    /** @type {Record<string, string>} */
    const headers = this.#token ? { Authorization: `Bearer ${this.#token}` } : {};
    return this.#fetch(new URL(path, this.#base).href, { headers, signal, cache: "no-store" });
  }

  /** @param {any} command */
  async #stream(command) {
    const stream = { id: command.id, topics: new Set(command.topics), abort: new AbortController() };
    this.#streams.push(stream);
    try {
      const response = await this.#request(`events?${queryOf(command)}`, stream.abort.signal);
      if (response.status === 400 || response.status === 403) {
        // This subscription's own fault, and no reason to end the others.
        this.#streams.splice(this.#streams.indexOf(stream), 1);
        return this.#hear({ type: "error", id: command.id, code: response.status === 403 ? "forbidden" : "bad-filter", message: reasonOf(response) });
      }
      if (response.status !== 200 || response.body === null) return this.#refused(response);
      const subscribed = command.topics.map((/** @type {string} */ filter) => ({ filter, granted: true, reason: null }));
      this.#hear({ type: "ok", id: command.id, subscribed });
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      const parser = new EventStream();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        for (const data of parser.push(decoder.decode(value, { stream: true }))) this.#object(JSON.parse(data), command.id);
      }
    } catch {
      // Aborted by us, or the network broke: the lines below tell which.
    }
    if (!this.#over && this.#streams.includes(stream)) this.end(1006, "the stream of events broke");
  }

  /**
   * @param {any} event
   * @param {number} id the subscribe whose stream it came by
   */
  #object(event, id) {
    if (event.type === "welcome") {
      // Every stream begins with one.
      if (this.#welcomed) return;
      this.#welcomed = true;
    }
    this.#hear(event.type === "replayed" ? { ...event, id } : event);
  }

  /** @param {any} event */
  #hear(event) {
    if (!this.#over) this.#events.heard(event);
  }

  /** @param {string[]} topics */
  #unsubscribe(topics) {
    for (const stream of [...this.#streams]) {
      for (const topic of topics) stream.topics.delete(topic);
      if (stream.topics.size > 0) continue;
      this.#streams.splice(this.#streams.indexOf(stream), 1);
      stream.abort.abort();
    }
  }

  /** @param {any} command */
  async #history({ id, type, ...query }) {
    const text = encoded(Object.entries(query).filter(([, value]) => value !== null && value !== undefined));
    try {
      const response = await this.#request(`api/history?${text}`);
      if (response.status !== 200) {
        this.#hear({ type: "error", id, code: ERRORS[response.status] ?? "unsupported", message: reasonOf(response) });
      } else {
        this.#hear({ ...(await response.json()), type: "ok", id });
      }
    } catch {
      this.#hear({ type: "error", id, code: "no-history", message: "the request for the history broke" });
    }
  }

  /** @param {Response} response */
  #refused(response) {
    const reason = reasonOf(response);
    const seconds = Number(response.headers.get("Retry-After"));
    if (seconds > 0) this.#hear({ type: "closing", reason, retry_after: seconds });
    this.end(CODES[response.status] ?? 1006, reason);
  }
}
