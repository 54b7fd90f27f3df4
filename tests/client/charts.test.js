import assert from "node:assert/strict";
import { test } from "node:test";
import { rangeAround, timeLabels } from "../../gateway/dashboard/page/axis.js";
import { BUFFER_SLOTS, csvOf, holesIn, lonelyIn, SlotBuffer, tearsHole } from "../../gateway/dashboard/page/buffer.js";
import { ChartFeed } from "../../gateway/dashboard/page/chartfeed.js";
import { beyond, RANGES, rangeOf } from "../../gateway/dashboard/page/ranges.js";
import { readingMeant } from "../../gateway/dashboard/page/readingchoice.js";
import { Store } from "../../gateway/dashboard/page/store.js";
import { Trend } from "../../gateway/dashboard/page/trend.js";
import { TrendFill } from "../../gateway/dashboard/page/trendfill.js";

function message(topic, data, more = {}) {
  return { type: "message", topic, data, timestamp: 1000, offset: 1, ...more };
}

test("a slot holds lowest, highest and newest, in whatever order they come", () => {
  const buffer = new SlotBuffer(BUFFER_SLOTS - 1);
  buffer.add(1000.2, 5);
  buffer.add(1000.8, 3);
  buffer.load(1000.1, 2, 9, 9);
  buffer.add(1003, 7);
  const rows = buffer.rows(1003.5);
  const at = rows.time.indexOf(1000.5);
  assert.deepEqual([rows.low[at], rows.high[at], rows.last[at]], [2, 9, 3]);
  assert.equal(rows.last[at + 1], undefined);
  assert.equal(rows.time.length, BUFFER_SLOTS);
  assert.deepEqual(buffer.summary(1000, 1003), { low: 2, high: 9, mean: 5 });
});

test("a value that no line leads to is a point", () => {
  assert.deepEqual(lonelyIn([undefined, 5, undefined]), [1]);
  assert.deepEqual(lonelyIn([1, undefined, 2]), []);
  assert.deepEqual(lonelyIn([null, 1, undefined, null, 2, 3, null, 4]), [1, 7]);
});

test("holes are drawn where something was lost, not where less was asked for", () => {
  const buffer = new SlotBuffer(BUFFER_SLOTS - 1);
  buffer.add(990, 1);
  buffer.add(1000, 1);
  buffer.add(1005, 2);
  buffer.tear(1005);
  const rows = buffer.rows(1005);
  // All the way from the value before it: a line across most of it would claim what nobody knows.
  assert.deepEqual(rows.last.slice(-6), [1, null, null, null, null, 2]);
  assert.deepEqual(rows.last.slice(-15, -6), Array(9).fill(undefined));
  const young = new SlotBuffer(BUFFER_SLOTS - 1);
  young.add(1000, 1);
  young.tear(1000);
  assert.deepEqual(young.rows(1000).last.slice(-3), [undefined, null, 1], "since when, nobody knows");
  assert.deepEqual(holesIn([1, null, null, undefined, null, 2, null]), [[1, 2], [4, 4], [6, 6]]);
  assert.deepEqual(["slow-consumer", "history-expired", "upstream", "restart", "interval"].map(tearsHole), [true, true, true, true, false]);
});

test("at a time held what was said last before it, but nothing where something is missing", () => {
  const buffer = new SlotBuffer(BUFFER_SLOTS - 1);
  buffer.add(1000.2, 5);
  buffer.add(1000.7, 3);
  buffer.add(1010, 7);
  const held = [999, 1000, 1005, 1010, 1500].map((time) => buffer.at(time));
  assert.deepEqual(held, [null, { low: 3, high: 5 }, { low: 3, high: 5 }, { low: 7, high: 7 }, { low: 7, high: 7 }]);
  buffer.tear(1010);
  assert.deepEqual([buffer.at(1005), buffer.at(1010)], [null, { low: 7, high: 7 }]);
});

