import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { connect } from "../../gateway/dashboard/client/index.js";
import { FakeSocket, turn, until } from "./fakesocket.js";

const connections = [];

function start(options = {}) {
  const gateway = connect("https://box:8443/", { WebSocket: FakeSocket, events: false, random: () => 0, ...options });
  connections.push(gateway);
  return gateway;
}

beforeEach(() => {
  FakeSocket.all = [];
});
afterEach(() => {
  for (const gateway of connections.splice(0)) gateway.close();
});

test("addresses: wss from https, behind any prefix, and from a stream's own address", async () => {
  for (const [given, expected] of [
    ["https://box:8443", "wss://box:8443/stream"],
    ["http://box/gw", "ws://box/gw/stream"],
    ["wss://box/gw/stream", "wss://box/gw/stream"],
    ["https://box/gw/#token=x", "wss://box/gw/stream"],
  ]) {
    connections.push(connect(given, { WebSocket: FakeSocket }));
    await turn();
    assert.equal(FakeSocket.last.url, expected);
  }
});

test("a token goes into the handshake as a subprotocol, base64url", async () => {
  start({ token: "gw_a_ÿ?>" });
  await turn();
  assert.deepEqual(FakeSocket.last.protocols, ["sensor-gateway.v1.json", "bearer.Z3dfYV_Dvz8-"]);
});

test("mounting twice opens one socket and subscribes once", async () => {
  start().close();
  const gateway = start();
  const seen = [];
  gateway.subscribe("a/#", (message) => seen.push(message.offset)).close();
  gateway.subscribe("a/#", (message) => seen.push(message.offset));
  await turn();
  assert.equal(FakeSocket.all.length, 1);
  FakeSocket.last.welcome();
  await turn();
  assert.equal(FakeSocket.last.sent.filter(({ type }) => type === "subscribe").length, 1);
  FakeSocket.last.grant(3, [["a/b", 3]]);
  FakeSocket.last.message("a/b", 4);
  assert.deepEqual(seen, [3, 4]);
});

test("subscriptions that want the same go in one command, others wait for its replay", async () => {
  const gateway = start();
  const seen = { a: [], b: [], c: [] };
  gateway.subscribe("a/#", ({ offset }) => seen.a.push(offset));
  gateway.subscribe("b/#", ({ offset }) => seen.b.push(offset));
  gateway.subscribe("a/x", { replay: { count: 2 } }, ({ offset }) => seen.c.push(offset));
  await turn();
  const socket = FakeSocket.last;
  socket.welcome();
  await turn();
  assert.deepEqual(socket.sent.map(({ topics }) => topics), [["a/#", "b/#"]]);
  socket.grant(9, [["a/x", 8], ["b/y", 9]]);
  await turn();
  assert.deepEqual(socket.sent[1].replay, { count: 2 });
  // A live message of the first subscription while the second is being replayed, and in that replay too.
  socket.message("a/x", 10);
  socket.say({ type: "ok", id: socket.sent[1].id, subscribed: [] });
  socket.message("a/x", 8, 8, { replay: true });
  socket.message("a/x", 9, 9, { replay: true });
  socket.message("a/x", 11);
  socket.say({ type: "replayed", id: socket.sent[1].id, count: 2, complete: true, offset: 10 });
  socket.message("a/x", 12);
  assert.deepEqual(seen, { a: [8, 10, 11, 12], b: [9], c: [8, 9, 11, 12] });
});

test("a second welcome changes what is known and starts nothing anew", async () => {
  const states = [];
  const gateway = start({ onState: ({ status, clock }) => states.push(`${status} ${clock}`) });
  gateway.subscribe("#", () => {});
  await turn();
  const socket = FakeSocket.last;
  socket.welcome({ clock: "suspect" });
  await turn();
  socket.welcome({ clock: "ok" });
  await turn();
  assert.equal(states.filter((state) => state.startsWith("open")).join(), "open suspect,open ok");
  assert.equal(socket.sent.length, 1);
});

