"""The Generate page: one clip, watched while it is made."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, fields, replace
from typing import Any
from uuid import uuid4

import gradio as gr

from models.default_world import DEFAULT
from models.registry import get_spec, list_models
from models.types import Chunk, GenerationRequest, RequestError
from workbench.clips.generation import SavedClip
from workbench.clips.kept import saved_clip
from workbench.clips.manifest import Manifest
from workbench.common.words import counted
from workbench.requests.frame_size import chosen_size, size_text
from workbench.requests.links.compare import compare_link
from workbench.requests.links.evaluate import evaluate_link
from workbench.requests.links.generate import generate_query, read_generate
from workbench.requests.links.inputs import TEXT, input_query, read_inputs
from workbench.requests.numbers import MAX_SEED, frames_of, seed_of, whole
from workbench.requests.systems import FFE_STEPS, System
from workbench.requests.timeline import read_step_plan, read_switches
from workbench.ui.components.clips import chunk_starts, file_name, finished_clip, sheet, speed_facts
from workbench.ui.components.component import (
    DICE,
    NOT_STARTED,
    SEGMENTS,
    STOPPED,
    form_script,
    keep_typed,
    pressed,
    script_component,
)
from workbench.ui.components.inputs import (
    LINK_SCRIPT,
    build_inputs,
    connect_inputs,
    fitting_source,
    length_box,
    length_update,
    open_inputs,
    size_box,
    size_update,
    with_input,
)
from workbench.ui.components.prompts import (
    check_prompt_when_left,
    example_prompts,
    examples_update,
    notice_value,
    prompt_field,
    prompt_notice,
    prompt_updates,
    switch_fields,
)
from workbench.ui.components.updates import PATIENT, holding
from workbench.ui.context import (
    MODEL_QUEUE,
    PRIVATE,
    Context,
    about_model,
    default_model,
    model_choices,
    nearest,
    offered_steps,
    sentence,
)
from workbench.ui.pages.header import page_header

NEW_SEED = f"(keep) => keep ? {{ __type__: 'update' }} : Math.floor(Math.random() * {MAX_SEED})"


@dataclass(frozen=True)
class Form:
    """The form as its fields hold it: numbers may be fractions or missing, texts None."""

    model: str
    prompt: str
    steps: int
    ffe: bool
    first_steps: int
    frames: float
    seed: float
    size: str
    plan: str
    switches: str
    cache: str

    def request(self) -> GenerationRequest:
        """What the form asks for. Raises RequestError for what does not read."""
        return GenerationRequest(
            self.prompt,
            whole(self.steps, "steps", "one of the steps offered for this model"),
            bool(self.ffe),
            self.first_steps,
            frames_of(self.frames),
            seed_of(self.seed),
            step_plan=read_step_plan(self.plan or ""),
            switches=read_switches(self.switches or "", self.cache),
            size=chosen_size(self.size),
        )

    def link(self, request: GenerationRequest) -> dict[str, Any]:
        """The query of an address that asks for the same; `request` is the form's."""
        system, frames = System.of(self.model, request), frames_of(self.frames)
        return generate_query(system, self.prompt, request.seed, frames, self.size or "", request.switches)


NAMES = tuple(field.name for field in fields(Form))
SETTINGS = f"""(model, prompt, steps, ffe, first, frames, seed, size, plan, switches, cache, ...given) => {{
  {LINK_SCRIPT}
  const changed = (switches ?? '').trim().split('\\n').join('|');
  const timeline = {{ plan: (plan ?? '').trim(), switches: changed, cache: changed ? cache : '' }};
  const sized = size ? {{ size }} : {{}};
  return {{ model, prompt, steps, ffe: ffe ? first : 0, frames, seed, ...sized, ...timeline, ...inputs(...given) }};
}}"""
WRITE_LINK, MAKING = form_script(SETTINGS, "changed"), form_script(SETTINGS, "making")
# a link with a clip: what it was made from is what the form says now
OPENED = f"""(...fields) => {{
  if (new URLSearchParams(window.location.search).has('clip')) ({MAKING})(...fields);
}}"""
Update = dict[Any, Any]


