/**
 * A plain table. Its value: {caption, columns: [str], rows: [[cell]], note, dense, brief: [column]}; a cell is text or
 * {text, href, tone: "good"|"bad"|"mute", mono, title}. A dense table has many narrow columns. On a phone a row shows its
 * `brief` columns, and the others on request. Instead of rows there can be `source`, the address of such a value, which is
 * read once the table comes into view.
 */
import { el, here, safeLink } from "./dom.js";

const LONG = 24; // letters, from which on a cell needs room for lines

export function mount(element, { props, watch }) {
  const box = el("div", { class: "wb-table" });
  element.replaceChildren(box);
  const render = () => show(box, props.value);
  watch("value", render);
  render();
}

function show(box, value) {
  box.watcher?.disconnect();
  if (value?.rows) return box.replaceChildren(...table(value));
  box.replaceChildren(el("p", { class: "wb-line", text: value?.source ? "Working it out …" : value?.note }));
  if (!value?.source) return null;
  box.watcher = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    box.watcher.disconnect();
    read(value.source).then((found) => show(box, found), (error) => show(box, { note: error.message }));
  });
  return box.watcher.observe(box);
}

async function read(source) {
  const answer = await fetch(here(source));
  if (!answer.ok) throw new Error("These numbers are no longer on the server; make the clips again.");
  return answer.json();
}

/** The parts of a table; `label` names it where it has no caption. */
export function table({ caption, columns, rows, note, dense, label, brief }) {
  const head = el("tr", {}, ...columns.map((name) => el("th", { scope: "col", text: name })));
  const body = rows.map((row) => {
    const cells = row.map((value, i) => cell(value, columns[i], i === 0));
    if (!brief) return el("tr", {}, ...cells);
    cells.forEach((each, i) => each.toggleAttribute("data-rest", !brief.includes(columns[i])));
    return el("tr", {}, ...cells, el("td", { class: "wb-more" }, more()));
  });
  const grid = el("table", { class: dense ? "wb-dense" : null }, caption ? el("caption", { text: caption }) : null, el("thead", {}, head), el("tbody", {}, ...body));
  return [el("div", { class: "wb-scroll", tabindex: 0, role: "region", "aria-label": caption ?? label ?? "Table" }, grid),
    note ? el("p", { class: "wb-line", text: note }) : null].filter(Boolean);
}

/** The button by which a phone shows all of a row's cells. */
function more() {
  const button = el("button", { class: "wb-link", type: "button", "aria-expanded": "false", text: "More" });
  button.addEventListener("click", () => {
    const open = button.parentElement.parentElement.toggleAttribute("data-open");
    button.setAttribute("aria-expanded", String(open));
    button.textContent = open ? "Less" : "More";
  });
  return button;
}

function cell(value, column, first) {
  const { text, href, tone, mono, title } = typeof value === "object" && value !== null ? value : { text: value };
  const link = safeLink(href);
  const content = link ? el("a", { href: link, text, target: "_blank", rel: "noopener" }) : String(text ?? "");
  const kinds = [mono && "wb-mono", String(text ?? "").length > LONG && "wb-long"].filter(Boolean).join(" ");
  const attributes = { "data-label": column, "data-tone": tone, title, class: kinds || null };
  return el(first ? "th" : "td", first ? { ...attributes, scope: "row" } : attributes, content);
}
