/**
 * Elements, made and changed without markup: what a sensor says is only ever text.
 */

/**
 * An element. `on…` properties are listeners, `class` and whatever else is not a property of the element are attributes.
 * @param {string} tag
 * @param {Record<string, any> | null} [properties]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list" && name !== "form") /** @type {any} */ (element)[name] = value;
    else element.setAttribute(name === "class" ? "class" : name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null && child !== undefined && child !== false) element.append(child);
  return element;
}

/**
 * A topic, or an id made like one: it breaks behind its slashes, and its levels stay in their order, though one be
 * written from right to left.
 * @param {string} path
 * @returns {(string | Element)[]}
 */
export function levelsOf(path) {
  return path.split("/").flatMap((level, index, all) => {
    // Of plain letters and digits no level can be turned around.
    const text = /^[\x20-\x7e]*$/.test(level) ? level : h("bdi", null, level);
    return index < all.length - 1 ? [text, "/", h("wbr")] : [text];
  });
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * A drawing of one path.
 * @param {string} d
 * @param {string} box its viewBox
 */
export function svg(d, box = "0 0 24 24") {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", box);
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", d);
  drawing.append(path);
  return drawing;
}

/**
 * Sets an element's text where it changed: an equal text would cost a layout all the same.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  const node = element.firstChild;
  if (node === null) {
    if (text !== "") element.append(text);
  } else if (node.nodeValue !== text) {
    node.nodeValue = text;
  }
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {string | null} value null takes the attribute away
 */
export function setAttribute(element, name, value) {
  if (value === null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== value) {
    element.setAttribute(name, value);
  }
}

/**
 * Makes `parent`'s children be these, in this order, and moves only what is not in its place: focus stays where it is.
 * @param {Element} parent
 * @param {Element[]} wanted
 */
export function arrange(parent, wanted) {
  const keep = new Set(wanted);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  let place = parent.firstElementChild;
  for (const child of wanted) {
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
}
