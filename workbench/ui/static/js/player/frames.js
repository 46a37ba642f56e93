/** Frames as ImageBitmaps: every frame of a clip is decoded once and kept, so showing frame k is a lookup. */

import { el, here } from "../dom.js";

const MEMORY_LIMIT = 256 * 2 ** 20; // bytes of decoded frames per clip; larger clips are shown smaller

/** The frames of one sheet: a lossless picture with `frames` frames stacked from top to bottom. */
export async function framesFromSheet({ url, frames }) {
  const response = await fetch(here(url));
  if (!response.ok) throw new Error(`the frames are no longer on the server (${response.status})`);
  const sheet = await createImageBitmap(await response.blob(), { colorSpaceConversion: "none" });
  const height = sheet.height / frames;
  const cut = (_, k) => createImageBitmap(sheet, 0, k * height, sheet.width, height);
  const bitmaps = await Promise.all(Array.from({ length: frames }, cut));
  sheet.close();
  return bitmaps;
}

/** The first `count` frames of an mp4, decoded by the browser. */
export async function framesFromVideo(video, { fps, count }, onProgress = () => {}) {
  const shrink = Math.min(1, Math.sqrt(MEMORY_LIMIT / (count * video.videoWidth * video.videoHeight * 4)));
  const size = { resizeWidth: Math.round(video.videoWidth * shrink), resizeHeight: Math.round(video.videoHeight * shrink) };
  const bitmaps = [];
  try {
    for (let k = 0; k < count; k += 1) {
      await showFrame(video, k, fps);
      bitmaps.push(await createImageBitmap(video, shrink < 1 ? size : {}));
      onProgress(k + 1, count);
    }
  } finally {
    video.removeAttribute("src");
    video.load();
  }
  return bitmaps;
}

/**
 * A clip too long to keep every frame of: the browser's own video, seeked to the frame while it stands, and held
 * to the clock's time while it plays.
 */
export class LiveVideo {
  /** `onPicture()` is called when another frame can be drawn. */
  constructor(video, { fps, count }, onPicture) {
    Object.assign(this, { video, fps, count, onPicture, playing: false, wanted: 0, seeking: false });
    this.canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
    this.context = this.canvas.getContext("2d");
    this.paint();
  }

  /** The canvas with frame `k`, or with the one before it until `k` has arrived. */
  picture(k) {
    this.wanted = k;
    if (this.playing) this.follow();
    else this.settle();
    return this.canvas;
  }

  setPlaying(playing, speed = 1) {
    Object.assign(this, { playing, speed });
    if (!playing) {
      this.video.pause();
      this.settle();
    }
  }

  /** While playing: small lags are made up by rate, large ones by a seek; the last frame is held. */
  follow() {
    const { video, fps } = this;
    const ahead = (video.currentTime - (this.wanted + 0.5) / fps) * fps; // in frames
    if (Math.abs(ahead) > 3 && !this.seeking) this.settle();
    else if (video.paused && this.wanted < this.count - 1) video.play().catch(() => {});
    video.playbackRate = this.speed * (Math.abs(ahead) > 0.5 ? 1 - 0.06 * Math.sign(ahead) : 1);
    this.paint();
  }

  /** Seek until the frame on screen is the wanted one; asked again meanwhile, it goes on to the newest wish. */
  async settle() {
    if (this.seeking) return;
    this.seeking = true;
    while (this.shown !== this.wanted) {
      const k = this.wanted;
      await showFrame(this.video, k, this.fps);
      this.shown = k;
      if (this.playing) break;
    }
    this.seeking = false;
    this.paint();
    this.onPicture();
  }

  paint() {
    if (this.playing) this.shown = null;
    this.context.drawImage(this.video, 0, 0);
  }

  close() {
    this.setPlaying(false);
    this.video.removeAttribute("src");
    this.video.load();
  }
}

/** Whether decoding every frame ahead would take too long or too much memory. */
export function tooLong(video, count) {
  return count > 240 || count * video.videoWidth * video.videoHeight * 4 > MEMORY_LIMIT;
}

/** A muted video element with its first frame loaded. */
export function openVideo(url) {
  const video = document.createElement("video");
  Object.assign(video, { muted: true, playsInline: true, preload: "auto" });
  return new Promise((resolve, reject) => {
    video.onloadeddata = () => resolve(video);
    video.onerror = () => reject(new Error(`this browser cannot play the clip (${video.error?.message || "unknown format"})`));
    video.src = here(url);
  });
}

/** Seek to the middle of frame k: a seek to exactly k / fps may show the frame before it. */
export async function showFrame(video, k, fps) {
  const presented = nextPresentedFrame(video);
  const seeked = new Promise((resolve) => video.addEventListener("seeked", resolve, { once: true }));
  video.currentTime = (k + 0.5) / fps;
  await seeked;
  // after "seeked" the old picture can stay for one paint, so wait for the frame itself too
  await presented;
}

function nextPresentedFrame(video) {
  const patience = new Promise((resolve) => setTimeout(resolve, 120)); // no callback comes when the frame is already shown
  if (!video.requestVideoFrameCallback) return patience;
  return Promise.race([new Promise((resolve) => video.requestVideoFrameCallback(resolve)), patience]);
}
