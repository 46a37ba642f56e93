/** The one clock all canvases are drawn from; it counts in frames, so two clips can never be out of step. */
export class Clock {
  /** `onFrame(frame)` is called when the frame changes, `onState()` when playing starts or stops. */
  constructor(onFrame, onState) {
    Object.assign(this, { onFrame, onState });
    Object.assign(this, { fps: 12, total: 0, available: 0, speed: 1, loop: true, playing: false, position: 0 });
    this.range = null; // [first, last] of the loop, or null for the whole clip
    this.tick = this.tick.bind(this);
  }

  get frame() {
    return Math.max(0, Math.min(this.available - 1, Math.floor(this.position)));
  }

  /** More frames are still to come. */
  get live() {
    return this.available < this.total;
  }

  play() {
    if (this.playing || this.available < 1) return;
    const [first, last] = this.bounds();
    const outside = this.range && (this.frame < first || this.frame > last);
    if (outside || (this.frame >= last && !this.live)) this.position = first;
    this.playing = true;
    this.last = performance.now();
    this.onState();
    requestAnimationFrame(this.tick);
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.position = this.frame;
    this.onState();
  }

  seek(frame) {
    this.position = Math.max(0, Math.min(this.available - 1, Math.round(frame)));
    this.onFrame(this.frame);
  }

  step(frames) {
    this.pause();
    this.seek(this.frame + frames);
  }

  bounds() {
    return this.range ? [this.range[0], Math.min(this.range[1], this.available - 1)] : [0, this.available - 1];
  }

  tick(now) {
    if (!this.playing) return;
    const before = this.frame;
    this.position += (Math.max(0, now - this.last) / 1000) * this.fps * this.speed;
    this.last = now;
    const [first, last] = this.bounds();
    if (this.position >= last + 1) this.wrap(first, last);
    if (this.frame !== before) this.onFrame(this.frame);
    if (this.playing) requestAnimationFrame(this.tick);
  }

  wrap(first, last) {
    if (this.live && !this.range) {
      this.position = last; // wait on the newest frame for the next chunk
    } else if (this.loop) {
      this.position = first + ((this.position - first) % (last + 1 - first));
    } else {
      this.position = last;
      this.pause();
    }
  }
}
