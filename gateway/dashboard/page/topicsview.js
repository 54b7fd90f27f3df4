/**
 * Every topic with its newest value: what arrives, before anybody gives it a meaning.
 */

import { arrange, h, levelsOf, setAttribute, setText } from "./dom.js";
import { age, number, valueText } from "./format.js";
import { Inspector } from "./inspector.js";

/** @typedef {import("./store.js").Topic} Topic */

// A table longer than this is for searching, not for reading; each further click shows as many more.
const ROWS_AT_ONCE = 200;

/** @param {any} message */
export function payloadText({ data, encoding, too_large, size }) {
  if (too_large) return `${size} bytes: too large to be sent`;
  if (encoding === "base64") return `${data} (base64)`;
  return typeof data === "string" ? data : JSON.stringify(data);
}

export class TopicsView {
  name = "topics";
  /** @type {Map<string, {row: any, link: any, value: any, unit: any, age: any, version: number}>} */
  #rows = new Map();
  #shape = -1;
  #query = "";
  #shown = ROWS_AT_ONCE;
  #context;
  /** @type {{topic: string, view: Inspector} | null} */
  #inspector = null;

  /** @param {import("./main.js").Context} context */
  constructor(context) {
    this.#context = context;
    this.body = h("tbody");
    this.more = h("button", { class: "more", type: "button", hidden: true, onclick: () => this.#showMore() });
    this.empty = h("p", { class: "hint" });
    this.list = h(
      "div",
      { class: "list" },
      h(
        "div",
        { class: "scroll" },
        h(
          "table",
          null,
          h("thead", null, h("tr", null, ...["Topic", "Value", "Unit", "Age"].map((title) => h("th", { scope: "col", class: title.toLowerCase() }, title)))),
          this.body,
        ),
      ),
      this.more,
      this.empty,
    );
    this.element = h("section", { class: "topics", "aria-label": "Topics" }, this.list);
  }

  end() {
    this.#inspector?.view.end();
  }

  #inspect() {
    const { topic } = this.#context.route;
    if (this.#inspector?.topic !== topic) {
      this.#inspector?.view.end();
      this.#inspector?.view.element.remove();
      this.#inspector = topic ? { topic, view: new Inspector(this.#context, topic) } : null;
      if (this.#inspector) this.element.append(this.#inspector.view.element);
      for (const [name, { row }] of this.#rows) setAttribute(row, "aria-selected", name === topic ? "true" : null);
    }
    this.#inspector?.view.render();
  }

  #showMore() {
    this.#shown += ROWS_AT_ONCE;
    this.#shape = -1;
    this.render();
  }

  render() {
    const { store, route, now } = this.#context;
    const query = (route.q ?? "").toLowerCase();
    if (store.shape !== this.#shape || query !== this.#query) {
      this.#shape = store.shape;
      this.#query = query;
      this.#list(query);
    }
    this.#inspect();
    const time = now();
    for (const [name, row] of this.#rows) {
      const topic = store.topics.get(name);
      if (topic) this.#update(row, topic, time);
    }
  }

  /** @param {string} query */
  #list(query) {
    const { topics } = this.#context.store;
    const found = [...topics.keys()].filter((topic) => topic.toLowerCase().includes(query)).sort();
    const shown = found.slice(0, this.#shown);
    const keep = new Set(shown);
    for (const name of this.#rows.keys()) if (!keep.has(name)) this.#rows.delete(name);
    arrange(
      this.body,
      shown.map((name) => this.#row(name).row),
    );
    this.more.hidden = found.length <= shown.length;
    setText(this.more, `Show more of ${found.length} topics`);
    const none = topics.size === 0 ? "No message has arrived yet. Topics appear here with their first one." : `No topic contains “${query}”.`;
    setText(this.empty, found.length === 0 ? none : "");
  }

  /** @param {string} name */
  #row(name) {
    let row = this.#rows.get(name);
    if (row === undefined) {
      const link = h("a", { href: this.#context.href({ view: "topics", topic: name, q: this.#context.route.q }) }, ...levelsOf(name));
      const cells = { value: h("td", { class: "value" }), unit: h("td", { class: "unit" }), age: h("td", { class: "age" }) };
      row = { row: h("tr", null, h("th", { scope: "row", class: "topic" }, link), cells.value, cells.unit, cells.age), link, ...cells, version: -1 };
      this.#rows.set(name, row);
    }
    return row;
  }

  /**
   * @param {{row: any, value: any, unit: any, age: any, version: number}} row
   * @param {Topic} topic
   * @param {number} time
   */
  #update(row, topic, time) {
    if (row.version !== topic.version) {
      row.version = topic.version;
      const [only] = topic.series;
      const { data } = topic.message;
      const plain = typeof data !== "object" && String(data).length < 40;
      const single = plain && topic.series.length === 1;
      setText(row.value, single ? valueText(only.value, only.quantity) : typeof data === "number" ? number(data) : payloadText(topic.message).slice(0, 300));
      setAttribute(row.value, "class", plain ? "value" : "value long");
      setText(row.unit, single ? (only.unit ?? "") : "");
      setAttribute(row.row, "class", topic.stale ? "stale" : null);
    }
    const { timestamp } = topic.message;
    setText(row.age, timestamp === null ? "unknown" : age(time - timestamp));
  }
}
