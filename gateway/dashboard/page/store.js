/**
 * What the page knows: last messages by topic, and readings by device. Bounded; no element and no socket in it.
 */

import { readingsIn } from "./derive.js";
import { unitText } from "./format.js";
import { Trend } from "./trend.js";

/** @typedef {import("../client/subscription.js").Message} Message */

/**
 * @typedef {object} Topic
 * @property {string} topic
 * @property {Message} message the newest
 * @property {number} count how many have come
 * @property {boolean} stale
 * @property {Series[]} series what its payload says
 * @property {number} version rises with every message
 */

/**
 * @typedef {object} Series one quantity of one device
 * @property {string} key
 * @property {string} device
 * @property {string | null} channel
 * @property {string} quantity
 * @property {string | null} unit
 * @property {number | boolean | string} value
 * @property {string | null} flag
 * @property {number | null} time Unix seconds, by the gateway's clock
 * @property {Topic} topic
 * @property {string | null} path where in the payload the page itself found it
 * @property {Trend | null} trend of numbers
 * @property {number} version
 */

/**
 * @typedef {object} Device
 * @property {string} id
 * @property {string} name
 * @property {string} area empty where nobody has said it
 * @property {string} root where its topics begin: what stands in for an area
 * @property {"online" | "offline" | null} state
 * @property {number | null} since
 * @property {Map<string, Series>} series
 */

// What stands over readings of topics of one level, which name no device.
const NO_DEVICE = "No device";
const MOST_TOPICS = 20000;
const MOST_SERIES = 20000;
const MOST_OUTAGES = 200;

/** @param {{device: string, channel: string | null, quantity: string}} reading */
export function keyOf({ device, channel, quantity }) {
  return `${device}|${channel ?? ""}|${quantity}`;
}

export class Store {
  /** @type {Map<string, Topic>} */
  topics = new Map();
  /** @type {Map<string, Device>} */
  devices = new Map();
  /** @type {Map<string, Series>} */
  series = new Map();
  /** Rises whenever a topic or series came or went. */
  shape = 0;
  /** What the gateway itself missed, oldest first: a chart that is opened later has holes there too. */
  /** @type {{time: number, reason: string, topics: string[]}[]} `topics` is empty where they are not known */
  outages = [];
  /** Whether a device has come of which nobody has said what it is called. */
  unnamed = false;
  /** Whether the gateway decodes payloads itself. */
  decoded = false;
  /** @type {Map<string, {name?: string, area?: string}>} what the gateway knows about devices beside their readings */
  #facts = new Map();
  /** @type {Map<string, {state: "online" | "offline", since: number}>} */
  #states = new Map();

  /**
   * @param {Message} message
   * @param {number} now Unix seconds, by the gateway's clock
   */
  take(message, now) {
    let topic = this.topics.get(message.topic);
    if (message.data === "" && message.encoding === "text" && message.retained !== true && topic === undefined) return;
    if (topic === undefined) {
      if (this.topics.size >= MOST_TOPICS) this.#forgetOldest();
      topic = { topic: message.topic, message, count: 0, stale: false, series: [], version: 0 };
      this.topics.set(message.topic, topic);
      this.shape++;
    }
    topic.message = message;
    topic.count++;
    topic.version++;
    if (message.timestamp !== null && !message.replay) topic.stale = false;
    if (message.readings?.length && !this.decoded) this.#trustGateway();
    for (const reading of this.readingsOf(message)) this.#read(topic, reading, now);
  }

  /**
   * What a message says: what the gateway read in it, and as long as that never read anything, what this page finds.
   * @param {Message} message
   */
  readingsOf({ topic, data, encoding, readings }) {
    return this.decoded ? (readings ?? []) : readingsIn(topic, data, encoding);
  }

