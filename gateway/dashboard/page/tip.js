/**
 * What the pointer is on, in words beside it.
 */

import { h, setText } from "./dom.js";

// Pixels between pointer and words.
const AWAY = 14;

export class Tip {
  #parent;

  /** @param {HTMLElement} parent */
  constructor(parent) {
    this.#parent = parent;
    this.time = h("time");
    this.lines = h("span");
    // The table below says the same to those who do not see it.
    this.element = h("div", { class: "tip", hidden: true, "aria-hidden": "true" }, this.time, this.lines);
    parent.append(this.element);
  }

  hide() {
    this.element.hidden = true;
  }

  /**
   * @param {{left: number, top: number}} at pixels within the parent
   * @param {string} time
   * @param {{colour: string, name: string, value: string}[]} lines `colour` is a class
   */
  show(at, time, lines) {
    const { element } = this;
    element.hidden = false;
    setText(this.time, time);
    this.lines.replaceChildren(...lines.map(({ colour, name, value }) => h("div", null, h("span", { class: `swatch ${colour}` }), name, h("b", null, value))));
    const { clientWidth: width, clientHeight: height } = this.#parent;
    const left = at.left + AWAY + element.offsetWidth < width ? at.left + AWAY : Math.max(0, at.left - AWAY - element.offsetWidth);
    const top = Math.min(at.top + AWAY, Math.max(0, height - element.offsetHeight));
    element.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }
}
