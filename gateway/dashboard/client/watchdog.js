/**
 * Whether anybody is there: silence is asked about, and believed where no answer comes. Timers are no clock: a suspended
 * device stops them, and a hidden tab has few.
 */

// Seconds: an answer to a ping takes no longer where anybody is there.
const ANSWER = 5;

export class Watchdog {
  #ask;
  #dead;
  #heardAt = 0;
  /** @type {number | null} when the gateway was asked whether it is there */
  #askedAt = null;
  /** @type {any} */
  #timer;

  /**
   * @param {() => void} ask for a sign of life
   * @param {() => void} dead there was none
   */
  constructor(ask, dead) {
    this.#ask = ask;
    this.#dead = dead;
  }

  /**
   * @param {number} heartbeat seconds within which the gateway says something
   * @param {boolean} answers false: it cannot be asked (Server-Sent Events), so the next heartbeat has to come
   */
  start(heartbeat, answers) {
    this.stop();
    const tick = Math.min(5, Math.max(0.2, heartbeat / 4)) * 1000;
    const silence = heartbeat * 1100 + 500;
    const patience = answers ? Math.min(ANSWER, heartbeat) * 1000 : silence;
    let ticked = Date.now();
    this.#askedAt = null;
    this.#timer = setInterval(() => {
      const now = performance.now();
      const slept = Date.now() - ticked > 3 * tick;
      ticked = Date.now();
      if (this.#askedAt !== null && this.#heardAt > this.#askedAt) this.#askedAt = null;
      if (this.#askedAt !== null && now - this.#askedAt > patience) this.#dead();
      else if (this.#askedAt === null && (slept || now - this.#heardAt > silence)) this.probe();
    }, tick);
  }

  stop() {
    clearInterval(this.#timer);
  }

  /** The gateway said something. */
  heard() {
    this.#heardAt = performance.now();
  }

  /** Asks now; who was asked already is not asked again. */
  probe() {
    if (this.#askedAt !== null) return;
    this.#askedAt = performance.now();
    this.#ask();
  }
}
