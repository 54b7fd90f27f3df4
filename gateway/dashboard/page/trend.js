/**
 * The last minutes of one number in fixed memory: the lowest and highest of each slot of time. Pure.
 */

export const SLOTS = 60;
export const SLOT_SECONDS = 10;
const YOUNGEST = 12;

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
   * As the path of an SVG of this size, the newest on the right: a line through the middle of each slot, drawn from
   * its lowest to its highest value. A young trend fills the width from two minutes on. Empty where there are not two
   * slots to connect.
   * @param {number} now Unix seconds
   * @param {number} width
   * @param {number} height
   */
  path(now, width, height) {
    const last = Math.floor(now / SLOT_SECONDS);
    let lowest = Infinity;
    let highest = -Infinity;
    for (let i = 0; i < SLOTS; i++) {
      if (this.#low[i] < lowest) lowest = this.#low[i];
      if (this.#high[i] > highest) highest = this.#high[i];
    }
    if (this.#newest < 0 || lowest === Infinity) return "";
    const span = highest - lowest || 1;
    const flat = highest === lowest;
    const y = (/** @type {number} */ value) => (flat ? height / 2 : height - 1 - ((value - lowest) / span) * (height - 2));
    let path = "";
    let points = 0;
    let first = Math.max(0, last - SLOTS + 1);
    while (first < last - YOUNGEST + 1 && (first > this.#newest || first <= this.#newest - SLOTS || Number.isNaN(this.#low[first % SLOTS]))) first++;
    for (let slot = first; slot <= last; slot++) {
      // Slots that have fallen out of the ring hold newer values in their place.
      if (slot > this.#newest || slot <= this.#newest - SLOTS || slot < 0) continue;
      const low = this.#low[slot % SLOTS];
      if (Number.isNaN(low)) continue;
      const high = this.#high[slot % SLOTS];
      const x = ((slot - first) / (last - first)) * width;
      path += `${points === 0 ? "M" : "L"}${x.toFixed(1)} ${y(low).toFixed(1)}`;
      if (high !== low) path += `V${y(high).toFixed(1)}`;
      points++;
    }
    return points > 1 ? path : "";
  }
}
