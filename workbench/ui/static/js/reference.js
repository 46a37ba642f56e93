/**
 * What programs can ask for. Its value: {sections: [{title, text, entries}]}; an entry is {id, name, says, returns, code,
 * columns, rows}. `{address}` in a text stands for the address of this app. The entry that the address's hash names is open.
 */
import { el, here } from "./dom.js";
import { table } from "./table.js";

export function mount(element, { props, watch }) {
  const render = () => {
    element.replaceChildren(...(props.value?.sections ?? []).map(section));
    if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  };
  watch("value", render);
  render();
}

function section({ title, text, entries }) {
  return el("section", { class: "wb-reference" }, el("h2", { text: title }), el("p", {}, ...withCode(addressed(text))), ...entries.map(entry));
}

function entry({ id, name, says, returns, code, columns, rows }) {
  const grid = rows.length ? el("div", { class: "wb-table" }, ...table({ columns, rows, label: `Parameters of ${name}` })) : el("p", { text: "It takes nothing." });
  return el("details", { id, open: location.hash === `#${id}` },
    el("summary", {}, el("code", { text: name }), " ", ...withCode(says)),
    grid,
    returns ? el("p", {}, ...withCode(returns)) : null,
    code ? el("pre", { tabindex: 0, "aria-label": `Example of ${name}`, role: "region" }, el("code", { text: addressed(code) })) : null);
}

/** What stands between backticks, as code. */
const withCode = (text) => text.split("`").map((part, i) => (i % 2 ? el("code", { text: part }) : part));

const addressed = (text) => text.replaceAll("{address}", new URL(here("/"), location.href).href);