test("what is older than the range is forgotten, also after a long silence", () => {
  const buffer = new SlotBuffer(BUFFER_SLOTS - 1);
  buffer.add(1000, 1);
  buffer.add(1000 + 5 * BUFFER_SLOTS, 2);
  assert.equal(buffer.rows(1000 + 5 * BUFFER_SLOTS).last.filter((value) => value !== undefined).length, 1);
  buffer.add(1000, 3);
  assert.equal(buffer.summary(0, 1e9).low, 2);
});

test("a chart as CSV: rows with values only, names that no spreadsheet runs", () => {
  const buffer = new SlotBuffer(BUFFER_SLOTS - 1);
  buffer.add(1000, 1.5);
  const text = csvOf([{ name: '=a,"b"', unit: "°C", rows: buffer.rows(1010) }]);
  assert.equal(text, `time,"'=a,""b"" min (°C)","'=a,""b"" max (°C)","'=a,""b"" last (°C)"\r\n1970-01-01T00:16:40.500Z,1.5,1.5,1.5\r\n`);
});

test("a trend draws the last ten minutes, and nothing of before", () => {
  const trend = new Trend();
  assert.equal(trend.path(1000, 80, 20), "");
  trend.add(1000, 1);
  assert.equal(trend.path(1000, 80, 20), "");
  trend.add(1010, 3);
  assert.match(trend.path(1010, 80, 20), /^M[\d.]+ 19\.0L80\.0 1\.0$/);
  const calm = new Trend();
  for (const [time, value] of [[1000, 1013], [1001, 1013.2], [1010, 1013], [1010, 1013.1]]) calm.add(time, value);
  const [, first, last] = /^M[\d.]+ ([\d.]+)L80\.0 ([\d.]+)$/.exec(calm.path(1010, 80, 20));
  assert.ok(Math.abs(first - last) < 2, "noise in the last digit is no mountain, and a slot has one point");
  trend.add(1000 + 700, 5);
  trend.add(1000 + 710, 6);
  assert.equal(trend.path(1710, 80, 20).split("L").length, 2);
  trend.add(500, 99);
  assert.equal(trend.path(1710, 80, 20).split("L").length, 2);
});

test("axes: dates where a day begins, and never so little range that noise looks grand", () => {
  const midnight = new Date(2026, 0, 5).getTime() / 1000;
  const labels = timeLabels([midnight - 3600, midnight, midnight + 3600], 3600);
  assert.equal(labels[0], "23:00");
  assert.match(labels[1], /^(00|24):00\n/);
  assert.equal(labels[2], "01:00");
  const [low, high] = rangeAround(1000, 1000.1);
  assert.ok(high - low >= 10);
  assert.deepEqual(rangeAround(null, null), [0, 1]);
  assert.ok(rangeAround(0, 10)[0] < 0);
});

test("trends of what comes into sight are asked for once, in turn, and only where series are kept", async () => {
  const asked = [];
  const rows = [[500, 1, 2, 2], [900, 3, 4, 4]];
  const gateway = { state: { limits: { history: 600 } }, now: () => 1000, history: async ({ device }) => (asked.push(device), { series: rows, complete: true }) };
  const fill = new TrendFill({ gateway, store: { decoded: true } });
  const series = (device, value = 5) => ({ device, channel: null, quantity: "q", value, trend: null });
  const [a, b, text] = [series("a"), series("b"), series("text", "words")];
  for (const one of [a, b, a, text]) fill.want(one);
  await new Promise((resolve) => setTimeout(resolve, 400));
  fill.want(a);
  assert.deepEqual(asked, ["a", "b"]);
  assert.match(b.trend.path(1000, 80, 20), /^M.*L/);
  gateway.state.limits = {};
  fill.want(series("c"));
  fill.end();
  assert.deepEqual(asked, ["a", "b"]);
});

test("a range that would show no more than the one before is closed, but never the one that is shown", () => {
  assert.deepEqual(RANGES.map(([name]) => rangeOf(name)), [900, 3600, 21600, 86400]);
  assert.deepEqual([rangeOf(undefined), rangeOf("1y")], [900, 900]);
  assert.deepEqual(beyond(null, 900), [false, false, false, false]);
  assert.deepEqual(beyond(600, 900), [false, true, true, true]);
  assert.deepEqual(beyond(600, 21600), [false, true, false, true]);
  assert.deepEqual(beyond(7200, 900), [false, false, false, true]);
  assert.deepEqual(beyond(7 * 86400, 900), [false, false, false, false]);
});

