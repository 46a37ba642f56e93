/**
 * A player for one or more clips in step to the frame.
 *
 * Its value: {id, fps, total, ticks, clips: [clip], flip, error, autoplay, link}; `flip` is as flip.js takes it, a clip is
 * {label, sheets: [{url, frames}] or video and count, fps, done, note, facts: [[name, value]], downloads, links}.
 * A value with the id of the last one adds what is new (chunks as they are made); another id starts afresh.
 * Clips with an `fps` of their own are in step by time; `fps` and `total` of the value are then the fastest clip's.
 * It announces frames as window event "wb:frame" with {bus, frame, fps}, and obeys "wb:seek" with {bus, frame}, where
 * `frame` counts at the rate `fps`, which may be left out.
 */
import { Clock } from "./clock.js";
import { Controls } from "./controls.js";
import { el } from "../dom.js";
import { LiveVideo, framesFromSheet, framesFromVideo, openVideo, tooLong } from "./frames.js";
import { arrived } from "../form.js";
import { listen } from "./keyboard.js";
import { frameOf, openedQuery, writeQuery } from "../link.js";
import { Stage } from "./stage.js";

export class Player {
  constructor(root, { bus = "main", compare = false, empty = "Nothing to play yet", keyboard = true } = {}) {
    Object.assign(this, { root, bus, compare, queue: Promise.resolve(), value: null, opened: false, linked: openedQuery() });
    this.unasked = compare && Object.keys(this.linked).every((name) => name === "__theme");
    root.classList.add("wb-player");
    root.dataset.state = "empty";
    this.message = el("div", { class: "wb-message", text: empty });
    this.clock = new Clock(() => this.onFrame(), () => this.onState());
    this.stage = new Stage(el("div", { class: "wb-stage" }));
    this.controls = new Controls(this);
    root.replaceChildren(this.message, this.stage.root, ...this.controls.nodes);
    root.workbench = this;
    if (keyboard) listen(this);
    const onSeek = (event) => {
      if (!root.isConnected) return window.removeEventListener("wb:seek", onSeek);
      if (event.detail.bus === bus) this.scrub(this.clockFrame(event.detail));
    };
    window.addEventListener("wb:seek", onSeek);
  }

  /** Show a value; calls are worked off in order, and a newer clip makes the older one stop loading. */
  show(value) {
    if (!value?.clips) return this.queue;
    this.wanted = value.id;
    this.queue = this.queue.then(() => this.apply(value)).catch((error) => this.fail(error));
    return this.queue;
  }

  async apply(value) {
    if (value.id !== this.wanted) return;
    if (value.id !== this.value?.id) this.reset(value);
    this.value = value;
    this.clock.total = value.total;
    this.controls.setTimeline(value.total, value.ticks ?? []);
    if (value.error) throw new Error(value.error);
    for (let side = 0; side < value.clips.length; side += 1) await this.load(side, value.clips[side]);
    if (this.clock.available) this.root.dataset.state = "ready";
    const renewed = this.stage.flips.offer(value.flip);
    if (renewed || this.stage.modes().join() !== this.controls.modes) this.controls.setClips(value.clips.map((clip) => clip.label));
    if (!this.stage.modes().includes(this.stage.mode)) this.setMode("side");
    this.stage.setClips(this.stage.clips); // captions may have changed with this value
    this.open(value);
    this.controls.update();
  }

  reset(value) {
    this.clock.pause();
    Object.assign(this.clock, { fps: value.fps, total: value.total, available: 0, position: 0, range: null });
    Object.assign(this.stage, { frame: 0, fps: value.fps });
    const old = this.stage.clips.flatMap((clip) => clip.frames);
    for (const clip of this.stage.clips) clip.live?.close();
    this.stage.flips.offer([]);
    this.stage.setClips(value.clips.map((clip) => ({ ...clip, frames: [], loaded: 0 })));
    for (const bitmap of old) bitmap.close(); // a browser frees them late by itself
    this.controls.setClips(value.clips.map((clip) => clip.label));
    this.root.dataset.state = "loading";
    this.message.textContent = "Loading frames …";
    this.opened = this.taken = false;
    this.setMode(this.stage.mode);
  }

  /** Fetch what this side does not have yet. */
  async load(side, clip) {
    const kept = this.stage.clips[side];
    Object.assign(kept, clip);
    if (clip.video && !kept.loaded) {
      const source = { fps: clip.fps ?? this.value.fps, count: clip.count };
      const video = await openVideo(clip.video);
      kept.size = `${video.videoWidth}x${video.videoHeight}`;
      const tell = (k, n) => (this.message.textContent = `Decoding frame ${k} of ${n}`);
      if (tooLong(video, clip.count)) kept.live = new LiveVideo(video, source, () => this.stage.draw(this.clock.frame));
      else kept.frames = await framesFromVideo(video, source, tell);
      kept.loaded = 1;
    }
    for (const sheet of (clip.sheets ?? []).slice(kept.loaded)) {
      kept.frames = kept.frames.concat(await framesFromSheet(sheet));
      kept.size = `${kept.frames[0].width}x${kept.frames[0].height}`;
      kept.loaded += 1;
      this.grow();
    }
    this.grow();
  }

