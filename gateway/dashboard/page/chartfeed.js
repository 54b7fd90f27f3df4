/**
 * Fills the buffers of a chart: what is stored, and every value from now on.
 */

import { SlotBuffer, tearsHole } from "./buffer.js";
import { keyOf } from "./store.js";

/** @typedef {import("./store.js").Series} Series */

// Seconds: what is asked back as plain messages where the gateway keeps no series.
const REPLAY = 900;
const POINTS = 900;
const MOST_HOLES = 200;
// Milliseconds.
const SETTLED = 300;

export class ChartFeed {
  /** @type {Map<string, SlotBuffer>} by the key of the series */
  buffers = new Map();
  /** A closer look at a part of it, where somebody zoomed in. */
  /** @type {{from: number, to: number, buffers: Map<string, SlotBuffer>} | null} */
  #detail = null;
  #wanted = 0;
  /** Seconds that the gateway can give back; null as long as that is unknown. */
  /** @type {number | null} */
  stored = null;
  /** @type {string} why nothing could be given back, for people */
  trouble = "";
  /** Rises with every change. */
  version = 0;
  #context;
  #range;
  /** @type {Map<string, Promise<void>>} by topic: resolved once its new values come */
  #live = new Map();
  /** @type {Map<string, Series>} */
  #series = new Map();
  /** @type {Map<string, string>} keys whose next value comes after a hole, and why */
  #torn = new Map();
  /** What is known to be missing: before which time, and why. */
  /** @type {{key: string, time: number, reason: string}[]} */
  holes = [];
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
  }

  /** @param {Series} series */
  follow(series) {
    if (this.#series.has(series.key)) return;
    this.#series.set(series.key, series);
    this.buffers.set(series.key, new SlotBuffer(this.#range));
    this.version++;
    // First what comes from now on, then what is stored up to then: so there is nothing between the two.
    const known = this.#live.get(series.topic.topic);
    if (known !== undefined) known.then(() => this.#fill(series));
    else this.#live.set(series.topic.topic, this.#listen(series.topic.topic).then(() => this.#fill(series)));
  }

  /**
   * The buffers for a part of the range: fine ones where they were fetched, else those of the whole.
   * @param {string[]} keys
   * @param {{from: number, to: number}} view Unix seconds
   * @returns {{buffers: SlotBuffer[], until: number}}
   */
  look(keys, { from, to }) {
    const detail = this.#detail;
    const fine = detail !== null && detail.from <= from && detail.to >= to && keys.every((key) => detail.buffers.has(key));
    const buffers = fine ? detail.buffers : this.buffers;
    return { buffers: keys.map((key) => /** @type {SlotBuffer} */ (buffers.get(key))), until: fine ? detail.to : this.#context.gateway.now() };
  }

  /**
   * Somebody looks closer: what the whole has one slot for may be many values.
   * @param {{from: number, to: number} | null} view null: at all of it again
   */
  async zoom(view) {
    const turn = ++this.#wanted;
    if (view === null || view.to - view.from > this.#range / 3 || this.trouble !== "") {
      if (view === null) this.#detail = null;
      return;
    }
    // While a wheel turns or a hand drags there is a new part many times a second.
    await new Promise((resolve) => setTimeout(resolve, SETTLED));
    const { signal } = this.#control;
    if (turn !== this.#wanted || signal.aborted) return;
    const span = view.to - view.from;
    const from = view.from - span;
    const to = view.to + span;
    /** @type {Map<string, SlotBuffer>} */
    const buffers = new Map();
    try {
      for (const series of this.#series.values()) {
        const buffer = new SlotBuffer(to - from);
        const { series: rows } = await this.#context.gateway.history({ ...this.#source(series), from, to, points: POINTS }, { signal });
        for (const [time, low, high, last] of rows) buffer.load(time, low, high, last);
        for (const { key, time } of this.holes) if (key === series.key && time > from && time < to) buffer.tear(time);
        buffers.set(series.key, buffer);
      }
    } catch {
      // The whole's own slots are shown on; what is wrong with the connection the banner says.
      return;
    }
    if (turn !== this.#wanted) return;
    this.#detail = { from, to, buffers };
    this.version++;
  }

  /** @param {Series} series */
  #source({ device, channel, quantity, topic, path }) {
    if (this.#context.store.decoded) return { device, ...(channel === null ? {} : { channel }), quantity };
    return { topic: topic.topic, ...(path === null ? {} : { path }) };
  }

  /**
   * @param {string} topic
   * @returns {Promise<void>} as soon as every new value comes
   */
  #listen(topic) {
    return new Promise((resolve) => {
      this.#context.gateway.subscribe(
        topic,
        {
          readings: true,
          replay: "none",
          signal: this.#control.signal,
          onReplayed: () => resolve(),
          onGap: ({ reason }) => {
            if (!tearsHole(reason)) return;
            for (const { key, topic: source } of this.#series.values()) if (source.topic === topic) this.#torn.set(key, reason);
          },
        },
        (message) => this.#take(message),
      );
    });
  }

  /** @param {Series} series */
  async #fill(series) {
    const { gateway } = this.#context;
    const { signal } = this.#control;
    const buffer = this.buffers.get(series.key);
    if (signal.aborted || buffer === undefined) return;
    const to = gateway.now() + 1;
    const from = to - this.#range;
    try {
      const { series: rows, complete } = await gateway.history({ ...this.#source(series), from, to, points: POINTS }, { signal });
      for (const [time, low, high, last] of rows) buffer.load(time, low, high, last);
      this.#tearBefore(series, buffer, rows.map(([time]) => time));
      if (!complete && this.stored === null) this.stored = rows.length > 0 ? to - rows[0][0] : 0;
    } catch (error) {
      if (signal.aborted) return;
      const { code, message } = /** @type {{code?: string, message: string}} */ (error);
      this.trouble = code === "disconnected" ? "" : message;
      this.stored ??= REPLAY;
      await this.#replay(series.topic.topic);
    }
    this.version++;
  }

  /**
   * What was missed before this chart was opened.
   * @param {Series} series
   * @param {SlotBuffer} buffer
   * @param {number[]} times of the stored values
   */
  #tearBefore(series, buffer, times) {
    for (const { time: since, reason, topics } of this.#context.store.outages) {
      if (topics.length > 0 && !topics.includes(series.topic.topic)) continue;
      const behind = times.find((time) => time >= since);
      this.#torn.set(series.key, reason);
      // Where nothing has come since, it is the next value that stands behind the hole.
      if (behind !== undefined) this.#tear(buffer, series.key, behind);
    }
  }

  /**
   * Fetches the topic's last messages themselves, where the gateway has no series of them.
   * @param {string} topic
   * @returns {Promise<void>}
   */
  #replay(topic) {
    return new Promise((resolve) => {
      const replay = { age: Math.min(REPLAY, this.#range) };
      const given = this.#context.gateway.subscribe(
        topic,
        {
          readings: true,
          replay,
          signal: this.#control.signal,
          onReplayed: () => {
            given.close();
            resolve();
          },
          onError: () => resolve(),
        },
        (message) => this.#take(message, true),
      );
    });
  }

  /**
   * @param {SlotBuffer} buffer
   * @param {string} key
   * @param {number} time of the first value behind a hole
   */
  #tear(buffer, key, time) {
    const reason = this.#torn.get(key);
    if (reason === undefined) return;
    this.#torn.delete(key);
    this.holes.push({ key, time, reason });
    if (this.holes.length > MOST_HOLES) this.holes.shift();
    buffer.tear(time);
  }

  /**
   * @param {import("../client/subscription.js").Message} message
   * @param {boolean} [stored] not a new one
   */
  #take(message, stored = false) {
    for (const reading of this.#context.store.readingsOf(message)) {
      const key = keyOf(reading);
      const buffer = this.buffers.get(key);
      const time = reading.time ?? message.timestamp;
      const value = Number(reading.value);
      if (!buffer || time === null || typeof reading.value === "string" || !Number.isFinite(value)) continue;
      buffer.add(time, value);
      if (!stored) this.#tear(buffer, key, time);
      if (this.#detail !== null && time <= this.#detail.to) this.#detail.buffers.get(key)?.add(time, value);
      this.version++;
    }
  }
}
