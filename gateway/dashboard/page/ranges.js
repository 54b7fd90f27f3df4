/**
 * How far back a chart looks; what is not stored for so long cannot be chosen, and says what would change that.
 */

import { h, setAttribute, setText } from "./dom.js";
import { age } from "./format.js";

/** @type {[name: string, seconds: number, title: string][]} */
export const RANGES = [
  ["15min", 900, "15 min"],
  ["1h", 3600, "1 h"],
  ["6h", 21600, "6 h"],
  ["24h", 86400, "24 h"],
];

/**
 * @param {string | undefined} name
 * @returns {number} seconds
 */
export function rangeOf(name) {
  return (RANGES.find(([each]) => each === name) ?? RANGES[0])[1];
}

/**
 * The ranges that would show nothing more than the one before.
 * @param {number | null} stored seconds; null as long as nobody knows
 * @param {number} chosen seconds
 * @returns {boolean[]}
 */
export function beyond(stored, chosen) {
  return RANGES.map(([, range], index) => stored !== null && index > 0 && RANGES[index - 1][1] >= stored && range !== chosen);
}

export class RangeChoice {
  #chosen;

  /**
   * @param {number} chosen seconds
   * @param {(name: string) => void} choose
   */
  constructor(chosen, choose) {
    this.#chosen = chosen;
    this.note = h("p", { id: "ranges-note" });
    this.buttons = RANGES.map(([name, seconds, title]) => h("button", { type: "button", "aria-pressed": String(seconds === chosen), onclick: () => choose(name) }, title));
    this.element = h("div", { class: "segments", role: "group", "aria-label": "Range", "aria-describedby": "ranges-note" }, ...this.buttons);
  }

  /** @param {number | null} stored seconds */
  render(stored) {
    const closed = beyond(stored, this.#chosen);
    const titles = RANGES.filter((_, index) => closed[index]).map(([, , title]) => title);
    const key = "[history] age lengthens that in memory, disk and disk_age keep days.";
    const why = titles.length === 0 ? "" : stored ? `${inWords(titles)}: only the last ${age(stored)} are stored here. ${key}` : `${inWords(titles)}: nothing is stored here. ${key}`;
    this.buttons.forEach((button, index) => {
      setAttribute(button, "disabled", closed[index] ? "" : null);
      setAttribute(button, "title", closed[index] ? why : null);
    });
    setText(this.note, why);
  }
}

/** @param {string[]} names */
function inWords(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}
