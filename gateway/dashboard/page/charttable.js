/**
 * The readings of a chart in numbers: now or below the pointer, and lowest, mean and highest of what is seen.
 */

import { arrange, h, setText, svg } from "./dom.js";
import { number, valueText } from "./format.js";

/** @typedef {import("./store.js").Series} Series */
/** @typedef {import("./buffer.js").SlotBuffer} SlotBuffer */

const LEAVE = "M6 6l12 12M18 6L6 18";
export const COLOURS = 6;

export class ChartTable {
  /** @type {Map<string, any>} */
  #rows = new Map();
  #keys;
  #name;
  #leave;

  /**
   * @param {string[]} keys
   * @param {(series: Series) => string} name
   * @param {(key: string) => void} leave takes a reading out of the chart
   */
  constructor(keys, name, leave) {
    this.#keys = keys;
    this.#name = name;
    this.#leave = leave;
    this.body = h("tbody");
    this.when = h("th", { scope: "col", class: "number" }, "Now");
    const heads = ["Lowest", "Mean", "Highest"].map((title) => h("th", { scope: "col", class: "number" }, title));
    const head = h("tr", null, h("th", { scope: "col" }, "Reading"), this.when, ...heads, h("th", { scope: "col" }, h("span", { class: "unseen" }, "Take out")));
    this.element = h("div", { class: "scroll", tabIndex: 0 }, h("table", null, h("thead", null, head), this.body));
  }

  /** @param {Series[]} shown */
  arrange(shown) {
    this.element.hidden = shown.length === 0;
    arrange(
      this.body,
      shown.map((series) => this.row(series).row),
    );
  }

  /** @param {Series} series */
  colour(series) {
    return `c${this.#keys.indexOf(series.key) % COLOURS}`;
  }

  /** @param {Series} series */
  row(series) {
    let row = this.#rows.get(series.key);
    if (row === undefined) {
      const swatch = h("span", { class: `swatch ${this.colour(series)}` });
      const cell = (/** @type {string} */ label) => h("td", { class: "number", "data-label": label });
      const cells = { now: cell("Now"), low: cell("Lowest"), mean: cell("Mean"), high: cell("Highest") };
      const title = `Take ${this.#name(series)} out of the chart`;
      const leave = h("button", { class: "leave", type: "button", title: "Take out of the chart", "aria-label": title, onclick: () => this.#leave(series.key) }, svg(LEAVE));
      const name = h("th", { scope: "row" }, h("div", { class: "line" }, swatch, h("span", null, this.#name(series))));
      row = { swatch, ...cells, row: h("tr", null, name, cells.now, cells.low, cells.mean, cells.high, h("td", { class: "action" }, leave)) };
      this.#rows.set(series.key, row);
    }
    return row;
  }

  /**
   * @param {Series} series
   * @param {SlotBuffer | undefined} buffer
   * @param {{from: number, to: number}} view
   * @param {number | null} pointed the time below the pointer
   */
  render(series, buffer, { from, to }, pointed) {
    const row = this.row(series);
    const unit = series.unit ? ` ${series.unit}` : "";
    const summary = buffer?.summary(from, to) ?? null;
    const decimals = decimalsOf(summary);
    const text = (/** @type {number | undefined} */ value) => (value === undefined ? "–" : `${number(Number(value.toFixed(decimals)))}${unit}`);
    const when = pointed === null ? "Now" : new Date(pointed * 1000).toLocaleTimeString();
    setText(this.when, when);
    row.now.dataset.label = when;
    setText(row.now, pointed === null ? `${valueText(series.value, series.quantity)}${unit}` : (valueAt(buffer, pointed, unit) ?? "–"));
    setText(row.low, text(summary?.low));
    setText(row.mean, text(summary?.mean));
    setText(row.high, text(summary?.high));
  }
}

/**
 * What a reading was at a time, as long as nothing newer was said; a span where it was several values.
 * @param {SlotBuffer | undefined} buffer
 * @param {number} time
 * @param {string} unit with a blank before it
 * @returns {string | null} null where there was none
 */
export function valueAt(buffer, time, unit) {
  const at = buffer?.at(time) ?? null;
  if (at === null) return null;
  return at.low === at.high ? `${number(at.low)}${unit}` : `${number(at.low)} … ${number(at.high)}${unit}`;
}

/**
 * A mean deserves one digit more than the values it is made of.
 * @param {{low: number, high: number} | null} summary
 */
function decimalsOf(summary) {
  if (summary === null) return 0;
  const digits = (/** @type {number} */ value) => (String(value).split(".")[1] ?? "").length;
  return Math.min(3, Math.max(digits(summary.low), digits(summary.high)) + 1);
}
