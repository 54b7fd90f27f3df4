/**
 * The connection to a gateway: it opens, is watched, breaks, and comes back when and how it should.
 */

import { EventsLink } from "./eventslink.js";
import { adviceFor, retryDelay } from "./retry.js";
import { SocketLink } from "./socketlink.js";
import { Watchdog } from "./watchdog.js";

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

/**
 * @typedef {object} Owner
 * @property {(state: State) => void} changed
 * @property {(event: any) => void} heard every object, after what it says of the connection was taken in
 * @property {() => void} ready commands may be sent, and all has to be asked for anew
 * @property {(reason: string, latest: boolean) => void} lost what was asked for is forgotten; `latest`: this client is too slow
 */

// Seconds: a connection that lasted so long was a good one.
const STABLE = 10;
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

export class Connection {
  /** @type {URL} where the gateway is, ending in a slash */
  base;
  /** @type {State} */
  state;
  /** Whether commands may be sent now. */
  ready = false;
  #options;
  #owner;
  /** @type {SocketLink | EventsLink | null} */
  #link = null;
  #generation = 0;
  #failedHandshakes = 0;
  #useEvents;
  /** @type {number | undefined} */
  #retryAfter;
  /** @type {{code: number, reason: string} | null} */
  #refused = null;
  /** @type {string | undefined} a token given by `authenticate` goes before the options' own */
  #token;
  #watchdog = new Watchdog(
    () => this.#link?.send({ type: "ping" }),
    () => this.#link?.end(1006, "the gateway went silent"),
  );
  #openedAt = 0;
  #clockOffset = 0;
  /** @type {any} */
  #retryTimer;
  /** @type {any} */
  #handshakeTimer;
  /** @type {(() => void)[]} */
  #unlisten = [];

  /**
   * @param {string | URL | undefined} url
   * @param {ConnectOptions} options
   * @param {Owner} owner
   */
  constructor(url, options, owner) {
    this.base = baseOf(url);
    this.#options = options;
    this.#owner = owner;
    this.#useEvents = options.events === true;
    this.state = {
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

  /** The gateway's clock, Unix seconds: what ages are counted by, since this device's clock may be wrong. */
  now() {
    return performance.now() / 1000 + this.#clockOffset;
  }

  /** @param {object} command */
  send(command) {
    this.#link?.send(command);
  }

  /**
   * Gives the link up, to come back at once or a little later.
   * @param {string} reason
   */
  abandon(reason) {
    this.#link?.end(1006, reason);
  }

  /**
   * Takes a credential for all that follows.
   * @param {string} token
   * @returns {boolean} whether it has to be presented on the living connection too
   */
  credential(token) {
    this.#token = token;
    this.#refused = null;
    if (this.ready && this.#link?.transport === "websocket") return true;
    this.retry();
    return false;
  }

  /** Connects now instead of when the next try is due. */
  retry() {
    if (this.state.status === "closed" || this.state.status === "open") return;
    this.#drop("connecting anew");
    clearTimeout(this.#retryTimer);
    this.#open();
  }

  /** Ends it for good. */
  close() {
    for (const unlisten of this.#unlisten) unlisten();
    clearTimeout(this.#retryTimer);
    this.#drop("closed by close()");
    this.#set({ status: "closed", transport: null, retryAt: null, reason: "" });
  }

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
        if (generation === this.#generation && !this.ready) this.#link?.end(1006, "no answer to the handshake");
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

  /**
   * Lets go of the link without a word of it reaching anybody.
   * @param {string} reason
   * @param {boolean} [latest]
   */
  #drop(reason, latest = false) {
    this.#generation++;
    const link = this.#link;
    this.#link = null;
    this.ready = false;
    this.#watchdog.stop();
    clearTimeout(this.#handshakeTimer);
    this.#owner.lost(reason, latest);
    link?.end();
  }

  #opened() {
    this.ready = true;
    this.#failedHandshakes = 0;
    this.#refused = null;
    this.#retryAfter = undefined;
    this.#openedAt = performance.now();
    this.#watchdog.heard();
    const transport = this.#link?.transport ?? null;
    if (transport === "websocket") clearTimeout(this.#handshakeTimer);
    this.#set({ status: "open", transport, since: Date.now(), retryAt: null, code: null, reason: "", methods: [] });
    this.#watch();
    this.#owner.ready();
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #ended(code, reason) {
    const link = this.#link;
    const lasted = this.ready ? (performance.now() - this.#openedAt) / 1000 : 0;
    const advice = adviceFor(code);
    const blocked = link?.transport === "websocket" && !link.opened;
    this.#drop(reason || "the connection broke before the answer came", advice.latest);
    if (blocked && ++this.#failedHandshakes >= BLOCKED_AFTER && this.#options.events !== false) {
      this.#useEvents = true;
    } else if (link?.transport === "events" && lasted === 0 && this.#options.events !== true) {
      // No better that way: back to WebSocket, and to counting.
      this.#useEvents = false;
      this.#failedHandshakes = 0;
    }
    if (advice.when === "never") {
      this.#set({ status: "failed", transport: null, since: Date.now(), code, reason, retryAt: null });
      return;
    }
    const attempt = lasted >= STABLE ? 1 : this.state.attempt + 1;
    if (advice.when === "credentials") this.#refused = { code, reason };
    const retryAfter = this.#retryAfter;
    this.#retryAfter = undefined;
    // An end of our own making: to try WebSocket again.
    const switching = code === 1000 && link?.transport === "events";
    const seconds = switching || (advice.when === "credentials" && attempt <= 1) ? 0 : retryDelay({ code, attempt, retryAfter, random: this.#options.random });
    this.#set({
      status: "waiting",
      transport: null,
      since: this.state.status === "waiting" || this.state.status === "connecting" ? this.state.since : Date.now(),
      attempt,
      code,
      reason,
      retryAt: Date.now() + seconds * 1000,
    });
    this.#retryTimer = setTimeout(() => this.#open(), seconds * 1000);
  }

  /** @param {string} reason */
  #unauthorized(reason) {
    this.#drop(reason);
    this.#set({ status: "unauthorized", transport: null, retryAt: null, since: Date.now(), reason });
  }

  #watch() {
    this.#watchdog.start(this.state.heartbeat, this.#link?.transport !== "events");
  }

  /**
   * The tab woke, or the network came back.
   * @param {boolean} network
   */
  #wake(network) {
    const { status } = this.state;
    if (status === "open" && this.ready) this.#watchdog.probe();
    // Where the gateway itself named a time it is kept: it has its reasons.
    else if (status === "waiting" && (network || this.state.code === 1006)) this.retry();
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

  // ── what the gateway says of the connection ───────────────────────────────────────────────────────────────────────

  /** @param {any} event */
  #hear(event) {
    this.#watchdog.heard();
    switch (event.type) {
      case "message":
        break;
      case "welcome":
        this.#welcome(event);
        break;
      case "auth-required":
        this.#authRequired(event);
        break;
      case "heartbeat":
        this.#setClock(event.timestamp);
        break;
      case "upstream": {
        const { type, ...state } = event;
        const others = this.state.upstreams.filter(({ name }) => name !== state.name);
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
    this.#owner.heard(event);
  }

  /** @param {any} event */
  #welcome({ timestamp, gateway, build, role, subscribe = null, epoch, heartbeat, clock, limits, upstreams }) {
    this.#setClock(timestamp);
    const dated = upstreams.map((/** @type {UpstreamState} */ state) => this.#dated(state));
    this.#set({ name: gateway, build, role, subscribe, epoch, heartbeat, clock, limits, upstreams: dated, rate: null });
    // Over Server-Sent Events it comes late: the watch began without knowing the heartbeat.
    if (this.ready) this.#watch();
  }

  /** @param {{methods: string[]}} event */
  #authRequired(event) {
    this.#set({ methods: event.methods });
    const generation = this.#generation;
    this.#credential().then(
      (token) => {
        if (generation !== this.#generation) return;
        if (token) this.#link?.send({ type: "auth", token });
        else {
          this.#refused = { code: 4401, reason: "this gateway asks for a token" };
          this.#unauthorized(this.#refused.reason);
        }
      },
      (error) => generation === this.#generation && this.#unauthorized(`no credential: ${error.message}`),
    );
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

  /** @param {Partial<State>} change */
  #set(change) {
    this.state = Object.freeze({ ...this.state, ...change });
    this.#owner.changed(this.state);
  }
}
