/**
 * Server-Sent Events out of the pieces that a fetch delivers (HTML standard, 9.2.6). EventSource itself sends no
 * headers, so no credential; hence this reader.
 */
export class EventStream {
  #rest = "";
  /** @type {string[]} */
  #data = [];

  /**
   * @param {string} piece decoded text, cut anywhere
   * @returns {string[]} the data of every event that is complete
   */
  push(piece) {
    const lines = (this.#rest + piece).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    /** @type {string[]} */
    const events = [];
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) events.push(this.#data.join("\n"));
        this.#data = [];
      } else if (line === "data") {
        this.#data.push("");
      } else if (line.startsWith("data:")) {
        this.#data.push(line.slice(line[5] === " " ? 6 : 5));
      }
    }
    return events;
  }
}
