/**
 * All devices with their readings, by area or by quantity; and the same turned page by page on a wall.
 */

import { CardView } from "./cards.js";
import { arrange, h, setAttribute, setText } from "./dom.js";
import { label } from "./format.js";
import { groupsOf, quantitiesOf } from "./grouping.js";
import { TrendFill } from "./trendfill.js";
import { WallPages } from "./wall.js";

// More frames than this are for searching; each further click shows as many more.
const CARDS_AT_ONCE = 300;
const RELIST_MS = 1000;

export class Overview {
  #context;
  /** @type {Map<string, CardView>} */
  #cards = new Map();
  /** @type {Map<string, {section: any, title: any, count: any, grid: any}>} */
  #sections = new Map();
  #listed = "";
  #listedAt = -Infinity;
  #shown = CARDS_AT_ONCE;
  /** @type {import("./grouping.js").Group[]} */
  #groups = [];
  #sizes;
  #observer;
  #trends;
  /** @type {WeakMap<Element, CardView>} */
  #byElement = new WeakMap();
  /** @type {WallPages | null} */
  #wall = null;

  /** @param {import("./main.js").Context} context */
  constructor(context) {
    this.#context = context;
    const { route } = context;
    this.by = ["area", "quantity"].map((by) =>
      h("button", { type: "button", onclick: () => context.go({ by: by === "area" ? null : by }) }, by === "area" ? "By area" : "By quantity"),
    );
    this.quantity = h("select", { "aria-label": "Show only one quantity", onchange: () => context.go({ quantity: this.quantity.value }) });
    this.absent = h("input", { type: "checkbox", checked: route.state === "absent", onchange: () => context.go({ state: this.absent.checked ? "absent" : null }) });
    this.count = h("span", { class: "count" });
    this.sections = h("div", { class: "sections" });
    this.more = h("button", { class: "more", type: "button", hidden: true, onclick: () => this.#showMore() });
    this.empty = h("p", { class: "hint" });
    this.tools = h(
      "div",
      { class: "tools" },
      h("div", { class: "segments", role: "group", "aria-label": "Group" }, ...this.by),
      this.quantity,
      h("label", { class: "check" }, this.absent, "Only stale or offline"),
      this.count,
    );
    this.element = h("section", { class: "overview", "aria-label": "Overview" }, this.tools, this.sections, this.more, this.empty);
    this.#trends = new TrendFill(context);
    this.#observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: "200px" });
    this.#sizes = new ResizeObserver(() => this.#spread(this.#groups));
    this.#sizes.observe(this.element);
    if (route.wall) this.#wall = new WallPages(this.sections, route.every ?? "30s");
  }

  /** The view is left. */
  end() {
    this.#observer.disconnect();
    this.#sizes.disconnect();
    this.#trends.end();
    this.#wall?.end();
    this.#context.paging = "";
  }

  render() {
    const { store, route, now } = this.#context;
    const wish = JSON.stringify([route.by, route.q, route.quantity, route.state, this.#shown]);
    const listed = `${wish} ${store.shape} ${route.state ? Math.floor(now()) : ""}`;
    // While topics pour in, e.g. just after the start, the list is made anew once a second only.
    const settled = this.#listed.startsWith(wish) && performance.now() - this.#listedAt < RELIST_MS && this.#cards.size > 0;
    if (listed !== this.#listed && !settled) {
      this.#listed = listed;
      this.#listedAt = performance.now();
      this.#list();
    }
    const time = now();
    for (const card of this.#cards.values()) if (card.visible) card.render(time);
    this.#wall?.render();
    this.#context.paging = this.#wall?.paging ?? "";
  }

  #showMore() {
    this.#shown += CARDS_AT_ONCE;
    this.render();
  }

  #list() {
    const { store, route } = this.#context;
    const groups = groupsOf(store, route);
    const single = route.by === "quantity";
    this.element.classList.toggle("single", single);
    const all = groups.reduce((sum, { cards }) => sum + cards.length, 0);
    let left = this.#shown;
    /** @type {Map<string, CardView>} */
    const cards = new Map();
    const sections = [];
    for (const group of groups) {
      if (left <= 0) break;
      const section = this.#section(group.title);
      const shown = group.cards.slice(0, left);
      left -= shown.length;
      setText(section.count, String(group.cards.length));
      arrange(
        section.grid,
        shown.map((card) => {
          const view = this.#card(card, single);
          cards.set(`${single} ${card.key}`, view);
          return view.element;
        }),
      );
      sections.push(section.section);
    }
    for (const [key, card] of this.#cards) if (cards.get(key) !== card) this.#observer.unobserve(card.element);
    for (const [key, card] of cards) if (this.#cards.get(key) !== card) this.#observer.observe(card.element);
    this.#cards = cards;
    const titles = new Set(groups.map(({ title }) => title));
    for (const title of this.#sections.keys()) if (!titles.has(title)) this.#sections.delete(title);
    arrange(this.sections, sections);
    this.#spread(groups);
    const readings = groups.reduce((sum, { cards: found }) => sum + found.reduce((count, { series }) => count + series.length, 0), 0);
    this.#tools(all, readings, single);
  }

  /**
   * An area is as many columns wide as it has frames, and no wider than the page.
   * @param {import("./grouping.js").Group[]} groups
   */
  #spread(groups) {
    const columns = getComputedStyle(this.sections).gridTemplateColumns.split(" ").length;
    for (const { title, cards } of groups) this.#sections.get(title)?.section.style.setProperty("--span", String(Math.min(cards.length, columns)));
    this.#groups = groups;
  }

  /**
   * @param {number} all frames
   * @param {number} readings in them
   * @param {boolean} single
   */
  #tools(all, readings, single) {
    const { store, route } = this.#context;
    this.by.forEach((button, index) => setAttribute(button, "aria-pressed", String((index === 1) === single)));
    const quantities = quantitiesOf(store);
    const options = ["", ...quantities];
    if (this.quantity.options.length !== options.length || this.quantity.value !== (route.quantity ?? "")) {
      this.quantity.replaceChildren(...options.map((value) => h("option", { value }, value === "" ? "All quantities" : label(value))));
      this.quantity.value = route.quantity ?? "";
    }
    this.absent.checked = route.state === "absent";
    setText(this.count, `${single ? "" : `${all} ${all === 1 ? "device" : "devices"} · `}${readings} ${readings === 1 ? "reading" : "readings"}`);
    this.more.hidden = all <= this.#shown;
    setText(this.more, `Show more of ${all}`);
    const filtered = route.q || route.quantity || route.state;
    const none = filtered
      ? "Nothing here fits the search and the filters."
      : store.topics.size > 0
        ? "Messages arrive, but none of them holds a value that could be shown here. See Topics."
        : "No message has arrived yet. Devices appear here with their first one.";
    setText(this.empty, all === 0 ? none : "");
  }

  /** @param {string} title */
  #section(title) {
    let section = this.#sections.get(title);
    if (section === undefined) {
      const count = h("span", { class: "count" });
      const grid = h("div", { class: "grid" });
      const heading = h("h2", null, title, count);
      section = { section: h("section", { "aria-label": title }, heading, grid), title: heading, count, grid };
      this.#sections.set(title, section);
    }
    return section;
  }

  /**
   * @param {import("./grouping.js").Card} card
   * @param {boolean} single
   */
  #card(card, single) {
    const known = this.#cards.get(`${single} ${card.key}`);
    if (known && known.keys === card.series.map(({ key }) => key).join("\n")) return known;
    const view = new CardView(card, this.#context, single);
    view.visible = known?.visible ?? false;
    this.#byElement.set(view.element, view);
    return view;
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #seen(entries) {
    const now = this.#context.now();
    for (const { target, isIntersecting } of entries) {
      const card = this.#byElement.get(target);
      if (!card) continue;
      card.visible = isIntersecting;
      if (!isIntersecting) continue;
      card.render(now);
      for (const series of card.series) this.#trends.want(series);
    }
  }
}
