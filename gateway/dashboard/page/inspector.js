/**
 * One topic under the glass: its newest payload in full, what it was read as, and the messages before it.
 */

import { h, levelsOf, setText } from "./dom.js";
import { age, size, valueText } from "./format.js";
import { seriesLabel } from "./grouping.js";

const KEPT = 30;

/**
 * A payload as text over several lines.
 * @param {import("../client/subscription.js").Message} message
 */
export function payloadLines({ data, encoding, too_large, size: bytes }) {
  if (too_large) return `${size(bytes ?? 0)}: larger than [limits] payload, so the gateway announces it without its data.`;
  if (encoding === "base64") return hexLines(data);
  if (typeof data === "string" && encoding === "text") return data === "" ? "(empty)" : data;
  return JSON.stringify(data, null, 2) ?? "";
}

/** @param {string} base64 */
function hexLines(base64) {
  const bytes = [...atob(base64)].map((character) => character.charCodeAt(0));
  const lines = [];
  for (let at = 0; at < bytes.length && at < 4096; at += 16) {
    const row = bytes.slice(at, at + 16);
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = row.map((byte) => (byte > 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${hex.padEnd(47)}  ${text}`);
  }
  if (bytes.length > 4096) lines.push(`… ${size(bytes.length)} in all`);
  return lines.join("\n");
}

export class Inspector {
  #context;
  #topic;
  #subscription;
  /** @type {import("../client/subscription.js").Message[]} newest first */
  #messages = [];
  #rendered = 0;
  #version = 0;

  /**
   * @param {import("./main.js").Context} context
   * @param {string} topic
   */
  constructor(context, topic) {
    this.#context = context;
    this.#topic = topic;
    this.facts = h("dl", { class: "facts" });
    this.payload = h("pre", { tabIndex: 0, "aria-label": "Payload" });
    this.readings = h("ul", { class: "readings" });
    this.earlier = h("ol", { class: "earlier" });
    this.element = h(
      "aside",
      { class: "inspector", "aria-label": `Topic ${topic}` },
      h("div", { class: "head" }, h("h2", null, ...levelsOf(topic)), h("a", { class: "button", href: context.href({ view: "topics", q: context.route.q }), "aria-label": "Close" }, "Close")),
      this.facts,
      h("h3", null, "Payload"),
      this.payload,
      h("h3", null, "Read as"),
      this.readings,
      h("h3", null, "Messages before"),
      this.earlier,
    );
    this.#subscription = context.gateway.subscribe(topic, { readings: true, replay: { count: KEPT }, onError: () => {} }, (message) => {
      this.#messages.unshift(message);
      this.#messages.length = Math.min(this.#messages.length, KEPT);
      this.#version++;
    });
  }

  end() {
    this.#subscription.close();
  }

  render() {
    const { store, now } = this.#context;
    const known = store.topics.get(this.#topic);
    const message = this.#messages[0] ?? known?.message;
    if (message === undefined) {
      setText(this.payload, "Nothing has been said here yet.");
      return;
    }
    const { timestamp } = message;
    const seconds = timestamp === null ? null : now() - timestamp;
    const facts = [
      ["Age", age(seconds)],
      ["Arrived", timestamp === null ? "before the gateway did" : new Date(timestamp * 1000).toLocaleString()],
      ["Offset", String(message.offset)],
      ["Seen here", String(known?.count ?? this.#messages.length)],
      ...(message.retained ? [["Retained", "yes"]] : []),
      ...(message.upstream ? [["Broker", message.upstream]] : []),
      ...(known?.stale ? [["Stale", "its rhythm is broken"]] : []),
    ];
    arrangeFacts(this.facts, facts);
    if (this.#rendered === this.#version && this.#version > 0) return;
    this.#rendered = this.#version;
    setText(this.payload, payloadLines(message));
    const series = known?.series ?? [];
    this.readings.replaceChildren(
      ...(series.length === 0
        ? [h("li", { class: "none" }, "No value was recognised in it.")]
        : series.map((one) =>
            h("li", null, h("a", { href: this.#context.href({ view: "chart", r: one.key }) }, seriesLabel(one)), h("span", null, `${valueText(one.value, one.quantity)}${one.unit ? ` ${one.unit}` : ""}`)),
          )),
    );
    const before = this.#messages.slice(1);
    this.earlier.replaceChildren(
      ...(before.length === 0 ? [h("li", { class: "none" }, "None that is kept.")] : []),
      ...before.map((one) => h("li", null, h("span", { class: "when" }, one.timestamp === null ? "retained" : new Date(one.timestamp * 1000).toLocaleTimeString()), h("code", null, payloadLines(one).replace(/\s+/g, " ").slice(0, 200)))),
    );
  }
}

/**
 * @param {any} list a dl
 * @param {string[][]} facts
 */
export function arrangeFacts(list, facts) {
  if (list.children.length !== facts.length) list.replaceChildren(...facts.map(([name]) => h("div", null, h("dt", null, name), h("dd"))));
  facts.forEach(([name, value], index) => {
    setText(list.children[index].firstElementChild, name);
    setText(list.children[index].lastElementChild, value);
  });
}