def build(blocks: gr.Blocks, context: Context) -> None:
    page_header("Generate", "Type what should move, choose a model and its steps, and watch the clip arrive.")
    model_name = default_model(DEFAULT.asd)
    with gr.Row(equal_height=False, elem_classes="wb-make"):
        with gr.Column(min_width=320, elem_classes="wb-make-form"):
            prompt = prompt_field(lines=2)
            notice = prompt_notice()
            with gr.Row():
                model = gr.Dropdown(
                    model_choices(),
                    value=model_name,
                    label="Model",
                    info=about_model(model_name),
                    min_width=190,
                    elem_id="model",
                )
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
                frames = length_box([model_name])
                seed = gr.Number(7, label="Seed", min_width=110, elem_id="seed")
                size = size_box([model_name])
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
                switches, cache = switch_fields()
            examples = example_prompts(prompt, model_name)

    uploads = context.evaluations.library.uploads
    form_fields = [model, prompt, steps, ffe, first_steps, frames, seed, size, plan, switches, cache]
    linked = gr.State({})  # the address, where it names a clip
    quiet = {"show_progress": "hidden", **PRIVATE}
    busy = {run: gr.update(interactive=False), stop: gr.update(interactive=True)}
    ready = {run: gr.update(interactive=True), stop: gr.update(interactive=False)}

    def reopen(request: gr.Request) -> Update:
        """Fill the form from the address of the page."""
        try:
            found = read_generate(request.query_params)
            given = read_inputs(request.query_params)
            opened = open_inputs(inputs, context, given)
            opened[linked] = dict(request.query_params) if found.pop("clip", "") else {}
        except RequestError as error:
            return {status: {"state": "error", "text": str(error)}}
        named = dict(zip(NAMES, form_fields, strict=True))
        updates: Update = {named[name]: gr.update(value=value) for name, value in found.items()} | {
            status: gr.update()
        }
        if "model" in found:
            wanted = given.get("source", TEXT)
            chosen = found.get("size", "")
            length = found.get("frames", frames.value)
            text = found.get("prompt", prompt.value)
            updates |= fit(found["model"], found.get("steps"), found.get("ffe", False), wanted, chosen, length, text)
            opened.pop(inputs.source, None)
        if "prompt" in found:  # a link's own prompt stays, whatever its model knows
            updates[prompt] = found["prompt"]
        updates |= opened
        if found.get("plan") or found.get("switches"):
            updates[timeline] = gr.update(open=True)
        return updates

    def show_linked(link: dict[str, str]) -> Update:
        """The clip that was on screen when the address was written."""
        if not link:
            return {status: gr.update()}
        try:
            clip = saved_clip(context.evaluations.library.record(link["clip"]))
        except RequestError:
            text = "The clip of this link is no longer kept here; press “Generate” to make it again."
            return {status: {"state": "error", "text": text}}
        side = System.of(clip.manifest.model, clip.manifest)
        return _finished(context, side, clip, {"id": uuid4().hex, "link": link}, player, status)

    def make(*values: Any) -> Iterator[Update]:
        """Yield the page's updates: one for every chunk, then the finished clip."""
        form, given = Form(*values[: len(NAMES)]), values[len(NAMES) :]
        try:
            request = form.request()
            context.check_writable()
            yield {status: _running("Loading the model", 0), **busy}
            request, said = with_input(request, context, form.model, *given)
            link = form.link(request) | input_query(*given)
            clips = _clip_updates(context, form.model, request, said, link, player, status)
            yield from holding(({**busy, **update} for update in clips), ready)
        except Exception as error:
            yield {status: {"state": "error", "text": sentence(error, *given[1:3], uploads)}, **ready}

    def stopped() -> Update:
        text = "Cancelled. The chunks made so far stay here; nothing was saved."
        return {status: {"state": "idle", "text": text}} | ready

    def told_before(text: str, name: str) -> dict[str, Any]:
        return notice_value(text, {name: name})

    def fit(name: str, n: int | None, enhance: bool, kind: str, chosen: str, length: Any, text: str) -> Update:
        """Only what the model can do is offered."""
        return {
            **prompt_updates(prompt, notice, text, {name: name}),
            frames: length_update([name], length),
            **examples_update(examples, [name]),
            model: gr.update(value=name, info=about_model(name)),
            size: size_update([name], chosen),
            steps: _steps_update(name, n),
            ffe: _ffe_update(name, enhance),
            inputs.source: fitting_source([name], kind),
        }

    everything = [*form_fields, *inputs.linked]
    shown = [*form_fields, *inputs.opened, notice, status, timeline, linked, *examples.values()]
    opened = blocks.load(reopen, None, shown, **quiet)
    filled = opened.then(None, everything, None, js=OPENED, **quiet)
    keep_typed(filled, form_fields)
    filled.then(show_linked, linked, [player, status], **quiet)
    filled.then(told_before, [prompt, model], notice, queue=False, **quiet)
    gr.on([field.change for field in everything], None, everything, None, js=WRITE_LINK, **quiet)
    fitted = [model, prompt, notice, size, frames, steps, ffe, inputs.source, *examples.values()]
    model.input(fit, [model, steps, ffe, inputs.source, size, frames, prompt], fitted, queue=False, **quiet)
    check_prompt_when_left(prompt, notice, [model], told_before)
    ffe.change(lambda on: gr.update(visible=on), ffe, first_steps, queue=False, **quiet)
    connect_inputs(inputs, context)
    dice.click(None, None, seed, js=DICE, **quiet)
    waiting = pressed(run, status, stop).then(None, keep, seed, js=NEW_SEED, **quiet)
    waiting.then(None, everything, None, js=MAKING, **quiet)
    made = [player, status, run, stop]
    making = waiting.then(make, [*form_fields, *inputs.fields], made, **MODEL_QUEUE, **PATIENT, **quiet)
    making.failure(None, status, [status, run, stop], js=NOT_STARTED, **quiet)
    stop.click(stopped, None, [status, run, stop], cancels=[making], js=STOPPED, queue=False, **quiet)


