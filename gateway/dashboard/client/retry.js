/**
 * When to connect again: the close-code table of the protocol, and full jitter for everything else.
 */

/** @typedef {{when: "never" | "credentials" | "now" | "later", seconds?: number, latest?: boolean}} Advice */

/** @type {Record<number, Advice>} by close code, and one by HTTP status: an origin that is not allowed may be by and by */
const ADVICE = {
  403: { when: "later", seconds: 60 },
  1002: { when: "never" },
  1003: { when: "never" },
  1007: { when: "never" },
  1009: { when: "never" },
  1013: { when: "later", seconds: 30 },
  4401: { when: "credentials" },
  4403: { when: "never" },
  4408: { when: "now" },
  4413: { when: "now", latest: true },
  4429: { when: "later", seconds: 10 },
};

const FIRST = 0.5;
const LONGEST = 30;
// Being told "at once" again and again must not become a busy loop.
const AT_ONCE_IN_A_ROW = 3;

/**
 * What a close code asks of a client; codes that are not in the table are transient.
 * @param {number} code
 * @returns {Advice}
 */
export function adviceFor(code) {
  return ADVICE[code] ?? { when: "later" };
}

/**
 * Seconds to wait before the next try.
 * @param {object} given
 * @param {number} given.code the close code
 * @param {number} given.attempt how many tries in a row have failed or ended early, from 1
 * @param {number} [given.retryAfter] seconds, from the gateway's `closing`
 * @param {() => number} [given.random] uniform in [0, 1)
 * @returns {number}
 */
export function retryDelay({ code, attempt, retryAfter, random = Math.random }) {
  if (retryAfter !== undefined) return retryAfter;
  const { when, seconds } = adviceFor(code);
  // A fixed advice is spread from it upwards, so that viewers who were refused together do not return together.
  if (seconds !== undefined) return seconds * (1 + random() / 2);
  if (when === "now" && attempt <= AT_ONCE_IN_A_ROW) return 0;
  return random() * Math.min(LONGEST, FIRST * 2 ** Math.min(attempt, 16));
}
