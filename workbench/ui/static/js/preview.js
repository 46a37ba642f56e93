/**
 * What annotators will see of a study, before there is one. Its value: {title, instructions, consent, prompt, answers,
 * questions: [{id, text}], clips: [url], plan, ready}.
 */
import { el, here, safeLink } from "./dom.js";
import { introParts, promptLine, questionBlock } from "./vote/vote_parts.js";

export function mount(element, { props, watch }) {
  const box = el("div", { class: "vote vote-preview", role: "region", "aria-label": "Preview of the Vote page" });
  const plan = el("p", { class: "wb-line wb-plan", role: "status" });
  element.replaceChildren(el("link", { rel: "stylesheet", href: here("/ui/css/vote.css") }), plan, box);
  const render = () => {
    const value = props.value ?? {};
    plan.textContent = value.plan ?? "";
    plan.dataset.tone = value.ready ? "good" : "mute";
    box.replaceChildren(...(value.answers ? parts(value) : []));
  };
  watch("value", render);
  render();
}

function parts(value) {
  const questions = value.questions.map((question) => questionBlock(question, value.answers).node);
  return [
    el("h2", { text: "Annotators see this for every pair" }),
    promptLine(value.prompt || "…"),
    el("div", { class: "vote-pair" }, ...["A", "B"].map((letter, side) => clip(letter, value.clips[side]))),
    ...questions,
    el("details", {}, el("summary", { text: "And this before the first pair" }), el("div", { class: "vote-intro" }, ...introParts(value, "h3"))),
  ];
}

function clip(letter, url) {
  const tag = el("span", { class: "wb-tag", text: letter });
  if (!url) return el("div", { class: "vote-clip" }, tag, "The clip comes with the pilot.");
  const video = el("video", { src: safeLink(url), loop: true, autoplay: true, playsinline: true, "aria-label": `Clip ${letter}` });
  video.muted = true; // as a property: browsers start no video by themselves that only has the attribute
  return el("div", { class: "vote-clip" }, tag, video);
}