def _clip_updates(
    context: Context,
    model: str,
    request: GenerationRequest,
    said: list[str],
    link: dict[str, Any],
    player: gr.HTML,
    status: gr.HTML,
) -> Iterator[Update]:
    side = System.of(model, request)
    value = {"id": uuid4().hex, "fps": get_spec(model).fps, "total": request.frames, "autoplay": True}
    shown: dict[bool, list] = {True: [], False: []}  # sheets of drafts, and of the clip itself
    forwards = 0
    with closing(context.service.stream(model, request, said, drafts=True)) as events:
        for event in events:
            if isinstance(event, SavedClip):
                own = {"id": uuid4().hex, "autoplay": True} if shown[True] else {"autoplay": False}
                # drafts give way to the clip; what plays already goes on
                clip = {"label": side.label, "sheets": shown[False], "done": True}
                ended = value | own | {"clips": [clip], "link": link | {"clip": event.path.stem}}
                yield _finished(context, side, event, ended, player, status)
                return
            shown[event.draft] = [*shown[event.draft], sheet(event.frames, context.media)]
            if shown[True] and not event.draft:
                done = event.index + 1
                text = f"Decoding chunk {done} of {event.chunks} in full; what plays is a quick look"
                yield {status: _running(text, done / event.chunks)}
                continue
            forwards += event.forwards
            clip = {"label": side.label, "sheets": shown[event.draft]}
            yield {player: value | {"clips": [clip], "live": True}, status: _chunk_status(event, forwards)}


def _finished(
    context: Context, side: System, clip: SavedClip, value: dict[str, Any], player: gr.HTML, status: gr.HTML
) -> Update:
    """The player's `value` with a clip of `side` that is complete, and what is said of it; `value` may hold the
    frames."""
    made = clip.manifest
    if "clips" not in value:
        value = value | {"clips": [finished_clip(side.label, clip.result, clip.path, context.media)]}
    value = value | {"fps": made.fps, "total": len(clip.result.frames), "ticks": chunk_starts(made.chunk_frames)}
    return {player: value, status: _done(context, side, clip)}


def _running(text: str, progress: float) -> dict[str, Any]:
    return {"state": "running", "text": text, "progress": progress}


def _chunk_status(chunk: Chunk, forwards: int) -> dict[str, Any]:
    done, calls = chunk.index + 1, counted(forwards, "network call")
    text = f"Chunk {done} of {chunk.chunks} · {calls} · {chunk.seconds:.1f} s in the model"
    return _running(text, done / chunk.chunks)


def _done(context: Context, side: System, clip: SavedClip) -> dict[str, Any]:
    made = clip.manifest
    name = file_name(side.model, side.steps, side.ffe, made.seed)
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
    here = side.model in [spec.name for spec in list_models()]  # older clips may be of a model that is gone
    if here and not (made.image or made.video or made.switches):
        links.insert(0, {"label": "Open in Compare", "url": _compare_address(side, made)})
    return status | {"links": links}


def _compare_address(side: System, made: Manifest) -> str:
    """This clip beside another model's of its world, or beside its own with or without FFE."""
    world = get_spec(side.model).family
    names = [name for _, name in model_choices() if get_spec(name).family == world and name != side.model]
    usual = [name for name in (DEFAULT.baseline, DEFAULT.asd) if name in names]
    if names:
        other = (usual or names)[0]
        beside = System(other, nearest(side.steps, offered_steps(other)), side.first_steps)
    else:
        beside = replace(side, first_steps=0 if side.ffe else FFE_STEPS)
    own = get_spec(side.model).size
    size = size_text((made.height, made.width)) if (made.height, made.width) != own else ""
    return compare_link((beside, side), made.prompt, made.seed, made.frames, size)


def _steps_update(model: str, steps: int | None) -> dict:
    choices = offered_steps(model)
    return gr.update(choices=choices, value=nearest(steps or get_spec(model).default_steps, choices))


def _ffe_update(model: str, ffe: bool) -> dict:
    """Enhancing the first chunk is for models of few steps."""
    few_step = get_spec(model).few_step
    return gr.update(value=ffe and few_step, interactive=few_step)
