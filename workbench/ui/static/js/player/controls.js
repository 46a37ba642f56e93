/** The control bar of a player: transport, scrubber with chunk ticks, view modes. */
import { el, icon } from "../dom.js";

const SPEEDS = [0.1, 0.25, 0.5, 1, 2];
const GAINS = [1, 2, 4, 8, 16];
const MODE_NAMES = { side: "Side by side", wipe: "Wipe", difference: "Difference", blink: "Blink", flip: "FLIP map" };
const KEYS = [
  ["Space", "play or pause"], ["← →", "one frame"], ["Shift ← →", "one chunk"], ["Home End", "first, last frame"],
  ["L", "loop"], ["[ ]", "loop from here, to here"], ["\\", "loop the whole clip"], ["R", "start over"],
];
const COMPARE_KEYS = [["1 – 5", "view"], ["X", "swap what blink shows"], ["G", "more gain"]];

export class Controls {
  constructor(player) {
    this.player = player;
    this.play = this.button("play", "Play", () => player.toggle());
    this.loop = this.button("loop", "Loop", () => player.setLoop(!player.clock.loop));
    this.speed = el("select", { "aria-label": "Speed", onchange: () => player.setSpeed(Number(this.speed.value)) },
      ...SPEEDS.map((speed) => el("option", { value: speed, text: `${speed}×`, selected: speed === 1 })));
    this.scrub = el("input", { type: "range", min: 0, max: 0, value: 0, step: 1, "aria-label": "Frame", class: "wb-scrub" });
    this.scrub.addEventListener("input", () => player.scrub(Number(this.scrub.value)));
    this.ticks = el("div", { class: "wb-ticks", "aria-hidden": "true" });
    this.readout = el("output", { class: "wb-readout" });
    this.views = el("div", { class: "wb-views", hidden: true });
    const transport = el("div", { class: "wb-transport" },
      this.button("first", "First frame", () => player.seek(0)),
      this.button("back", "Previous frame", () => player.clock.step(-1)),
      this.play,
      this.button("forward", "Next frame", () => player.clock.step(1)),
      this.loop, this.speed, this.readout);
    this.nodes = [
      el("div", { class: "wb-controls wb-bar" }, el("div", { class: "wb-timeline" }, this.ticks, this.scrub),
        el("div", { class: "wb-bar-row" }, transport, this.views)),
      el("div", { class: "wb-controls" }, keyHelp(player.compare)),
    ];
  }

  button(glyph, label, onclick) {
    return el("button", { type: "button", class: "wb-button", "aria-label": label, title: label, onclick }, icon(glyph));
  }

  /** The views need a pair; with more than two clips the pair can be chosen. */
  setClips(labels) {
    this.modes = this.player.stage.modes().join();
    this.views.hidden = labels.length < 2;
    if (labels.length < 2) return;
    const { player } = this;
    const modes = player.stage.modes().map((mode) => el("button", { type: "button", class: "wb-mode", "data-mode": mode, text: MODE_NAMES[mode],
      onclick: () => player.setMode(mode) }));
    const pick = (i) => {
      const choose = (event) => player.setPair(i, Number(event.target.value));
      return el("select", { "aria-label": i ? "Second of the pair" : "First of the pair", onchange: choose },
        ...labels.map((label, side) => el("option", { value: side, text: label, selected: side === player.stage.pair[i] })));
    };
    const pair = labels.length > 2 ? el("span", { class: "wb-pair" }, pick(0), "with", pick(1)) : null;
    this.wipe = el("input", { type: "range", min: 0, max: 100, value: 100 * player.stage.wipe, "aria-label": "Wipe position",
      oninput: () => player.stage.setWipe(this.wipe.value / 100) });
    this.gain = el("select", { "aria-label": "Gain", onchange: () => player.setGain(Number(this.gain.value)) },
      ...GAINS.map((gain) => el("option", { value: gain, text: `gain ${gain}×`, selected: gain === player.stage.gain })));
    player.stage.onWipe = (fraction) => (this.wipe.value = 100 * fraction);
    this.views.replaceChildren(el("span", { class: "wb-modes", role: "group", "aria-label": "View" }, ...modes),
      ...[pair, this.wipe, this.gain].filter(Boolean));
    this.pairNode = pair;
  }

  setTimeline(total, ticks) {
    this.scrub.max = Math.max(0, total - 1);
    const place = (k) => `--at:${total > 1 ? k / (total - 1) : 0}`;
    this.loaded = el("i", { class: "wb-loaded" });
    this.span = el("i", { class: "wb-loop-span", hidden: true });
    this.ticks.replaceChildren(this.loaded, this.span, ...ticks.map((k) => el("b", { style: place(k), title: `chunk from frame ${k + 1}` })));
  }

  update() {
    const { clock, stage } = this.player;
    const last = Math.max(0, clock.total - 1);
    this.scrub.value = clock.frame;
    this.scrub.setAttribute("aria-valuetext", `frame ${clock.frame + 1} of ${clock.total}`);
    this.readout.textContent = clock.total ? readout(clock, stage) : "";
    if (this.loaded) this.loaded.style.setProperty("--to", last ? Math.max(0, clock.available - 1) / last : 0);
    if (this.span) {
      this.span.hidden = !clock.range;
      if (clock.range && last) this.span.style.cssText = `--from:${clock.range[0] / last};--to:${clock.range[1] / last}`;
    }
    this.play.replaceChildren(icon(clock.playing ? "pause" : "play"));
    this.play.setAttribute("aria-label", clock.playing ? "Pause" : "Play");
    this.loop.setAttribute("aria-pressed", clock.loop);
    for (const button of this.views.querySelectorAll("[data-mode]")) {
      button.setAttribute("aria-pressed", button.dataset.mode === stage.mode);
    }
    if (this.pairNode) this.pairNode.hidden = stage.mode === "side";
    if (this.wipe) this.wipe.hidden = stage.mode !== "wipe";
    if (this.gain) this.gain.hidden = stage.mode !== "difference";
  }

  nextGain() {
    this.gain.value = GAINS[(GAINS.indexOf(Number(this.gain.value)) + 1) % GAINS.length];
    this.player.setGain(Number(this.gain.value));
  }
}

/** Frame, counted from 1, and time; of clips with different rates, the frame that each one shows. */
function readout(clock, stage) {
  const seconds = `${(clock.frame / clock.fps).toFixed(2)} s`;
  const mixed = stage.clips.some((clip) => clip.fps && clip.fps !== clock.fps);
  if (!mixed) return `frame ${clock.frame + 1} of ${clock.total} · ${seconds}`;
  return `frames ${stage.clips.map((_, side) => stage.index(side) + 1).join(" | ")} · ${seconds}`;
}

function keyHelp(compare) {
  const keys = compare ? [...KEYS, ...COMPARE_KEYS] : KEYS;
  const rows = keys.map(([key, does]) => el("span", {}, el("kbd", { text: key }), ` ${does}`));
  return el("details", { class: "wb-keys" }, el("summary", { text: "Keyboard" }), el("div", {}, ...rows));
}
