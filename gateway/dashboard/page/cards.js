/**
 * A device's frame with its readings, or one reading's; redrawn only while it can be seen.
 */

import { h, setAttribute, setText } from "./dom.js";
import { age, clockTime } from "./format.js";
import { isAbsent, labelsOf, shortName } from "./grouping.js";
import { ReadingRow } from "./readingrow.js";

// Seconds by which a reading is older than its device's newest before it says so on its own line.
const WORTH_A_WORD = 30;

export class CardView {
  visible = false;
  #card;
  #single;
  #rows;

  /**
   * @param {import("./grouping.js").Card} card
   * @param {import("./main.js").Context} context
   * @param {boolean} single one reading, named by its device
   */
  constructor(card, context, single) {
    this.#card = card;
    this.title = h("h3", { title: card.device.id }, shortName(card.device));
    this.state = h("span", { class: "state" });
    this.age = h("span", { class: "age" });
    this.#single = single;
    const names = single ? [channelOf(card)] : labelsOf(card.series);
    this.#rows = card.series.map((series, index) => new ReadingRow(series, context, names[index], single ? shortName(card.device) : ""));
    this.element = h(
      "article",
      { class: single ? "card single" : "card" },
      h("div", { class: "head" }, this.title, this.state, this.age),
      h("ul", null, ...this.#rows.map(({ element }) => element)),
    );
    // Frames stand on a grid of rows, each as high as a reading: so that one ends where the next begins.
    this.element.style.setProperty("--readings", String(card.series.length));
  }

  /** @param {number} now */
  render(now) {
    const { device } = this.#card;
    // Its name may come later than its values.
    setText(this.title, shortName(device));
    const offline = device.state === "offline";
    const since = this.#single ? "" : ` since ${clockTime(device.since ?? now, now)}`;
    setText(this.state, offline ? `offline${since}` : "");
    setAttribute(this.element, "data-state", device.state);
    const newest = this.#newest(now);
    setText(this.age, offline ? "" : newest === null ? "age unknown" : newest < 1 || this.#single ? age(newest) : `${age(newest)} ago`);
    const gone = this.#rows.every((row) => isAbsent(device, row.series));
    for (const row of this.#rows) {
      const absent = isAbsent(device, row.series);
      const old = row.secondsOld(now);
      const older = newest !== null && (old === null || old - newest > WORTH_A_WORD);
      row.render(now, absent, !this.#single && (older || (absent && !gone)));
    }
    setAttribute(this.element, "data-stale", gone ? "" : null);
  }

  /**
   * Seconds since the device's last word here; null where nobody knows.
   * @param {number} now
   */
  #newest(now) {
    let newest = null;
    for (const row of this.#rows) {
      const old = row.secondsOld(now);
      if (old !== null && (newest === null || old < newest)) newest = old;
    }
    return newest;
  }

  get keys() {
    return this.#card.series.map(({ key }) => key).join("\n");
  }

  /** @returns {import("./store.js").Series[]} */
  get series() {
    return this.#card.series;
  }
}

/**
 * The channel of a single reading, where its device has the same quantity in others too.
 * @param {import("./grouping.js").Card} card
 */
function channelOf({ device, series: [one] }) {
  const alike = [...device.series.values()].filter(({ quantity }) => quantity === one.quantity);
  return alike.length > 1 ? (one.channel ?? "") : "";
}
