/**
 * One or several readings over time: the chart, what it says in numbers, and the same as a file.
 */

import { csvOf } from "./buffer.js";
import { ChartFeed } from "./chartfeed.js";
import { ChartTable, COLOURS, valueAt } from "./charttable.js";
import { h, setText, svg } from "./dom.js";
import { clockTime } from "./format.js";
import { seriesLabel } from "./grouping.js";
import { REASONS } from "./losses.js";
import { chartsBuiltIn, Plot } from "./plot.js";
import { RangeChoice, rangeOf } from "./ranges.js";
import { ReadingChoice } from "./readingchoice.js";
import { Tip } from "./tip.js";

/** @typedef {import("./store.js").Series} Series */

// Milliseconds: while a wheel turns or a hand drags, the address waits.
const ADDRESS_SETTLED = 400;
const NO_CHARTS = "Charts were left out when this gateway was built, since npm was missing then. The table and the CSV below need none.";

export class ChartView {
  #context;
  #feed;
  #range;
  #keys;
  /** @type {Plot | null} */
  #plot = null;
  #plotted = "";
  #drawn = -1;
  #drawnAt = 0;
  /** @type {{time: number, left: number, top: number} | null} what the pointer is on */
  #pointed = null;
  /** @type {any} */
  #settling;

  /** @param {import("./main.js").Context} context */
  constructor(context) {
    this.#context = context;
    const { route } = context;
    this.#range = rangeOf(route.range);
    this.#keys = (route.r ?? "").split("\n").filter(Boolean).slice(0, COLOURS);
    this.#feed = new ChartFeed(context, this.#range);
    this.ranges = new RangeChoice(this.#range, (name) => context.go({ range: name, from: null, to: null }));
    this.choice = new ReadingChoice(context.store, this.#keys, (series) => this.#name(series), (key) => context.go({ r: [...this.#keys, key].slice(-COLOURS).join("\n") }));
    this.table = new ChartTable(this.#keys, (series) => this.#name(series), (key) => context.go({ r: this.#keys.filter((each) => each !== key).join("\n") }));
    this.live = h("button", { class: "button", type: "button", hidden: true, onclick: () => this.#plot?.reset() }, "Back to now");
    const tool = (/** @type {string} */ title, /** @type {string} */ path, /** @type {() => void} */ run) =>
      h("button", { class: "button icon", type: "button", title, "aria-label": title, onclick: run }, svg(path));
    this.tools = h(
      "div",
      { class: "tools" },
      h("a", { class: "button", href: context.href({ view: "overview", by: route.by, q: route.q }), "aria-label": "Back to the overview" }, "‹", h("span", null, "\u00a0Overview")),
      this.ranges.element,
      h(
        "div",
        { class: "zoom", role: "group", "aria-label": "Zoom and pan" },
        tool("Earlier", "M15 5l-7 7 7 7", () => this.#plot?.pan(-0.25)),
        tool("Closer", "M12 5v14M5 12h14", () => this.#plot?.scale(0.5)),
        tool("Wider", "M5 12h14", () => this.#plot?.scale(2)),
        tool("Later", "M9 5l7 7-7 7", () => this.#plot?.pan(0.25)),
      ),
      this.live,
      this.choice.element,
      h("button", { class: "button", type: "button", onclick: () => this.#save() }, "CSV"),
    );
    this.canvas = h("div", { class: "plot", role: "img", "aria-label": "Chart; its numbers are in the table below", tabIndex: 0, onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event) });
    this.hint = h("p", { class: "hint" });
    this.canvas.append(this.hint);
    this.tip = new Tip(this.canvas);
    this.note = h("p");
    this.element = h("section", { class: "chart", "aria-label": "Chart" }, this.tools, this.canvas, h("div", { class: "note" }, this.note, this.ranges.note), this.table.element);
  }

  end() {
    clearTimeout(this.#settling);
    this.#feed.end();
    this.#plot?.end();
  }

  render() {
    const { store, now } = this.#context;
    /** @type {Series[]} */
    const found = [];
    for (const key of this.#keys) {
      const series = store.series.get(key);
      if (series === undefined) continue;
      found.push(series);
      this.#feed.follow(series);
    }
    this.table.arrange(found);
    this.#draw(found);
    this.ranges.render(this.#feed.stored);
    this.choice.render();
    const view = this.#plot?.view ?? { from: now() - this.#range, to: now() };
    for (const series of found) this.table.render(series, this.#feed.buffers.get(series.key), view, this.#pointed?.time ?? null);
    this.#tip(found);
    this.live.hidden = !this.#plot?.zoom;
    setText(this.hint, this.#emptiness(found.length));
    setText(this.note, this.#missing(view));
  }

  /** @param {number} found */
  #emptiness(found) {
    if (this.#keys.length === 0) return "Choose a reading above, or click one in the overview, to see it over time.";
    if (found < this.#keys.length) return "Waiting for the first value of a reading in this chart …";
    return chartsBuiltIn ? "" : NO_CHARTS;
  }

  /** What is not to be seen, and why. @param {{from: number, to: number}} view */
  #missing({ from, to }) {
    if (this.#feed.trouble) return `Only what came lately can be shown: ${this.#feed.trouble}.`;
    const reasons = new Set(this.#feed.holes.filter(({ time }) => time >= from && time <= to).map(({ reason }) => REASONS[reason] ?? reason));
    return reasons.size > 0 ? `Shaded: values are missing, since ${[...reasons].join("; ")}.` : "";
  }

  /** @param {Series[]} found */
  #draw(found) {
    if (!chartsBuiltIn || found.length === 0) return;
    const plotted = found.map(({ key }) => key).join("\n");
    if (plotted !== this.#plotted) {
      const zoom = this.#plot?.zoom ?? this.#shared();
      this.#plotted = plotted;
      this.#plot?.end();
      const lines = found.map((series) => ({ unit: series.unit, stepped: typeof series.value === "boolean", swatch: this.table.row(series).swatch }));
      const keys = found.map(({ key }) => key);
      const plot = new Plot(this.canvas, lines, (view) => this.#feed.look(keys, view), this.#range, this.#context.now, () => this.#zoomed());
      this.#plot = plot;
      plot.onCursor((at) => {
        this.#pointed = at;
        this.render();
      });
      if (zoom !== null) plot.show(zoom.from, zoom.to);
    } else if (this.#plot && (this.#drawn !== this.#feed.version || performance.now() - this.#drawnAt > 1000)) {
      this.#plot.draw();
    } else return;
    this.#drawn = this.#feed.version;
    this.#drawnAt = performance.now();
  }

  /** The part that a shared address asks for; null where it is not within the range any more. */
  #shared() {
    const [from, to] = [Number(this.#context.route.from), Number(this.#context.route.to)];
    const oldest = this.#context.now() - this.#range;
    return Number.isFinite(from) && Number.isFinite(to) && to > from && to > oldest ? { from, to } : null;
  }

  #zoomed() {
    const zoom = this.#plot?.zoom ?? null;
    this.#feed.zoom(zoom);
    this.render();
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      const { route, go } = this.#context;
      const [from, to] = zoom === null ? [null, null] : [zoom.from.toFixed(1), zoom.to.toFixed(1)];
      if ((route.from ?? null) !== from || (route.to ?? null) !== to) go({ from, to }, { replace: true });
    }, ADDRESS_SETTLED);
  }

  /** @param {Series} series */
  #name(series) {
    return `${this.#context.store.devices.get(series.device)?.name ?? series.device}: ${seriesLabel(series)}`;
  }

  /** @param {Series[]} found */
  #tip(found) {
    if (this.#pointed === null) return this.tip.hide();
    const { time } = this.#pointed;
    const lines = [];
    for (const series of found) {
      const value = valueAt(this.#feed.buffers.get(series.key), time, series.unit ? ` ${series.unit}` : "");
      if (value !== null) lines.push({ colour: this.table.colour(series), name: found.length > 1 ? this.#name(series) : seriesLabel(series), value });
    }
    if (lines.length === 0) return this.tip.hide();
    const seconds = new Date(time * 1000).toLocaleTimeString();
    this.tip.show(this.#pointed, this.#range > 21600 ? clockTime(time, this.#context.now()) : seconds, lines);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const act = { ArrowLeft: () => this.#plot?.pan(-0.1), ArrowRight: () => this.#plot?.pan(0.1), "+": () => this.#plot?.scale(0.5), "-": () => this.#plot?.scale(2), Escape: () => this.#plot?.reset(), "0": () => this.#plot?.reset() }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
    this.render();
  }

  #save() {
    const until = this.#context.now();
    const columns = [];
    for (const key of this.#keys) {
      const series = this.#context.store.series.get(key);
      const buffer = this.#feed.buffers.get(key);
      if (series && buffer) columns.push({ name: this.#name(series), unit: series.unit, rows: buffer.rows(until) });
    }
    const file = URL.createObjectURL(new Blob(["\ufeff", csvOf(columns)], { type: "text/csv;charset=utf-8" }));
    const stamp = new Date(until * 1000).toISOString().slice(0, 16).replaceAll(":", "-");
    h("a", { href: file, download: `sensors-${stamp}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(file), 10000);
  }
}
