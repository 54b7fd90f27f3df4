/**
 * `connect()`: several subscriptions on one connection, each of which goes on where the connection broke.
 */

import { Connection } from "./connection.js";
import { call, Subscription } from "./subscription.js";
import { Router } from "./topics.js";

/** @typedef {import("./connection.js").ConnectOptions} ConnectOptions */
/** @typedef {import("./connection.js").State} State */
/** @typedef {{id: number, subscriptions: Subscription[], newest: number}} Asking */
/** @typedef {import("./subscription.js").Message} Message */
/** @typedef {import("./subscription.js").SubscribeOptions} SubscribeOptions */

/** A command was refused, or the connection broke before its answer came. */
export class GatewayError extends Error {
  /**
   * @param {string} code the protocol's, or `disconnected`
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "GatewayError";
    this.code = code;
  }
}

export class Gateway {
  #options;
  #connection;
  /** @type {Set<Subscription>} */
  #subscriptions = new Set();
  /** @type {Router<Subscription>} */
  #router = new Router();
  /** @type {Asking | null} the subscribe under way */
  #asking = null;
  /** @type {Set<string>} filters that the gateway was asked for */
  #table = new Set();
  /** @type {Map<number, {send: object | null, done: (event: any) => void, fail: (error: Error) => void}>} */
  #commands = new Map();
  #lastId = 0;
  /** The newest offset that this epoch is known to have, -1 before its welcome. */
  #newest = -1;
  #flushing = false;
  #useLatest = false;

