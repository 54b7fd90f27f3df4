/**
 * Readings out of a payload that the gateway did not decode: the numbers and flags in it, as they are. Pure.
 *
 * It claims nothing: a quantity is the payload's own key, and a unit is shown only where the payload states one.
 */

/** @typedef {import("../client/subscription.js").Reading & {path?: string}} Reading `path`: where in the JSON (jmespath) */

// Payloads can be of any shape; nobody reads more than so many values of one topic.
const MOST = 40;
const DEEPEST = 6;
const NUMBER_AND_UNIT = /^([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*([^\d\s]{0,8})$/;
const UNIT_KEYS = ["unit", "units", "uom", "unit_of_measurement"];
const TIME_KEYS = new Set(["time", "timestamp", "ts", "last_seen", "uptime_sec", "id", "seq", "fcnt", "fport"]);
/** Last levels that name a kind of message and not what was measured. */
const ENVELOPES = new Set(["sensor", "state", "status", "value", "data", "up", "rpc", "events", "tele", "result", "info", "lwt"]);

/**
 * @param {string} topic
 * @param {any} data
 * @param {string | undefined} encoding
 * @returns {Reading[]}
 */
export function readingsIn(topic, data, encoding) {
  const levels = topic.split("/").filter((level) => level !== "");
  if (encoding === "base64" || levels.length === 0) return [];
  if (typeof data === "object" && data !== null) {
    const device = ENVELOPES.has(levels[levels.length - 1].toLowerCase()) && levels.length > 1 ? levels.slice(0, -1) : levels;
    /** @type {Reading[]} */
    const found = [];
    collect(found, device.join("/"), [], data, levels[levels.length - 1]);
    return found;
  }
  const scalar = scalarOf(data);
  if (scalar === null) return [];
  let last = levels.length - 1;
  if (ENVELOPES.has(levels[last].toLowerCase()) && last > 1) last--;
  const device = levels.slice(0, last).join("/") || levels[0];
  return [reading(device, null, levels[last], scalar.value, scalar.unit)];
}

/** @param {any} data */
function scalarOf(data) {
  if (typeof data === "number" || typeof data === "boolean") return { value: data, unit: null };
  if (typeof data !== "string") return null;
  const text = data.trim();
  const parts = NUMBER_AND_UNIT.exec(text);
  if (parts) return { value: Number(parts[1]), unit: parts[2] || null };
  const word = text.toLowerCase();
  if (word === "on" || word === "true") return { value: true, unit: null };
  if (word === "off" || word === "false") return { value: false, unit: null };
  return null;
}

/**
 * @param {Reading[]} found
 * @param {string} device
 * @param {string[]} path
 * @param {any} data
 * @param {string} level
 */
function collect(found, device, path, data, level) {
  if (path.length > DEEPEST || found.length >= MOST) return;
  const unitKey = UNIT_KEYS.find((key) => typeof data[key] === "string");
  for (const [key, value] of Object.entries(data)) {
    if (found.length >= MOST) return;
    if (typeof value === "object" && value !== null) collect(found, device, [...path, key], value, level);
    else if ((typeof value === "number" && !TIME_KEYS.has(key.toLowerCase())) || typeof value === "boolean") {
      // {"value": 21.5, "unit": "°C"} is about whatever the key above it, or the topic, says.
      const own = key === "value" || key === "v";
      const channel = own ? path.slice(0, -1) : path;
      const quantity = own ? (path[path.length - 1] ?? level) : key;
      const unit = unitKey !== undefined && typeof value === "number" && (own || Object.keys(data).length <= 3) ? data[unitKey] : null;
      found.push({ ...reading(device, channel.join(".") || null, quantity, value, unit), path: pathOf([...path, key]) });
    }
  }
}

/**
 * A jmespath expression for a value inside a document.
 * @param {string[]} keys
 */
function pathOf(keys) {
  return keys.map((key) => (/^\d+$/.test(key) ? `[${key}]` : JSON.stringify(key))).reduce((path, key) => (key.startsWith("[") || path === "" ? path + key : `${path}.${key}`), "");
}

/** @returns {Reading} */
function reading(/** @type {string} */ device, /** @type {string | null} */ channel, /** @type {string} */ quantity, /** @type {any} */ value, /** @type {string | null} */ unit) {
  return { device, channel, quantity: quantity.toLowerCase(), value, unit, time: null };
}