test("what is asked for in one breath goes out once", async () => {
  const gateway = start();
  await turn();
  const socket = FakeSocket.last;
  socket.welcome();
  gateway.subscribe("a", () => {}).close();
  gateway.subscribe("a", () => {});
  gateway.subscribe("b", () => {});
  await turn();
  assert.deepEqual(socket.sent.map(({ type, topics }) => [type, topics]), [["subscribe", ["a", "b"]]]);
});

test("one subscription's replay is none of another's, and two replays are never under way at once", async () => {
  const gateway = start();
  const seen = { a: [], b: [] };
  gateway.subscribe("#", { replay: "none" }, ({ offset }) => seen.a.push(offset));
  await turn();
  const socket = FakeSocket.last;
  socket.welcome();
  await turn();
  gateway.subscribe("a/#", { replay: { count: 2 } }, ({ offset }) => seen.b.push(offset));
  await turn();
  assert.equal(socket.sent.length, 1, "the second waits for the first");
  socket.grant(0);
  await turn();
  socket.grant(7, [["a/x", 6], ["a/x", 7]]);
  socket.message("a/x", 8);
  assert.deepEqual(seen, { a: [8], b: [6, 7, 8] });
});

test("a shared filter is asked for as the most demanding wants it, and given back with the last", async () => {
  const gateway = start();
  await turn();
  const socket = FakeSocket.last;
  socket.welcome();
  const first = gateway.subscribe("a", { mode: "latest", interval: 5 }, () => {});
  await turn();
  socket.grant(0);
  const second = gateway.subscribe("a", { readings: true }, () => {});
  await turn();
  const { mode, interval, readings } = socket.sent[1];
  assert.deepEqual({ mode, interval, readings }, { mode: "all", interval: 0, readings: true });
  socket.grant(0);
  second.close();
  assert.equal(socket.sent.length, 2);
  first.close();
  assert.deepEqual(socket.sent[2].topics, ["a"]);
  assert.equal(socket.sent[2].type, "unsubscribe");
});

test("after a break it resumes from its mark, and nothing comes twice", async () => {
  const gateway = start();
  const seen = [];
  gateway.subscribe("#", ({ offset }) => seen.push(offset));
  await turn();
  FakeSocket.last.welcome();
  await turn();
  FakeSocket.last.grant(5, [["a", 2], ["b", 5]]);
  FakeSocket.last.message("a", 6);
  FakeSocket.last.end(1006);
  await until(() => FakeSocket.all.length === 2, "a second socket");
  FakeSocket.last.welcome();
  await turn();
  assert.deepEqual(FakeSocket.last.sent[0].replay, { epoch: "E", offset: 6 });
  FakeSocket.last.grant(8, [["a", 6], ["a", 7], ["b", 8]]);
  FakeSocket.last.message("a", 9);
  assert.deepEqual(seen, [2, 5, 6, 7, 8, 9]);
});

test("who wanted no replay goes on after a break from what there was when it asked", async () => {
  const gateway = start();
  const seen = [];
  gateway.subscribe("a", () => {});
  await turn();
  FakeSocket.last.welcome({ offset: 5 });
  await turn();
  FakeSocket.last.grant(5);
  FakeSocket.last.message("a", 7);
  gateway.subscribe("done", { replay: "none" }, ({ offset }) => seen.push(offset));
  await turn();
  FakeSocket.last.grant(0);
  FakeSocket.last.end(1006);
  await until(() => FakeSocket.all.length === 2);
  FakeSocket.last.welcome({ offset: 9 });
  await turn();
  assert.deepEqual(FakeSocket.last.sent[0].replay, { epoch: "E", offset: 7 });
  FakeSocket.last.grant(9, [["done", 8]]);
  assert.deepEqual(seen, [8]);
});

