/**
 * The last minutes of one number in fixed memory: the lowest and highest of each slot of time. Pure.
 */

export const SLOTS = 60;
export const SLOT_SECONDS = 10;
const YOUNGEST = 12;
// Part of the value that fills the height at least.
const LEAST = 0.002;

export class Trend {
  #low = new Float32Array(SLOTS).fill(NaN);
  #high = new Float32Array(SLOTS).fill(NaN);
  #newest = -1;

  /**
   * @param {number} time Unix seconds
   * @param {number} value
   */
  add(time, value) {
    const slot = Math.floor(time / SLOT_SECONDS);
    if (slot > this.#newest) {
      const passed = this.#newest < 0 ? SLOTS : Math.min(SLOTS, slot - this.#newest);
      for (let i = 0; i < passed; i++) this.#low[(slot - i) % SLOTS] = this.#high[(slot - i) % SLOTS] = NaN;
      this.#newest = slot;
    } else if (slot <= this.#newest - SLOTS) {
      return;
    }
    const place = slot % SLOTS;
    if (!(this.#low[place] <= value)) this.#low[place] = value;
    if (!(this.#high[place] >= value)) this.#high[place] = value;
  }

  /**
   * As the path of an SVG of this size, the newest on the right: a line through the middle between lowest and highest
   * of each slot. A young trend fills the width from two minutes on. Empty where there are not two
   * slots to connect.
   * @param {number} now Unix seconds
   * @param {number} width
   * @param {number} height
   */
  path(now, width, height) {
    const last = Math.floor(now / SLOT_SECONDS);
    let first = Math.max(0, last - SLOTS + 1);
    while (first < last - YOUNGEST + 1 && Number.isNaN(this.#middle(first))) first++;
    /** @type {[x: number, value: number][]} */
    const points = [];
    let lowest = Infinity;
    let highest = -Infinity;
    for (let slot = first; slot <= last; slot++) {
      const middle = this.#middle(slot);
      if (Number.isNaN(middle)) continue;
      lowest = Math.min(lowest, middle);
      highest = Math.max(highest, middle);
      points.push([((slot - first) / (last - first)) * width, middle]);
    }
    if (points.length < 2) return "";
    // Noise in the last digit is no trend.
    const span = Math.max(highest - lowest, Math.max(Math.abs(lowest), Math.abs(highest)) * LEAST) || 1;
    const centre = (lowest + highest) / 2;
    const y = (/** @type {number} */ value) => height / 2 - ((value - centre) / span) * (height - 2);
    return points.map(([x, value], index) => `${index === 0 ? "M" : "L"}${x.toFixed(1)} ${y(value).toFixed(1)}`).join("");
  }

  /**
   * Between the lowest and the highest value of a slot; NaN where there are none, or no more.
   * @param {number} slot
   */
  #middle(slot) {
    // Slots that have fallen out of the ring hold newer values in their place.
    if (slot < 0 || slot > this.#newest || slot <= this.#newest - SLOTS) return NaN;
    return (this.#low[slot % SLOTS] + this.#high[slot % SLOTS]) / 2;
  }
}
