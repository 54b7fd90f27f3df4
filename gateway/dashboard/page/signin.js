/**
 * The field for a token, where the gateway asks for one.
 */

import { h, setText } from "./dom.js";

export class SignIn {
  /**
   * @param {import("./main.js").Context} context
   * @param {(token: string, remember: boolean) => void} signIn
   */
  constructor(context, signIn) {
    this.context = context;
    this.reason = h("p", { class: "reason", role: "alert" });
    this.token = h("input", { type: "password", autocomplete: "current-password", required: true, spellcheck: false, id: "token" });
    this.remember = h("input", { type: "checkbox" });
    this.element = h(
      "form",
      {
        class: "signin",
        "aria-label": "Sign in",
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          const token = this.token.value.trim();
          if (token) signIn(token, this.remember.checked);
          this.token.value = "";
        },
      },
      h("h1", null, "Sign in"),
      h("p", null, "This gateway shows its values to those who have a token. On its machine, ", h("code", null, "sensor-gateway token new NAME --role viewer"), " makes one."),
      this.reason,
      h("label", { htmlFor: "token" }, "Token"),
      this.token,
      h("label", { class: "check" }, this.remember, "Remember on this device"),
      h("button", { type: "submit", class: "button primary" }, "Sign in"),
    );
  }

  render() {
    const { state } = this.context.gateway;
    const plain = /asks for a token/.test(state.reason) ? "" : state.reason;
    setText(this.reason, plain ? `${plain[0].toUpperCase()}${plain.slice(1)}.` : "");
  }
}
