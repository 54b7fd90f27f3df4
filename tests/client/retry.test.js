import assert from "node:assert/strict";
import { test } from "node:test";
import { adviceFor, retryDelay } from "../../gateway/dashboard/client/retry.js";

test("close codes that blame the client or its role end it", () => {
  for (const code of [1002, 1003, 1007, 1009, 4403]) assert.equal(adviceFor(code).when, "never", String(code));
  assert.equal(adviceFor(4401).when, "credentials");
  assert.equal(adviceFor(4413).latest, true);
  for (const code of [1000, 1005, 1006, 1011]) assert.equal(adviceFor(code).when, "later", String(code));
});

test("the gateway's own retry_after goes before everything", () => {
  assert.equal(retryDelay({ code: 1001, attempt: 1, retryAfter: 3.7 }), 3.7);
  assert.equal(retryDelay({ code: 1012, attempt: 9, retryAfter: 0 }), 0);
});

test("full jitter: any time up to a bound that doubles and stops at half a minute", () => {
  const most = (attempt) => retryDelay({ code: 1006, attempt, random: () => 1 });
  assert.deepEqual([1, 2, 3, 7, 50].map(most), [1, 2, 4, 30, 30]);
  assert.equal(retryDelay({ code: 1006, attempt: 5, random: () => 0 }), 0);
});

test("a full gateway is left alone for half a minute, a rate limit for ten seconds", () => {
  assert.equal(retryDelay({ code: 1013, attempt: 1, random: () => 0 }), 30);
  assert.equal(retryDelay({ code: 1013, attempt: 1, random: () => 1 }), 45);
  assert.equal(retryDelay({ code: 4429, attempt: 1, random: () => 0 }), 10);
});

test("at once is at once, but not for ever", () => {
  assert.equal(retryDelay({ code: 4408, attempt: 1 }), 0);
  assert.ok(retryDelay({ code: 4408, attempt: 4, random: () => 1 }) > 0);
});
