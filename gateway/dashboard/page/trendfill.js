/**
 * Asks for the last minutes of readings that come into sight, so that a page just opened has trends to show.
 */

import { SLOT_SECONDS, SLOTS, Trend } from "./trend.js";

/** @typedef {import("./store.js").Series} Series */

// Milliseconds between two questions: well below what the gateway lets a client ask, so that charts find room.
const PACE = 150;

/** @type {WeakSet<Series>} each is asked for once in a page's life */
const askedFor = new WeakSet();

export class TrendFill {
  /** @type {Set<Series>} */
  #waiting = new Set();
  #context;
  #asking = false;
  #control = new AbortController();

  /** @param {import("./main.js").Context} context */
  constructor(context) {
    this.#context = context;
  }

  end() {
    this.#control.abort();
    this.#waiting.clear();
  }

  /** @param {Series} series */
  want(series) {
    const { gateway, store } = this.#context;
    // Only where the gateway keeps series, and knows the reading by itself.
    if (typeof series.value !== "number" || !store.decoded || !gateway.state.limits.history || askedFor.has(series)) return;
    this.#waiting.add(series);
    if (!this.#asking) this.#next();
  }

  async #next() {
    const [series] = this.#waiting;
    if (series === undefined) return;
    this.#waiting.delete(series);
    askedFor.add(series);
    this.#asking = true;
    const { gateway } = this.#context;
    const to = gateway.now();
    const { device, channel, quantity } = series;
    try {
      const query = { device, ...(channel === null ? {} : { channel }), quantity, from: to - SLOTS * SLOT_SECONDS, to, points: SLOTS };
      const { series: rows } = await gateway.history(query, { signal: this.#control.signal });
      series.trend ??= new Trend();
      for (const [time, low, high] of rows) {
        series.trend.add(time, low);
        series.trend.add(time, high);
      }
    } catch {
      // Then the trend grows from what comes live, as it would have without asking.
    }
    setTimeout(() => {
      this.#asking = false;
      this.#next();
    }, PACE);
  }
}
