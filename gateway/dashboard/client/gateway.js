/**
 * `connect()`: several subscriptions on one link, which comes back by itself and goes on where it broke.
 */

import { EventsLink } from "./eventslink.js";
import { adviceFor, retryDelay } from "./retry.js";
import { SocketLink } from "./socketlink.js";
import { call, Subscription } from "./subscription.js";
import { Router } from "./topics.js";

/** @typedef {"connecting" | "open" | "waiting" | "unauthorized" | "failed" | "closed"} Status */
/** @typedef {{name: string, state: "connected" | "connecting" | "waiting" | "refused" | "blind", since: number, retry_in?: number | null, retryAt?: number | null, host?: string, reason?: string}} UpstreamState `retryAt`: Unix seconds by the gateway's clock */

/**
 * @typedef {object} State how the connection is; a new object at every change
 * @property {Status} status
 * @property {"websocket" | "events" | null} transport
 * @property {number} since milliseconds since 1970, by this device's clock
 * @property {number | null} retryAt milliseconds since 1970 of the next try, where one is due
 * @property {number} attempt tries in a row that failed
 * @property {number | null} code the last close code
 * @property {string} reason why, for people
 * @property {string[]} methods how to sign in, where that is asked for
 * @property {string | null} name the gateway's
 * @property {string | null} build
 * @property {string | null} role
 * @property {string[] | null} subscribe filters that the role may subscribe to, where the gateway says them
 * @property {string | null} epoch
 * @property {number} heartbeat seconds
 * @property {"ok" | "suspect"} clock
 * @property {Record<string, number>} limits
 * @property {UpstreamState[]} upstreams
 * @property {{interval: number, reason: string} | null} rate the interval that the gateway imposes on this client
 */

/**
 * @typedef {object} ConnectOptions
 * @property {string | ((why: {code: number, reason: string} | null) => string | null | Promise<string | null>)} [token]
 *   a credential, or a function that gives one: called before every connection, with why the last one was refused
 * @property {any} [WebSocket] a class like the browser's, where the platform has none (Node before 22: that of `ws`)
 * @property {typeof globalThis.fetch} [fetch]
 * @property {boolean} [events] false: never fall back to Server-Sent Events; true: use nothing else
 * @property {(state: State) => void} [onState]
 * @property {(event: any) => void} [onEvent] every object that the gateway sends but messages, as it is
 * @property {() => number} [random] uniform in [0, 1): the jitter, for tests
 */

/** @typedef {{id: number, subscriptions: Subscription[]}} Asking */
/** @typedef {import("./subscription.js").Message} Message */
/** @typedef {import("./subscription.js").SubscribeOptions} SubscribeOptions */

// Seconds: a connection that lasted so long was a good one.
const STABLE = 10;
// Seconds: an answer to a ping takes no longer where anybody is there.
const ANSWER = 5;
// Seconds between two tries of WebSocket while Server-Sent Events do its work.
const TRY_SOCKET_AGAIN = 300;
// Failed handshakes in a row after which WebSocket counts as blocked.
const BLOCKED_AFTER = 2;
// Milliseconds a handshake may take: proxies that swallow the upgrade answer nothing at all.
const HANDSHAKE = 10000;

