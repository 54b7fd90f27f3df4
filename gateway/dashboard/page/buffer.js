/**
 * One number over a range of time, in slots of equal width: lowest, highest and last of each. Pure; memory is fixed by
 * the number of slots, however fast the number changes.
 */

export const BUFFER_SLOTS = 900;

/** The reasons for which something is missing; a client that asked for fewer values misses none. */
const HOLES = new Set(["slow-consumer", "history-expired", "upstream", "restart"]);

/** @param {string} reason */
export function tearsHole(reason) {
  return HOLES.has(reason);
}

export class SlotBuffer {
  /** Seconds. */
  width;
  #low = new Float64Array(BUFFER_SLOTS).fill(NaN);
  #high = new Float64Array(BUFFER_SLOTS).fill(NaN);
  #last = new Float64Array(BUFFER_SLOTS).fill(NaN);
  /** of the last value */
  #time = new Float64Array(BUFFER_SLOTS);
  #hole = new Uint8Array(BUFFER_SLOTS);
  #newest = -1;

  /** @param {number} range seconds */
  constructor(range) {
    this.width = range / (BUFFER_SLOTS - 1);
  }

  /**
   * @param {number} time Unix seconds
   * @param {number} value
   */
  add(time, value) {
    this.load(time, value, value, value);
  }

