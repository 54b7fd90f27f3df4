/**
 * What stands between the sensors and this page: sentences for people. Pure, but for the elements at the end.
 */

import { arrange, h, setText } from "./dom.js";
import { clockTime, wait } from "./format.js";

/** @typedef {import("../client/gateway.js").State} State */
/** @typedef {{kind: "bad" | "warn" | "info", key: string, text: string, action?: string}} Banner */

/**
 * The banners for a state of the connection.
 * @param {State} state
 * @param {number} here milliseconds since 1970, this device's clock
 * @param {number} now Unix seconds, the gateway's clock
 * @returns {Banner[]}
 */
export function bannersFor(state, here, now) {
  const banners = connectionBanner(state, here);
  if (banners.length > 0) return banners;
  const { upstreams } = state;
  for (const upstream of upstreams) {
    const text = upstreamText(upstream, upstreams.length > 1, now);
    if (text) banners.push({ kind: "bad", key: `upstream ${upstream.name}`, text });
  }
  if (state.clock === "suspect") {
    banners.push({ kind: "warn", key: "clock", text: "The gateway's clock is not to be trusted yet: ages and times may be wrong." });
  }
  if (state.rate) {
    const text = `This connection is slow: values come every ${state.rate.interval} s${state.rate.reason ? ` (${state.rate.reason})` : ""}.`;
    banners.push({ kind: "info", key: "rate", text });
  }
  if (state.transport === "events") {
    banners.push({ kind: "info", key: "events", text: "WebSocket is blocked on the way to the gateway. Values come by Server-Sent Events instead." });
  }
  return banners;
}

/**
 * @param {State} state
 * @param {number} here
 * @returns {Banner[]}
 */
function connectionBanner(state, here) {
  const because = state.reason ? `: ${state.reason}` : "";
  if (state.status === "failed") {
    return [{ kind: "bad", key: "failed", text: `The gateway refused this page${because}${state.code ? ` (${state.code})` : ""}.`, action: "retry" }];
  }
  if (state.status === "closed") return [{ kind: "bad", key: "closed", text: "This page has closed its connection.", action: "reload" }];
  if (state.status === "waiting" || (state.status === "connecting" && state.attempt > 0)) {
    const since = state.attempt > 0 ? ` since ${clockTime(state.since / 1000, here / 1000)}` : "";
    const due = state.retryAt === null ? 0 : (state.retryAt - here) / 1000;
    const next = state.status === "connecting" || due <= 0 ? "connecting now" : `trying again in ${wait(due)}`;
    return [{ kind: "bad", key: "gone", text: `No connection to the gateway${since}${because}, ${next}. Values below are old.`, action: "retry" }];
  }
  return [];
}

/**
 * @param {import("../client/connection.js").UpstreamState} upstream
 * @param {boolean} several
 * @param {number} now
 */
function upstreamText(upstream, several, now) {
  const who = several ? `Broker “${upstream.name}”` : "The broker";
  const since = clockTime(upstream.since, now);
  const because = upstream.reason ? `: ${upstream.reason}` : "";
  // A page that has just been opened does not know yet when the next try is due.
  const due = typeof upstream.retryAt === "number" ? upstream.retryAt - now : null;
  const again = due === null ? "" : due > 0 ? `, retrying in ${wait(due)}` : ", retrying now";
  switch (upstream.state) {
    case "connecting":
      return `${who} is being connected to, since ${since}${because}.`;
    case "waiting":
      return `${who} is gone since ${since}${because}${again}.`;
    case "refused":
      return `${who} refuses the gateway since ${since}${because}${again}.`;
    case "blind":
      return `${who} is connected, but nothing comes back from it since ${since}${because}.`;
    default:
      return "";
  }
}

/** The banners on the page; a banner that stays keeps its element, so that it is not read out again and again. */
export class Banners {
  /** @type {Map<string, {element: any, text: any}>} */
  #shown = new Map();
  #parent;
  #actions;

  /**
   * @param {Element} parent
   * @param {Record<string, {label: string, run: () => void}>} actions
   */
  constructor(parent, actions) {
    this.#parent = parent;
    this.#actions = actions;
  }

  /** @param {Banner[]} banners */
  show(banners) {
    for (const key of this.#shown.keys()) if (!banners.some((banner) => banner.key === key)) this.#shown.delete(key);
    for (const { kind, key, text, action } of banners) {
      let shown = this.#shown.get(key);
      if (shown === undefined) {
        const words = h("span", null, text);
        const run = action ? this.#actions[action] : undefined;
        const element = h("div", { class: `banner ${kind}` }, words, run && h("button", { type: "button", onclick: run.run }, run.label));
        shown = { element, text: words };
        this.#shown.set(key, shown);
      }
      setText(shown.text, text);
    }
    // What is worst is said first, however late it came.
    const order = ["bad", "warn", "info"];
    const sorted = [...banners].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
    arrange(
      this.#parent,
      sorted.map(({ key }) => this.#shown.get(key)?.element),
    );
  }
}
