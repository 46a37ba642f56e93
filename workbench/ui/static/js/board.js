/**
 * A table whose lines and cells lead somewhere and whose columns sort. Its value: {caption, columns, rows: [[cell]],
 * keys: [key], note, dense}; a cell is text or {text, key, href, tone, title, value}. A click on a cell with a key, or on
 * the first cell of a line with one, tells the page by a `select` event; `value` is what a column is sorted by.
 */
import { el, safeLink } from "./dom.js";

export function mount(element, { props, watch, trigger }) {
  const box = el("div", { class: "wb-table wb-leaderboard" });
  element.replaceChildren(box);
  let order = null;

  function render() {
    const { value } = props;
    box.replaceChildren(...(value?.rows?.length ? grid(value, sorted(value, order), order, { sort, pick }) : []));
  }

  function sort(column) {
    order = order?.column === column ? { column, rising: !order.rising } : { column, rising: false };
    render();
  }

  const pick = (key) => trigger("select", { key });
  watch("value", () => {
    if (!props.value?.columns || props.value.columns.length <= (order?.column ?? 0)) order = null;
    render();
  });
  render();
}

function sorted({ rows, keys }, order) {
  const lines = rows.map((row, i) => ({ row, key: keys?.[i] }));
  if (!order) return lines;
  const by = ({ row }) => {
    const cell = row[order.column];
    return cell && typeof cell === "object" ? cell.value ?? cell.text : cell;
  };
  const sign = order.rising ? 1 : -1;
  return lines.sort((a, b) => {
    const [x, y] = [by(a), by(b)];
    if (typeof x === "number" && typeof y === "number") return sign * (x - y);
    if (typeof x === "number" || typeof y === "number") return typeof x === "number" ? -1 : 1; // lines without a number last
    return sign * String(x ?? "").localeCompare(String(y ?? ""));
  });
}

function grid({ caption, columns, note, dense }, lines, order, { sort, pick }) {
  const head = el("tr", {}, ...columns.map((name, i) => heading(name, order?.column === i ? order : null, () => sort(i))));
  const body = lines.map(({ row, key }) => el("tr", {}, ...row.map((value, i) => cell(value, columns[i], i === 0, i === 0 ? key : null, pick))));
  const table = el("table", { class: dense ? "wb-dense" : null }, caption ? el("caption", { text: caption }) : null, el("thead", {}, head), el("tbody", {}, ...body));
  return [el("div", { class: "wb-scroll", tabindex: 0, role: "region", "aria-label": caption ?? "Table" }, table),
    note ? el("p", { class: "wb-line", text: note }) : null].filter(Boolean);
}

function heading(name, order, onclick) {
  const mark = order ? (order.rising ? " ▴" : " ▾") : "";
  const state = order ? (order.rising ? "ascending" : "descending") : null;
  return el("th", { scope: "col", "aria-sort": state }, el("button", { type: "button", class: "wb-sort", onclick, text: name + mark }));
}

function cell(value, column, first, lineKey, pick) {
  const { text, href, tone, title, key } = typeof value === "object" && value !== null ? value : { text: value };
  const target = key ?? lineKey;
  const link = safeLink(href);
  const content = target ? el("button", { type: "button", class: "wb-open", title, onclick: () => pick(target), text: text ?? "" })
    : link ? el("a", { href: link, text }) : String(text ?? "");
  const attributes = { "data-label": column, "data-tone": tone, title: target ? null : title };
  return el(first ? "th" : "td", first ? { ...attributes, scope: "row" } : attributes, content);
}
