/** A page's form and its address: the address always says what the form says, and a result that was made from other
 * settings is marked. Enter makes, Shift and Enter break the line. */
import { openEntry, writeForm } from "./link.js";

let said = {}; // what the form says
let made = null; // what was last asked for
let shown = null; // what the result on screen was asked for by, null before there is one
let inAddress = false; // whether the page's address says what its form says
let early = false; // whether a result was on screen before the page said what was asked for

/** The form says `values` now. */
export function changed(values) {
  inAddress = true;
  mark(values);
  writeForm(values);
}

/** The form says `values` now, on a page whose address says what is on screen alone. */
export function mark(values) {
  said = values;
  document.body.toggleAttribute("data-stale", shown !== null && JSON.stringify(values) !== shown);
}

/** What is being made now was asked for by `values`. Until it is there, what is on screen stays, marked as older. */
export function making(values) {
  const before = made;
  ask(values);
  if (before !== null && before !== made) openEntry();
  writeForm(values);
}

/** The same on a page whose address says what is on screen alone. */
export function ask(values) {
  made = JSON.stringify(values);
  if (early) shown = made;
  else document.body.toggleAttribute("data-older", shown !== null);
  early = false;
  mark(values);
}

/** What was asked for last is on screen now, whole or its first part. */
export function arrived() {
  early = made === null;
  document.body.removeAttribute("data-older");
  if (early || made === shown) return;
  shown = made;
  if (inAddress) changed(said);
  else mark(said);
}

/** The key goes to the button `run`; Gradio's own keys for a field of several lines are the other way round. */
export function submitOnEnter(field, run) {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches?.(field) || event.isComposing) return;
    event.stopPropagation();
    event.preventDefault();
    if (event.shiftKey) return document.execCommand("insertText", false, "\n"); // with undo, unlike setting the value
    document.querySelector(run)?.click();
  }, true);
}

/** In a field with a list, Enter takes what was typed, not the entry of the list that begins like it. */
export function typedOnEnter(field) {
  let typed = false;
  document.addEventListener("input", ({ target }) => { typed ||= Boolean(target.matches?.(field)); }, true);
  document.addEventListener("keydown", (event) => {
    if (!event.target.matches?.(field)) return;
    if (event.key.startsWith("Arrow")) typed = false; // then Enter takes the entry that was gone to
    if (event.key !== "Enter" || !typed) return;
    event.stopPropagation();
    event.preventDefault();
    typed = false;
    event.target.blur(); // which is when the field takes it
  }, true);
}

// what is being made would be broken off: the browser asks first
window.addEventListener("beforeunload", (event) => {
  if (made !== null && document.querySelector("#status [data-state=running]")) event.preventDefault();
});
