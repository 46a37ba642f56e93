/** Draws clips: side by side, or a pair of them as wipe, difference, blink or FLIP's picture of what looks different. */
import { el, safeLink } from "../dom.js";
import { FlipLayer, flipLegend } from "./flip.js";

export const MODES = ["side", "wipe", "difference", "blink", "flip"];
const BLINK_MS = 500; // two changes a second: below the three flashes a second that accessibility rules allow

export class Stage {
  constructor(root) {
    this.root = root;
    this.clips = []; // {label, frames: [ImageBitmap], live: LiveVideo, size, fps, facts, downloads}
    this.flips = new FlipLayer(() => this.draw(this.frame));
    Object.assign(this, { mode: "side", pair: [0, 1], gain: 4, wipe: 0.5, blinkFirst: true, frame: 0, fps: 12 });
    this.root.addEventListener("pointerdown", (event) => this.drag(event));
    this.root.addEventListener("pointermove", (event) => event.buttons & 1 && this.drag(event));
  }

  setClips(clips) {
    this.clips = clips;
    if (clips.length < 2) this.setMode("side");
    this.pair = this.pair.map((side, i) => (side < clips.length ? side : Math.min(i, clips.length - 1)));
    this.layout();
  }

  /** The views that these clips have: all but the first lay two clips of one size over each other. */
  modes() {
    const pairs = this.clips.some((_, a) => this.clips.some((_, b) => a < b && this.sameSize(a, b)));
    return MODES.filter((mode) => mode === "side" || (pairs && (mode !== "flip" || this.flips.offered)));
  }

  /** Whether two sides have one size, which is taken to be so until both have arrived. */
  sameSize(a, b) {
    const [one, other] = [this.clips[a]?.size, this.clips[b]?.size];
    return !one || !other || one === other;
  }

  setMode(mode) {
    this.mode = this.modes().includes(mode) ? mode : "side";
    this.layout();
    clearInterval(this.blinking);
    if (this.mode === "blink") {
      this.blinking = setInterval(() => (this.root.isConnected ? this.flip() : clearInterval(this.blinking)), BLINK_MS);
    }
  }

  flip() {
    this.blinkFirst = !this.blinkFirst;
    this.draw(this.frame);
  }

  /** Build the figures for the current mode; drawing fills their canvases. */
  layout() {
    const sides = this.mode === "side" ? this.clips.map((_, i) => i) : [this.pair[0]];
    this.root.dataset.mode = this.mode;
    this.root.dataset.columns = sides.length;
    this.figures = sides.map((side) => this.figure(side));
    this.line = el("div", { class: "wb-wipe-line" });
    if (this.mode === "wipe") this.figures[0].picture.append(this.line);
    this.root.replaceChildren(...this.figures.map((figure) => figure.node));
    this.draw(this.frame);
  }

  figure(side) {
    const canvas = el("canvas", { width: 64, height: 64, role: "img", "data-side": side });
    const tag = el("span", { class: "wb-tag" });
    const right = el("span", { class: "wb-tag wb-tag-right" });
    const waiting = el("span", { class: "wb-waiting", text: "waiting" });
    const picture = el("div", { class: "wb-picture" }, canvas, tag, right, waiting);
    const clip = this.clips[side];
    const facts = this.mode === "side" ? factList(clip) : this.mode === "flip" ? flipLegend() : null;
    return { side, canvas, tag, right, waiting, picture, node: el("figure", { class: "wb-figure" }, picture, facts) };
  }

  draw(frame) {
    this.frame = frame;
    for (const figure of this.figures ?? []) {
      if (this.mode === "side") this.drawOne(figure, figure.side);
      else if (!this.sameSize(...this.pair)) this.prepare(figure, this.pair[0], "", null, "these two have different sizes");
      else if (this.mode === "wipe") this.drawWipe(figure);
      else if (this.mode === "difference") this.drawDifference(figure);
      else if (this.mode === "flip") this.drawFlip(figure);
      else this.drawOne(figure, this.pair[this.blinkFirst ? 0 : 1]);
    }
  }

  /** The frame of a side now: clips of different rates are in step by time. A shorter clip stays on its last frame. */
  index(side) {
    const { fps, frames, live } = this.clips[side] ?? {};
    const own = !fps || fps === this.fps ? this.frame : Math.floor(((this.frame + 0.5) * fps) / this.fps + 1e-6);
    return Math.max(0, Math.min(own, (live?.count ?? frames?.length ?? 0) - 1));
  }

