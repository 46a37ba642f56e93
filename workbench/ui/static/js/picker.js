/**
 * Chooses clips of the store: a list with pictures, newest first, and a box that filters it.
 * Its value: {chosen: [id]}; the list itself comes from /api/v1/clips in pages.
 */
import { counted, el, here } from "./dom.js";

const PAGE = 24;
const MOST_AHEAD = 200; // an address holds no more
const TYPING_MS = 250;

export function mount(element, { props, watch }) {
  const filter = el("input", { type: "search", class: "wb-filter", placeholder: "Prompt, model or seed", "aria-label": "Filter clips by prompt, model or seed" });
  const count = el("span", { class: "wb-count", "aria-live": "polite" });
  const clear = el("button", { type: "button", class: "wb-link", text: "Clear", onclick: () => choose([]) });
  const list = el("div", { class: "wb-clips", role: "group", "aria-label": "Clips of the store" });
  const more = el("button", { type: "button", class: "wb-link", text: "More", onclick: () => load(shown) });
  const message = el("p", { class: "wb-hint" });
  element.replaceChildren(el("div", { class: "wb-picker-head" }, filter, count, clear), list, message, more);
  let shown = 0;
  let asked = 0;
  let typing = null;
  let before = "";
  let own = false; // whether the value was changed here

  const chosen = () => props.value?.chosen ?? [];

  function choose(ids) {
    own = true;
    props.value = { chosen: ids };
    mark();
  }

  function toggle(id, on) {
    choose(on ? [...chosen().filter((other) => other !== id), id] : chosen().filter((other) => other !== id));
  }

  function mark() {
    const ids = new Set(chosen());
    for (const box of list.querySelectorAll("input")) box.checked = ids.has(box.value);
    count.textContent = `${counted(ids.size, "clip")} chosen`;
    clear.hidden = ids.size === 0;
  }

  async function load(offset) {
    asked += 1;
    const request = asked;
    if (!offset) before = chosen().slice(0, MOST_AHEAD).join(","); // what is chosen comes first, and stays there while more is loaded
    const query = new URLSearchParams({ text: filter.value, offset, limit: PAGE, before });
    try {
      const response = await fetch(here(`/api/v1/clips?${query}`));
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      const { total, clips } = await response.json();
      if (request !== asked) return; // a newer filter is on its way
      if (!offset) list.replaceChildren();
      list.append(...clips.map((clip) => row(clip, toggle)));
      shown = offset + clips.length;
      more.hidden = shown >= total;
      more.textContent = `More (${total - shown})`;
      message.textContent = total ? "" : filter.value ? "No clip matches." : "No clips yet: make some on the Generate page, or upload one.";
    } catch (error) {
      message.textContent = `The list of clips did not load: ${error.message}.`;
    }
    mark();
  }

  filter.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => load(0), TYPING_MS);
  });
  watch("value", () => {
    const listed = new Set([...list.querySelectorAll("input")].map((box) => box.value));
    if (!own && !filter.value && chosen().some((id) => !listed.has(id))) load(0);
    else mark();
    own = false;
  });
  load(0);
}

function row({ id, label, prompt, facts }, toggle) {
  const box = el("input", { type: "checkbox", value: id, onchange: () => toggle(id, box.checked) });
  const picture = el("img", { src: here(`/api/v1/clips/${id}/picture`), alt: "", loading: "lazy", width: 56, height: 56 });
  const text = el("span", {}, el("b", { text: prompt }), el("small", { text: `${label} · ${facts}` }));
  return el("label", { class: "wb-clip" }, box, picture, text);
}
