import assert from "node:assert/strict";
import { test } from "node:test";
import { bannersFor } from "../../gateway/dashboard/page/banner.js";
import { Rates } from "../../gateway/dashboard/page/clientpanel.js";
import { readingsIn } from "../../gateway/dashboard/page/derive.js";
import { age, isAlarm, label, number, size, unitText, valueText, wait } from "../../gateway/dashboard/page/format.js";
import { groupsOf, shortName } from "../../gateway/dashboard/page/grouping.js";
import { Losses } from "../../gateway/dashboard/page/losses.js";
import { hrefOf, parseRoute, seconds } from "../../gateway/dashboard/page/route.js";
import { Store } from "../../gateway/dashboard/page/store.js";

test("numbers keep the digits they deserve", () => {
  const table = [[0, "0"], [21.5, "21.5"], [21.50001, "21.5"], [-3.25, "−3.25"], [1013.249, "1013.2"], [123456.7, "123\u202f457"], [-10000, "−10\u202f000"], [9999.94, "9999.9"], [0.00012, "1.20e-4"], [-0.0001, "-1.00e-4"], [NaN, "NaN"]];
  for (const [value, text] of table) assert.equal(number(value), text);
});

test("ages, waits and sizes in the unit that fits", () => {
  assert.deepEqual([0.4, 59.9, 60, 3599, 3600, 90000, null].map(age), ["now", "59 s", "1 min", "59 min", "1 h", "1 d", "age unknown"]);
  assert.deepEqual([0, 7.2, 89, 91].map(wait), ["0 s", "8 s", "89 s", "2 min"]);
  assert.deepEqual([0, 1023, 1024, 15 * 1024, 5e6].map(size), ["0 B", "1023 B", "1.0 KiB", "15 KiB", "4.8 MiB"]);
});

test("flags and quantities in words", () => {
  assert.deepEqual([valueText(true, "contact"), valueText(false, "contact"), valueText(true, "water_leak"), valueText(true)], ["closed", "open", "leak", "on"]);
  assert.deepEqual([isAlarm(true, "smoke"), isAlarm(false, "smoke"), isAlarm(false, "battery_ok"), isAlarm(true, "motion")], [true, false, true, false]);
  assert.deepEqual(["[g]", "Wmin", "°C"].map(unitText), ["g", "W·min", "°C"]);
  assert.deepEqual(["dew_point", "carbon_dioxide", "pm25", ""].map(label), ["Dew point", "CO₂", "PM2.5", ""]);
});

test("readings of undecoded payloads claim nothing that the payload does not say", () => {
  const brief = (...given) => readingsIn(...given).map(({ device, channel, quantity, value, unit, path }) => [device, channel, quantity, value, unit, path]);
  assert.deepEqual(brief("home/kitchen/temperature", 21.5), [["home/kitchen", null, "temperature", 21.5, null, undefined]]);
  assert.deepEqual(brief("home/kitchen/temperature", "21.5 °C", "text"), [["home/kitchen", null, "temperature", 21.5, "°C", undefined]]);
  assert.deepEqual(brief("home/kitchen/lamp/state", "ON", "text"), [["home/kitchen", null, "lamp", true, null, undefined]]);
  assert.deepEqual(brief("a/b", { value: 5, unit: "kW" }), [["a/b", null, "b", 5, "kW", '"value"']]);
  assert.deepEqual(brief("tele/plug/SENSOR", { Time: 5, ENERGY: { Power: 7 } }), [["tele/plug", "ENERGY", "power", 7, null, '"ENERGY"."Power"']]);
  assert.deepEqual(brief("a/b", [{ n: 1 }]), [["a/b", "0", "n", 1, null, '[0]."n"']]);
  for (const [data, encoding] of [["AAEC", "base64"], ["hello", "text"], [null, undefined], ["", "text"]]) assert.deepEqual(readingsIn("a", data, encoding), []);
  assert.equal(readingsIn("a", Object.fromEntries([...Array(500).keys()].map((key) => [key, key]))).length, 40);
});