/** The gateway's address, ending in a slash: what comes before `stream`, `events` and `api`. */
function baseOf(/** @type {string | URL | undefined} */ url) {
  const here = globalThis.location?.href;
  const base = new URL(url ?? ".", url === undefined ? import.meta.url : here);
  base.protocol = base.protocol.replace("ws", "http");
  base.hash = base.search = "";
  base.pathname = base.pathname.replace(/\/(stream|ws|index\.html)$/, "/");
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return base;
}

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
  /** @type {URL} where the gateway is, ending in a slash */
  base;
  #options;
  /** @type {State} */
  #state;
  /** @type {SocketLink | EventsLink | null} */
  #link = null;
  #ready = false;
  /** @type {Set<Subscription>} */
  #subscriptions = new Set();
  /** @type {Router<Subscription>} */
  #router = new Router();
  /** @type {Asking | null} the subscribe under way */
  #asking = null;
  /** @type {Map<string, string>} filter -> what is asked for by it, as the gateway knows it */
  #table = new Map();
  /** @type {Map<number, {send: object | null, done: (event: any) => void, fail: (error: Error) => void}>} */
  #commands = new Map();
  #lastId = 0;
  #flushing = false;
  #generation = 0;
  #failedHandshakes = 0;
  #useEvents;
  #useLatest = false;
  /** @type {number | undefined} */
  #retryAfter;
  /** @type {{code: number, reason: string} | null} */
  #refused = null;
  /** @type {string | undefined} a token given by `authenticate` goes before the options' own */
  #token;
  #heardAt = 0;
  /** @type {number | null} when the gateway was asked whether it is there */
  #askedAt = null;
  #openedAt = 0;
  #clockOffset = 0;
  /** @type {any} */
  #retryTimer;
  /** @type {any} */
  #watchTimer;
  /** @type {any} */
  #handshakeTimer;
  /** @type {(() => void)[]} */
  #unlisten = [];

  /**
   * @param {string | URL} [url]
   * @param {ConnectOptions} [options]
   */
  constructor(url, options = {}) {
    this.base = baseOf(url);
    this.#options = options;
    this.#useEvents = options.events === true;
    this.#state = {
      status: "connecting",
      transport: null,
      since: Date.now(),
      retryAt: null,
      attempt: 0,
      code: null,
      reason: "",
      methods: [],
      name: null,
      build: null,
      role: null,
      subscribe: null,
      epoch: null,
      heartbeat: 20,
      clock: "ok",
      limits: {},
      upstreams: [],
      rate: null,
    };
    this.#listen("online", () => this.#wake(true));
    this.#listen("pageshow", () => this.#wake(false));
    this.#listen("visibilitychange", () => globalThis.document?.visibilityState === "visible" && this.#wake(false), globalThis.document);
    // Not before the caller holds this object: onState may use it. And who closes it again in the same breath (React's
    // StrictMode) has opened no socket.
    this.#retryTimer = setTimeout(() => this.#open(), 0);
  }

  /** How the connection is now. */
  get state() {
    return this.#state;
  }

  /** The gateway's clock, Unix seconds: what ages are counted by, since this device's clock may be wrong. */
  now() {
    return performance.now() / 1000 + this.#clockOffset;
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
    if (this.#state.status === "closed") throw new GatewayError("disconnected", "this connection was closed by close()");
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
    this.#token = token;
    this.#refused = null;
    if (this.#link !== null && this.#ready && this.#link.transport === "websocket") {
      await this.#command({ type: "auth", token });
      return;
    }
    this.retry();
  }

  /** Connects now instead of when the next try is due. */
  retry() {
    if (this.#state.status === "closed" || this.#state.status === "open") return;
    this.#drop();
    clearTimeout(this.#retryTimer);
    this.#open();
  }

  /** Ends it all; nothing is called any more but `onState`. */
  close() {
    if (this.#state.status === "closed") return;
    for (const unlisten of this.#unlisten) unlisten();
    clearTimeout(this.#retryTimer);
    this.#drop();
    for (const subscription of [...this.#subscriptions]) subscription.close();
    this.#fail(new GatewayError("disconnected", "this connection was closed by close()"), true);
    this.#set({ status: "closed", transport: null, retryAt: null, reason: "" });
  }

  // ── the link ──────────────────────────────────────────────────────────────────────────────────────────────────────

  async #open() {
    const generation = ++this.#generation;
    this.#set({ status: "connecting", retryAt: null });
    let token;
    try {
      token = await this.#credential();
    } catch (error) {
      if (generation === this.#generation) this.#unauthorized(`no credential: ${error instanceof Error ? error.message : error}`);
      return;
    }
    if (generation !== this.#generation) return;
    if (this.#refused && !token) return this.#unauthorized(this.#refused.reason);
    const WebSocket = this.#options.WebSocket ?? globalThis.WebSocket;
    const events = this.#useEvents || WebSocket === undefined;
    const heard = (/** @type {any} */ event) => generation === this.#generation && this.#hear(event);
    const ready = () => generation === this.#generation && this.#opened();
    const ended = (/** @type {number} */ code, /** @type {string} */ reason) =>
      generation === this.#generation && this.#ended(code, reason);
    try {
      this.#link = events
        ? new EventsLink(this.base, { fetch: this.#options.fetch ?? globalThis.fetch.bind(globalThis), token }, { heard, ready, ended })
        : new SocketLink(this.base, { WebSocket, token }, { heard, ready, ended });
    } catch (error) {
      // The platform refuses the address itself: mixed content, a malformed URL.
      this.#set({ status: "failed", code: null, reason: error instanceof Error ? error.message : String(error) });
      return;
    }
    if (this.#link.transport === "websocket") {
      this.#handshakeTimer = setTimeout(() => {
        if (generation === this.#generation && !this.#link?.opened) this.#link?.end(1006, "no answer to the handshake");
      }, HANDSHAKE);
    } else {
      this.#handshakeTimer = setTimeout(() => {
        // Perhaps WebSocket works by now: where the network changed, or the proxy learnt it.
        if (generation !== this.#generation || this.#options.events === true) return;
        this.#useEvents = false;
        this.#failedHandshakes = 0;
        this.#link?.end(1000, "trying WebSocket again");
      }, TRY_SOCKET_AGAIN * 1000);
    }
  }

  async #credential() {
    if (this.#refused) this.#token = undefined;
    if (this.#token !== undefined) return this.#token;
    const { token } = this.#options;
    if (typeof token === "function") return (await token(this.#refused)) ?? undefined;
    return this.#refused ? undefined : token;
  }

  /** Lets go of the link without a word of it reaching anybody. */
  #drop() {
    this.#generation++;
    const link = this.#link;
    this.#link = null;
    this.#ready = false;
    clearInterval(this.#watchTimer);
    clearTimeout(this.#handshakeTimer);
    this.#asking = null;
    this.#table.clear();
    for (const subscription of this.#subscriptions) subscription.interrupted();
    link?.end();
  }

  #opened() {
    this.#ready = true;
    this.#failedHandshakes = 0;
    this.#refused = null;
    this.#retryAfter = undefined;
    this.#openedAt = performance.now();
    this.#heardAt = this.#openedAt;
    this.#set({ status: "open", transport: this.#link?.transport ?? null, since: Date.now(), retryAt: null, code: null, reason: "", methods: [] });
    this.#watch();
    for (const { send } of this.#commands.values()) if (send) this.#link?.send(send);
    for (const command of this.#commands.values()) command.send = null;
    this.#flushSoon();
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #ended(code, reason) {
    const link = this.#link;
    const lasted = this.#ready ? (performance.now() - this.#openedAt) / 1000 : 0;
    const advice = adviceFor(code);
    const blocked = link?.transport === "websocket" && !link.opened;
    this.#drop();
    this.#fail(new GatewayError("disconnected", reason || "the connection broke before the answer came"), false);
    if (blocked && ++this.#failedHandshakes >= BLOCKED_AFTER && this.#options.events !== false) {
      this.#useEvents = true;
    } else if (link?.transport === "events" && lasted === 0 && this.#options.events !== true) {
      // No better that way: back to WebSocket, and to counting.
      this.#useEvents = false;
      this.#failedHandshakes = 0;
    }
    if (advice.latest) this.#useLatest = true;
    if (advice.when === "never") {
      this.#set({ status: "failed", transport: null, since: Date.now(), code, reason, retryAt: null });
      return;
    }
    const attempt = lasted >= STABLE ? 1 : this.#state.attempt + 1;
    if (advice.when === "credentials") this.#refused = { code, reason };
    const retryAfter = this.#retryAfter;
    this.#retryAfter = undefined;
    // An end of our own making: to try WebSocket again.
    const switching = code === 1000 && link?.transport === "events";
    const seconds = switching || (advice.when === "credentials" && attempt <= 1) ? 0 : retryDelay({ code, attempt, retryAfter, random: this.#options.random });
    this.#set({
      status: "waiting",
      transport: null,
      since: this.#state.status === "waiting" || this.#state.status === "connecting" ? this.#state.since : Date.now(),
      attempt,
      code,
      reason,
      retryAt: Date.now() + seconds * 1000,
    });
    this.#retryTimer = setTimeout(() => this.#open(), seconds * 1000);
  }

  /** @param {string} reason */
  #unauthorized(reason) {
    this.#drop();
    this.#set({ status: "unauthorized", transport: null, retryAt: null, since: Date.now(), reason });
  }

  // ── is anybody there? ─────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Looks after the link: where nothing came for a heartbeat, or this device slept, it asks; where nothing answers it
   * gives the link up. Timers are no clock: a suspended device stops them, and a hidden tab has few.
   */
  #watch() {
    clearInterval(this.#watchTimer);
    const { heartbeat } = this.#state;
    const tick = Math.min(5, Math.max(0.2, heartbeat / 4)) * 1000;
    // Server-Sent Events cannot be asked: there the next heartbeat has to come.
    const patience = this.#link?.transport === "events" ? heartbeat * 1100 + 500 : Math.min(ANSWER, heartbeat) * 1000;
    let ticked = Date.now();
    this.#askedAt = null;
    this.#watchTimer = setInterval(() => {
      const now = performance.now();
      const slept = Date.now() - ticked > 3 * tick;
      ticked = Date.now();
      if (this.#askedAt !== null && this.#heardAt > this.#askedAt) this.#askedAt = null;
      if (this.#askedAt !== null && now - this.#askedAt > patience) this.#link?.end(1006, "the gateway went silent");
      else if (this.#askedAt === null && (slept || now - this.#heardAt > heartbeat * 1100 + 500)) this.#probe();
    }, tick);
  }

  #probe() {
    if (this.#askedAt !== null) return;
    this.#askedAt = performance.now();
    this.#link?.send({ type: "ping" });
  }

  /**
   * The tab woke, or the network came back.
   * @param {boolean} network
   */
  #wake(network) {
    const { status } = this.#state;
    if (status === "open" && this.#ready) this.#probe();
    // Where the gateway itself named a time it is kept: it has its reasons.
    else if (status === "waiting" && (network || this.#state.code === 1006)) this.retry();
  }

  /**
   * @param {string} name
   * @param {() => void} listener
   * @param {any} [target]
   */
  #listen(name, listener, target = globalThis) {
    if (typeof target?.addEventListener !== "function" || globalThis.document === undefined) return;
    target.addEventListener(name, listener);
    this.#unlisten.push(() => target.removeEventListener(name, listener));
  }

  // ── what comes in ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** @param {any} event */
  #hear(event) {
    this.#heardAt = performance.now();
    if (event.type === "message") {
      const epoch = this.#state.epoch ?? "";
      for (const subscription of this.#router.find(event.topic)) {
        if (!subscription.take(event, epoch)) this.#link?.end(1006, "a replay fell too far behind");
      }
      return;
    }
    switch (event.type) {
      case "welcome":
        this.#setClock(event.timestamp);
        this.#set({
          name: event.gateway,
          build: event.build,
          role: event.role,
          subscribe: event.subscribe ?? null,
          epoch: event.epoch,
          heartbeat: event.heartbeat,
          clock: event.clock,
          limits: event.limits,
          upstreams: event.upstreams.map((/** @type {UpstreamState} */ state) => this.#dated(state)),
          rate: null,
        });
        if (this.#ready) this.#watch();
        break;
      case "auth-required":
        this.#authRequired(event);
        break;
      case "heartbeat":
        this.#setClock(event.timestamp);
        for (const subscription of this.#subscriptions) {
          if (subscription.phase === "live") subscription.reached(this.#state.epoch ?? "", event.offset);
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
      case "upstream": {
        const { type, ...state } = event;
        const others = this.#state.upstreams.filter(({ name }) => name !== state.name);
        this.#set({ upstreams: [...others, this.#dated(state)].sort((a, b) => (a.name < b.name ? -1 : 1)) });
        break;
      }
      case "rate":
        this.#set({ rate: event.interval > 0 ? { interval: event.interval, reason: event.reason } : null });
        break;
      case "closing":
        this.#retryAfter = event.retry_after;
        break;
    }
    call(this.#options.onEvent, event);
  }

  /** @param {{methods: string[]}} event */
  #authRequired(event) {
    this.#set({ methods: event.methods });
    const generation = this.#generation;
    this.#credential().then(
      (token) => {
        if (generation !== this.#generation) return;
        if (token) this.#link?.send({ type: "auth", id: ++this.#lastId, token });
        else {
          this.#refused = { code: 4401, reason: "this gateway asks for a token" };
          this.#unauthorized(this.#refused.reason);
        }
      },
      (error) => generation === this.#generation && this.#unauthorized(`no credential: ${error.message}`),
    );
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
      this.#live({ count: 0, complete: true, offset: -1 });
    }
  }

  /** @param {any} replayed */
  #live(replayed) {
    const { subscriptions } = /** @type {Asking} */ (this.#asking);
    this.#asking = null;
    for (const subscription of subscriptions) {
      if (subscription.phase === "asked") {
        subscription.live(this.#state.epoch ?? "", { count: replayed.count, complete: replayed.complete, offset: replayed.offset });
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

  /**
   * @param {UpstreamState} state
   * @returns {UpstreamState}
   */
  #dated(state) {
    return { ...state, retryAt: typeof state.retry_in === "number" ? this.now() + state.retry_in : null };
  }

  /** @param {number} timestamp the gateway's clock, Unix seconds */
  #setClock(timestamp) {
    if (typeof timestamp === "number") this.#clockOffset = timestamp - performance.now() / 1000;
  }

  // ── what goes out ─────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * @param {object} command
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>} the gateway's `ok`
   */
  #command(command, signal) {
    if (this.#state.status === "closed") return Promise.reject(new GatewayError("disconnected", "this connection was closed by close()"));
    signal?.throwIfAborted();
    const id = ++this.#lastId;
    const send = { ...command, id };
    return new Promise((done, fail) => {
      signal?.addEventListener("abort", () => this.#commands.delete(id) && fail(signal.reason), { once: true });
      this.#commands.set(id, { send: this.#ready ? null : send, done, fail });
      if (this.#ready) this.#link?.send(send);
    });
  }

  /**
   * Ends what waits for an answer that will not come; what was never sent waits on unless `all`.
   * @param {Error} error
   * @param {boolean} all
   */
  #fail(error, all) {
    for (const [id, { send, fail }] of this.#commands) {
      if (send && !all) continue;
      this.#commands.delete(id);
      fail(error);
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
    if (!this.#ready || this.#asking || !this.#link) return;
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
    for (const filter of topics) this.#table.set(filter, "");
    this.#asking = { id, subscriptions: together };
    this.#link.send(command);
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
    if (!this.#ready) return;
    const kept = new Set([...this.#subscriptions].flatMap(({ filters }) => filters));
    const topics = closed.filters.filter((filter) => this.#table.has(filter) && !kept.has(filter));
    if (topics.length === 0) return;
    for (const filter of topics) this.#table.delete(filter);
    this.#link?.send({ type: "unsubscribe", topics });
    // The replay of what nobody wants any more may never be told to have ended.
    if (this.#asking?.subscriptions.every(({ phase }) => phase === "closed")) {
      this.#asking = null;
      this.#flushSoon();
    }
  }

  /** @param {Partial<State>} change */
  #set(change) {
    this.#state = Object.freeze({ ...this.#state, ...change });
    call(this.#options.onState, this.#state);
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
