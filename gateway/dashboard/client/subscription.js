/**
 * One subscription as its owner sees it: which messages it has had, so that none comes twice, and what it was told.
 */

import { checkedFilter, matches } from "./topics.js";

/**
 * @typedef {object} Reading
 * @property {string} device
 * @property {string | null} channel
 * @property {string} quantity
 * @property {number | boolean | string} value
 * @property {string | null} unit
 * @property {number | null} time Unix seconds, null where the payload states none
 */

/**
 * @typedef {object} Message
 * @property {"message"} type
 * @property {string} topic
 * @property {any} data the payload: JSON, or text or base64 as `encoding` says; null where it was not asked for or too large
 * @property {"text" | "base64"} [encoding]
 * @property {number | null} timestamp Unix seconds of arrival at the gateway; null: older than the gateway's connection
 * @property {number} offset
 * @property {boolean} [retained]
 * @property {boolean} [replay]
 * @property {string} [upstream]
 * @property {number} [size]
 * @property {boolean} [too_large]
 * @property {Reading[]} [readings]
 */

/**
 * @typedef {object} Gap messages that this client did not get
 * @property {"gap"} type
 * @property {number} from
 * @property {number} to
 * @property {number | null} count null where nobody can know
 * @property {Record<string, number>} topics
 * @property {"slow-consumer" | "interval" | "history-expired" | "upstream" | "restart"} reason
 */

/** @typedef {{type: "stale" | "fresh", topic: string, age: number, stale_after: number}} Staleness */
/** @typedef {{type: "device", device: string, state: "online" | "offline", since: number}} DeviceState */
/** @typedef {{count: number, complete: boolean, offset: number}} Replayed */
/** @typedef {{code: string, message: string, filter?: string}} Refusal */

/**
 * @typedef {object} SubscribeOptions
 * @property {"all" | "latest"} [mode] every message (default), or the newest of each topic whenever this client is behind
 * @property {number} [interval] seconds; at most one value per topic in that time, the newest
 * @property {"last" | "none" | {count: number} | {age: number} | {epoch: string, offset: number, points?: number}} [replay]
 *   what comes first; "last" (default) is the last value of every topic
 * @property {boolean} [readings] have the gateway decode payloads into readings
 * @property {boolean} [data] false: readings without the payload
 * @property {boolean} [resume] after a reconnect have all that was missed; default in mode "all". Otherwise the last values
 * @property {number} [points] thin what was missed to so many messages a topic
 * @property {AbortSignal} [signal] ends the subscription
 * @property {(gap: Gap) => void} [onGap]
 * @property {(event: Staleness) => void} [onStale] a topic went silent, or speaks again
 * @property {(event: DeviceState) => void} [onDevice] a device came or went
 * @property {(event: Replayed) => void} [onReplayed] what was asked for by `replay` is complete; live messages follow
 * @property {(error: Refusal) => void} [onError] the gateway refused a filter; without it the console says so
 */

const HELD = 10000;

/**
 * Calls what the owner gave. An error in it is reported as an uncaught one and harms nobody else.
 * @param {Function | undefined} callback
 * @param {...any} given
 */
export function call(callback, ...given) {
  if (callback === undefined) return;
  try {
    callback(...given);
  } catch (error) {
    if (typeof globalThis.reportError === "function") globalThis.reportError(error);
    else
      setTimeout(() => {
        throw error;
      });
  }
}

export class Subscription {
  /** @type {"waiting" | "asked" | "live" | "refused" | "closed"} */
  phase = "waiting";
  /** @type {{epoch: string, offset: number} | null} all up to here was had */
  mark = null;
  /** @type {string[]} */
  filters;
  /** @type {SubscribeOptions} */
  options;
  #callback;
  #close;
  /** @type {Map<string, number>} newest offset per topic, where the order by offset does not hold */
  #ahead = new Map();
  /** @type {Message[]} live ones that came by another subscription while this one's replay is under way */
  #held = [];
  #ordered = false;
  #everLive = false;

