/** The picture or video that a link brought along. Its value: {url, video, text}, null for none. */
import { el, here } from "./dom.js";

export function mount(element, { props, watch }) {
  function render() {
    const { url, video, text } = props.value ?? {};
    const caption = video ? "The input video of this link" : "The picture of this link";
    const shown = !url ? (text ? el("p", { text }) : null)
      : video ? el("video", { src: here(url), controls: true, muted: true, class: "wb-given", "aria-label": caption })
      : el("img", { src: here(url), alt: caption, class: "wb-given" });
    element.replaceChildren(...[shown && el("p", { class: "wb-hint", text: `${caption}; upload another to replace it.` }), shown].filter(Boolean));
  }
  watch("value", render);
  render();
}