test("a break in the middle of last values asks for them again and passes on only what is new", async () => {
  const gateway = start();
  const seen = [];
  gateway.subscribe("#", ({ topic, offset }) => seen.push(`${topic}${offset}`));
  await turn();
  FakeSocket.last.welcome();
  await turn();
  FakeSocket.last.message("b", 5, 5, { replay: true });
  FakeSocket.last.end(1006);
  await until(() => FakeSocket.all.length === 2);
  FakeSocket.last.welcome();
  await turn();
  assert.equal(FakeSocket.last.sent[0].replay, "last");
  FakeSocket.last.grant(7, [["a", 2], ["b", 5], ["c", 7]]);
  assert.deepEqual(seen, ["b5", "a2", "c7"]);
});

test("with an interval the heartbeat's mark counts, and topics that were ahead of it do not come twice", async () => {
  const gateway = start();
  const seen = [];
  gateway.subscribe("#", { interval: 1 }, ({ topic, offset }) => seen.push(`${topic}${offset}`));
  await turn();
  FakeSocket.last.welcome();
  await turn();
  FakeSocket.last.grant(5);
  FakeSocket.last.message("a", 9);
  FakeSocket.last.message("b", 7);
  FakeSocket.last.say({ type: "heartbeat", timestamp: 1, offset: 6 });
  FakeSocket.last.end(1006);
  await until(() => FakeSocket.all.length === 2);
  FakeSocket.last.welcome();
  await turn();
  assert.deepEqual(FakeSocket.last.sent[0].replay, { epoch: "E", offset: 6 });
  FakeSocket.last.grant(10, [["b", 7], ["c", 8], ["a", 9], ["b", 10]]);
  assert.deepEqual(seen, ["a9", "b7", "c8", "b10"]);
});

test("another epoch: the gap is told, and smaller offsets are new messages", async () => {
  const gateway = start();
  const seen = [];
  const gaps = [];
  gateway.subscribe("#", { onGap: (gap) => gaps.push(gap.reason) }, ({ offset }) => seen.push(offset));
  await turn();
  FakeSocket.last.welcome();
  await turn();
  FakeSocket.last.grant(100, [["a", 100]]);
  FakeSocket.last.end(1006);
  await until(() => FakeSocket.all.length === 2);
  const socket = FakeSocket.last;
  socket.welcome({ epoch: "F" });
  await turn();
  assert.deepEqual(socket.sent[0].replay, { epoch: "E", offset: 100 });
  socket.say({ type: "gap", from: 101, to: 3, count: null, topics: {}, reason: "restart" });
  socket.grant(3, [["b", 3], ["a", 2]]);
  socket.message("a", 4);
  assert.deepEqual(seen, [100, 3, 2, 4]);
  assert.deepEqual(gaps, ["restart"]);
});

test("in mode latest a break costs no timelapse: last values, those that are new", async () => {
  const gateway = start();
  const seen = [];
  gateway.subscribe("#", { mode: "latest", interval: 1 }, ({ offset }) => seen.push(offset));
  await turn();
  FakeSocket.last.welcome();
  await turn();
  FakeSocket.last.grant(5, [["a", 4], ["b", 5]]);
  FakeSocket.last.end(1006);
  await until(() => FakeSocket.all.length === 2);
  FakeSocket.last.welcome();
  await turn();
  assert.equal(FakeSocket.last.sent[0].replay, "last");
  FakeSocket.last.grant(9, [["a", 4], ["b", 9]]);
  assert.deepEqual(seen, [4, 5, 9]);
});

test("a gap reaches whom it concerns", async () => {
  const gateway = start();
  const gaps = { a: 0, b: 0 };
  gateway.subscribe("a/#", { onGap: () => gaps.a++ }, () => {});
  gateway.subscribe("b/#", { onGap: () => gaps.b++ }, () => {});
  await turn();
  const socket = FakeSocket.last;
  socket.welcome();
  await turn();
  socket.grant(0);
  socket.say({ type: "gap", from: 1, to: 2, count: 2, topics: { "a/x": 2 }, reason: "slow-consumer" });
  socket.say({ type: "gap", from: 3, to: 4, count: null, topics: {}, reason: "upstream" });
  socket.say({ type: "gap", from: 5, to: 99, count: 90, topics: { "a/x": 1, "…": 89 }, reason: "interval" });
  assert.deepEqual(gaps, { a: 3, b: 2 });
});

