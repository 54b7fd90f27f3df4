/**
 * A uPlot of one or several readings: a line each, with the band between lowest and highest; zoom and pan.
 */

import { rangeAround, timeLabels } from "./axis.js";
import { holesIn, lonelyIn } from "./buffer.js";
import { Gestures } from "./gestures.js";

/** @typedef {import("./buffer.js").SlotBuffer} SlotBuffer */
/** @typedef {{unit: string | null, stepped: boolean, swatch: Element}} Line */
/** @typedef {(view: {from: number, to: number}) => {buffers: SlotBuffer[], until: number}} Look */

// Built into the page's script where the chart library was to be had at build.
/** @type {any} */
const library = /** @type {any} */ (globalThis).uPlot ?? builtIn();

function builtIn() {
  // @ts-ignore: declared by the library's own file, which stands in front of this one
  return typeof uPlot === "undefined" ? null : uPlot;
}

export const chartsBuiltIn = library !== null;
// Seconds.
const SMALLEST = 2;
// A reading is three lines: its highest, its lowest, its last values.
const LAST = 3;
// Pixels, as in the style sheet.
const MARGIN = 6;

/** @param {Element} element @param {number} opacity */
function colour(element, opacity = 1) {
  const { color } = getComputedStyle(element);
  return opacity === 1 ? color : color.replace(/^rgb\(([^)]*)\)$/, `rgba($1, ${opacity})`);
}

/** @param {Element} parent */
function sizeIn(parent) {
  return { width: Math.max(200, parent.clientWidth - 2 * MARGIN), height: Math.max(160, parent.clientHeight - 2 * MARGIN) };
}

/** Points only where there would be nothing to be seen of a value. @param {any} plot @param {number} index */
const lonely = (plot, index) => lonelyIn(plot.data[index]);

/**
 * Where something is missing the ground is shaded: a line that just ends says less.
 * @param {any} plot
 * @param {string} fill
 */
function shadeHoles(plot, fill) {
  const { ctx, bbox, data } = plot;
  const times = data[0];
  ctx.save();
  ctx.fillStyle = fill;
  for (let line = LAST; line < data.length; line += LAST) {
    for (const [first, last] of holesIn(data[line])) {
      const from = Math.max(bbox.left, plot.valToPos(times[Math.max(0, first - 1)], "x", true));
      const to = Math.min(bbox.left + bbox.width, plot.valToPos(times[Math.min(times.length - 1, last + 1)], "x", true));
      if (to > from) ctx.fillRect(from, bbox.top, to - from, bbox.height);
    }
  }
  ctx.restore();
}

export class Plot {
  /** @type {{from: number, to: number} | null} null: follows the present */
  zoom = null;
  #plot;
  #look;
  #range;
  #now;
  #observer;
  #settling = false;
  #pointed = () => {};
  #zoomed;

