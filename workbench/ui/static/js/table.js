/**
 * A plain table. Its value: {caption, columns: [str], rows: [[cell]], note, dense}; a cell is text or
 * {text, href, tone: "good"|"bad"|"mute", mono, title}. A dense table has many narrow columns.
 */
import { el, safeLink } from "./dom.js";

export function mount(element, { props, watch }) {
  const box = el("div", { class: "wb-table" });
  element.replaceChildren(box);
  const render = () => box.replaceChildren(...(props.value?.rows ? table(props.value) : []));
  watch("value", render);
  render();
}

function table({ caption, columns, rows, note, dense }) {
  const head = el("tr", {}, ...columns.map((name) => el("th", { scope: "col", text: name })));
  const body = rows.map((row) => el("tr", {}, ...row.map((value, i) => cell(value, columns[i], i === 0))));
  const grid = el("table", { class: dense ? "wb-dense" : null }, caption ? el("caption", { text: caption }) : null, el("thead", {}, head), el("tbody", {}, ...body));
  return [el("div", { class: "wb-scroll", tabindex: 0, role: "region", "aria-label": caption ?? "Table" }, grid),
    note ? el("p", { class: "wb-line", text: note }) : null].filter(Boolean);
}

function cell(value, column, first) {
  const { text, href, tone, mono, title } = typeof value === "object" && value !== null ? value : { text: value };
  const link = safeLink(href);
  const content = link ? el("a", { href: link, text, target: "_blank", rel: "noopener" }) : String(text ?? "");
  const attributes = { "data-label": column, "data-tone": tone, title, class: mono ? "wb-mono" : null };
  return el(first ? "th" : "td", first ? { ...attributes, scope: "row" } : attributes, content);
}