test("stale, fresh and device states reach the subscription", async () => {
  const gateway = start();
  const heard = [];
  gateway.subscribe("a/#", { onStale: ({ type, topic }) => heard.push(type + topic), onDevice: ({ device }) => heard.push(device) }, () => {});
  await turn();
  const socket = FakeSocket.last;
  socket.welcome();
  await turn();
  socket.grant(0);
  socket.say({ type: "stale", topic: "a/x", age: 9, stale_after: 5 });
  socket.say({ type: "fresh", topic: "a/x", age: 0, stale_after: 5 });
  socket.say({ type: "stale", topic: "b/x", age: 9, stale_after: 5 });
  socket.say({ type: "device", device: "d", state: "offline", since: 1 });
  assert.deepEqual(heard, ["stalea/x", "fresha/x", "d"]);
});

test("retry_after is kept; a close code that blames the client ends it", async () => {
  const gateway = start();
  await turn();
  FakeSocket.last.welcome();
  FakeSocket.last.say({ type: "closing", reason: "stopping", retry_after: 0.15 });
  const before = Date.now();
  FakeSocket.last.end(1001, "stopping");
  assert.equal(gateway.state.status, "waiting");
  await until(() => FakeSocket.all.length === 2);
  assert.ok(Date.now() - before >= 140);
  FakeSocket.last.welcome();
  FakeSocket.last.end(4403, "forbidden");
  assert.equal(gateway.state.status, "failed");
  assert.equal(gateway.state.reason, "forbidden");
  await turn();
  assert.equal(FakeSocket.all.length, 2);
});

test("a token function is asked again on 4401 and told why; a fixed token ends in unauthorized", async () => {
  const asked = [];
  const gateway = start({ token: async (why) => (asked.push(why?.code ?? null), `t${asked.length}`) });
  await until(() => FakeSocket.all.length === 1);
  FakeSocket.last.welcome();
  FakeSocket.last.end(4401, "expired");
  await until(() => FakeSocket.all.length === 2);
  assert.deepEqual(asked, [null, 4401]);
  assert.equal(FakeSocket.last.protocols[1], "bearer.dDI");
  const fixed = start({ token: "bad" });
  await until(() => FakeSocket.all.length === 3);
  FakeSocket.last.end(4401, "no such token");
  await until(() => fixed.state.status === "unauthorized");
  assert.equal(fixed.state.reason, "no such token");
  await fixed.authenticate("good");
  await until(() => FakeSocket.all.length === 4);
  assert.equal(FakeSocket.last.protocols[1], "bearer.Z29vZA");
  gateway.close();
});

test("auth-required without a credential waits for one", async () => {
  const gateway = start();
  await turn();
  FakeSocket.last.readyState = 1;
  FakeSocket.last.say({ type: "auth-required", methods: ["token"], deadline: 10 });
  await until(() => gateway.state.status === "unauthorized");
  assert.deepEqual(gateway.state.methods, ["token"]);
});

test("a slow consumer comes back asking for the latest only", async () => {
  const gateway = start();
  gateway.subscribe("#", () => {});
  await turn();
  FakeSocket.last.welcome();
  await turn();
  FakeSocket.last.grant(1);
  FakeSocket.last.end(4413, "slow");
  await until(() => FakeSocket.all.length === 2);
  FakeSocket.last.welcome();
  await turn();
  assert.equal(FakeSocket.last.sent[0].mode, "latest");
});

test("a socket that says open but is dead is found within a heartbeat or so, and left behind", async () => {
  const gateway = start();
  await turn();
  FakeSocket.last.welcome({ heartbeat: 0.3 });
  assert.equal(gateway.state.status, "open");
  await until(() => FakeSocket.last.sent.some(({ type }) => type === "ping"), "a ping");
  await until(() => FakeSocket.all.length === 2, "a new socket");
  assert.equal(gateway.state.code, 1006);
});