  /** The gateway does know what payloads mean: what this page made of them goes. */
  #trustGateway() {
    this.decoded = true;
    this.devices.clear();
    this.series.clear();
    for (const topic of this.topics.values()) topic.series = [];
    this.shape++;
  }

  /**
   * @param {{type: "stale" | "fresh", topic: string}} event
   */
  staleness({ type, topic }) {
    const known = this.topics.get(topic);
    if (known === undefined) return;
    known.stale = type === "stale";
    known.version++;
    for (const series of known.series) series.version++;
  }

  /**
   * Something did not reach the gateway, or is gone from it. (What merely did not reach this page its history still has.)
   * @param {{reason: string, topics?: Record<string, number>}} gap
   * @param {number} now Unix seconds, by the gateway's clock
   */
  gap({ reason, topics = {} }, now) {
    if (reason !== "upstream" && reason !== "restart") return;
    this.outages.push({ time: now, reason, topics: "…" in topics ? [] : Object.keys(topics) });
    if (this.outages.length > MOST_OUTAGES) this.outages.shift();
  }

  /** @param {{device: string, state: "online" | "offline", since: number}} event */
  deviceState({ device, state, since }) {
    this.#states.set(device, { state, since });
    const known = this.devices.get(device);
    if (known) Object.assign(known, { state, since });
  }

  /** @param {{device: string, name?: string, area?: string}[]} list */
  deviceFacts(list) {
    for (const { device, name, area } of list) {
      this.#facts.set(device, { name, area });
      const known = this.devices.get(device);
      if (known) Object.assign(known, { name: name || known.name, area: area || known.area });
    }
    this.shape++;
  }

  /**
   * @param {Topic} topic
   * @param {any} reading
   * @param {number} now
   */
  #read(topic, reading, now) {
    const key = keyOf(reading);
    const time = reading.time ?? topic.message.timestamp;
    let series = this.series.get(key);
    if (series === undefined) {
      if (this.series.size >= MOST_SERIES) return;
      series = { key, device: reading.device, channel: reading.channel, quantity: reading.quantity, unit: null, value: reading.value, flag: null, time, topic, path: reading.path ?? null, trend: null, version: 0 };
      this.series.set(key, series);
      topic.series.push(series);
      this.#device(reading.device, topic.topic).series.set(key, series);
      this.shape++;
    }
    series.value = reading.value;
    if (reading.unit) series.unit = unitText(reading.unit);
    series.flag = reading.flag ?? null;
    series.time = time;
    series.version++;
    if (typeof reading.value === "number" && time !== null && now - time < 3600) {
      series.trend ??= new Trend();
      series.trend.add(time, reading.value);
    }
  }

  /**
   * @param {string} id
   * @param {string} topic
   */
  #device(id, topic) {
    let device = this.devices.get(id);
    if (device === undefined) {
      const facts = this.#facts.get(id);
      const state = this.#states.get(id);
      if (facts === undefined) this.unnamed = true;
      device = {
        id,
        name: facts?.name || id || NO_DEVICE,
        area: facts?.area || "",
        root: areaOf(id, topic),
        state: state?.state ?? null,
        since: state?.since ?? null,
        series: new Map(),
      };
      this.devices.set(id, device);
    }
    return device;
  }

  #forgetOldest() {
    // Insertion order is close enough to age, and costs nothing.
    const oldest = this.topics.values().next().value;
    if (oldest === undefined) return;
    this.topics.delete(oldest.topic);
    for (const { key, device } of oldest.series) {
      this.series.delete(key);
      const owner = this.devices.get(device);
      owner?.series.delete(key);
      if (owner?.series.size === 0) this.devices.delete(device);
    }
    this.shape++;
  }
}

/**
 * Where a device belongs as long as nobody has said so: the first level of its own path, else the topic's.
 * @param {string} id
 * @param {string} topic
 */
export function areaOf(id, topic) {
  const levels = id.split("/").filter((level) => level !== "");
  return (levels.length > 1 ? levels[0] : topic.split("/").find((level) => level !== "")) ?? topic;
}
