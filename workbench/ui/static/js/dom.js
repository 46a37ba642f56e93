/** DOM helpers. Text only ever goes through textContent, so a prompt or a name can never become markup. */

/** An element with attributes, listeners (`onclick: fn`), `text`, and children (strings become text nodes). */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** "1 clip", "2 clips". */
export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

const ICONS = {
  play: "M7 4.5v15l12-7.5z",
  pause: "M6 4.5h4.2v15H6zM13.8 4.5H18v15h-4.2z",
  back: "M17 4.5v15L7.5 12zM5 4.5h2.2v15H5z",
  forward: "M7 4.5v15l9.5-7.5zM16.8 4.5H19v15h-2.2z",
  first: "M19 4.5v15L11 12zM12 4.5v15L4 12z",
  loop: "M7 7h9V4l5 4-5 4V9H8v4H6V8a1 1 0 0 1 1-1zM17 17H8v3l-5-4 5-4v3h8v-4h2v5a1 1 0 0 1-1 1z",
};

/** A 24 x 24 glyph in the current text colour; decoration only, the button carries the label. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Where the app lies on its server: "/", or "/prefix/" behind a proxy. */
const ROOT = new URL("../../", import.meta.url).pathname;

/** An address of this app, written from "/", as it is behind a proxy with a prefix; others stay. */
export function here(address) {
  return /^\/(?!\/)/.test(address ?? "") ? ROOT + address.slice(1) : address;
}

/** Only web addresses may become links: data from a table must not run as script. */
export function safeLink(href) {
  return /^(https?:\/\/|\/)/.test(href ?? "") ? here(href) : null;
}
