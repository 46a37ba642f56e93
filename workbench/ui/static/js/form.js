/** A page's form and its address: the address always says what the form says, and a result that was made from other
 * settings is marked. Enter makes, Shift and Enter break the line. */
import { openEntry, writeQuery } from "./link.js";

let made = null;

/** The form says `values` now. */
export function changed(values) {
  const stale = made !== null && JSON.stringify(values) !== made;
  document.body.toggleAttribute("data-stale", stale);
  writeQuery(values);
}

/** What is being made now was asked for by `values`. */
export function making(values) {
  const before = made;
  made = JSON.stringify(values);
  if (before !== null && before !== made) openEntry();
  changed(values);
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
