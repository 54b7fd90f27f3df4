// What every driver has in common: commands in as JSON lines, what happens out as JSON lines.

import { createInterface } from "node:readline";

export const options = JSON.parse(process.argv[2]);

export function tell(event, facts = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
}

// Stop everything for a while, reading included: a client that is too slow.
function block(seconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000);
}

export function obey(handlers) {
  createInterface({ input: process.stdin })
    .on("line", (line) => {
      const { do: verb, ...facts } = JSON.parse(line);
      if (verb === "block") block(facts.seconds);
      else handlers[verb](facts);
    })
    .on("close", () => process.exit(0));
}
