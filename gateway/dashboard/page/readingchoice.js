/**
 * The field by which further readings come into a chart: it offers what there is, and takes what is meant.
 */

import { h } from "./dom.js";

/** @typedef {import("./store.js").Series} Series */

const MOST_CHOICES = 500;

/**
 * The reading that a text means: the one of that name, else the first whose name has all its words.
 * @param {Iterable<Series>} all
 * @param {(series: Series) => string} name
 * @param {string} text
 * @returns {Series | undefined}
 */
export function readingMeant(all, name, text) {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return undefined;
  const words = wanted.split(/\s+/);
  let found;
  for (const series of all) {
    const known = name(series).toLowerCase();
    if (known === wanted) return series;
    if (found === undefined && typeof series.value !== "string" && words.every((word) => known.includes(word))) found = series;
  }
  return found;
}

export class ReadingChoice {
  #store;
  #keys;
  #name;
  #choose;
  #shape = -1;

  /**
   * @param {import("./store.js").Store} store
   * @param {string[]} keys those chosen already
   * @param {(series: Series) => string} name
   * @param {(key: string) => void} choose
   */
  constructor(store, keys, name, choose) {
    this.#store = store;
    this.#keys = keys;
    this.#name = name;
    this.#choose = choose;
    this.options = h("datalist", { id: "readings" });
    this.input = h("input", { class: "add", placeholder: keys.length > 0 ? "Compare with …" : "Show …", "aria-label": "Add a reading to the chart", autocomplete: "off", onchange: () => this.#take() });
    this.input.setAttribute("list", "readings");
    this.element = h("span", { class: "adding" }, this.input, this.options);
  }

  render() {
    if (this.#shape === this.#store.shape || document.activeElement === this.input) return;
    this.#shape = this.#store.shape;
    const options = [];
    for (const series of this.#store.series.values()) {
      if (options.length >= MOST_CHOICES) break;
      if (typeof series.value !== "string" && !this.#keys.includes(series.key)) options.push(h("option", { value: this.#name(series) }));
    }
    this.options.replaceChildren(...options);
  }

  #take() {
    const others = [...this.#store.series.values()].filter(({ key }) => !this.#keys.includes(key));
    const series = readingMeant(others, this.#name, this.input.value);
    if (series === undefined) {
      this.input.setCustomValidity(this.input.value.trim() === "" ? "" : "No reading here has such a name.");
      this.input.reportValidity();
      return;
    }
    this.input.setCustomValidity("");
    this.input.value = "";
    this.#choose(series.key);
  }
}
