"""The Generate page: one clip, watched while it is made."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any
from uuid import uuid4

import gradio as gr

from models.default_world import DEFAULT
from models.registry import get_spec
from models.types import Chunk, GenerationRequest, RequestError
from workbench.clips.generation import SavedClip
from workbench.requests.timeline import EXAMPLE as SWITCH
from workbench.requests.timeline import read_step_plan, read_switches
from workbench.ui.components.clips import chunk_starts, file_name, sheet, speed_facts
from workbench.ui.components.comparison import Side
from workbench.ui.components.component import (
    DICE,
    FILLED,
    NOT_STARTED,
    SEGMENTS,
    STARTED,
    STOPPED,
    form_script,
    script_component,
)
from workbench.ui.components.inputs import (
    LINK_SCRIPT,
    TEXT,
    build_inputs,
    connect_inputs,
    fitting_source,
    open_inputs,
    read_inputs,
    with_input,
)
from workbench.ui.components.links import compare_link, evaluate_link, read_generate
from workbench.ui.components.updates import PATIENT, holding
from workbench.ui.context import (
    EXAMPLE_PROMPTS,
    MAX_SEED,
    MODEL_QUEUE,
    PRIVATE,
    Context,
    default_model,
    frames_of,
    model_choices,
    nearest,
    offered_steps,
    seed_of,
    sentence,
    whole,
)
from workbench.ui.pages.header import page_header
from workbench.words import counted

# a press before the form holds what the page's link says waits for it; a kept seed is the link's by then
NEW_SEED = f"""async (keep) => {{
  const latest = performance.now() + 5000;
  while (!window.formFilled && performance.now() < latest) await new Promise((next) => setTimeout(next, 10));
  return keep ? {{ __type__: 'update' }} : Math.floor(Math.random() * {MAX_SEED});
}}"""
NAMES = ("model", "prompt", "steps", "ffe", "first_steps", "frames", "seed", "plan", "switches", "cache")
SETTINGS = f"""(model, prompt, steps, ffe, first, frames, seed, plan, switches, cache, ...given) => {{
  {LINK_SCRIPT}
  const changed = (switches ?? '').trim().split('\\n').join('|');
  const timeline = {{ plan: (plan ?? '').trim(), switches: changed, cache: changed ? cache : '' }};
  return {{ model, prompt, steps, ffe: ffe ? first : 0, frames, seed, ...timeline, ...inputs(...given) }};
}}"""
WRITE_LINK, MAKING = form_script(SETTINGS, "changed"), form_script(SETTINGS, "making")
SWITCH_CACHES = [("stay as they are", "keep"), ("are re-cached", "recache"), ("are forgotten", "reset")]
Update = dict[Any, Any]


def build(blocks: gr.Blocks, context: Context) -> None:
    page_header("Generate", "Type what should move, choose a model and its steps, and watch the clip arrive.")
    model_name = default_model(DEFAULT.asd)
    with gr.Row(equal_height=False, elem_classes="wb-make"):
        with gr.Column(min_width=320, elem_classes="wb-make-form"):
            prompt = gr.Textbox(EXAMPLE_PROMPTS[0], label="Prompt", lines=2, max_lines=6, elem_id="prompt")
            with gr.Row():
                model = gr.Dropdown(model_choices(), value=model_name, label="Model", min_width=190, elem_id="model")
                steps = gr.Radio(
                    offered_steps(model_name),
                    value=get_spec(model_name).default_steps,
                    label="Denoising steps",
                    min_width=190,
                    elem_classes=SEGMENTS,
                    elem_id="steps",
                )
            with gr.Row():
                run = gr.Button("Generate", variant="primary", elem_id="generate", scale=3)
                stop = gr.Button("Cancel", variant="stop", interactive=False, elem_id="cancel", scale=1, min_width=100)
        with gr.Column(min_width=320, elem_classes="wb-make-result"):
            player = script_component(
                "player",
                options={"bus": "generate", "empty": "Your clip plays here while it is being made."},
                elem_id="player",
            )
            status = script_component("status", elem_id="status")
        with gr.Column(min_width=320, elem_classes="wb-make-more"):
            with gr.Row():
                ffe = gr.Checkbox(
                    True,
                    label="First-Frame Enhancement (FFE)",
                    info="More steps on the first chunk only.",
                    min_width=190,
                    elem_id="ffe",
                )
                first_steps = gr.Radio(
                    [2, 3, 4],
                    value=4,
                    label="Steps on the first chunk",
                    min_width=190,
                    elem_classes=SEGMENTS,
                    elem_id="first-steps",
                )
            with gr.Row():
                frames = gr.Number(49, label="Frames", precision=0, min_width=90, elem_id="frames")
                seed = gr.Number(7, label="Seed", precision=0, min_width=110, elem_id="seed")
                with gr.Column(min_width=140):
                    dice = gr.Button("New seed", size="sm", elem_id="dice")
                    keep = gr.Checkbox(True, label="Keep this seed", container=False, elem_id="keep-seed")
            inputs = build_inputs([model_name])
            with gr.Accordion("Custom schedule", open=False, elem_id="timeline") as timeline:
                plan = gr.Textbox(
                    label="Steps per chunk",
                    info="For example 4,1,2; the last number repeats. Leave empty to use the setting above.",
                    elem_id="plan",
                )
                switches = gr.Textbox(
                    label="Prompt switches",
                    info=f"One per line, chunk: prompt, for example {SWITCH}. Chunks count from 1.",
                    lines=2,
                    elem_id="switches",
                )
                cache = gr.Radio(
                    SWITCH_CACHES, value="keep", label="At a switch, the chunks before", elem_classes=SEGMENTS
                )
            gr.Examples([[p] for p in EXAMPLE_PROMPTS], prompt, label="Examples", **PRIVATE)

    uploads = context.evaluations.library.uploads
    fields = [model, prompt, steps, ffe, first_steps, frames, seed, plan, switches, cache]
    quiet = {"show_progress": "hidden", **PRIVATE}
    busy = {run: gr.update(interactive=False), stop: gr.update(interactive=True)}
    ready = {run: gr.update(interactive=True), stop: gr.update(interactive=False)}

    def reopen(request: gr.Request) -> Update:
        """Fill the form from the address of the page."""
        try:
            found = read_generate(request.query_params)
            given = read_inputs(request.query_params)
            opened = open_inputs(inputs, context, given)
        except RequestError as error:
            return {status: {"state": "error", "text": str(error)}}
        named = dict(zip(NAMES, fields, strict=True))
        updates: Update = {named[name]: gr.update(value=value) for name, value in found.items()} | {
            status: gr.update()
        }
        if "model" in found:
            wanted = given.get("source", TEXT)
            updates |= fit(found["model"], found.get("steps"), found.get("ffe", False), wanted)
            opened.pop(inputs.source, None)
        updates |= opened
        if found.get("plan") or found.get("switches"):
            updates[timeline] = gr.update(open=True)
        return updates

    def make(
        name: str,
        text: str,
        n: int,
        enhance: bool,
        first: int,
        count: float,
        number: float,
        by_hand: str,
        others: str,
        past: str,
        *given: Any,
    ) -> Iterator[Update]:
        """Yield the page's updates: one for every chunk, then the finished clip."""
        try:
            steps_by_hand, later = read_step_plan(by_hand or ""), read_switches(others or "", past)
            n = whole(n, "steps", "one of the steps offered for this model")
            request = GenerationRequest(text, n, bool(enhance), first, frames_of(count), seed_of(number))
            request = replace(request, step_plan=steps_by_hand, switches=later)
            context.check_writable()
            yield {status: _running("Loading the model", 0), **busy}
            request, said = with_input(request, context, name, *given)
            clips = _clip_updates(context, name, request, said, player, status)
            yield from holding(({**busy, **update} for update in clips), ready)
        except Exception as error:
            yield {status: {"state": "error", "text": sentence(error, *given[1:3], uploads)}, **ready}

    def stopped() -> Update:
        text = "Cancelled. The chunks made so far stay here; nothing was saved."
        return {status: {"state": "idle", "text": text}} | ready

    def fit(name: str, n: int | None, enhance: bool, kind: str) -> Update:
        """Only what the model can do is offered."""
        return {
            steps: _steps_update(name, n),
            ffe: _ffe_update(name, enhance),
            inputs.source: fitting_source([name], kind),
        }

    everything = [*fields, *inputs.linked]
    opened = blocks.load(reopen, None, [*fields, *inputs.opened, status, timeline], **quiet)
    opened.then(None, None, None, js=FILLED, **quiet)
    gr.on([field.change for field in everything], None, everything, None, js=WRITE_LINK, **quiet)
    model.input(fit, [model, steps, ffe, inputs.source], [steps, ffe, inputs.source], queue=False, **quiet)
    ffe.change(lambda on: gr.update(visible=on), ffe, first_steps, queue=False, **quiet)
    connect_inputs(inputs, context)
    dice.click(None, None, seed, js=DICE, **quiet)
    clicked = run.click(None, keep, seed, js=NEW_SEED, **quiet)
    waiting = clicked.then(None, None, [status, stop], js=STARTED, **quiet)
    waiting.then(None, everything, None, js=MAKING, **quiet)
    made = [player, status, run, stop]
    making = waiting.then(make, [*fields, *inputs.fields], made, **MODEL_QUEUE, **PATIENT, **quiet)
    making.failure(None, status, [status, run, stop], js=NOT_STARTED, **quiet)
    stop.click(stopped, None, [status, run, stop], cancels=[making], js=STOPPED, queue=False, **quiet)


