/**
 * Many viewers of numbered messages, each the browser's client with a connection of its own; tells what came of each.
 * Run by tests/support/nodeclient.py with the options `url`, `viewers` and `filter`.
 *
 * A message is {"n": number, "at": milliseconds since 1970}. What happens: `live` once all are subscribed; now and then
 * `all` with `n`: every viewer has been told something above it. The command `finish` with `published`, the number of
 * messages, asks for the `reports` as soon as everybody has or misses so many, or after 15 s.
 */
import { createInterface } from "node:readline";
import WebSocket from "ws";
import { connect } from "../../gateway/dashboard/client/index.js";

const { url, viewers: count, filter } = JSON.parse(process.argv[2]);
const say = (event, facts) => console.log(JSON.stringify({ event, ...facts }));
/** Milliseconds from the publishing of each message until the last viewer had it. */
const delays = [];
let live = 0;
let published = Infinity;
let told = 0;

class Viewer {
  report = { delivered: 0, gaps: 0, unknown: 0, twice: 0, disordered: 0, connections: 0, named: [] };
  newest = 0;
  #offset = -1;
  #epoch = null;

  constructor() {
    this.gateway = connect(url, {
      WebSocket,
      events: false,
      onState: ({ status, epoch }) => {
        if (status === "open") this.report.connections++;
        if (status === "open" && this.#epoch !== null && epoch !== this.#epoch) this.report.named.push(`epoch ${epoch}`);
        this.#epoch = epoch ?? this.#epoch;
      },
    });
    const options = { replay: "none", onReplayed: () => this.#live(), onGap: (gap) => this.#gap(gap) };
    this.gateway.subscribe(filter, options, (message) => this.#take(message));
  }

  #live() {
    if (this.known) return;
    this.known = true;
    if (++live === count) say("live", {});
  }

  #take({ data: { n, at }, offset }) {
    this.report.delivered++;
    if (n === this.newest) this.report.twice++;
    else if (n < this.newest || offset <= this.#offset) this.report.disordered++;
    this.newest = Math.max(n, this.newest);
    this.#offset = Math.max(offset, this.#offset);
    delays[n] = Math.max(delays[n] ?? 0, Date.now() - at);
  }

  #gap({ reason, count, from, to }) {
    if (count === null) this.report.unknown++;
    else this.report.gaps += count;
    this.report.named.push(`${reason} ${from}-${to}: ${count}`);
  }
}

const viewers = Array.from({ length: count }, () => new Viewer());

function report() {
  say("reports", { reports: viewers.map(({ report }) => report), delays: Array.from(delays, (delay) => delay ?? null) });
  process.exit(0);
}

setInterval(() => {
  const n = Math.min(...viewers.map(({ newest }) => newest));
  if (n > told) say("all", { n: (told = n) });
  if (viewers.every(({ report }) => report.delivered + report.gaps >= published)) report();
}, 100);

createInterface({ input: process.stdin }).on("line", (line) => {
  published = JSON.parse(line).published;
  setTimeout(report, 15000);
});
