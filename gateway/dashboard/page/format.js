/**
 * Numbers, ages and names as people read them. Pure.
 */

/** @type {Record<string, string>} quantities whose name is not just their key in words */
const LABELS = {
  carbon_dioxide: "CO₂",
  eco2: "eCO₂",
  carbon_monoxide: "CO",
  pm1: "PM1",
  pm25: "PM2.5",
  pm10: "PM10",
  uv_index: "UV index",
  volatile_organic_compounds: "VOC",
  volatile_organic_compounds_parts: "VOC",
  ph: "pH",
  snr: "SNR",
};

/** @type {Record<string, [yes: string, no: string]>} */
const BOOLEANS = {
  contact: ["closed", "open"],
  opening: ["open", "closed"],
  occupancy: ["occupied", "clear"],
  motion: ["motion", "clear"],
  presence: ["present", "away"],
  water_leak: ["leak", "dry"],
  smoke: ["smoke", "clear"],
  gas_alarm: ["gas", "clear"],
  tamper: ["tampered", "ok"],
  vibration: ["vibration", "still"],
  battery_low: ["low", "ok"],
  battery_ok: ["ok", "low"],
  overtemperature: ["too hot", "ok"],
};

/** Quantities whose being so is a reason to get up. */
const ALARMS = new Set(["smoke", "water_leak", "gas_alarm", "carbon_monoxide", "tamper", "overtemperature", "battery_low", "problem"]);

/**
 * What a table has under a name that a sensor chose: "constructor", which every object has, is in none.
 * @template T
 * @param {Record<string, T>} table
 * @param {string} name
 * @returns {T | undefined}
 */
export function own(table, name) {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/**
 * A quantity's name for people: `dew_point` is "Dew point".
 * @param {string} quantity
 */
export function label(quantity) {
  const known = own(LABELS, quantity);
  if (known !== undefined) return known;
  const words = quantity.replace(/[_-]+/g, " ").trim();
  return words === "" ? quantity : words[0].toUpperCase() + words.slice(1);
}

/** @type {Record<string, string>} units whose sign is not what people write (UCUM) */
const UNITS = { "[g]": "g", Wmin: "W·min" };

/**
 * A unit as people write it.
 * @param {string} unit
 */
export function unitText(unit) {
  return own(UNITS, unit) ?? unit;
}

/**
 * A number with as many digits as it deserves: three decimals at most, none from ten thousand on, which are grouped.
 * @param {number} value
 */
export function number(value) {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && size < 0.001) return value.toExponential(2);
  const decimals = size >= 10000 ? 0 : size >= 1000 ? 1 : size >= 100 ? 2 : 3;
  const text = value.toFixed(decimals);
  const trimmed = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  const grouped = size >= 10000 && size < 1e15 ? trimmed.replace(/\B(?=(\d{3})+$)/g, "\u202f") : trimmed;
  return grouped === "-0" ? "0" : grouped.replace("-", "−");
}

/**
 * A reading's value.
 * @param {unknown} value
 * @param {string} [quantity]
 */
export function valueText(value, quantity = "") {
  if (typeof value === "number") return number(value);
  if (typeof value === "boolean") return (own(BOOLEANS, quantity) ?? ["on", "off"])[value ? 0 : 1];
  return String(value);
}

/**
 * Whether a value says that something is wrong.
 * @param {unknown} value
 * @param {string} quantity
 */
export function isAlarm(value, quantity) {
  return (value === true && ALARMS.has(quantity)) || (value === false && quantity === "battery_ok");
}

/**
 * An age in the largest unit that fits, without a fraction.
 * @param {number | null} seconds null: nobody knows
 */
export function age(seconds) {
  if (seconds === null || Number.isNaN(seconds)) return "age unknown";
  if (seconds < 1) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

/**
 * A duration to be waited for, rounded up: "8 s", "2 min".
 * @param {number} seconds
 */
export function wait(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return whole < 90 ? `${whole} s` : `${Math.ceil(whole / 60)} min`;
}

/**
 * A time of day; with the date where it was not today.
 * @param {number} timestamp Unix seconds
 * @param {number} [now] Unix seconds
 */
export function clockTime(timestamp, now = Date.now() / 1000) {
  const date = new Date(timestamp * 1000);
  const time = date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
  const today = new Date(now * 1000).toDateString() === date.toDateString();
  return today ? time : `${date.toLocaleDateString(undefined, { day: "numeric", month: "short" })}, ${time}`;
}

/**
 * Bytes in a unit that fits.
 * @param {number} bytes
 */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = -1;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