def _clip_updates(
    context: Context, model: str, request: GenerationRequest, said: list[str], player: gr.HTML, status: gr.HTML
) -> Iterator[Update]:
    side = Side(model, request.steps, request.ffe, request.first_steps, tuple(request.step_plan))
    value = {"id": uuid4().hex, "fps": get_spec(model).fps, "total": request.frames, "autoplay": True}
    clip: dict[str, Any] = {"label": side.label, "sheets": []}
    forwards = 0
    with closing(context.service.stream(model, request, said)) as events:
        for event in events:
            if isinstance(event, SavedClip):
                ticks = chunk_starts(event.result.chunk_frames)
                yield {
                    player: value | {"clips": [clip | {"done": True}], "ticks": ticks},
                    status: _done(context, side, request, event),
                }
            else:
                clip = clip | {"sheets": [*clip["sheets"], sheet(event.frames, context.media)]}
                forwards += event.forwards
                yield {player: value | {"clips": [clip], "live": True}, status: _chunk_status(event, forwards)}


def _running(text: str, progress: float) -> dict[str, Any]:
    return {"state": "running", "text": text, "progress": progress}


def _chunk_status(chunk: Chunk, forwards: int) -> dict[str, Any]:
    done, calls = chunk.index + 1, counted(forwards, "network call")
    text = f"Chunk {done} of {chunk.chunks} · {calls} · {chunk.seconds:.1f} s in the model"
    return _running(text, done / chunk.chunks)