test("a reading is found by its name, or by words of it", () => {
  const all = [["kitchen: Humidity", 1], ["kitchen: Temperature", 2], ["kitchen: Temperature · probe", 3], ["kitchen: Mode", "auto"]].map(([title, value]) => ({ title, value }));
  const meant = (text) => readingMeant(all, ({ title }) => title, text)?.value;
  assert.deepEqual(["Kitchen: temperature", "probe temp", "humid", "mode", "", "cellar"].map(meant), [2, 3, 1, undefined, undefined, undefined]);
});

/** A gateway that keeps what it was asked for, and says what the test wants. */
function feedOn(rows, outages = []) {
  const subscriptions = [];
  const gateway = {
    state: { limits: { history: 600 } },
    now: () => 1000,
    history: async () => ({ series: rows, complete: true }),
    subscribe: (topic, options, callback) => {
      subscriptions.push({ options, callback });
      queueMicrotask(() => options.onReplayed());
      return { close() {} };
    },
  };
  const store = new Store();
  store.take(message("a", 1, { readings: [{ device: "d", channel: null, quantity: "q", value: 1, unit: null, time: null }] }), 990);
  for (const [time, gap] of outages) store.gap(gap, time);
  const [series] = store.series.values();
  const feed = new ChartFeed({ gateway, store }, BUFFER_SLOTS - 1);
  feed.follow(series);
  const say = (time, value) => subscriptions[0].callback(message("a", value, { timestamp: time, readings: [{ device: "d", channel: null, quantity: "q", value, unit: null, time: null }] }));
  const gap = (reason) => subscriptions[0].options.onGap({ reason, count: 1, topics: { a: 1 } });
  return { feed, say, gap, rows: (until) => feed.buffers.get(series.key).rows(until).last };
}

test("a chart has a hole where something was lost, from the value before to the value behind; not where less was asked for", async () => {
  const { feed, say, gap, rows } = feedOn([[980, 1, 1, 1], [990, 2, 2, 2]]);
  await new Promise((resolve) => setTimeout(resolve, 5));
  say(992, 3);
  gap("interval");
  say(994, 4);
  assert.deepEqual(rows(994).slice(-5), [2, undefined, 3, undefined, 4]);
  for (const [at, reason] of ["slow-consumer", "history-expired", "upstream", "restart"].entries()) {
    gap(reason);
    say(997 + 3 * at, 5);
    assert.deepEqual(rows(997 + 3 * at).slice(-3), [null, null, 5], reason);
    assert.equal(feed.holes.at(-1).reason, reason);
  }
  say(1008, 6);
  assert.deepEqual(rows(1008).slice(-3), [5, undefined, 6], "once for each gap");
});

test("a chart that is opened later has the holes of before, those of the gateway's own history", async () => {
  const stored = [[960, 1, 1, 1], [970, 2, 2, 2], [980, 3, 3, 3], [990, 4, 4, 4]];
  const outages = [[968, { reason: "upstream", topics: {} }], [978, { reason: "slow-consumer", topics: {} }], [985, { reason: "restart", topics: { b: 1 } }], [995, { reason: "restart", topics: { a: 1 } }]];
  const { feed, say, rows } = feedOn(stored, outages);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const between = (from, to) => rows(1000).slice(-(1000 - from), -(1000 - to));
  assert.deepEqual(between(960, 969), Array(9).fill(null), "before the value that came behind it");
  assert.deepEqual(between(970, 979), Array(9).fill(undefined), "what was too much for this page the history has");
  assert.deepEqual(between(980, 989), Array(9).fill(undefined), "another topic's");
  say(999, 5);
  assert.deepEqual(between(990, 998), Array(8).fill(null), "nothing had come since");
  assert.deepEqual(feed.holes.map(({ time, reason }) => [time, reason]), [[970, "upstream"], [999, "restart"]]);
});
