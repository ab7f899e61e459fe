// Making elements. Text only ever enters by textContent; no markup is ever parsed.

/**
 * Makes an element. Properties are set as such, except `class`, `data-*`, `aria-*` and `role`,
 * which are attributes, and `on*`, which are listeners.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {{[name: string]: any}} [properties]
 * @param {...(Node|string|null)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (/^(class$|data-|aria-|role$|for$)/.test(name)) element.setAttribute(name, String(value));
    else /** @type {any} */ (element)[name] = value;
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * Icon, words and mark of a button. What looks the same stays: a press whose target goes is no click.
 * @param {HTMLButtonElement} button
 * @param {Icon} name
 * @param {string} label
 * @param {string} title
 * @param {HTMLElement|null} [mark]
 */
export function fill(button, name, label, title, mark = null) {
  button.setAttribute("aria-label", title);
  button.title = title;
  const draft = make("p", {}, icon(name), make("span", {}, label), mark);
  if (draft.innerHTML !== button.innerHTML) button.replaceChildren(...draft.childNodes);
}

/**
 * Makes these the children. One that would look the same stays untouched, in place of its like: a
 * press whose target goes is no click. So what its handlers need beside its looks, they look up.
 * @param {HTMLElement} parent
 * @param {HTMLElement[]} children
 */
export function redraw(parent, children) {
  /** @type {Map<string, Element[]>} */
  const old = new Map();
  for (const child of parent.children) old.set(child.outerHTML, [...(old.get(child.outerHTML) ?? []), child]);
  const kept = children.map((child) => old.get(child.outerHTML)?.shift() ?? child);
  for (const gone of [...old.values()].flat()) gone.remove();
  kept.forEach((child, at) => {
    if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null);
  });
}

/** The one icon set: 24 px, stroke 2, drawn in the colour of the text around it. */
const icons = {
  mic: ["M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3z", "M6 11a6 6 0 0 0 12 0", "M12 17v4", "M9 21h6"],
  micOff: [
    "M15 9.5V6a3 3 0 0 0-5.7-1.3", "M9 9v2a3 3 0 0 0 4.6 2.5", "M6 11a6 6 0 0 0 9.3 5", "M18 11a6 6 0 0 1-.5 2.4",
    "M12 17v4", "M9 21h6", "M4 3l16 18",
  ],
  camera: ["M5 6h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2z", "M15 11l6-4v10l-6-4"],
  cameraOff: ["M9 6h4a2 2 0 0 1 2 2v4", "M15 15.5V16a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2", "M15 11l6-4v10l-3.4-2.3", "M4 3l16 18"],
  share: ["M4 4h16a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1z", "M8 20h8", "M12 16v4", "M12 12.5V7.5", "M9.5 9.5L12 7l2.5 2.5"],
  chat: ["M4 5h16a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H11l-5 4v-4H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1z", "M8 10h8", "M8 13h5"],
  statistics: ["M4 20h16", "M7 16v-4", "M12 16V6", "M17 16v-7"],
  leave: ["M14 4H6a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1h8", "M10 12h11", "M17.5 8.5L21 12l-3.5 3.5"],
  close: ["M6 6l12 12", "M18 6L6 18"],
  send: ["M4 12l16-7-6 15-3-6-7-2z", "M11 14l9-9"],
  copy: ["M9 9h10a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H9a1 1 0 0 1-1-1V10a1 1 0 0 1 1-1z", "M5 15H4a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1h10a1 1 0 0 1 1 1v1"],
  people: ["M9 5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7z", "M3 20a6 6 0 0 1 12 0", "M16 5.5a3 3 0 0 1 0 6", "M18 15a5 5 0 0 1 3 5"],
  hand: ["M7 12V6.5a1.5 1.5 0 0 1 3 0V11", "M10 11V4.5a1.5 1.5 0 0 1 3 0V11", "M13 11V5.5a1.5 1.5 0 0 1 3 0V12", "M16 12V8.5a1.5 1.5 0 0 1 3 0V14a7 7 0 0 1-12.5 4.3L4 14.5a1.5 1.5 0 0 1 2.3-1.9L7 13.5"],
  settings: ["M4 7h9", "M17 7h3", "M15 5v4", "M4 17h3", "M11 17h9", "M9 15v4", "M4 12h12", "M20 12h0"],
  more: ["M5 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2z", "M12 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2z", "M19 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2z"],
  view: ["M4 5h16a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1z", "M15 5v14", "M15 10h6", "M15 14.5h6"],
  hideSelf: ["M9 5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7z", "M3 20a6 6 0 0 1 12 0", "M16 9l5 5", "M21 9l-5 5"],
  fullScreen: ["M4 9V5a1 1 0 0 1 1-1h4", "M15 4h4a1 1 0 0 1 1 1v4", "M20 15v4a1 1 0 0 1-1 1h-4", "M9 20H5a1 1 0 0 1-1-1v-4"],
  keys: ["M4 6h16a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1z", "M7 10h.01", "M11 10h.01", "M15 10h.01", "M8 14h8"],
  pin: ["M9 4h6", "M10 4v6l-3 4h10l-3-4V4", "M12 14v6"],
  back: ["M15 5l-7 7 7 7"],
  forward: ["M9 5l7 7-7 7"],
  flip: ["M4 12a8 8 0 0 1 13.7-5.6L20 9", "M20 4v5h-5", "M20 12a8 8 0 0 1-13.7 5.6L4 15", "M4 20v-5h5"],
  sound: ["M4 9h4l5-4v14l-5-4H4z", "M16.5 8.5a5 5 0 0 1 0 7", "M19 6a8.5 8.5 0 0 1 0 12"],
};

/** @typedef {keyof typeof icons} Icon */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {Icon} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  for (const d of icons[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

/**
 * Copies text and says so on the button for two seconds.
 * @param {HTMLElement} label
 * @param {string} text
 * @param {{copy: string, copied: string}} words
 */
export async function copyText(label, text, { copy, copied }) {
  await navigator.clipboard.writeText(text);
  label.textContent = copied;
  setTimeout(() => (label.textContent = copy), 2_000);
}
