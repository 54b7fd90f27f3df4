import assert from "node:assert/strict";
import { test } from "node:test";
import { checkedFilter, matches, Router } from "../../gateway/dashboard/client/topics.js";

/** filter, topic, whether they match: MQTT 5.0, 4.7.1 and 4.7.2 */
const TABLE = [
  ["a/b", "a/b", true],
  ["a/b", "a/c", false],
  ["a/b", "A/b", false],
  ["a/+", "a/b", true],
  ["a/+", "a", false],
  ["a/+", "a/", true],
  ["a/+", "a/b/c", false],
  ["+/b", "/b", true],
  ["+", "/b", false],
  ["+/+", "/b", true],
  ["#", "a", true],
  ["#", "/", true],
  ["a/#", "a", true],
  ["a/#", "a/b/c", true],
  ["a/#", "ab", false],
  ["a/+/c/#", "a/b/c", true],
  ["#", "$SYS/x", false],
  ["+/x", "$SYS/x", false],
  ["$SYS/#", "$SYS/x", true],
  ["$SYS/+", "$SYS/x", true],
];

test("filters match topics as MQTT says", () => {
  for (const [filter, topic, expected] of TABLE) assert.equal(matches(filter, topic), expected, `${filter} on ${topic}`);
});

test("a filter that no broker takes is refused before it is sent", () => {
  for (const filter of ["", "a/b#", "a/#/b", "a+/b", "a\0b", null, 7]) assert.throws(() => checkedFilter(filter), TypeError, String(filter));
  for (const filter of ["#", "+", "a/+/#", "/", "a//b"]) assert.equal(checkedFilter(filter), filter);
});

test("the router finds every subscription that a topic concerns, also after changes", () => {
  const router = new Router(2);
  router.add(["a/#"], "A");
  router.add(["+/b", "a/b"], "B");
  assert.deepEqual(router.find("a/b"), ["A", "B"]);
  router.delete("A");
  assert.deepEqual(router.find("a/b"), ["B"]);
  router.add(["#"], "C");
  for (const topic of ["x", "y", "z", "x"]) assert.deepEqual(router.find(topic), ["C"]);
});
