/**
 * Topic filters: what they match (MQTT 5.0, 4.7), and which subscriptions a topic concerns.
 */

/**
 * Whether a topic matches a filter. A leading wildcard does not match topics that begin with `$`.
 * @param {string} filter
 * @param {string} topic
 * @returns {boolean}
 */
export function matches(filter, topic) {
  if (filter === topic) return true;
  const wanted = filter.split("/");
  const levels = topic.split("/");
  if (topic.startsWith("$") && (wanted[0] === "+" || wanted[0] === "#")) return false;
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === "#") return true;
    if (i >= levels.length || (wanted[i] !== "+" && wanted[i] !== levels[i])) return false;
  }
  return wanted.length === levels.length;
}

/**
 * Refuses what no broker would take, before it is sent.
 * @param {unknown} filter
 * @returns {string} the filter
 * @throws {TypeError} with what is wrong
 */
export function checkedFilter(filter) {
  if (typeof filter !== "string" || filter === "") throw new TypeError("a topic filter is a text of at least one character");
  if (filter.includes("\0")) throw new TypeError(`topic filter ${JSON.stringify(filter)}: U+0000 is not allowed`);
  filter.split("/").forEach((level, index, all) => {
    if (level.length > 1 && /[+#]/.test(level)) {
      throw new TypeError(`topic filter "${filter}": + and # stand alone between slashes`);
    }
    if (level === "#" && index < all.length - 1) throw new TypeError(`topic filter "${filter}": # is the last level`);
  });
  return filter;
}

/**
 * Finds what was stored under the filters that match a topic; each topic is matched once and then remembered.
 * @template T
 */
export class Router {
  /** @type {Map<T, string[]>} */
  #filters = new Map();
  /** @type {Map<string, T[]>} */
  #found = new Map();
  #remember;

  /** @param {number} remember at most so many topics, so that random topics cannot fill the memory */
  constructor(remember = 10000) {
    this.#remember = remember;
  }

  /**
   * @param {string[]} filters
   * @param {T} value
   */
  add(filters, value) {
    this.#filters.set(value, filters);
    this.#found.clear();
  }

  /** @param {T} value */
  delete(value) {
    if (this.#filters.delete(value)) this.#found.clear();
  }

  /**
   * @param {string} topic
   * @returns {T[]}
   */
  find(topic) {
    let found = this.#found.get(topic);
    if (found === undefined) {
      found = [];
      for (const [value, filters] of this.#filters) {
        if (filters.some((filter) => matches(filter, topic))) found.push(value);
      }
      if (this.#found.size >= this.#remember) this.#found.clear();
      this.#found.set(topic, found);
    }
    return found;
  }
}
