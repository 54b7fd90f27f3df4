/**
 * What this page did not get lately, in one sentence. Pure.
 */

// Milliseconds for which a loss is worth a sentence.
const WORTH = 60000;
// This page asks for the newest values only: a few that were merged on the way to it miss nobody.
const WORTH_TELLING = 5;

/** @type {Record<string, string>} */
export const REASONS = {
  "slow-consumer": "this connection or this device was too slow",
  "history-expired": "they were older than what the gateway stores",
  upstream: "the gateway was without its broker",
  restart: "the gateway was restarted",
};

export class Losses {
  /** @type {{at: number, count: number | null, reason: string}[]} */
  #gaps = [];

  /**
   * @param {{count: number | null, reason: string}} gap
   * @param {number} here milliseconds since 1970
   */
  add({ count, reason }, here) {
    // Merging that this page asked for is no loss.
    if (!(reason in REASONS) || count === 0) return;
    this.#gaps.push({ at: here, count, reason });
    if (this.#gaps.length > 100) this.#gaps.shift();
  }

  /**
   * @param {number} here milliseconds since 1970
   * @returns {string} empty where nothing was lost
   */
  text(here) {
    this.#gaps = this.#gaps.filter(({ at }) => here - at < WORTH);
    const last = this.#gaps[this.#gaps.length - 1];
    if (last === undefined) return "";
    const same = this.#gaps.filter(({ reason }) => reason === last.reason);
    const unknown = same.some(({ count }) => count === null);
    const sum = same.reduce((total, { count }) => total + (count ?? 0), 0);
    if (last.reason === "slow-consumer" && !unknown && sum < WORTH_TELLING) return "";
    const what = unknown ? "Some values" : `${sum} ${sum === 1 ? "value" : "values"}`;
    return `${what} of the last minute did not reach this page: ${REASONS[last.reason]}.`;
  }
}
