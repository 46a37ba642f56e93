/** Two clips side by side from one clock: both are decoded before either is shown, and what was seen is counted. */
import { Clock } from "../player/clock.js";
import { here } from "../dom.js";
import { LiveVideo, framesFromVideo, openVideo, tooLong } from "../player/frames.js";
import { Stage } from "../player/stage.js";

export class PairPlayer {
  /** `onWatched(share)` is called as more of the frames have been seen, 1 when all were. */
  constructor(root, onWatched) {
    this.stage = new Stage(root);
    this.onWatched = onWatched;
    this.clock = new Clock(() => this.onFrame(), () => this.onState());
    this.reset();
  }

  reset() {
    this.clock.pause();
    for (const clip of this.stage.clips) {
      clip.live?.close();
      clip.frames.forEach((bitmap) => bitmap.close());
    }
    this.stage.setClips([]);
    Object.assign(this, { seen: new Set(), played: 0 });
  }

  /** Load a pair {a, b, fps, frames}; resolves when both sides can be played. */
  async load({ a, b, fps, frames }) {
    this.reset();
    Object.assign(this.clock, { fps, total: frames, available: 0, position: 0 });
    Object.assign(this.stage, { frame: 0, fps });
    const clips = await Promise.all([a, b].map((url) => this.decode(url, { fps, count: frames })));
    this.clock.available = frames;
    this.stage.setClips(clips.map((clip, side) => ({ label: "AB"[side], done: true, ...clip })));
  }

  /** A side's pictures; the bytes are fetched whole first, so that no side waits longer on the way. */
  async decode(url, source) {
    const response = await fetch(here(url));
    if (!response.ok) {
      const error = new Error(`a clip could not be fetched (${response.status})`);
      throw Object.assign(error, { gone: response.status === 404 || response.status === 410 });
    }
    const address = URL.createObjectURL(new Blob([await response.arrayBuffer()], { type: "video/mp4" }));
    const video = await openVideo(address);
    if (tooLong(video, source.count)) {
      return { frames: [], live: new LiveVideo(video, source, () => this.stage.draw(this.clock.frame)) };
    }
    const frames = await framesFromVideo(video, source);
    URL.revokeObjectURL(address);
    return { frames };
  }

  /** From the first frame, in a loop. */
  replay() {
    if (!this.clock.available) return;
    this.clock.seek(0);
    this.clock.play();
    this.onFrame();
  }

  get seconds() {
    return this.clock.frame / this.clock.fps;
  }

  /** How often the clips were watched: 1 is once through. */
  get watched() {
    return this.played / this.clock.total;
  }

  onFrame() {
    const { frame, playing, total } = this.clock;
    this.stage.draw(frame);
    if (!playing) return;
    this.played += 1;
    this.seen.add(frame);
    this.onWatched(this.seen.size / total);
  }

  onState() {
    for (const clip of this.stage.clips) clip.live?.setPlaying(this.clock.playing, this.clock.speed);
  }
}