test("addresses carry the layout, and come back as they were", () => {
  const route = { view: "chart", r: "a/b|x|temperature\nc|d|ä &=#", range: "1h" };
  assert.deepEqual(parseRoute(hrefOf(route)), route);
  assert.deepEqual(parseRoute("#/nonsense?view=evil&q=1"), { view: "overview", q: "1" });
  assert.deepEqual(parseRoute("", "?view=wall&every=1min"), { view: "overview", wall: "1", every: "1min" });
  assert.equal(hrefOf({ view: "topics", q: "", topic: null }), "#/topics");
  assert.deepEqual(["30s", "2min", "1h", "45", "soon"].map((text) => seconds(text, 7)), [30, 120, 3600, 45, 7]);
});

test("the banner says who is gone, since when, and when it is tried again", () => {
  const state = { status: "open", upstreams: [{ name: "a", state: "connected", since: 1 }], attempt: 0, reason: "", retryAt: null, rate: null, clock: "ok", transport: "websocket" };
  assert.deepEqual(bannersFor(state, 0, 0), []);
  const since = new Date(2026, 0, 5, 14, 2).getTime() / 1000;
  const gone = { ...state, upstreams: [{ name: "a", state: "waiting", since, retryAt: since + 68 }] };
  assert.match(bannersFor(gone, 0, since + 60)[0].text, /^The broker is gone since .*02.*, retrying in 8 s\.$/);
  const unknown = { ...gone, upstreams: [{ name: "a", state: "waiting", since }] };
  assert.match(bannersFor(unknown, 0, since + 60)[0].text, /^The broker is gone since [^,]*\.$/, "just opened: nobody has said when");
  const away = { ...state, status: "waiting", attempt: 2, since: since * 1000, retryAt: since * 1000 + 4000 };
  const [banner] = bannersFor(away, since * 1000, since);
  assert.match(banner.text, /No connection to the gateway since .*trying again in 4 s/);
  assert.equal(banner.action, "retry");
  assert.match(bannersFor({ ...state, rate: { interval: 2, reason: "link" } }, 0, 0)[0].text, /every 2 s \(link\)/);
});

test("losses are told for a minute, merging that was asked for never", () => {
  const losses = new Losses();
  losses.add({ count: 5, reason: "interval" }, 0);
  losses.add({ count: 0, reason: "restart" }, 0);
  assert.equal(losses.text(1), "");
  losses.add({ count: 2, reason: "slow-consumer" }, 0);
  assert.equal(losses.text(1), "", "a page that wants the newest values misses none that was merged");
  losses.add({ count: 3, reason: "slow-consumer" }, 10);
  assert.match(losses.text(20), /^5 values .* too slow\.$/);
  losses.add({ count: null, reason: "upstream" }, 30);
  assert.match(losses.text(40), /^Some values .* broker\.$/);
  assert.equal(losses.text(70000), "");
});

function message(topic, data, more = {}) {
  return { type: "message", topic, data, timestamp: 1000, offset: 1, ...more };
}

test("the store trusts the gateway's readings as soon as there are any", () => {
  const store = new Store();
  store.take(message("tele/plug/SENSOR", { ENERGY: { Power: 7 } }, { readings: [] }), 1000);
  assert.deepEqual([...store.devices.keys()], ["tele/plug"]);
  const reading = { device: "plug", channel: null, quantity: "power", value: 7, unit: "W", time: null };
  store.take(message("tele/plug/SENSOR", {}, { readings: [reading] }), 1000);
  assert.deepEqual([...store.devices.keys()], ["plug"]);
  store.take(message("other", 5, { readings: [] }), 1000);
  assert.deepEqual([...store.devices.keys()], ["plug"]);
  assert.equal(store.topics.size, 2);
});

