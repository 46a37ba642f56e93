/** Marking a moment: which side, and what is wrong there. All by keyboard: A or B, then the number of the kind. */
import { el } from "../dom.js";

export class FlagDialog {
  constructor(kinds, onSave) {
    Object.assign(this, { kinds, onSave, side: "a" });
    this.moment = el("span");
    this.sides = ["a", "b"].map((side) => el("button", { type: "button", class: "wb-link", text: side.toUpperCase(), "aria-keyshortcuts": side, onclick: () => this.choose(side) }));
    const buttons = kinds.map((kind, i) => el("button", { type: "button", class: "wb-link", "aria-keyshortcuts": i + 1, onclick: () => this.save(kind) },
      el("kbd", { text: i + 1, "aria-hidden": "true" }), ` ${kind}`));
    this.comment = el("input", { type: "text", maxlength: 500, id: "flag-comment", class: "wb-filter" });
    this.node = el("dialog", { class: "vote-flag", "aria-labelledby": "flag-title" },
      el("h2", { id: "flag-title" }, "What is wrong at ", this.moment, "?"),
      el("div", { role: "group", "aria-label": "Side", class: "vote-row" }, ...this.sides),
      el("label", { for: "flag-comment", text: "In your words, if you like" }), this.comment,
      el("div", { role: "group", "aria-label": "What is wrong", class: "vote-row" }, ...buttons),
      el("button", { type: "button", class: "wb-link", text: "Cancel (Esc)", onclick: () => this.node.close() }));
    this.node.addEventListener("keydown", (event) => this.onKey(event));
  }

  open(seconds) {
    this.seconds = seconds;
    this.moment.textContent = `${seconds.toFixed(2)} s`;
    this.comment.value = "";
    this.choose(this.side);
    this.node.showModal();
    this.sides[0].focus();
  }

  choose(side) {
    this.side = side;
    this.sides.forEach((button, i) => button.setAttribute("aria-pressed", "ab"[i] === side));
  }

  save(kind) {
    document.activeElement?.blur(); // else a button of the closed dialog keeps the focus until the next paint
    this.node.close();
    this.onSave({ side: this.side, time_seconds: Number(this.seconds.toFixed(3)), kind, comment: this.comment.value });
  }

  onKey(event) {
    if (!this.node.open) return; // a key of the page behind, pressed before the browser moved the focus
    event.stopPropagation();
    if (event.target === this.comment || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === "a" || key === "b") this.choose(key);
    else if (this.kinds[Number(key) - 1]) this.save(this.kinds[Number(key) - 1]);
    else return;
    event.preventDefault();
  }
}
