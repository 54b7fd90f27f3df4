/**
 * One or several readings over time: the chart, what it says in numbers, and the same as a file.
 */

import { csvOf } from "./buffer.js";
import { ChartFeed } from "./chartfeed.js";
import { arrange, h, setAttribute, setText, svg } from "./dom.js";
import { clockTime, number, valueText } from "./format.js";
import { seriesLabel } from "./grouping.js";
import { chartsBuiltIn, Plot } from "./plot.js";

/** @typedef {import("./store.js").Series} Series */

/** @type {[string, number, string][]} */
const RANGES = [
  ["15min", 900, "15 min"],
  ["1h", 3600, "1 h"],
  ["6h", 21600, "6 h"],
  ["24h", 86400, "24 h"],
];
const COLOURS = 6;
const LEAVE = "M6 6l12 12M18 6L6 18";

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
  /** @type {Map<string, any>} */
  #rows = new Map();
  #options = -1;
  /** @type {number | null} */
  #pointed = null;

  /** @param {import("./main.js").Context} context */
  constructor(context) {
    this.#context = context;
    const { route } = context;
    const [, range] = RANGES.find(([name]) => name === route.range) ?? RANGES[0];
    this.#range = range;
    this.#keys = (route.r ?? "").split("\n").filter(Boolean).slice(0, COLOURS);
    this.#feed = new ChartFeed(context, range);
    this.ranges = RANGES.map(([name, , title]) => h("button", { type: "button", onclick: () => context.go({ range: name }) }, title));
    this.choices = h("datalist", { id: "readings" });
    this.add = h("input", { class: "add", placeholder: "Compare with …", "aria-label": "Add a reading to the chart", onchange: () => this.#add() });
    this.add.setAttribute("list", "readings");
    this.live = h("button", { class: "button", type: "button", hidden: true, onclick: () => this.#plot?.reset() }, "Back to now");
    const tool = (/** @type {string} */ title, /** @type {string} */ path, /** @type {() => void} */ run) =>
      h("button", { class: "button icon", type: "button", title, "aria-label": title, onclick: run }, svg(path));
    this.tools = h(
      "div",
      { class: "tools" },
      h("a", { class: "button", href: context.href({ view: "overview", by: route.by, q: route.q }), "aria-label": "Back to the overview" }, "‹", h("span", null, "\u00a0Overview")),
      h("div", { class: "segments", role: "group", "aria-label": "Range" }, ...this.ranges),
      h(
        "div",
        { class: "zoom", role: "group", "aria-label": "Zoom and pan" },
        tool("Earlier", "M15 5l-7 7 7 7", () => this.#plot?.pan(-0.25)),
        tool("Closer", "M12 5v14M5 12h14", () => this.#plot?.scale(0.5)),
        tool("Wider", "M5 12h14", () => this.#plot?.scale(2)),
        tool("Later", "M9 5l7 7-7 7", () => this.#plot?.pan(0.25)),
      ),
      this.live,
      this.add,
      this.choices,
      h("button", { class: "button", type: "button", onclick: () => this.#save() }, "CSV"),
    );
    this.canvas = h("div", { class: "plot", role: "img", "aria-label": "Chart; its numbers are in the table below", tabIndex: 0, onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event) });
    this.note = h("p", { class: "note" });
    this.body = h("tbody");
    this.when = h("th", { scope: "col" }, "Now");
    const heads = ["Lowest", "Mean", "Highest", ""].map((title) => h("th", { scope: "col" }, title));
    this.element = h(
      "section",
      { class: "chart", "aria-label": "Chart" },
      this.tools,
      this.canvas,
      this.note,
      h("div", { class: "scroll" }, h("table", null, h("thead", null, h("tr", null, h("th", { scope: "col" }, "Reading"), this.when, ...heads)), this.body)),
    );
    if (!chartsBuiltIn) this.canvas.replaceChildren(h("p", { class: "hint" }, "Charts were left out when this gateway was built, since npm was missing then. The table and the CSV below need none."));
  }

  end() {
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
    arrange(
      this.body,
      found.map((series) => this.#row(series).row),
    );
    this.#draw(found);
    this.#ranges();
    this.#choices();
    const { from, to } = this.#plot?.view ?? { from: now() - this.#range, to: now() };
    for (const series of found) this.#numbers(series, from, to);
    this.live.hidden = !this.#plot?.zoom;
    const waiting = this.#keys.length > found.length ? "Waiting for the first value of a reading in this chart." : "";
    const trouble = this.#feed.trouble ? `Only what came lately can be shown: ${this.#feed.trouble}.` : "";
    setText(this.note, this.#keys.length === 0 ? "Choose a reading to see it over time." : waiting || trouble);
  }

  /** @param {Series[]} found */
  #draw(found) {
    if (!chartsBuiltIn || found.length === 0) return;
    const plotted = found.map(({ key }) => key).join("\n");
    if (plotted !== this.#plotted) {
      this.#plotted = plotted;
      this.#plot?.end();
      const lines = found.map((series) => ({
        unit: series.unit,
        stepped: typeof series.value === "boolean",
        swatch: this.#row(series).swatch,
      }));
      const keys = found.map(({ key }) => key);
      const plot = new Plot(this.canvas, lines, (view) => this.#feed.look(keys, view), this.#range, this.#context.now, () => {
        this.#feed.zoom(plot.zoom);
        this.render();
      });
      this.#plot = plot;
      this.#plot.onCursor((times, index) => {
        this.#pointed = index === null || index === undefined ? null : (times[index] ?? null);
        this.render();
      });
    } else if (this.#plot && (this.#drawn !== this.#feed.version || performance.now() - this.#drawnAt > 1000)) {
      this.#plot.draw();
    } else return;
    this.#drawn = this.#feed.version;
    this.#drawnAt = performance.now();
  }

  #ranges() {
    const { stored } = this.#feed;
    this.ranges.forEach((button, index) => {
      const [, range] = RANGES[index];
      const beyond = stored !== null && index > 0 && RANGES[index - 1][1] >= stored && range !== this.#range;
      setAttribute(button, "aria-pressed", String(range === this.#range));
      setAttribute(button, "disabled", beyond ? "" : null);
      setAttribute(button, "title", beyond ? `Not stored for so long: [history] age, or disk and disk_age, in the gateway's configuration lengthen it` : null);
    });
  }

  #choices() {
    const { store } = this.#context;
    if (this.#options === store.shape || document.activeElement === this.add) return;
    this.#options = store.shape;
    const names = [];
    for (const series of store.series.values()) {
      if (names.length >= 500) break;
      if (typeof series.value !== "string" && !this.#keys.includes(series.key)) names.push(h("option", { value: this.#name(series) }));
    }
    this.choices.replaceChildren(...names);
  }

  #add() {
    const wanted = this.add.value;
    for (const series of this.#context.store.series.values()) {
      if (this.#name(series) !== wanted) continue;
      this.add.value = "";
      this.#context.go({ r: [...this.#keys, series.key].slice(-COLOURS).join("\n") });
      return;
    }
  }

  /** @param {Series} series */
  #name(series) {
    return `${this.#context.store.devices.get(series.device)?.name ?? series.device}: ${seriesLabel(series)}`;
  }

  /** @param {Series} series */
  #row(series) {
    let row = this.#rows.get(series.key);
    if (row === undefined) {
      const swatch = h("span", { class: `swatch c${this.#keys.indexOf(series.key) % COLOURS}` });
      const cells = { now: h("td"), low: h("td"), mean: h("td"), high: h("td") };
      const others = this.#keys.filter((key) => key !== series.key).join("\n");
      const leave = h("button", { class: "leave", type: "button", title: "Take out of the chart", "aria-label": `Take ${this.#name(series)} out of the chart`, onclick: () => this.#context.go({ r: others }) }, svg(LEAVE));
      const name = h("th", { scope: "row" }, h("div", { class: "line" }, swatch, h("span", null, this.#name(series))));
      row = { swatch, ...cells, row: h("tr", null, name, cells.now, cells.low, cells.mean, cells.high, h("td", { class: "action" }, leave)) };
      this.#rows.set(series.key, row);
    }
    return row;
  }

  /**
   * @param {Series} series
   * @param {number} from
   * @param {number} to
   */
  #numbers(series, from, to) {
    const row = this.#row(series);
    const buffer = this.#feed.buffers.get(series.key);
    const unit = series.unit ? ` ${series.unit}` : "";
    const summary = buffer?.summary(from, to) ?? null;
    const text = (/** @type {number | undefined} */ value) => (value === undefined ? "–" : `${number(value)}${unit}`);
    const { now } = this.#context;
    setText(this.when, this.#pointed === null ? "Now" : new Date(this.#pointed * 1000).toLocaleTimeString());
    setAttribute(this.when, "title", this.#pointed === null ? null : clockTime(this.#pointed, now()));
    if (this.#pointed === null) setText(row.now, `${valueText(series.value, series.quantity)}${unit}`);
    else {
      const at = buffer?.summary(this.#pointed, this.#pointed) ?? null;
      setText(row.now, at === null ? "–" : at.low === at.high ? text(at.low) : `${number(at.low)} … ${text(at.high)}`);
    }
    setText(row.low, text(summary?.low));
    setText(row.mean, text(summary?.mean));
    setText(row.high, text(summary?.high));
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
