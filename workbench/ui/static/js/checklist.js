/**
 * Chooses metrics. Its value: {groups: [{name, metrics: [{name, title, kind, judge, says, needs, cost, why}]}], chosen: [name]};
 * `why` tells what keeps a metric from running here, and then it cannot be chosen but still be read.
 */
import { counted, el } from "./dom.js";

const KINDS = { vbench: "VBench", "weight-free": "needs no weights", "trained here": "trained here" };

export function mount(element, { props, watch }) {
  const count = el("span", { class: "wb-count", "aria-live": "polite" });
  const all = () => (props.value?.groups ?? []).flatMap((group) => group.metrics).filter((metric) => !metric.why);
  const pick = (text, wanted) => el("button", { type: "button", class: "wb-link", text,
    onclick: () => choose(all().filter(wanted).map((metric) => metric.name)) });
  const head = el("div", { class: "wb-picker-head" }, count,
    pick("All available", () => true), pick("Fast metrics", (metric) => metric.quick), pick("None", () => false));
  const list = el("div", { class: "wb-checklist" });
  element.replaceChildren(head, list);

  function choose(names) {
    props.value = { ...props.value, chosen: names };
    mark();
  }

  function mark() {
    const names = new Set(props.value?.chosen ?? []);
    for (const box of list.querySelectorAll("input")) box.checked = names.has(box.value);
    count.textContent = `${counted(names.size, "metric")} chosen`;
  }

  const toggle = (name, on) => {
    const others = (props.value.chosen ?? []).filter((other) => other !== name);
    choose(on ? [...others, name] : others);
  };

  function render() {
    list.replaceChildren(...(props.value?.groups ?? []).map((group) => section(group, toggle)));
    mark();
  }

  watch("value", () => (list.childElementCount ? mark() : render()));
  render();
}

function section({ name, metrics }, toggle) {
  const ready = metrics.filter((metric) => !metric.why);
  const rest = metrics.filter((metric) => metric.why);
  const more = rest.length ? el("details", {}, el("summary", { text: `${rest.length} not available here` }), ...rest.map((m) => item(m, toggle))) : null;
  return el("fieldset", {}, el("legend", { text: name }), ...ready.map((metric) => item(metric, toggle)), more);
}

function item({ name, title, kind, judge, says, needs, cost, why, direction }, toggle) {
  const box = el("input", { type: "checkbox", value: name, disabled: Boolean(why), onchange: () => toggle(name, box.checked) });
  const badge = el("i", { class: "wb-badge", "data-kind": kind, title: judge, text: KINDS[kind] ?? kind });
  const facts = [direction, needs ? `needs ${needs}` : "", cost].filter(Boolean).join(" · ");
  const text = el("span", {}, el("b", { text: title }), " ", badge, el("small", { text: says }), el("small", { class: "wb-hint", text: facts }),
    why ? el("small", { class: "wb-why", text: why }) : null);
  return el("label", { class: "wb-metric", "data-off": why ? "" : null }, box, text);
}
