/**
 * A grid of clips, all in step. Its value: {id, fps, total, axes: [{title, labels}], cells: [cell], metrics: [{name, title,
 * better}], link}; a cell is {place: [x, y, z], label, url, frames, scores: {name: {text, value}}, note}. A value with the
 * id of the last one adds cells. A click on a cell opens it beside the reference (marked; Shift and a click choose another).
 * The address holds `link` and what is looked at: frame, shading, reference, the cell beside it.
 */
import { Clock } from "./clock.js";
import { el, icon } from "../dom.js";
import { arrived } from "../form.js";
import { framesFromSheet } from "./frames.js";
import { frameOf, openedQuery, writeQuery } from "../link.js";
import { Player } from "./player.js";

export function mount(element, { props, watch }) {
  const cells = new Cells(element, props.options ?? {});
  watch("value", () => cells.show(props.value));
  cells.show(props.value);
}

class Cells {
  constructor(root, { empty = "" }) {
    Object.assign(this, { root, value: null, reference: 0, views: [], metric: "", beside: null, linked: openedQuery(), queue: Promise.resolve() });
    root.classList.add("wb-cells");
    root.dataset.state = "empty";
    this.clock = new Clock(() => this.draw(), () => { this.update(); this.writeLink(); });
    this.play = el("button", { type: "button", class: "wb-button", "aria-label": "Play", onclick: () => this.toggle() }, icon("play"));
    this.scrub = el("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Frame", class: "wb-scrub" });
    this.scrub.addEventListener("input", () => {
      const frame = Number(this.scrub.value); // pausing writes the frame on screen back into the field
      this.clock.pause();
      this.clock.seek(frame);
    });
    this.readout = el("output", { class: "wb-readout" });
    this.shade = el("select", { "aria-label": "Shade cells by", onchange: () => { this.metric = this.shade.value; this.paint(); this.writeLink(); } });
    this.bar = el("div", { class: "wb-transport", hidden: true }, this.play,
      el("div", { class: "wb-timeline" }, el("div", { class: "wb-ticks", "aria-hidden": "true" }), this.scrub), this.readout,
      el("label", { class: "wb-pair" }, "Shade by", this.shade));
    this.legend = el("div", { class: "wb-shade-legend", hidden: true });
    this.table = el("div", { class: "wb-cells-tables" });
    this.pair = el("div", { class: "wb-cells-pair", hidden: true });
    this.message = el("div", { class: "wb-message", text: empty });
    root.replaceChildren(this.message, this.bar, this.legend, this.table, this.pair);
    root.workbench = this;
  }

  show(value) {
    if (!value?.cells) return this.queue;
    this.wanted = value.id;
    this.queue = this.queue.then(() => this.apply(value)).catch((error) => { this.message.textContent = error.message; });
    return this.queue;
  }

  async apply(value) {
    if (value.id !== this.wanted) return;
    if (value.id !== this.value?.id) {
      this.reset(value);
      arrived();
    }
    this.value = value;
    for (const [i, cell] of value.cells.entries()) {
      const view = this.views[i];
      Object.assign(view.cell, cell);
      view.note.textContent = cell.note ?? "";
      if (!cell.url || view.frames) continue;
      view.frames = await framesFromSheet({ url: cell.url, frames: cell.frames });
      this.clock.total = this.clock.available = Math.max(this.clock.available, cell.frames);
      this.scrub.max = this.clock.total - 1;
      this.drawOne(view);
    }
    const ready = value.cells.every((cell) => cell.url || cell.failed);
    this.root.dataset.state = ready ? "ready" : "loading";
    this.paint();
    if (ready && !this.started) {
      this.started = true;
      if (!this.reopen() && !window.matchMedia("(prefers-reduced-motion: reduce)").matches) this.clock.play();
    }
    this.update();
  }

  reset(value) {
    this.clock.pause();
    Object.assign(this.clock, { fps: value.fps, total: 0, available: 0, position: 0, range: null });
    for (const view of this.views) for (const bitmap of view.frames ?? []) bitmap.close();
    Object.assign(this, { reference: 0, beside: null, started: false });
    this.player?.clock.pause();
    if (this.linked.shade) this.metric = this.linked.shade;
    this.message.textContent = "";
    this.pair.hidden = true;
    this.bar.hidden = false;
    this.views = value.cells.map((cell, i) => this.makeView(cell, i));
    const metrics = value.metrics ?? [];
    if (!metrics.some(({ name }) => name === this.metric)) this.metric = "";
    this.shade.replaceChildren(el("option", { value: "", text: "no shading" }),
      ...metrics.map(({ name, title }) => el("option", { value: name, text: title, selected: name === this.metric })));
    const [x, y, z] = value.axes;
    const layers = z ? z.labels : [null];
    this.table.replaceChildren(...layers.map((label, k) => this.layer(x, y, label, k, Boolean(z))));
  }

  layer(x, y, label, k, deep) {
    const at = (i, j) => this.views.find(({ cell: { place } }) => place[0] === i && place[1] === j && (!deep || place[2] === k));
    const head = el("tr", {}, el("td"), ...x.labels.map((text) => el("th", { scope: "col", text })));
    const rows = y.labels.map((text, j) => el("tr", {}, el("th", { scope: "row", text }), ...x.labels.map((_, i) => el("td", {}, at(i, j)?.node))));
    return el("div", { class: "wb-scroll", tabindex: 0, role: "region", "aria-label": label ?? "Grid" },
      el("table", { style: `--columns:${x.labels.length}` }, label ? el("caption", { text: label }) : null, el("thead", {}, head), el("tbody", {}, ...rows)));
  }

  makeView(cell, index) {
    const canvas = el("canvas", { width: 64, height: 64, role: "img", "aria-label": cell.label, class: "wb-pixelated" });
    const note = el("span", { class: "wb-note", text: cell.note ?? "" });
    const onclick = (event) => (event.shiftKey ? this.choose(index) : this.open(index));
    const node = el("button", { type: "button", class: "wb-cell", title: cell.label, "data-cell": index, onclick }, canvas, note);
    return { cell: { ...cell }, node, canvas, note, frames: null };
  }

  /** The address the page was opened with counts once; says whether it names a frame to stand at. */
  reopen() {
    const { ref, cell } = this.linked, frame = frameOf(this.linked);
    this.linked = {};
    const known = (index) => index !== undefined && this.views[index];
    if (known(ref)) this.choose(Number(ref));
    if (known(cell)) this.open(Number(cell));
    if (frame !== null) this.clock.seek(frame);
    return frame !== null;
  }

  /** The address says how the cells are looked at, and the frame when the picture stands still. */
  writeLink() {
    const { link, id } = this.value ?? {};
    if (!link || !this.started || document.body.hasAttribute("data-stale")) return;
    const look = [id, this.metric, this.reference, this.beside].join();
    if (this.clock.playing && this.written === look) return;
    this.written = look;
    writeQuery({ ...link, frame_number: this.clock.playing ? null : this.clock.frame + 1, shade: this.metric, ref: this.reference || "", cell: this.beside ?? "" });
  }

  /** Another reference for the pair view. */
  choose(index) {
    this.reference = index;
    this.paint();
    this.writeLink();
  }

  close() {
    this.player?.clock.pause();
    this.pair.hidden = true;
    this.beside = null;
    this.writeLink();
  }

  open(index) {
    const chosen = [...new Set([this.reference, index])].map((i) => this.views[i].cell).filter((cell) => cell.url);
    if (!chosen.length) return;
    this.beside = index;
    this.clock.pause();
    this.writeLink();
    const root = el("div");
    const tools = el("p", { class: "wb-line" }, `${chosen[0].label} is the reference; Shift-click a cell to choose another. `,
      el("button", { type: "button", class: "wb-mode", text: "Close", onclick: () => this.close() }));
    this.pair.replaceChildren(tools, root);
    this.pair.hidden = false;
    this.player = new Player(root, { bus: "grid", compare: true, keyboard: false });
    const clips = chosen.map(({ label, url, frames, facts, downloads, links }) => ({ label, done: true, sheets: [{ url, frames }], facts, downloads, links }));
    this.player.show({ id: `${this.value.id}-${index}`, fps: this.value.fps, total: Math.max(...chosen.map((c) => c.frames)), ticks: this.value.ticks, clips, autoplay: true });
    this.pair.scrollIntoView({ block: "nearest" });
  }

  /** Shade the cells from worst to best of the chosen metric; the value is written too, so colour is never alone. */
  paint() {
    const { name, better } = (this.value?.metrics ?? []).find((metric) => metric.name === this.metric) ?? {};
    const values = this.views.map(({ cell }) => cell.scores?.[name]?.value).filter((v) => v !== null && v !== undefined);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    this.explain(better, values.length ? [low, high].map((end) => this.textOf(name, end)) : []);
    this.views.forEach((view, i) => {
      const score = view.cell.scores?.[name];
      const known = score && score.value !== null && score.value !== undefined;
      const share = known ? (high > low ? (score.value - low) / (high - low) : 1) : null;
      view.node.style.setProperty("--shade", share === null ? "transparent" : color(better === false ? 1 - share : share));
      view.node.dataset.reference = String(i === this.reference);
      view.note.textContent = score ? score.text : (view.cell.note ?? "");
    });
  }

  textOf(name, value) {
    return this.views.map(({ cell }) => cell.scores?.[name]).find((score) => score?.value === value)?.text ?? "";
  }

  /** What the colours mean, from the value at one end to that at the other. */
  explain(better, [low, high]) {
    this.legend.hidden = !low;
    if (!low) return;
    const [from, to] = better === false ? [high, low] : [low, high];
    const [worst, best] = better === null || better === undefined ? ["lowest", "highest"] : ["worst", "best"];
    const stops = [0, 0.25, 0.49, 0.51, 0.75, 1].map((share) => `${color(share)} ${100 * share}%`);
    this.legend.replaceChildren(el("span", { text: `${worst} ${from}` }),
      el("i", { "aria-hidden": "true", style: `background:linear-gradient(90deg, ${stops.join(",")})` }), el("span", { text: `${best} ${to}` }));
  }

  toggle() {
    if (this.clock.playing) this.clock.pause();
    else this.clock.play();
  }

  draw() {
    for (const view of this.views) this.drawOne(view);
    this.update();
    this.writeLink();
  }

  drawOne({ canvas, frames }) {
    if (!frames) return;
    const picture = frames[Math.min(this.clock.frame, frames.length - 1)];
    if (canvas.width !== picture.width || canvas.height !== picture.height) Object.assign(canvas, { width: picture.width, height: picture.height });
    canvas.getContext("2d").drawImage(picture, 0, 0);
    canvas.dataset.frame = Math.min(this.clock.frame, frames.length - 1);
  }

  update() {
    this.scrub.value = this.clock.frame;
    this.readout.textContent = this.clock.total ? `frame ${this.clock.frame + 1} of ${this.clock.total}` : "";
    this.play.replaceChildren(icon(this.clock.playing ? "pause" : "play"));
    this.play.setAttribute("aria-label", this.clock.playing ? "Pause" : "Play");
  }
}

/** From orange (worst) to blue (best): told apart by the colour-blind, and lighter in the middle. */
function color(share) {
  const [from, to] = [[217, 95, 2], [33, 102, 172]];
  const far = Math.abs(2 * share - 1);
  const end = share < 0.5 ? from : to;
  return `rgba(${end.join(",")},${(0.15 + 0.75 * far).toFixed(2)})`;
}
