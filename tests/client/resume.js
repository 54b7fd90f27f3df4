/**
 * Follows numbered messages through a proxy that cuts every connection again and again; prints what came of it.
 * usage: node resume.js GATEWAY_PORT CUTS [--events] [--own-websocket]
 *
 * Says "cut enough" on standard output once it has cut so often, and ends with the report when a message on `done` comes.
 */
import { createServer, connect as dial } from "node:net";
import ws from "ws";
import { connect } from "../../gateway/dashboard/client/index.js";

const [port, cuts] = process.argv.slice(2, 4).map(Number);
const events = process.argv.includes("--events");
// undefined: what the platform has, which is nothing before Node 22.
const WebSocket = process.argv.includes("--own-websocket") ? undefined : ws;
const open = new Set();
// On a slow machine the cuts may be over before much has come.
const ENOUGH = 200;
let made = 0;

const proxy = createServer((socket) => {
  const beyond = dial(port, "127.0.0.1");
  for (const [one, other] of [
    [socket, beyond],
    [beyond, socket],
  ]) {
    open.add(one);
    one.on("data", (data) => other.write(data));
    one.on("close", () => (open.delete(one), other.destroy()));
    one.on("error", () => {});
  }
});

function cut() {
  if (made >= cuts && report.messages > ENOUGH) {
    console.log("cut enough");
    return;
  }
  if (made < cuts && gateway.state.status === "open") {
    made++;
    for (const socket of open) socket.resetAndDestroy();
  }
  // Some are cut in the middle of the handshake, some in the replay, some while all is well.
  setTimeout(cut, Math.random() * 60);
}

await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
const report = { messages: 0, twice: 0, disordered: 0, missing: 0, gaps: [], connections: 0, transport: null };
const newest = new Map();
const gateway = connect(`http://127.0.0.1:${proxy.address().port}/`, {
  WebSocket,
  events,
  random: () => 0.002,
  onState: ({ status, transport }) => {
    if (status === "open") {
      report.connections++;
      report.transport = transport;
    }
  },
});
gateway.subscribe("numbered/#", { onGap: ({ reason, count }) => report.gaps.push(`${reason} ${count}`) }, ({ topic, data }) => {
  report.messages++;
  const before = newest.get(topic);
  newest.set(topic, Math.max(data, before ?? 0));
  if (before === undefined) return;
  if (data === before) report.twice++;
  else if (data < before) report.disordered++;
  else report.missing += data - before - 1;
});
gateway.subscribe("done", { replay: "none" }, () => {
  console.log(JSON.stringify({ ...report, newest: Object.fromEntries(newest), cuts: made }));
  process.exit(0);
});
await new Promise((resolve) => setTimeout(resolve, 500));
cut();