  /**
   * A row of a stored series. Stored and live ones may come in any order: the newest of a slot is its last.
   * @param {number} time
   * @param {number} low
   * @param {number} high
   * @param {number} last
   */
  load(time, low, high, last) {
    const place = this.#place(time);
    if (place < 0) return;
    if (!(this.#low[place] <= low)) this.#low[place] = low;
    if (!(this.#high[place] >= high)) this.#high[place] = high;
    this.#hole[place] = 0;
    if (time < this.#time[place]) return;
    this.#last[place] = last;
    this.#time[place] = time;
  }

  /**
   * Something is missing between the value before `time` and that at `time`: no line is drawn from one to the other.
   * @param {number} time
   */
  tear(time) {
    if (this.#place(time) < 0) return;
    const end = Math.floor(time / this.width);
    const oldest = this.#newest - BUFFER_SLOTS;
    let before = end - 1;
    while (before > oldest && Number.isNaN(this.#last[before % BUFFER_SLOTS])) before--;
    // Where nothing came before, nobody can say since when.
    if (before <= oldest) before = end - 2;
    for (let slot = Math.max(before, oldest) + 1; slot < end; slot++) this.#hole[slot % BUFFER_SLOTS] = 1;
  }

  /** @param {number} time */
  #place(time) {
    const slot = Math.floor(time / this.width);
    if (slot > this.#newest) {
      const passed = this.#newest < 0 ? BUFFER_SLOTS : Math.min(BUFFER_SLOTS, slot - this.#newest);
      for (let i = 0; i < passed; i++) {
        const place = (slot - i) % BUFFER_SLOTS;
        this.#low[place] = this.#high[place] = this.#last[place] = NaN;
        this.#time[place] = this.#hole[place] = 0;
      }
      this.#newest = slot;
    }
    return slot > this.#newest - BUFFER_SLOTS ? slot % BUFFER_SLOTS : -1;
  }

  /**
   * Rows up to `until`, one for each slot: undefined where nothing came, null where something is missing.
   * @param {number} until Unix seconds
   * @returns {{time: number[], low: (number | null | undefined)[], high: (number | null | undefined)[], last: (number | null | undefined)[]}}
   */
  rows(until) {
    const end = Math.floor(until / this.width);
    /** @type {ReturnType<SlotBuffer["rows"]>} */
    const rows = { time: [], low: [], high: [], last: [] };
    for (let slot = end - BUFFER_SLOTS + 1; slot <= end; slot++) {
      const kept = slot >= 0 && slot <= this.#newest && slot > this.#newest - BUFFER_SLOTS;
      const place = kept ? slot % BUFFER_SLOTS : -1;
      const empty = kept ? (this.#hole[place] ? null : undefined) : undefined;
      const here = kept && !Number.isNaN(this.#last[place]);
      rows.time.push((slot + 0.5) * this.width);
      rows.low.push(here ? this.#low[place] : empty);
      rows.high.push(here ? this.#high[place] : empty);
      rows.last.push(here ? this.#last[place] : empty);
    }
    return rows;
  }

  /**
   * What held at a time: the values of its slot, or the last before it; null where there was none, or something is missing.
   * @param {number} time
   * @returns {{low: number, high: number} | null}
   */
  at(time) {
    const oldest = Math.max(-1, this.#newest - BUFFER_SLOTS);
    for (let slot = Math.min(this.#newest, Math.floor(time / this.width)); slot > oldest; slot--) {
      const place = slot % BUFFER_SLOTS;
      if (this.#hole[place]) return null;
      if (!Number.isNaN(this.#last[place])) return { low: this.#low[place], high: this.#high[place] };
    }
    return null;
  }

  /**
   * Lowest, highest and mean of the slots' last values between two times; null where there are none.
   * @param {number} from
   * @param {number} until
   */
  summary(from, until) {
    let low = Infinity;
    let high = -Infinity;
    let sum = 0;
    let count = 0;
    const end = Math.min(this.#newest, Math.floor(until / this.width));
    for (let slot = Math.max(Math.floor(from / this.width), this.#newest - BUFFER_SLOTS + 1, 0); slot <= end; slot++) {
      const place = slot % BUFFER_SLOTS;
      if (Number.isNaN(this.#last[place])) continue;
      low = Math.min(low, this.#low[place]);
      high = Math.max(high, this.#high[place]);
      sum += this.#last[place];
      count++;
    }
    return count === 0 ? null : { low, high, mean: sum / count };
  }
}

/**
 * Where values are missing: the first and the last row of each hole.
 * @param {(number | null | undefined)[]} rows
 * @returns {[first: number, last: number][]}
 */
export function holesIn(rows) {
  /** @type {[number, number][]} */
  const holes = [];
  for (let row = 0; row < rows.length; row++) {
    if (rows[row] !== null) continue;
    const last = holes[holes.length - 1];
    if (last !== undefined && last[1] === row - 1) last[1] = row;
    else holes.push([row, row]);
  }
  return holes;
}

/**
 * Values that no line leads to or from, since there is none beside them, or something is missing: the rows of each.
 * @param {(number | null | undefined)[]} rows
 * @returns {number[]}
 */
export function lonelyIn(rows) {
  const told = rows.flatMap((value, row) => (value === undefined ? [] : [row]));
  const joined = (/** @type {number} */ index) => typeof rows[told[index]] === "number";
  return told.filter((_, index) => joined(index) && !joined(index - 1) && !joined(index + 1));
}

/**
 * Readings as comma-separated values (RFC 4180): a row for each time at which any of them has a value.
 * @param {{name: string, unit: string | null, rows: ReturnType<SlotBuffer["rows"]>}[]} columns of the same times
 */
export function csvOf(columns) {
  const quoted = (/** @type {string} */ text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  // A name that begins like a formula is not run by a spreadsheet behind an apostrophe.
  const safe = (/** @type {string} */ text) => quoted(/^[=+\-@\t]/.test(text) ? `'${text}` : text);
  const names = columns.flatMap(({ name, unit }) => ["min", "max", "last"].map((part) => safe(`${name} ${part}${unit ? ` (${unit})` : ""}`)));
  const lines = [["time", ...names].join(",")];
  for (let i = 0; i < (columns[0]?.rows.time.length ?? 0); i++) {
    if (columns.every(({ rows }) => typeof rows.last[i] !== "number")) continue;
    const cells = columns.flatMap(({ rows }) => [rows.low[i], rows.high[i], rows.last[i]].map((value) => (typeof value === "number" ? String(value) : "")));
    lines.push([new Date(columns[0].rows.time[i] * 1000).toISOString(), ...cells].join(","));
  }
  return `${lines.join("\r\n")}\r\n`;
}