  picture(side) {
    const { frames, live } = this.clips[side] ?? {};
    return live ? live.picture(this.index(side)) : frames?.[this.index(side)];
  }

  /** Size the canvas for `side` and name what it shows; null while there is no picture. */
  prepare(figure, side, label, picture = this.picture(side), note = this.clips[side]?.note) {
    figure.waiting.hidden = Boolean(picture);
    figure.waiting.textContent = note ?? "waiting";
    figure.tag.textContent = label;
    figure.picture.dataset.side = side;
    if (!picture) return null;
    const { canvas } = figure;
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      Object.assign(canvas, { width: picture.width, height: picture.height });
    }
    // small pictures keep hard pixels, large ones are smoothed
    canvas.classList.toggle("wb-pixelated", picture.width < 256);
    canvas.setAttribute("aria-label", `${label}, frame ${this.index(side) + 1}`);
    figure.picture.dataset.frame = this.index(side);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.globalCompositeOperation = "copy";
    return { context, picture, width: canvas.width, height: canvas.height };
  }

  drawOne(figure, side) {
    const target = this.prepare(figure, side, this.clips[side].label);
    if (target) target.context.drawImage(target.picture, 0, 0);
  }

  drawWipe(figure) {
    const [a, b] = this.pair;
    const target = this.prepare(figure, a, this.clips[a].label);
    const other = this.picture(b);
    figure.right.textContent = this.clips[b].label;
    figure.right.dataset.side = b;
    if (!target || !other) return;
    const edge = Math.round(this.wipe * target.width);
    target.context.drawImage(target.picture, 0, 0);
    target.context.globalCompositeOperation = "source-over";
    target.context.save();
    target.context.beginPath();
    target.context.rect(edge, 0, target.width - edge, target.height);
    target.context.clip();
    target.context.drawImage(other, 0, 0, target.width, target.height);
    target.context.restore();
    this.line.style.left = `${(100 * edge) / target.width}%`;
  }

  /** |A - B| per channel, times the gain (a power of two: adding the picture to itself doubles it exactly). */
  drawDifference(figure) {
    const [a, b] = this.pair;
    const target = this.prepare(figure, a, `|${this.clips[a].label} − ${this.clips[b].label}| × ${this.gain}`);
    const other = this.picture(b);
    if (!target || !other) return;
    target.context.drawImage(target.picture, 0, 0);
    target.context.globalCompositeOperation = "difference";
    target.context.drawImage(other, 0, 0, target.width, target.height);
    target.context.globalCompositeOperation = "lighter";
    for (let times = 1; times < this.gain; times *= 2) target.context.drawImage(figure.canvas, 0, 0);
  }

  drawFlip(figure) {
    const [a, b] = this.pair;
    const { bitmaps, note } = this.flips.of(a, b);
    const picture = bitmaps?.[Math.min(this.index(a), bitmaps.length - 1)] ?? null;
    const target = this.prepare(figure, a, `FLIP · ${this.clips[a].label} and ${this.clips[b].label}`, picture, note);
    if (target) target.context.drawImage(picture, 0, 0);
  }

  drag(event) {
    if (this.mode !== "wipe" || event.target.tagName !== "CANVAS") return;
    const box = event.target.getBoundingClientRect();
    this.setWipe((event.clientX - box.left) / box.width);
    this.onWipe?.(this.wipe);
  }

  setWipe(fraction) {
    this.wipe = Math.max(0, Math.min(1, fraction));
    this.draw(this.frame);
  }
}

function factList(clip) {
  const rows = (clip.facts ?? []).map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { text: value })));
  const links = (clip.downloads ?? []).map((file) => el("a", { href: safeLink(file.url), download: file.name, text: file.label }));
  links.push(...(clip.links ?? []).map((link) => el("a", { href: safeLink(link.url), text: link.label })));
  const parts = [rows.length ? el("dl", { class: "wb-facts" }, ...rows) : null, links.length ? el("p", {}, ...links) : null].filter(Boolean);
  return parts.length ? el("figcaption", {}, ...parts) : null;
}
