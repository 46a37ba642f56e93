/**
 * Measures this browser: does it show the frame it is asked for, and do two clips stay in step while playing?
 * The clips carry their frame number as black and white blocks, which are read back from the pixels on screen.
 */
import { el, here } from "./dom.js";
import { openVideo, showFrame } from "./player/frames.js";
import { Player } from "./player/player.js";

const SEEKS = 60;
const PLAY_SECONDS = 3;

export function mount(element) {
  const stage = el("div", {});
  const report = el("div", { class: "wb-report", "aria-live": "polite" });
  const button = el("button", { type: "button", class: "wb-mode wb-run-selftest", text: "Run the self-test" });
  element.replaceChildren(el("p", { class: "wb-line", text:
    "Plays a coded clip and reads its frame numbers back from the picture: what this browser really shows." }), button, report, stage);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      report.replaceChildren(el("p", { class: "wb-line", text: "Measuring …" }));
      const result = await measure(stage);
      element.workbench = { result };
      report.replaceChildren(...summary(result));
      report.dataset.done = "true";
    } catch (error) {
      report.replaceChildren(el("p", { class: "wb-notice", text: `The self-test did not finish: ${error.message}.` }));
    }
    button.disabled = false;
  });
}

async function measure(node) {
  const spec = await (await fetch(here("/api/v1/selftest"))).json();
  const native = await nativeSeeks(spec);
  const root = el("div", {});
  node.replaceChildren(root);
  const player = new Player(root, { bus: "selftest", keyboard: false });
  const clips = spec.videos.map((video, i) => ({ label: `coded clip ${i + 1}`, video, count: spec.frames, done: true }));
  await player.show({ id: `selftest-${Date.now()}`, fps: spec.fps, total: spec.frames, ticks: [], clips });
  if (root.dataset.state !== "ready") throw new Error(player.message.textContent);
  return { ...spec, native, seeks: playerSeeks(player, spec), play: await playback(player, spec), agent: navigator.userAgent };
}

/** The browser's own seeking, without our player: right frame after a seek to the middle of a frame. */
async function nativeSeeks(spec) {
  const video = await openVideo(spec.videos[0]);
  const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let right = 0;
  for (let i = 0; i < SEEKS; i += 1) {
    const wanted = (i * 31) % spec.frames;
    await showFrame(video, wanted, spec.fps);
    context.drawImage(video, 0, 0);
    right += readCode(canvas, spec) === wanted;
  }
  return { right, of: SEEKS };
}

function playerSeeks(player, spec) {
  let right = 0;
  for (let i = 0; i < SEEKS; i += 1) {
    const wanted = (i * 17) % spec.frames;
    player.seek(wanted);
    right += codes(player, spec).every((code) => code === wanted);
  }
  return { right, of: SEEKS };
}

/** Look at all canvases on every paint while playing. */
async function playback(player, spec) {
  const seen = [];
  player.seek(0);
  player.clock.play();
  const start = performance.now();
  while (performance.now() - start < PLAY_SECONDS * 1000) {
    await new Promise(requestAnimationFrame);
    seen.push(codes(player, spec));
  }
  player.clock.pause();
  const inStep = seen.filter((row) => row.every((code) => code === row[0])).length;
  const distinct = seen.map((row) => row[0]).filter((code, i, all) => code !== all[i - 1]).length;
  const expected = Math.round(((performance.now() - start) / 1000) * spec.fps);
  return { inStep, of: seen.length, shown: distinct, expected };
}

export function codes(player, spec) {
  return [...player.root.querySelectorAll("canvas")].map((canvas) => readCode(canvas, spec));
}

/** The number in the top strip: `bits` blocks, lowest bit first, white is one; below it the same inverted. Null if torn. */
export function readCode(canvas, { bits, block }) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const bright = (x, y) => context.getImageData(x, y, 1, 1).data[1] > 127;
  let number = 0;
  for (let bit = 0; bit < bits; bit += 1) {
    const x = bit * block + block / 2;
    const one = bright(x, block / 2);
    if (one === bright(x, block * 1.5)) return null;
    if (one) number += 2 ** bit;
  }
  return number;
}

function summary({ native, seeks, play }) {
  const percent = (part, whole) => `${((100 * part) / whole).toFixed(1)} % (${part} of ${whole})`;
  const rows = [
    ["Seeking: this browser shows the asked-for frame", percent(native.right, native.of)],
    ["Player: all clips show the asked-for frame", percent(seeks.right, seeks.of)],
    ["Playing: all clips show the same frame at every paint", percent(play.inStep, play.of)],
    ["Frames shown while playing", `${play.shown} (${play.expected} expected)`],
  ];
  const good = seeks.right === seeks.of && play.inStep === play.of;
  return [
    el("p", { class: good ? "wb-line wb-good" : "wb-notice", text: good ? "In step to the frame on this browser." : "Not in step on this browser: judge stills, not motion." }),
    el("dl", { class: "wb-facts wb-facts-wide" }, ...rows.map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { text: value })))),
  ];
}
