/**
 * What the page is doing, in words: progress, notices, errors, downloads.
 *
 * Its value: {state: "idle"|"running"|"done"|"error", text, progress, notices: [str], facts: [[name, value]],
 * downloads: [{label, url, name}], links: [{label, url}]}.
 */
import { el, safeLink } from "./dom.js";
import { arrived } from "./form.js";

export function mount(element, { props, watch }) {
  const box = el("div", { class: "wb-status", "aria-live": "polite" });
  element.replaceChildren(box);
  let ticking = null;

  function render() {
    const value = props.value ?? {};
    clearInterval(ticking);
    box.dataset.state = value.state ?? "idle";
    if (value.state === "error") box.setAttribute("role", "alert");
    else box.removeAttribute("role");
    box.replaceChildren(...parts(value).filter(Boolean));
    if (value.state === "running") startTicking(box.querySelector(".wb-elapsed"));
  }

  /** A clock of the browser's own shows that the page is alive while the server thinks. */
  function startTicking(node) {
    box.started ??= performance.now();
    const show = () => (node.textContent = `${((performance.now() - box.started) / 1000).toFixed(1)} s`);
    show();
    ticking = setInterval(() => (box.isConnected ? show() : clearInterval(ticking)), 100);
  }

  watch("value", () => {
    if (props.value?.state !== "running" || props.value?.fresh) box.started = undefined;
    if (props.value?.state === "done" && element.closest("#status")) arrived();
    render();
    if (props.value?.state === "error") box.scrollIntoView({ block: "nearest" }); // whoever pressed a button far below sees it
  });
  render();
}

function parts(value) {
  const running = value.state === "running";
  return [
    value.text ? el("p", { class: "wb-line" }, el("span", { text: value.text }), running ? el("span", { class: "wb-elapsed" }) : null) : null,
    running ? progressBar(value.progress ?? 0) : null,
    ...(value.notices ?? []).map((notice) => el("p", { class: "wb-notice", text: notice.charAt(0).toUpperCase() + notice.slice(1) })),
    value.facts?.length ? el("dl", { class: "wb-facts" },
      ...value.facts.map(([name, fact]) => el("div", {}, el("dt", { text: name }), el("dd", { text: fact })))) : null,
    linkRow(value),
  ];
}

function progressBar(progress) {
  const percent = Math.round(100 * progress);
  return el("div", { class: "wb-progress", role: "progressbar", "aria-label": "Progress", "aria-valuemin": 0, "aria-valuemax": 100,
    "aria-valuenow": percent }, el("i", { style: `width:${percent}%` }));
}

function linkRow(value) {
  const downloads = (value.downloads ?? []).map((file) => el("a", { class: "wb-link", href: safeLink(file.url), download: file.name, text: file.label }));
  const links = (value.links ?? []).map((link) => el("a", { class: "wb-link", href: safeLink(link.url), text: link.label }));
  return downloads.length + links.length ? el("p", { class: "wb-links" }, ...downloads, ...links) : null;
}
