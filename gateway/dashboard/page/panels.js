/**
 * What the gateway's view is built of: frames with a title, facts, figures, tables.
 */

import { h } from "./dom.js";

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {boolean} [number] stands at the right
 */

/**
 * @param {string} title
 * @param {...(Element | null | false)} content
 */
export function panel(title, ...content) {
  return h("section", { class: "panel", "aria-label": title }, h("h2", null, title), ...content);
}

/** One beside another where there is room. @param {any} made */
export function half(made) {
  made.classList.add("half");
  return made;
}

/** As high as the two that stand beside it. @param {any} made */
export function tall(made) {
  made.classList.add("tall");
  return made;
}

/** @param {[string, string][]} pairs */
export function facts(pairs) {
  return h("dl", { class: "facts" }, ...pairs.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

/**
 * The few figures that tell how it is.
 * @param {{name: string, value: string, of?: string, bad?: boolean}[]} figures
 */
export function tiles(figures) {
  const tile = (/** @type {typeof figures[0]} */ { name, value, of, bad }) => h("div", bad ? { class: "bad" } : null, h("dt", null, name), h("dd", null, value, h("small", null, of ?? "")));
  return h("dl", { class: "tiles" }, ...figures.map(tile));
}

/**
 * How much of something is taken; the colour says when it gets tight.
 * @param {number} value
 * @param {number} max
 * @param {string} label
 */
export function bar(value, max, label) {
  return h("meter", { min: 0, max, value, low: max * 0.8, high: max * 0.95, optimum: 0, "aria-label": label });
}

/** A second, quieter line. @param {string} text */
export function quiet(text) {
  return h("span", { class: "quiet" }, text);
}

/**
 * @param {(Column | string)[]} columns
 * @param {(string | Node | null | (string | Node | null)[])[][]} rows
 * @param {string} none what to say where there are no rows
 */
export function table(columns, rows, none) {
  if (rows.length === 0) return h("p", { class: "hint" }, none);
  const heads = columns.map((column) => (typeof column === "string" ? { title: column, number: false } : column));
  const cell = (/** @type {any} */ content, /** @type {number} */ index) =>
    h("td", { class: heads[index].number ? "number" : null, "data-label": heads[index].title }, h("div", null, ...[content].flat()));
  const head = h("tr", null, ...heads.map(({ title, number }) => h("th", { scope: "col", class: number ? "number" : null }, title)));
  const body = rows.map((row) => h("tr", null, ...row.map(cell)));
  return h("div", { class: "scroll", tabIndex: 0 }, h("table", null, h("thead", null, head), h("tbody", null, ...body)));
}
