// Elements from data. Text stays text: nothing is ever parsed as HTML.

const SVG = new Set(["svg", "path", "line"]);

/** An element; attributes that are functions are handlers, those that are null, undefined or false are left out. */
export function make(tag, attributes = {}, ...children) {
  const node = SVG.has(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const find = (selector) => document.querySelector(selector);

/** Replaces what is in a node; the element with the focus is found again by its data-key. */
export function fill(node, ...children) {
  const key = node.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  node.replaceChildren(...children.flat(Infinity));
  if (key !== undefined) focusKey(key, node);
}

export function focusKey(key, within = document) {
  within.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

/** Says something to everybody, also to those who do not see the page. */
export function tell(text) {
  const message = find("#message");
  message.textContent = text;
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => (message.textContent = ""), 8000);
}