  /**
   * @param {string | string[]} topics
   * @param {SubscribeOptions} options
   * @param {(message: Message, subscription: Subscription) => void} callback
   * @param {(subscription: Subscription) => void} close
   */
  constructor(topics, options, callback, close) {
    this.filters = [...new Set([topics].flat())].map(checkedFilter);
    if (this.filters.length === 0) throw new TypeError("a subscription needs at least one topic filter");
    if (typeof callback !== "function") throw new TypeError("a subscription needs a function to call");
    this.options = options;
    this.#callback = callback;
    this.#close = close;
  }

  /** Ends it; no callback is called any more. */
  close() {
    if (this.phase === "closed") return;
    this.phase = "closed";
    this.#held = [];
    this.#ahead.clear();
    this.#close(this);
  }

  /** What to ask for now: at first what the owner wants, after a reconnect what was missed. */
  get replay() {
    const { mode, replay = "last", resume = mode !== "latest", points } = this.options;
    if (!this.#everLive && !(this.mark && typeof replay === "object")) return replay;
    if (!resume || this.mark === null) return "last";
    return points === undefined ? { ...this.mark } : { ...this.mark, points };
  }

  /** A subscribe went out for it. */
  asked() {
    this.phase = "asked";
    this.#held = [];
    // Last values come in any order; what is replayed from an offset on comes in order.
    this.#ordered = typeof this.replay === "object";
    if (this.replay === "none") this.#ordered = true;
  }

  /** The link broke: what was had stays known. */
  interrupted() {
    if (this.phase === "closed" || this.phase === "refused") return;
    this.phase = "waiting";
    this.#held = [];
  }

  /**
   * @param {Message} message
   * @param {string} epoch
   * @returns {boolean} false: too much came for too slow a replay
   */
  take(message, epoch) {
    if (this.phase === "asked") {
      if (message.replay) this.#deliver(message, epoch, this.#ordered);
      else this.#held.push(message);
      return this.#held.length <= HELD;
    }
    // A replay that another subscription asked for is none of this one's business.
    if (this.phase === "live" && !message.replay) this.#deliver(message, epoch, !this.options.interval);
    return true;
  }

  /**
   * Its replay is over, up to this offset.
   * @param {string} epoch
   * @param {Replayed} replayed
   */
  live(epoch, replayed) {
    const held = this.#held;
    this.#held = [];
    this.phase = "live";
    this.#everLive = true;
    if (replayed.offset >= 0) this.reached(epoch, replayed.offset);
    call(this.options.onReplayed, replayed);
    for (const message of held) this.take(message, epoch);
  }

  /**
   * All that matched up to this offset was sent or named in a gap.
   * @param {string} epoch
   * @param {number} offset
   */
  reached(epoch, offset) {
    if (this.mark?.epoch !== epoch) {
      this.mark = { epoch, offset };
      this.#ahead.clear();
      return;
    }
    this.mark.offset = Math.max(this.mark.offset, offset);
    for (const [topic, seen] of this.#ahead) if (seen <= this.mark.offset) this.#ahead.delete(topic);
  }

  /**
   * @param {Gap} gap
   */
  gap(gap) {
    // After a loss the gateway sends last values in place of what is gone: they come in any order.
    if (this.phase === "asked") this.#ordered = false;
    call(this.options.onGap, gap);
  }

  /** @param {string} topic */
  concerns(topic) {
    return this.filters.some((filter) => matches(filter, topic));
  }

  /** @param {Refusal} refusal */
  refuse(refusal) {
    if (this.options.onError) call(this.options.onError, refusal);
    else console.warn(`sensor-gateway: ${refusal.filter ?? this.filters.join(", ")}: ${refusal.message}`);
  }

  /**
   * @param {Message} message
   * @param {string} epoch
   * @param {boolean} ordered
   */
  #deliver(message, epoch, ordered) {
    const { topic, offset } = message;
    if (this.mark?.epoch === epoch) {
      if (offset <= this.mark.offset || offset <= (this.#ahead.get(topic) ?? -1)) return;
    } else if (this.mark !== null || ordered) {
      // Another life of the gateway: offsets start anew.
      this.#ahead.clear();
      this.mark = { epoch, offset: ordered ? offset : -1 };
    }
    if (ordered && this.mark !== null) this.mark.offset = offset;
    else {
      this.mark ??= { epoch, offset: -1 };
      this.#ahead.set(topic, offset);
    }
    call(this.#callback, message, this);
  }
}