test("devices: facts, states and staleness reach what is shown, in whatever order they come", () => {
  const store = new Store();
  store.deviceState({ device: "d", state: "offline", since: 5 });
  store.deviceFacts([{ device: "d", name: "Kitchen", area: "Ground floor" }]);
  store.take(message("t/d", {}, { readings: [{ device: "d", channel: null, quantity: "temperature", value: 1, unit: null, time: null }] }), 1000);
  const [group] = groupsOf(store, {});
  assert.equal(group.title, "Ground floor");
  assert.deepEqual([group.cards[0].device.name, group.cards[0].device.state], ["Kitchen", "offline"]);
  assert.equal(groupsOf(store, { state: "absent" }).length, 1);
  store.deviceState({ device: "d", state: "online", since: 6 });
  assert.equal(groupsOf(store, { state: "absent" }).length, 0);
  store.staleness({ type: "stale", topic: "t/d" });
  assert.equal(groupsOf(store, { state: "absent" }).length, 1);
  store.take(message("t/d", {}, { readings: [] }), 1001);
  assert.equal(groupsOf(store, { state: "absent" }).length, 0);
});

test("search finds by name, quantity, area and topic; groups of one are gathered", () => {
  const store = new Store();
  for (const room of ["kitchen", "cellar", "attic"]) store.take(message(`home/${room}`, { temperature: 1, humidity: 2 }), 1000);
  store.take(message("plant/pump", { power: 3 }), 1000);
  const titles = (wish) => groupsOf(store, wish).map(({ title, cards }) => `${title} ${cards.length}`);
  assert.deepEqual(titles({}), ["home/ 3", "Other devices 1"]);
  assert.deepEqual(titles({ by: "quantity" }), ["Humidity 3", "Temperature 3", "Power 1"]);
  assert.deepEqual(titles({ q: "CELLAR temp" }), ["Devices 1"]);
  assert.deepEqual(titles({ quantity: "power" }), ["Devices 1"]);
  assert.deepEqual(titles({ q: "nothing" }), []);
});

test("the store is bounded, and forgets the oldest topics with their devices", () => {
  const store = new Store();
  for (let i = 0; i < 20010; i++) store.take(message(`t/${i}`, { v: i }), 1000);
  assert.equal(store.topics.size, 20000);
  assert.ok(store.series.size <= 20000 && store.devices.size <= 20000);
  assert.equal(store.devices.has("t/5"), false);
  assert.equal(store.devices.has("t/20009"), true);
});

test("rates of clients come from two looks, and never from those of two connections", () => {
  const rates = new Rates();
  rates.look([{ session: "a", sent: 1000 }, { session: "unix", sent: null }], 10);
  assert.deepEqual([rates.of("a"), rates.of("unix")], [null, null]);
  rates.look([{ session: "a", sent: 3000 }, { session: "b", sent: 5 }], 14);
  assert.deepEqual([rates.of("a"), rates.of("b")], [500, null]);
  rates.look([{ session: "b", sent: 5 }], 16);
  assert.deepEqual([rates.of("a"), rates.of("b")], [null, 0]);
});

test("a name that every object has is a name like any other", () => {
  // "constructor" had been looked up in tables of names, and what came out was shown: function Object() { [native code] }.
  assert.deepEqual(["constructor", "toString"].map(label), ["Constructor", "ToString"]);
  assert.equal(unitText("constructor"), "constructor");
  assert.deepEqual([valueText(true, "constructor"), valueText(false, "valueOf")], ["on", "off"]);
});

test("a device without an id has a name all the same", () => {
  const store = new Store();
  store.take({ ...message("temperature", 5), readings: [{ device: "", channel: null, quantity: "temperature", value: 5 }] }, 1000);
  assert.deepEqual(groupsOf(store, {}).map(({ cards }) => cards.map(({ device }) => shortName(device))), [["No device"]]);
});

test("the store says when somebody is to be asked what new devices are called", () => {
  const store = new Store();
  const reading = (device) => ({ ...message(device, 5), readings: [{ device, channel: null, quantity: "temperature", value: 5 }] });
  store.deviceFacts([{ device: "a", name: "Kitchen" }]);
  store.take(reading("a"), 1000);
  assert.equal(store.unnamed, false);
  store.take(reading("b"), 1000);
  assert.equal(store.unnamed, true);
});
