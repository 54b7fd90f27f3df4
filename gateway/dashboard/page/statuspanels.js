/**
 * How the gateway itself is: figures, memory and history against their bounds, certificates, who was turned away.
 */

import { h } from "./dom.js";
import { age, clockTime, number, size } from "./format.js";
import { bar, facts, half, panel, quiet, table, tall, tiles } from "./panels.js";

/** @typedef {Record<string, any>} Status as `/api/status` tells it */

/** @type {Record<string, string>} */
const PARTS = { base: "Program", history: "History", last_values: "Last values", outboxes: "Queues of clients", kernel: "Sockets' buffers", connections: "Connections" };
// Days before a certificate's end from which on it is worth a colour.
const SOON = 14 * 86400;

/**
 * @param {Status} status
 * @param {Status | null} before an earlier look, for rates
 * @returns {any}
 */
export function figurePanel(status, before) {
  const { connections, memory, history, since, timestamp } = status;
  const span = before === null ? 0 : timestamp - before.timestamp;
  const rate = (/** @type {string} */ key) => (before === null || span <= 0 ? "–" : number(Math.round((status[key] - before[key]) / span)));
  return tiles([
    { name: "Clients", value: String(connections.sessions), of: connections.limit ? `of ${number(connections.limit)}` : undefined },
    { name: "Messages in", value: rate("received"), of: "a second" },
    { name: "Deliveries", value: rate("delivered"), of: "a second" },
    { name: "Topics", value: number(status.topics), of: "with a last value" },
    ...(memory ? [{ name: "Memory", value: size(memory.resident), of: `of ${size(memory.budget)}`, bad: memory.resident > memory.budget }] : []),
    ...(history ? [{ name: "History", value: size(history.disk ?? history.memory), of: `of ${size(history.disk_limit ?? history.memory_limit)}` }] : []),
    { name: "Running for", value: age(timestamp - since), of: `since ${clockTime(since, timestamp)}` },
  ]);
}

/** @param {Status} status */
export function memoryPanel({ memory }) {
  if (!memory?.parts) return null;
  const rows = Object.entries(memory.parts).map(([name, { used, limit }]) => {
    const title = PARTS[name] ?? name;
    // What the program itself takes is reckoned, and all of it.
    if (name === "base") return [title, `about ${size(limit)}`];
    return [title, [`${size(used)} of ${size(limit)}`, bar(Math.min(used, limit), Math.max(limit, 1), `${title}: used of its share`)]];
  });
  return tall(half(
    panel(
      "Memory",
      h("p", { class: "hint" }, `${size(memory.resident)} in RAM, of a budget of ${size(memory.budget)} (${memory.source}). [gateway] memory_budget changes it.`),
      bar(Math.min(memory.resident, memory.budget), memory.budget, "Memory in RAM of the budget"),
      table(["Part", "Used of its share"], rows, ""),
    ),
  ));
}

/** @param {Status} status */
export function historyPanel({ history }) {
  if (!history) return null;
  const { memory, memory_limit: limit, messages, age: seconds, disk, disk_limit: diskLimit, disk_age: diskAge, degraded, stream } = history;
  const kept = typeof disk === "number";
  const shares = [["In memory", [`${size(memory)} of ${size(limit)}`, bar(Math.min(memory, limit), Math.max(limit, 1), "History in memory, of its share")], `${number(messages)} ${messages === 1 ? "message" : "messages"}, of the last ${age(seconds)}`]];
  if (kept) shares.push(["On disk", [`${size(disk)} of ${size(diskLimit)}`, bar(Math.min(disk, diskLimit), diskLimit, "History on disk, of its share")], `of the last ${age(diskAge)}`]);
  if (stream) shares.push([`In the stream ${stream.name}`, `at most ${size(stream.limit)}`, `of the last ${age(stream.age)}`]);
  return half(panel("History", h("p", { class: "hint" }, whereabouts(history)), table(["Where", "Used of its share", "Holds"], shares, "")));
}

/** @param {Record<string, any>} history */
function whereabouts({ disk, degraded, stream }) {
  if (stream) return "Shared with other gateways in a stream. [history] jetstream max_bytes and max_age bound it.";
  if (degraded) return `Nothing is being stored on disk: ${degraded}.`;
  if (typeof disk === "number") return "Kept over restarts. [history] disk_limit and disk_age bound it.";
  return "In memory only: [history] disk keeps it for days and over restarts, [history] age lengthens what is in memory.";
}

/**
 * @param {Status} status
 * @param {number} now Unix seconds
 */
export function originPanel({ rejected_origins: rejected }, now) {
  const rows = (rejected ?? []).map((/** @type {any} */ { origin, reason, remedy, count, last }) => [
    [h("code", null, origin), quiet(reason ?? "")],
    remedy ? h("code", null, remedy) : "nothing",
    String(count ?? 1),
    typeof last === "number" ? `${age(now - last)} ago` : "–",
  ]);
  const none = "None. A page of another origin that is refused appears here, with the line that would let it in.";
  return panel("Refused origins", table(["Origin", "What would allow it", { title: "Times", number: true }, { title: "Last", number: true }], rows, none));
}

/**
 * @param {Status} status
 * @param {number} now Unix seconds
 */
export function listenerPanel({ listeners }, now) {
  const rows = (listeners ?? []).map((/** @type {any} */ { address, names, certificate_expires: expires }) => {
    if (typeof expires !== "number") return [h("code", null, address), "without TLS", "–"];
    const kind = expires < now ? "bad" : expires - now < SOON ? "warn" : "good";
    const left = expires < now ? "expired" : `in ${age(expires - now)}`;
    return [h("code", null, address), names.join(", "), h("span", { class: `status ${kind}` }, h("span", { class: "dot" }), `${new Date(expires * 1000).toLocaleDateString()}, ${left}`)];
  });
  return panel("Listeners", table(["Address", "Certificate for", "Ends"], rows, "None."));
}

/** @param {Status} status */
export function refusalPanel({ connections, lost }) {
  const refused = Object.entries(connections?.refused ?? {});
  /** @type {[string, string][]} */
  const pairs = [["accepted in all", number(connections?.accepted ?? 0)], ...(typeof lost === "number" ? [/** @type {[string, string]} */ (["messages lost by slow clients", number(lost)])] : [])];
  for (const [reason, count] of refused) pairs.push([reason.replaceAll("-", " "), number(Number(count))]);
  return half(panel("Connections so far", facts(pairs)));
}
