/**
 * Which readings the overview shows, and under which headings. Pure.
 */

import { label } from "./format.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").Series} Series */
/** @typedef {import("./store.js").Device} Device */
/** @typedef {{key: string, device: Device, series: Series[]}} Card what is shown in one frame */
/** @typedef {{title: string, cards: Card[]}} Group */

const WORTH_A_HEADING = 3;
const OTHERS = "Other devices";
const natural = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/**
 * @param {Store} store
 * @param {{by?: string, q?: string, quantity?: string, state?: string}} wish
 * @returns {Group[]}
 */
export function groupsOf(store, { by = "area", q = "", quantity = "", state = "" }) {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  /** @type {Map<string, Card[]>} */
  const groups = new Map();
  const add = (/** @type {string} */ title, /** @type {Card} */ card) => {
    const cards = groups.get(title);
    if (cards) cards.push(card);
    else groups.set(title, [card]);
  };
  for (const device of store.devices.values()) {
    const series = [...device.series.values()].filter(
      (one) => (!quantity || one.quantity === quantity) && found(words, device, one) && (!state || isAbsent(device, one)),
    );
    if (series.length === 0) continue;
    series.sort((a, b) => natural.compare(seriesLabel(a), seriesLabel(b)));
    if (by === "quantity") for (const one of series) add(label(one.quantity), { key: one.key, device, series: [one] });
    else add(device.area || `${device.root}/`, { key: device.id, device, series });
  }
  if (by !== "quantity") gatherLoners(groups);
  const sorted = [...groups].map(([title, cards]) => ({ title, cards: cards.sort((a, b) => natural.compare(a.device.name, b.device.name) || natural.compare(a.key, b.key)) }));
  // What most devices measure is what most people look for.
  if (by === "quantity") return sorted.sort((a, b) => b.cards.length - a.cards.length || natural.compare(a.title, b.title));
  return sorted.sort((a, b) => Number(a.title === OTHERS) - Number(b.title === OTHERS) || natural.compare(a.title, b.title));
}

/**
 * Topics' roots stand in for areas; those with a card or two would be headings without a body.
 * @param {Map<string, Card[]>} groups
 */
function gatherLoners(groups) {
  /** @type {Card[]} */
  const loners = [];
  for (const [title, cards] of groups) {
    if (cards.length >= WORTH_A_HEADING || cards[0].device.area !== "") continue;
    loners.push(...cards);
    groups.delete(title);
  }
  if (loners.length > 0) groups.set(groups.size > 0 ? OTHERS : "Devices", loners);
}

/**
 * Quantities that there are, most frequent first.
 * @param {Store} store
 * @returns {string[]}
 */
export function quantitiesOf(store) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { quantity } of store.series.values()) counts.set(quantity, (counts.get(quantity) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || natural.compare(a[0], b[0])).map(([quantity]) => quantity);
}

/**
 * A reading's name within its device: the quantity, and the channel.
 * @param {Series} series
 */
export function seriesLabel({ quantity, channel }) {
  const plain = channel === null || channel === "" || channel.toLowerCase() === quantity;
  return plain ? label(quantity) : `${label(quantity)} · ${channel}`;
}

/**
 * Names of readings that stand together: the channel only where the quantity alone would not tell them apart.
 * @param {Series[]} series of one device
 * @returns {string[]}
 */
export function labelsOf(series) {
  return series.map((one) => (series.filter(({ quantity }) => quantity === one.quantity).length > 1 ? seriesLabel(one) : label(one.quantity)));
}

/**
 * A device's name where space is short: of an id that is a path the last two levels, which tell devices apart.
 * @param {Device} device
 */
export function shortName({ id, name }) {
  return name === id ? id.split("/").slice(-2).join("/") : name;
}

/**
 * Stale, or of a device that is gone.
 * @param {Device} device
 * @param {Series} series
 */
export function isAbsent(device, series) {
  return series.topic.stale || device.state === "offline";
}

/**
 * @param {string[]} words
 * @param {Device} device
 * @param {Series} series
 */
function found(words, device, series) {
  if (words.length === 0) return true;
  const text = `${device.name} ${device.id} ${device.area} ${device.root} ${series.quantity} ${label(series.quantity)} ${series.channel ?? ""} ${series.topic.topic}`.toLowerCase();
  return words.every((word) => text.includes(word));
}