  /**
   * @param {HTMLElement} parent
   * @param {Line[]} lines
   * @param {Look} look the lines' values for a part of the range
   * @param {number} range seconds
   * @param {() => number} now Unix seconds
   * @param {() => void} zoomed something else is looked at
   */
  constructor(parent, lines, look, range, now, zoomed) {
    this.#look = look;
    this.#zoomed = zoomed;
    this.#range = range;
    this.#now = now;
    const units = [...new Set(lines.map(({ unit }) => unit ?? ""))];
    const axis = { stroke: () => colour(parent, 0.75), grid: { stroke: () => colour(parent, 0.1), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const series = lines.flatMap(({ unit, stepped, swatch }) => {
      const scale = `y${unit ?? ""}`;
      const paths = stepped ? library.paths.stepped({ align: 1 }) : undefined;
      const bound = { scale, width: 0, points: { show: false }, stroke: "transparent" };
      return [bound, bound, { scale, width: 2, stroke: () => colour(swatch), paths, points: { show: true, size: 6, filter: lonely } }];
    });
    this.#plot = new library(
      {
        ...sizeIn(parent),
        legend: { show: false },
        cursor: { drag: { x: true, y: false }, points: { size: 8 } },
        scales: {
          x: { time: true },
          ...Object.fromEntries(units.map((unit) => [`y${unit}`, { range: (/** @type {any} */ _, /** @type {number} */ low, /** @type {number} */ high) => rangeAround(low, high) }])),
        },
        axes: [
          { ...axis, size: 34, values: (/** @type {any} */ _, /** @type {number[]} */ times, /** @type {any} */ _axis, /** @type {any} */ _space, /** @type {number} */ step) => timeLabels(times, step) },
          ...units.slice(0, 2).map((unit, index) => ({ ...axis, scale: `y${unit}`, side: index === 0 ? 3 : 1, grid: index === 0 ? axis.grid : { show: false }, size: 56, label: unit || undefined, labelSize: 18, labelFont: axis.font })),
        ],
        series: [{}, ...series],
        bands: lines.map(({ swatch }, index) => ({ series: [index * 3 + 1, index * 3 + 2], fill: () => colour(swatch, 0.18) })),
        hooks: {
          setCursor: [() => this.#pointed()],
          drawClear: [(/** @type {any} */ plot) => shadeHoles(plot, colour(parent, 0.07))],
          setScale: [
            (/** @type {any} */ plot, /** @type {string} */ name) => {
              if (name !== "x" || this.#settling) return;
              this.zoom = { from: plot.scales.x.min, to: plot.scales.x.max };
              zoomed();
            },
          ],
        },
      },
      this.#data(),
      parent,
    );
    // A double click shows everything again, which here means the present.
    this.#plot.over.addEventListener("dblclick", () => this.reset());
    this.#plot.over.addEventListener("wheel", (/** @type {WheelEvent} */ event) => this.#wheel(event), { passive: false });
    new Gestures(this.#plot.over, { pan: (part) => this.pan(part), scale: (factor, centre) => this.scale(factor, centre) });
    this.#observer = new ResizeObserver(() => this.#plot.setSize(sizeIn(parent)));
    this.#observer.observe(parent);
    this.draw();
  }

  end() {
    this.#observer.disconnect();
    this.#plot.destroy();
  }

  /** @param {(at: {time: number, left: number, top: number} | null) => void} moved the slot below the pointer, and where that is */
  onCursor(moved) {
    const { over } = this.#plot;
    let before = "";
    // uPlot tells of it anew with all new data, too.
    this.#pointed = () => {
      const { idx, left, top } = this.#plot.cursor;
      const time = this.#plot.data[0][idx];
      const at = time === undefined || left < 0 ? null : { time, left: left + over.offsetLeft + MARGIN, top: top + over.offsetTop + MARGIN };
      const now = JSON.stringify(at);
      if (now === before) return;
      before = now;
      moved(at);
    };
  }

  /**
   * Looks at a part of the range.
   * @param {number} from Unix seconds
   * @param {number} to
   */
  show(from, to) {
    this.#move(from, Math.min(this.#range, Math.max(SMALLEST, to - from)));
  }

  draw() {
    this.#settle(() => {
      this.#plot.setData(this.#data(), false);
      const { from, to } = this.view;
      this.#plot.setScale("x", { min: from, max: to });
    });
  }

  /** What is to be seen now, Unix seconds. */
  get view() {
    return this.zoom ?? { from: this.#now() - this.#range, to: this.#now() };
  }

  /** Back to the present. */
  reset() {
    // After uPlot's own answer to the same click.
    queueMicrotask(() => {
      this.zoom = null;
      this.draw();
      this.#zoomed();
    });
  }

  /**
   * @param {number} factor below 1 shows less
   * @param {number} [centre] 0 to 1 of the width
   */
  scale(factor, centre = 0.5) {
    const { from, to } = this.view;
    const span = Math.min(this.#range, Math.max(SMALLEST, (to - from) * factor));
    const middle = from + (to - from) * centre;
    this.#move(middle - span * centre, span);
  }

  /** @param {number} part of the width, to the right */
  pan(part) {
    const { from, to } = this.view;
    this.#move(from + (to - from) * part, to - from);
  }

  /** @param {number} from @param {number} span */
  #move(from, span) {
    const now = this.#now();
    const start = Math.min(Math.max(from, now - this.#range), now - span);
    // Whoever shows all of it up to the present wants to follow it.
    this.zoom = span >= this.#range * 0.999 ? null : { from: start, to: start + span };
    this.draw();
    this.#zoomed();
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.pan(Math.sign(event.deltaX || event.deltaY) * 0.1);
    else this.scale(event.deltaY > 0 ? 1.25 : 0.8, event.offsetX / this.#plot.over.clientWidth);
  }

  /** @param {() => void} change not a wish of the viewer's */
  #settle(change) {
    this.#settling = true;
    this.#plot.batch(change);
    // uPlot tells of a new scale in a microtask of its own.
    queueMicrotask(() => queueMicrotask(() => (this.#settling = false)));
  }

  #data() {
    const { buffers, until } = this.#look(this.view);
    const rows = buffers.map((buffer) => buffer.rows(until));
    return [rows[0]?.time ?? [], ...rows.flatMap(({ high, low, last }) => [high, low, last])];
  }
}
