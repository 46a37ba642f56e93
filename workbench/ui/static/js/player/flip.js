/** FLIP's pictures of how different each pixel of two clips looks: fetched when they are first wanted, then kept. */
import { el } from "../dom.js";
import { framesFromSheet } from "./frames.js";

export class FlipLayer {
  /** `onPicture()` is called when another picture can be drawn. */
  constructor(onPicture) {
    Object.assign(this, { onPicture, pairs: new Map() });
  }

  /** The pairs that have such pictures, each {pair: [first, second], url, frames}; says whether they are new ones. */
  offer(list = []) {
    const urls = list.map(({ url }) => url).join();
    if (urls === this.urls) return false;
    this.urls = urls;
    for (const { bitmaps } of this.pairs.values()) for (const bitmap of bitmaps ?? []) bitmap.close();
    this.pairs = new Map(list.map((entry) => [entry.pair.join(), { ...entry, note: "working out what looks different" }]));
    return true;
  }

  get offered() {
    return this.pairs.size > 0;
  }

  /** {bitmaps, note} of a pair in either order; without bitmaps yet, `note` says why. */
  of(first, second) {
    if (first === second) return { note: "the same clip on both sides" };
    const entry = this.pairs.get([first, second].sort((a, b) => a - b).join());
    if (!entry) return { note: "these two have no FLIP picture: their size or rate differs" };
    entry.loading ??= this.load(entry);
    return entry;
  }

  async load(entry) {
    try {
      entry.bitmaps = await framesFromSheet(entry);
    } catch (error) {
      entry.note = error.message;
    }
    this.onPicture();
  }
}

export function flipLegend() {
  return el("figcaption", { class: "wb-flip-legend" }, el("span", { text: "0: looks the same" }), el("i", { "aria-hidden": "true" }),
    el("span", { text: "1: as different as can be" }),
    el("p", { text: "FLIP: how different each pixel looks when the two pictures are swapped in place, at the size shown here." }));
}
