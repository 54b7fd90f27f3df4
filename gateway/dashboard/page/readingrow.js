/**
 * One reading on a line: name, trend, value, unit; and its own age where that is worth a word.
 */

import { h, setAttribute, setText } from "./dom.js";
import { age, isAlarm, valueText } from "./format.js";
import { seriesLabel } from "./grouping.js";

/** @typedef {import("./store.js").Series} Series */

const WIDTH = 80;
const HEIGHT = 22;
const SVG_NAMESPACE = "http://www.w3.org/2000/svg";
// A trend has a point per ten seconds: drawing it at every value would show nothing new.
const TREND_EVERY = 3;

export class ReadingRow {
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
      h("span", { class: "label", title: seriesLabel(series) }, h("span", null, name), this.age),
      trend,
      this.number,
      this.unit,
    );
    this.element = h("li", null, this.link);
  }

  /** @param {number} now Unix seconds */
  secondsOld(now) {
    return this.series.time === null ? null : Math.max(0, now - this.series.time);
  }

  /**
   * @param {number} now
   * @param {boolean} absent
   * @param {boolean} ownAge whether to say how old it is
   */
  render(now, absent, ownAge) {
    const { series } = this;
    if (this.#version !== series.version) {
      this.#version = series.version;
      setText(this.number, valueText(series.value, series.quantity));
      setText(this.unit, series.unit ?? "");
      setAttribute(this.element, "data-flag", series.flag);
      setAttribute(this.element, "data-alarm", isAlarm(series.value, series.quantity) ? "" : null);
      setAttribute(this.number, "title", series.flag === null ? null : series.flag.replaceAll("-", " "));
    }
    setAttribute(this.element, "class", absent ? "stale" : null);
    setText(this.age, ownAge ? age(this.secondsOld(now)) : "");
    if (series.trend !== null && now - this.#trendAt >= TREND_EVERY) {
      this.#trendAt = now;
      setAttribute(this.path, "d", series.trend.path(now, WIDTH, HEIGHT));
    }
  }
}
