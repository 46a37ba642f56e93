/** What annotators see, in parts: the Vote page works with them, and the preview of a study shows them at rest. */
import { el } from "../dom.js";

export const KEYS = { a: ["1", "arrowleft"], b: ["2", "arrowright"], tie: ["3", "arrowdown"], bad: ["4", "arrowup"] };
const SIGNS = { a: "1 or ←", b: "2 or →", tie: "3 or ↓", bad: "4 or ↑" };

/** A question with its answers, which cannot be given yet: {id, node, buttons}. `answers` are their labels by name. */
export function questionBlock({ id, text }, answers, onanswer) {
  const buttons = Object.entries(answers).map(([answer, label]) =>
    el("button", { type: "button", class: "vote-answer", disabled: true, "data-answer": answer, "aria-pressed": "false", "aria-keyshortcuts": KEYS[answer][0], onclick: () => onanswer(id, answer) },
      el("span", { text: label }), el("kbd", { text: SIGNS[answer], "aria-hidden": "true" })));
  return { id, buttons, node: el("fieldset", { class: "vote-question" }, el("legend", { text }), el("div", { class: "vote-answers" }, ...buttons)) };
}

/** The text above the clips. */
export function promptLine(prompt) {
  return el("p", { class: "vote-prompt" }, el("span", { text: "Made for the text: " }), el("q", { text: prompt }));
}

/** What is read before the first pair; its title is a `heading`, h1 where it heads the page. */
export function introParts({ title, instructions, consent }, heading = "h1") {
  return [el(heading, { text: title }), el("p", { text: instructions }), keyHelp(), el("p", { class: "vote-small", text: consent })];
}

function keyHelp() {
  const rows = [["1 – 4 or arrows", "A, B, no difference, both bad"], ["Space", "play from the start"], ["U", "undo the last vote"], ["F", "flag a moment"]];
  return el("ul", { class: "vote-keys" }, ...rows.map(([key, does]) => el("li", {}, el("kbd", { text: key }), ` ${does}`)));
}
