/** The address of the page: what is on screen can be copied from the address bar and opened again. */

let pending = null;
let shown = null; // the address of the result on screen, null before there is one
let looked = false; // whether a result has said what is on screen
let written = window.location.search;
const opened = readQuery(); // before anything is written

window.addEventListener("popstate", () => {
  if (window.location.search !== written) window.location.reload(); // every page fills itself from its address
});

/** What the address said when the page was opened, however much it has been rewritten since. */
export function openedQuery() {
  return { ...opened };
}

/** The frame, from 0, that a query names: `frame_number` counts from 1 as people do, `frame` of older links from 0; null for none. */
export function frameOf({ frame_number: number, frame }) {
  if (number) return Math.max(0, (Number(number) || 1) - 1);
  return frame ? Number(frame) || 0 : null;
}

function readQuery() {
  return Object.fromEntries(new URLSearchParams(window.location.search));
}

/** The address says what the form says. Until a result has come, what the link says of looking at it (a frame, a shading) stays. */
export function writeForm(values) {
  const rest = looked ? [] : Object.entries(opened).filter(([name]) => !(name in values));
  write({ ...values, ...Object.fromEntries(rest) });
}

/** The address says what is on screen. */
export function writeQuery(values) {
  looked = true;
  write(values);
}

/** Replace the query of the address; empty values are left out. Waits a moment, since browsers limit how often. */
function write(values) {
  clearTimeout(pending);
  pending = setTimeout(() => {
    const kept = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
    const query = new URLSearchParams(kept.map(([name, value]) => [name, String(value)]));
    const theme = new URLSearchParams(window.location.search).get("__theme");
    if (theme) query.set("__theme", theme);
    const address = `${window.location.pathname}?${query}`;
    window.history.replaceState(window.history.state, "", address);
    written = window.location.search;
    if (!document.body.hasAttribute("data-stale")) shown = address;
  }, 150);
}

/** What comes now is a new result: Back leads to the one on screen, whatever the form has said since. */
export function openEntry() {
  clearTimeout(pending);
  if (shown === null) return;
  const { state } = window.history;
  const now = window.location.href;
  window.history.replaceState(state, "", shown);
  window.history.pushState(state, "", now);
}