test("whoever answers the ping stays", async () => {
  const gateway = start();
  await turn();
  const socket = FakeSocket.last;
  socket.welcome({ heartbeat: 0.3 });
  for (let pings = 1; pings <= 2; pings++) {
    await until(() => socket.sent.length >= pings);
    socket.say({ type: "pong", id: null, timestamp: 1 });
  }
  assert.equal(FakeSocket.all.length, 1);
  gateway.close();
});

test("publish waits for the connection and for ok; an error and a break reject", async () => {
  const gateway = start();
  const early = gateway.publish("a", 1, { qos: 1 });
  await turn();
  const socket = FakeSocket.last;
  socket.welcome();
  assert.deepEqual(socket.sent[0], { type: "publish", topic: "a", data: 1, qos: 1, id: socket.sent[0].id });
  socket.say({ type: "ok", id: socket.sent[0].id, published: "a" });
  await early;
  const refused = gateway.publish("b", 1);
  socket.say({ type: "error", id: socket.sent[1].id, code: "forbidden", message: "no" });
  await assert.rejects(refused, { code: "forbidden" });
  const lost = gateway.history({ topic: "a", from: 0, to: 1 });
  socket.end(1006);
  await assert.rejects(lost, { code: "disconnected" });
});

test("a signal ends a subscription, and an aborted one never begins", async () => {
  const gateway = start();
  const control = new AbortController();
  const seen = [];
  gateway.subscribe("a", { signal: control.signal }, ({ offset }) => seen.push(offset));
  gateway.subscribe("b", { signal: AbortSignal.abort() }, ({ offset }) => seen.push(offset));
  await turn();
  const socket = FakeSocket.last;
  socket.welcome();
  await turn();
  assert.deepEqual(socket.sent[0].topics, ["a"]);
  socket.grant(0);
  control.abort();
  socket.message("a", 1);
  assert.deepEqual(seen, []);
  assert.equal(socket.sent[1].type, "unsubscribe");
});

test("a refused filter is told to its subscription only", async () => {
  const gateway = start();
  const refused = [];
  gateway.subscribe("a", { onError: ({ filter }) => refused.push(filter) }, () => {});
  gateway.subscribe("b", { onError: ({ filter }) => refused.push(filter) }, () => {});
  await turn();
  const socket = FakeSocket.last;
  socket.welcome();
  await turn();
  socket.say({ type: "ok", id: socket.sent[0].id, subscribed: [{ filter: "a", granted: true, reason: null }, { filter: "b", granted: false, reason: "your role may not" }] });
  assert.deepEqual(refused, ["b"]);
});

test("a callback that throws harms no other subscription", async () => {
  const gateway = start();
  const seen = [];
  const errors = [];
  const reportError = globalThis.reportError;
  globalThis.reportError = (error) => errors.push(error.message);
  try {
    gateway.subscribe("#", () => {
      throw new Error("mine");
    });
    gateway.subscribe("#", ({ offset }) => seen.push(offset));
    await turn();
    const socket = FakeSocket.last;
    socket.welcome();
    await turn();
    socket.grant(0);
    socket.message("a", 1);
    assert.deepEqual(seen, [1]);
    assert.deepEqual(errors, ["mine"]);
  } finally {
    globalThis.reportError = reportError;
  }
});

test("the state is a new object at every change, and says what the gateway said", async () => {
  const states = [];
  const gateway = start({ onState: (state) => states.push(state) });
  await turn();
  FakeSocket.last.welcome({ upstreams: [{ name: "a", state: "connected", since: 1 }] });
  FakeSocket.last.say({ type: "upstream", name: "a", state: "waiting", since: 2, retry_in: 8 });
  FakeSocket.last.say({ type: "rate", interval: 2, reason: "link" });
  assert.equal(new Set(states).size, states.length);
  assert.equal(gateway.state.upstreams[0].state, "waiting");
  assert.ok(Math.abs(gateway.state.upstreams[0].retryAt - gateway.now() - 8) < 0.5);
  assert.deepEqual(gateway.state.rate, { interval: 2, reason: "link" });
  assert.ok(Math.abs(gateway.now() - 1000) < 1);
});