  /**
   * @param {string | URL} [url]
   * @param {ConnectOptions} [options]
   */
  constructor(url, options = {}) {
    this.#options = options;
    this.#connection = new Connection(url, options, {
      changed: (state) => call(options.onState, state),
      heard: (event) => this.#hear(event),
      ready: () => this.#ready(),
      lost: (reason, latest) => this.#lost(reason, latest),
    });
  }

  /** Where the gateway is, ending in a slash. */
  get base() {
    return this.#connection.base;
  }

  /** How the connection is now. */
  get state() {
    return this.#connection.state;
  }

  /** The gateway's clock, Unix seconds: what ages are counted by, since this device's clock may be wrong. */
  now() {
    return this.#connection.now();
  }

  /**
   * Has `callback` called with every message of these topics.
   * @param {string | string[]} topics filters, with the wildcards of MQTT
   * @param {SubscribeOptions | ((message: Message, subscription: Subscription) => void)} options
   * @param {(message: Message, subscription: Subscription) => void} [callback]
   * @returns {Subscription}
   */
  subscribe(topics, options, callback) {
    const given = typeof options === "function" ? {} : options;
    const take = typeof options === "function" ? options : callback;
    const subscription = new Subscription(topics, given, /** @type {any} */ (take), (closed) => this.#forget(closed));
    if (this.state.status === "closed") throw new GatewayError("disconnected", "this connection was closed by close()");
    if (given.signal?.aborted) {
      subscription.phase = "closed";
      return subscription;
    }
    given.signal?.addEventListener("abort", () => subscription.close(), { once: true });
    this.#subscriptions.add(subscription);
    this.#router.add(subscription.filters, subscription);
    this.#flushSoon();
    return subscription;
  }

  /**
   * Publishes to the broker, if the role allows it.
   * @param {string} topic
   * @param {any} data sent as JSON; with `encoding` a text, or base64
   * @param {{qos?: 0 | 1 | 2, retain?: boolean, encoding?: "text" | "base64", signal?: AbortSignal}} [options]
   * @returns {Promise<void>} once the broker has it (QoS 1 and 2)
   */
  async publish(topic, data, { signal, ...options } = {}) {
    await this.#command({ type: "publish", topic, data, ...options }, signal);
  }

  /**
   * A thinned series of numbers.
   * @param {{topic?: string, path?: string, device?: string, channel?: string | null, quantity?: string, from: number, to: number, points?: number}} query
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<{series: [t: number, min: number, max: number, last: number][], complete: boolean}>}
   */
  async history(query, { signal } = {}) {
    const { series, complete } = await this.#command({ type: "history", ...query }, signal);
    return { series, complete };
  }

  /**
   * Presents a credential: on a living connection at once, else with the next one.
   * @param {string} token
   * @returns {Promise<void>}
   */
  async authenticate(token) {
    if (this.#connection.credential(token)) await this.#command({ type: "auth", token });
  }

  /** Connects now instead of when the next try is due. */
  retry() {
    this.#connection.retry();
  }

  /** Ends it all; nothing is called any more but `onState`. */
  close() {
    if (this.state.status === "closed") return;
    this.#connection.close();
    for (const subscription of [...this.#subscriptions]) subscription.close();
    this.#fail("this connection was closed by close()", true);
  }

  #ready() {
    for (const command of this.#commands.values()) {
      if (command.send) this.#connection.send(command.send);
      command.send = null;
    }
    this.#flushSoon();
  }

  /**
   * @param {string} reason
   * @param {boolean} latest
   */
  #lost(reason, latest) {
    this.#useLatest ||= latest;
    this.#asking = null;
    this.#table.clear();
    for (const subscription of this.#subscriptions) subscription.interrupted();
    this.#fail(reason, false);
  }

  // ── what comes in ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** @param {any} event */
  #hear(event) {
    const epoch = this.state.epoch ?? "";
    switch (event.type) {
      case "welcome":
        this.#newest = event.offset;
        // Over Server-Sent Events the first comes behind the answer to the subscribe that it belongs to.
        for (const subscription of this.#subscriptions) {
          if (subscription.phase === "live" && subscription.mark === null) subscription.reached(epoch, event.offset);
        }
        break;
      case "message":
        if (event.offset > this.#newest) this.#newest = event.offset;
        for (const subscription of this.#router.find(event.topic)) {
          if (!subscription.take(event, epoch)) this.#connection.abandon("a replay fell too far behind");
        }
        return;
      case "heartbeat":
        if (event.offset > this.#newest) this.#newest = event.offset;
        for (const subscription of this.#subscriptions) {
          if (subscription.phase === "live") subscription.reached(epoch, event.offset);
        }
        break;
      case "ok":
      case "error":
        this.#answer(event);
        break;
      case "replayed":
        if (this.#asking && (event.id === this.#asking.id || event.id === null)) this.#live(event);
        break;
      case "gap":
        this.#gap(event);
        break;
      case "stale":
      case "fresh":
        for (const subscription of this.#subscriptions) if (subscription.concerns(event.topic)) call(subscription.options.onStale, event);
        break;
      case "device":
        for (const subscription of this.#subscriptions) call(subscription.options.onDevice, event);
        break;
    }
    call(this.#options.onEvent, event);
  }

  /** @param {any} event */
  #answer(event) {
    const command = this.#commands.get(event.id);
    if (command) {
      this.#commands.delete(event.id);
      if (event.type === "ok") command.done(event);
      else command.fail(new GatewayError(event.code, event.message));
      return;
    }
    const asking = this.#asking;
    if (!asking || asking.id !== event.id) {
      if (event.type === "error" && event.id === null) console.warn(`sensor-gateway: ${event.code}: ${event.message}`);
      return;
    }
    if (event.type === "error") {
      this.#asking = null;
      if (event.code === "too-fast") {
        for (const subscription of asking.subscriptions) subscription.interrupted();
        setTimeout(() => this.#flushSoon(), 1000);
        return;
      }
      for (const subscription of asking.subscriptions) {
        if (subscription.phase === "closed") continue;
        subscription.phase = "refused";
        for (const filter of subscription.filters) this.#table.delete(filter);
        subscription.refuse({ code: event.code, message: event.message });
      }
      this.#flushSoon();
      return;
    }
    for (const { filter, granted, reason } of event.subscribed ?? []) {
      if (granted === true && !reason) continue;
      for (const subscription of asking.subscriptions) {
        if (subscription.filters.includes(filter)) subscription.refuse({ code: "forbidden", message: reason ?? "not granted", filter });
      }
    }
    if (asking.subscriptions.every((subscription) => subscription.phase === "closed" || subscription.replay === "none")) {
      // It goes on from what there was when it was asked for: all that matches came later, or is not there yet.
      this.#live({ count: 0, complete: true, offset: asking.newest });
    }
  }

  /** @param {any} replayed */
  #live(replayed) {
    const { subscriptions } = /** @type {Asking} */ (this.#asking);
    this.#asking = null;
    for (const subscription of subscriptions) {
      if (subscription.phase === "asked") {
        subscription.live(this.state.epoch ?? "", { count: replayed.count, complete: replayed.complete, offset: replayed.offset });
      }
    }
    this.#flushSoon();
  }

  /** @param {import("./subscription.js").Gap} gap */
  #gap(gap) {
    const resuming = this.#asking !== null && (gap.reason === "restart" || gap.reason === "history-expired");
    const topics = Object.keys(gap.topics ?? {});
    const unnamed = topics.length === 0 || "…" in gap.topics;
    for (const subscription of resuming ? (this.#asking?.subscriptions ?? []) : this.#subscriptions) {
      if (subscription.phase !== "closed" && (resuming || unnamed || topics.some((topic) => subscription.concerns(topic)))) {
        subscription.gap(gap);
      }
    }
  }

  // ── what goes out ─────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * @param {object} command
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>} the gateway's `ok`
   */
  #command(command, signal) {
    if (this.state.status === "closed") return Promise.reject(new GatewayError("disconnected", "this connection was closed by close()"));
    signal?.throwIfAborted();
    const id = ++this.#lastId;
    const send = { ...command, id };
    return new Promise((done, fail) => {
      signal?.addEventListener("abort", () => this.#commands.delete(id) && fail(signal.reason), { once: true });
      this.#commands.set(id, { send: this.#connection.ready ? null : send, done, fail });
      if (this.#connection.ready) this.#connection.send(send);
    });
  }

  /**
   * Ends what waits for an answer that will not come; what was never sent waits on unless `all`.
   * @param {string} reason
   * @param {boolean} all
   */
  #fail(reason, all) {
    for (const [id, { send, fail }] of this.#commands) {
      if (send && !all) continue;
      this.#commands.delete(id);
      fail(new GatewayError("disconnected", reason));
    }
  }

  #flushSoon() {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  /**
   * Sends the next subscribe. One at a time: until its `replayed` has come, what is marked `replay` is its answer.
   * Subscriptions that want the same go together.
   */
  #flush() {
    if (!this.#connection.ready || this.#asking) return;
    let key;
    const together = [];
    for (const subscription of this.#subscriptions) {
      if (subscription.phase !== "waiting") continue;
      const wish = JSON.stringify([this.#wish(subscription), subscription.replay]);
      key ??= wish;
      if (wish === key) together.push(subscription);
    }
    if (together.length === 0) return;
    const topics = [...new Set(together.flatMap(({ filters }) => filters))];
    const id = ++this.#lastId;
    const command = { type: "subscribe", id, topics, ...this.#mostDemanding(topics), replay: together[0].replay };
    for (const subscription of together) subscription.asked();
    for (const filter of topics) this.#table.add(filter);
    this.#asking = { id, subscriptions: together, newest: this.#newest };
    this.#connection.send(command);
  }

  /** @param {Subscription} subscription */
  #wish({ options: { mode = "all", interval = 0, readings = false, data = true } }) {
    return { mode: this.#useLatest ? "latest" : mode, interval, readings, data };
  }

  /**
   * What to ask for where several subscriptions share a filter: the gateway knows one set of options for each.
   * @param {string[]} topics
   */
  #mostDemanding(topics) {
    const wishes = [];
    for (const subscription of this.#subscriptions) {
      if (subscription.phase !== "refused" && subscription.filters.some((filter) => topics.includes(filter))) wishes.push(this.#wish(subscription));
    }
    return {
      mode: wishes.some(({ mode }) => mode === "all") ? "all" : "latest",
      interval: Math.min(...wishes.map(({ interval }) => interval)),
      readings: wishes.some(({ readings }) => readings),
      data: wishes.some(({ data }) => data),
    };
  }

  /** @param {Subscription} closed */
  #forget(closed) {
    this.#subscriptions.delete(closed);
    this.#router.delete(closed);
    if (!this.#connection.ready) return;
    const kept = new Set([...this.#subscriptions].flatMap(({ filters }) => filters));
    const topics = closed.filters.filter((filter) => this.#table.has(filter) && !kept.has(filter));
    if (topics.length === 0) return;
    for (const filter of topics) this.#table.delete(filter);
    this.#connection.send({ type: "unsubscribe", topics });
    // The replay of what nobody wants any more may never be told to have ended.
    if (this.#asking?.subscriptions.every(({ phase }) => phase === "closed")) {
      this.#asking = null;
      this.#flushSoon();
    }
  }
}

/**
 * Connects to a gateway, and comes back by itself whenever the connection breaks.
 * @param {string | URL} [url] `https://box:8443`; without one the gateway that this file came from
 * @param {ConnectOptions} [options]
 * @returns {Gateway}
 */
export function connect(url, options) {
  return new Gateway(url, options);
}
