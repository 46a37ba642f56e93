/** Frames as ImageBitmaps: every frame of a clip is decoded once and kept, so showing frame k is a lookup. */

const MEMORY_LIMIT = 256 * 2 ** 20; // bytes of decoded frames per clip; larger clips are shown smaller

/** The frames of one sheet: a lossless picture with `frames` frames stacked from top to bottom. */
export async function framesFromSheet({ url, frames }) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`the frames are no longer on the server (${response.status})`);
  const sheet = await createImageBitmap(await response.blob(), { colorSpaceConversion: "none" });
  const height = sheet.height / frames;
  const cut = (_, k) => createImageBitmap(sheet, 0, k * height, sheet.width, height);
  const bitmaps = await Promise.all(Array.from({ length: frames }, cut));
  sheet.close();
  return bitmaps;
}

/** The first `count` frames of an mp4, decoded by the browser. */
export async function framesFromVideo({ url, fps, count }, onProgress = () => {}) {
  const video = await openVideo(url);
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

/** A muted video element with its first frame loaded. */
export function openVideo(url) {
  const video = document.createElement("video");
  Object.assign(video, { muted: true, playsInline: true, preload: "auto" });
  return new Promise((resolve, reject) => {
    video.onloadeddata = () => resolve(video);
    video.onerror = () => reject(new Error(`this browser cannot play the clip (${video.error?.message || "unknown format"})`));
    video.src = url;
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
