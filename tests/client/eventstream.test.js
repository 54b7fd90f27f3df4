import assert from "node:assert/strict";
import { test } from "node:test";
import { EventStream } from "../../gateway/dashboard/client/eventstream.js";

const TEXT = ':hello\n\nid: e:1\ndata: {"a":\ndata: 1}\n\nevent: x\r\ndata:two\r\n\r\ndata\n\ndata: unfinished\n';
const EVENTS = ['{"a":\n1}', "two", ""];

test("events come out whole, wherever the stream is cut", () => {
  for (let size = 1; size <= TEXT.length; size++) {
    const stream = new EventStream();
    const found = [];
    for (let at = 0; at < TEXT.length; at += size) found.push(...stream.push(TEXT.slice(at, at + size)));
    assert.deepEqual(found, EVENTS, `pieces of ${size}`);
  }
});
