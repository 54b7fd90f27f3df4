/**
 * Fingers on a chart: one drags it along, two spread it. Up and down stay the page's own.
 */

export class Gestures {
  /** @type {Map<number, number>} where each finger is, in pixels from the left */
  #fingers = new Map();
  #element;
  #act;

  /**
   * @param {HTMLElement} element
   * @param {{pan: (part: number) => void, scale: (factor: number, centre: number) => void}} act `part` of the width to
   *   the right; below 1 a `factor` shows less, around `centre` (0 to 1)
   */
  constructor(element, act) {
    this.#element = element;
    this.#act = act;
    element.style.touchAction = "pan-y";
    element.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "touch") this.#fingers.set(event.pointerId, event.clientX);
    });
    element.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) element.addEventListener(name, (event) => this.#fingers.delete(event.pointerId));
  }

  /** @param {PointerEvent} event */
  #move({ pointerId, clientX }) {
    const before = this.#fingers.get(pointerId);
    if (before === undefined) return;
    const { left, width } = this.#element.getBoundingClientRect();
    const [other] = [...this.#fingers].filter(([id]) => id !== pointerId).map(([, x]) => x);
    this.#fingers.set(pointerId, clientX);
    if (other === undefined) this.#act.pan((before - clientX) / width);
    else {
      const [old, now] = [Math.abs(before - other), Math.abs(clientX - other)];
      if (old > 0 && now > 0) this.#act.scale(old / now, ((clientX + other) / 2 - left) / width);
    }
  }
}