  /** A frame can be shown once every side that has started has it; a finished shorter clip holds its last one. */
  grow() {
    const { clock, stage, value } = this;
    const reach = (clip) => (clip.done && clip.loaded >= (clip.sheets?.length ?? 1) ? clock.total : clip.frames.length);
    const started = stage.clips.filter((clip) => clip.live || clip.frames.length);
    const before = clock.available;
    clock.available = started.length ? Math.min(clock.total, ...started.map(reach)) : 0;
    if (!before && clock.available) {
      this.root.dataset.state = "ready";
      this.onFrame();
      if (value.autoplay && !value.link) this.autoplay();
    }
    this.controls.update();
  }

  /** First showing of a clip: the address may name a frame and a view. */
  open(value) {
    if (this.opened || !value.link || value.live) return;
    this.opened = true;
    const { mode } = this.linked, frame = frameOf(this.linked);
    this.linked = {}; // the address the page was opened with counts once
    if (mode) this.setMode(mode);
    if (frame !== null) this.seek(frame);
    else if (value.autoplay && !this.taken && !this.unasked) this.autoplay(); // what a new visitor sees stands still
    this.unasked = false;
    this.writeLink();
  }

  autoplay() {
    if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) this.clock.play();
  }

  fail(error) {
    this.clock.pause();
    this.root.dataset.state = "error";
    this.message.textContent = `Cannot show this clip: ${error.message}.`;
  }

  toggle() {
    this.taken = true; // from here on it plays when the visitor says so
    if (this.clock.playing) this.clock.pause();
    else this.clock.play();
  }

  seek(frame) {
    this.taken = true;
    this.clock.pause();
    this.clock.seek(frame);
  }

  scrub(frame) {
    this.seek(frame);
  }

  /** The first clock frame that shows frame `frame` of a clip with rate `fps`. */
  clockFrame({ frame, fps }) {
    return !fps || fps === this.clock.fps ? frame : Math.ceil((frame * this.clock.fps) / fps - 0.5 - 1e-6);
  }

  /** What is there now is all there will be: a clip that was cancelled loops over the chunks it has. */
  settle() {
    if (!this.clock.available) return;
    this.clock.total = this.clock.available;
    this.controls.setTimeline(this.clock.total, (this.value?.ticks ?? []).filter((tick) => tick < this.clock.total));
    this.controls.update();
  }

  restart() {
    this.clock.seek(0);
    this.clock.play();
  }

  stepChunk(direction) {
    const starts = [0, ...(this.value?.ticks ?? []), this.clock.available - 1];
    const beyond = starts.filter((start) => (direction > 0 ? start > this.clock.frame : start < this.clock.frame));
    if (beyond.length) this.seek(direction > 0 ? Math.min(...beyond) : Math.max(...beyond));
  }

  setSpeed(speed) {
    this.clock.speed = speed;
    for (const clip of this.stage.clips) clip.live?.setPlaying(this.clock.playing, speed);
  }

  setLoop(loop) {
    this.clock.loop = loop;
    this.controls.update();
  }

  setRange(first, last) {
    this.clock.range = first === null || first >= last ? null : [first, last];
    this.controls.update();
  }

  setMode(mode) {
    this.stage.setMode(mode);
    this.controls.update();
    this.writeLink();
  }

  setPair(i, side) {
    this.stage.pair[i] = side;
    this.stage.layout();
  }

  setGain(gain) {
    this.stage.gain = gain;
    this.stage.draw(this.clock.frame);
  }

  onFrame() {
    this.stage.draw(this.clock.frame);
    this.controls.update();
    const { frame, fps } = this.clock;
    window.dispatchEvent(new CustomEvent("wb:frame", { detail: { bus: this.bus, frame, fps } }));
    this.writeLink();
  }

  onState() {
    for (const clip of this.stage.clips) clip.live?.setPlaying(this.clock.playing, this.clock.speed);
    this.stage.draw(this.clock.frame);
    this.controls.update();
    this.writeLink();
  }

  /** The address names the clips and the view as soon as they are there, and the frame when the picture stands still. */
  writeLink() {
    const link = this.value?.link;
    if (!link || !this.opened || document.body.hasAttribute("data-stale")) return;
    const look = [this.value.id, this.stage.mode].join();
    if (this.clock.playing && this.written === look) return;
    this.written = look;
    writeQuery({ ...link, frame_number: this.clock.playing ? null : this.clock.frame + 1, mode: this.stage.mode });
  }
}

/** The entry point for a page component. */
export function mount(element, { props, watch }) {
  const player = new Player(element, props.options ?? {});
  let last = null;
  const show = () => {
    if (props.value?.clips && props.value.id !== last) arrived();
    last = props.value?.id;
    player.show(props.value);
  };
  watch("value", show);
  show();
}
