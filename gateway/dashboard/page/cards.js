/**
 * A device's frame with its readings, or one reading's; redrawn only while it can be seen.
 */

import { h, setAttribute, setText } from "./dom.js";
import { age, clockTime, valueText } from "./format.js";
import { isAbsent, labelsOf, seriesLabel, shortName } from "./grouping.js";

/** @typedef {import("./store.js").Series} Series */

const WIDTH = 80;
const HEIGHT = 22;
const SVG_NAMESPACE = "http://www.w3.org/2000/svg";
// A trend has a point per ten seconds: drawing it at every value would show nothing new.
const TREND_EVERY = 3;

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
    this.#single = single;
    const names = single ? [channelOf(card)] : labelsOf(card.series);
    this.#rows = card.series.map((series, index) => new ReadingRow(series, context, names[index], single ? shortName(card.device) : ""));
    this.element = h(
      "article",
      { class: single ? "card single" : "card" },
      h("div", { class: "head" }, this.title, this.state),
      h("ul", null, ...this.#rows.map(({ element }) => element)),
    );
  }

  /** @param {number} now */
  render(now) {
    const { device } = this.#card;
    const since = this.#single ? "" : ` since ${clockTime(device.since ?? now, now)}`;
    setText(this.state, device.state === "offline" ? `offline${since}` : "");
    setAttribute(this.element, "data-state", device.state);
    for (const row of this.#rows) row.render(now, isAbsent(device, row.series));
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

class ReadingRow {
  #version = -1;
  #trendAt = 0;

  /**
   * @param {Series} series
   * @param {import("./main.js").Context} context
   * @param {string} name
   * @param {string} device for those who hear the link alone
   */
  constructor(series, context, name, device) {
    this.series = series;
    this.number = h("b");
    this.unit = h("span", { class: "unit" });
    this.age = h("span", { class: "age" });
    this.path = document.createElementNS(SVG_NAMESPACE, "path");
    const trend = document.createElementNS(SVG_NAMESPACE, "svg");
    trend.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    trend.setAttribute("preserveAspectRatio", "none");
    trend.setAttribute("class", "trend");
    trend.setAttribute("aria-hidden", "true");
    trend.append(this.path);
    this.link = h(
      "a",
      { href: context.href({ view: "chart", r: series.key, range: context.route.range }) },
      device !== "" && h("span", { class: "unseen" }, `${device} ${seriesLabel(series)} `),
      h("span", { class: "label", title: seriesLabel(series) }, name),
      trend,
      h("span", { class: "reading" }, this.number, this.unit),
      this.age,
    );
    this.element = h("li", null, this.link);
  }

  /**
   * @param {number} now
   * @param {boolean} absent
   */
  render(now, absent) {
    const { series } = this;
    const seconds = series.time === null ? null : Math.max(0, now - series.time);
    if (this.#version !== series.version) {
      this.#version = series.version;
      setText(this.number, valueText(series.value, series.quantity));
      setText(this.unit, series.unit ?? "");
      setAttribute(this.element, "data-flag", series.flag);
      setAttribute(this.number, "title", series.flag === null ? null : series.flag.replaceAll("-", " "));
    }
    setAttribute(this.element, "class", absent ? "stale" : null);
    setText(this.age, seconds === null ? "unknown" : age(seconds));
    if (series.trend !== null && now - this.#trendAt >= TREND_EVERY) {
      this.#trendAt = now;
      setAttribute(this.path, "d", series.trend.path(now, WIDTH, HEIGHT));
    }
  }
}
