/**
 * Kiosk mode: no scrolling hand is there, so what does not fit is shown page after page, and the screen stays awake.
 */

import { seconds } from "./route.js";

export class WallPages {
  /** "2 / 3", empty where all fits on one page */
  paging = "";
  #element;
  #every;
  #turned = performance.now();
  /** @type {any} */
  #lock = null;
  #asking = false;
  #page = 0;

  /**
   * @param {any} element what is paged: columns that overflow to the right
   * @param {string} every "30s"; "0" never turns
   */
  constructor(element, every) {
    this.#element = element;
    this.#every = seconds(every, 30);
    document.documentElement.classList.add("wall");
    this.#stayAwake();
  }

  end() {
    document.documentElement.classList.remove("wall");
    this.#lock?.release();
  }

  /** Turns the page where it is due. */
  render() {
    this.#stayAwake();
    const width = this.#element.clientWidth;
    if (width === 0) return;
    const pages = Math.max(1, Math.ceil((this.#element.scrollWidth - 2) / width));
    if (this.#every > 0 && performance.now() - this.#turned >= this.#every * 1000) {
      this.#turned = performance.now();
      this.#page = (this.#page + 1) % pages;
    }
    this.#page = Math.min(this.#page, pages - 1);
    const gap = Number.parseFloat(getComputedStyle(this.#element).columnGap) || 0;
    const left = this.#page * (width + gap);
    if (Math.abs(this.#element.scrollLeft - left) > 1) this.#element.scrollLeft = left;
    this.#element.dataset.page = `${this.#page + 1} / ${pages}`;
    this.paging = pages > 1 ? this.#element.dataset.page : "";
  }

  /** The lock is lost whenever the page is hidden, and browsers without it leave that to the system's settings. */
  #stayAwake() {
    if (this.#asking || (this.#lock !== null && !this.#lock.released) || document.visibilityState !== "visible") return;
    if (!("wakeLock" in navigator)) return;
    this.#asking = true;
    navigator.wakeLock.request("screen").then(
      (lock) => {
        this.#lock = lock;
        this.#asking = false;
      },
      () => {
        // Refused (battery, policy): asked again in a minute, not at every drawing.
        setTimeout(() => (this.#asking = false), 60000);
      },
    );
  }
}