def _done(context: Context, side: Side, request: GenerationRequest, clip: SavedClip) -> dict[str, Any]:
    name = file_name(side.model, side.steps, side.ffe, request.seed)
    status = {
        "state": "done",
        "text": f"Done: {counted(len(clip.result.frames), 'frame')} in {clip.result.seconds:.1f} s.",
        "notices": list(clip.notices),
        "facts": speed_facts(clip.result),
        "downloads": [
            {"label": "Download mp4", "url": context.media.file(clip.path), "name": f"{name}.mp4"},
            {"label": "Manifest (JSON)", "url": context.media.file(clip.manifest_path), "name": f"{name}.json"},
        ],
    }
    links = [{"label": "Evaluate this clip", "url": evaluate_link([clip.path.stem])}]
    from_text = request.image is None and request.video is None
    if from_text and not request.switches:
        links.insert(0, {"label": "Open in Compare", "url": _compare_address(side, request)})
    return status | {"links": links}


def _compare_address(side: Side, request: GenerationRequest) -> str:
    """This clip beside the other model's, or beside its own without FFE."""
    other = DEFAULT.baseline if side.model != DEFAULT.baseline else DEFAULT.asd
    other = default_model(other)
    steps = nearest(side.steps, offered_steps(other))
    return compare_link(
        (Side(other, steps, side.ffe, side.first_steps), side), request.prompt, request.seed, request.frames
    )


def _steps_update(model: str, steps: int | None) -> dict:
    choices = offered_steps(model)
    return gr.update(choices=choices, value=nearest(steps or get_spec(model).default_steps, choices))


def _ffe_update(model: str, ffe: bool) -> dict:
    """Enhancing the first chunk is for models of few steps."""
    few_step = get_spec(model).few_step
    return gr.update(value=ffe and few_step, interactive=few_step)
