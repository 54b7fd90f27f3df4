/**
 * Fills the buffers of a chart: what is stored, and every value from now on.
 */

import { SlotBuffer, tearsHole } from "./buffer.js";
import { keyOf } from "./store.js";

/** @typedef {import("./store.js").Series} Series */
/** @typedef {import("../client/subscription.js").Subscription} Subscription */

// Seconds: what is asked back as plain messages where the gateway keeps no series.
const REPLAY = 900;
const POINTS = 900;

export class ChartFeed {
  /** @type {Map<string, SlotBuffer>} by the key of the series */
  buffers = new Map();
  /** @type {Map<string, number>} newest value by key */
  newest = new Map();
  /** Seconds that the gateway can give back; null as long as that is unknown. */
  /** @type {number | null} */
  stored = null;
  /** @type {string} why nothing could be given back, for people */
  trouble = "";
  /** Rises with every change. */
  version = 0;
  #context;
  #range;
  /** @type {Map<string, Subscription>} by topic */
  #subscriptions = new Map();
  /** @type {Map<string, Series>} */
  #series = new Map();
  /** @type {Set<string>} keys whose next value comes after a hole */
  #torn = new Set();
  #control = new AbortController();

  /**
   * @param {import("./main.js").Context} context
   * @param {number} range seconds
   */
  constructor(context, range) {
    this.#context = context;
    this.#range = range;
    const { limits } = context.gateway.state;
    if (typeof limits.history === "number") this.stored = limits.history;
  }

  end() {
    this.#control.abort();
    for (const subscription of this.#subscriptions.values()) subscription.close();
    this.#subscriptions.clear();
  }

  /** @param {Series} series */
  follow(series) {
    if (this.#series.has(series.key)) return;
    this.#series.set(series.key, series);
    const buffer = new SlotBuffer(this.#range);
    this.buffers.set(series.key, buffer);
    this.version++;
    this.#fill(series, buffer);
  }

  /** @param {Series} series @param {SlotBuffer} buffer */
  async #fill(series, buffer) {
    const { gateway } = this.#context;
    const to = gateway.now();
    const from = to - this.#range;
    const source = this.#context.store.decoded
      ? { device: series.device, ...(series.channel === null ? {} : { channel: series.channel }), quantity: series.quantity }
      : { topic: series.topic.topic, ...(series.path === null ? {} : { path: series.path }) };
    try {
      const { series: rows, complete } = await gateway.history({ ...source, from, to, points: POINTS }, { signal: this.#control.signal });
      for (const [time, low, high, last] of rows) buffer.load(time, low, high, last);
      if (!complete) this.stored = Math.min(this.#range, rows.length > 0 ? to - rows[0][0] : 0);
      this.#listen(series.topic.topic, "none");
    } catch (error) {
      if (this.#control.signal.aborted) return;
      const { code, message } = /** @type {{code?: string, message: string}} */ (error);
      this.trouble = code === "disconnected" ? "" : message;
      this.stored ??= REPLAY;
      this.#listen(series.topic.topic, { age: Math.min(REPLAY, this.#range) });
    }
    this.version++;
  }

  /**
   * @param {string} topic
   * @param {"none" | {age: number}} replay
   */
  #listen(topic, replay) {
    if (this.#subscriptions.has(topic) || this.#control.signal.aborted) return;
    const subscription = this.#context.gateway.subscribe(
      topic,
      {
        readings: true,
        replay,
        onGap: ({ reason }) => {
          if (!tearsHole(reason)) return;
          for (const { key, topic: source } of this.#series.values()) if (source.topic === topic) this.#torn.add(key);
        },
      },
      (message) => this.#take(message),
    );
    this.#subscriptions.set(topic, subscription);
  }

  /** @param {import("../client/subscription.js").Message} message */
  #take(message) {
    for (const reading of this.#context.store.readingsOf(message)) {
      const key = keyOf(reading);
      const buffer = this.buffers.get(key);
      const time = reading.time ?? message.timestamp;
      const value = Number(reading.value);
      if (!buffer || time === null || typeof reading.value === "string" || !Number.isFinite(value)) continue;
      if (this.#torn.delete(key)) buffer.tear(time - buffer.width);
      buffer.add(time, value);
      this.newest.set(key, value);
      this.version++;
    }
  }
}
