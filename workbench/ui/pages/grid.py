"""The Grid page: two or three axes of settings, every combination a clip, all in step."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any
from uuid import uuid4

import gradio as gr

from eval.evaluator import Source, evaluate
from eval.metric import MetricResult
from models.default_world import DEFAULT, EMBEDDED, EmbeddedWorld, world_of
from models.registry import get_spec
from models.types import RequestError
from workbench.clips.generation import SavedClip
from workbench.clips.kept import as_stored, kept_clip
from workbench.common.words import counted, readable
from workbench.requests.comparison import told_apart
from workbench.requests.grid import AXES, Cell, Grid, read_grid
from workbench.requests.links.evaluate import evaluate_link
from workbench.requests.links.generate import generate_link
from workbench.requests.links.grid import grid_query, read_grid_link
from workbench.requests.links.inputs import TEXT, input_query
from workbench.requests.numbers import frames_of, seed_of, whole
from workbench.requests.systems import System
from workbench.scoring.evaluation import create_metrics
from workbench.ui.api.export_api import export_links
from workbench.ui.components.clips import chunk_starts, sheet, speed_facts
from workbench.ui.components.component import (
    DICE,
    NOT_STARTED,
    SEGMENTS,
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
)
from workbench.ui.components.updates import PATIENT, holding
from workbench.ui.context import (
    FFE_CHOICES,
    MODEL_QUEUE,
    PRIVATE,
    Context,
    default_model,
    model_choices,
    nearest,
    offered_steps,
    sentence,
)
from workbench.ui.pages.header import page_header

WORLDS = sorted(EMBEDDED, key=lambda world: world != DEFAULT)
SHADES = (
    *(name for world in WORLDS for name in reversed(world.metrics)),
    *("temporal_flickering", "dynamic_degree_flow", "sharpness"),
)
EMPTY = "Choose what goes along the axes and press “Generate grid”. Click a cell to see it beside the reference."
ASKED = "(axis) => ({ __type__: 'update', visible: Boolean(axis) })"  # an axis that is not there has no values
VALUES = "Separated by commas, prompts by |; seeds also as 7-10. FFE 0 is off."
AXIS_CHOICES = [(axis.title, name) for name, axis in AXES.items()]
FROM_TEXT = (TEXT, None, None, 0.9, "")
# the address as `grid_query` writes it, from the fields
SETTINGS = f"""(model, steps, first_steps, seed, prompt, frames, x, xt, y, yt, z, zt, source, kept, strength) => {{
  {LINK_SCRIPT}
  const parts = (text, by) => (text ?? '').split(by).map((part) => part.trim()).filter(Boolean);
  const prompts = (text) => parts(text, /[|\\n]/).join('|');
  const values = (axis, text) => !axis ? '' : axis === 'prompt' ? prompts(text) : parts(text, ',').join(',');
  const axes = {{ x, xv: values(x, xt), y, yv: values(y, yt), z, zv: values(z, zt) }};
  const fixed = {{ model, steps, first_steps, seed, prompt, frames }};
  for (const axis of [x, y, z]) delete fixed[axis];
  return {{ ...axes, ...fixed, ...inputs(source, kept, strength) }};
}}"""
WRITE_LINK, MAKING = form_script(SETTINGS, "changed"), form_script(SETTINGS, "making")
Update = dict[Any, Any]


def presets(world: EmbeddedWorld = DEFAULT) -> list[tuple[str, list[tuple[str, str]]]]:
    """Grids worth one click, of the models of a world."""
    both = f"{world.baseline}, {world.asd}"
    return [
        ("Ladder: steps and FFE", [("steps", "1, 2, 4"), ("first_steps", "0, 4"), ("", "")]),
        ("Models and steps", [("steps", "1, 2, 4"), ("model", both), ("", "")]),
        ("Models and seeds", [("seed", "7-10"), ("model", both), ("", "")]),
        ("Models, steps and FFE", [("steps", "1, 2"), ("model", both), ("first_steps", "0, 4")]),
    ]


def build(blocks: gr.Blocks, context: Context) -> None:
    page_header("Grid", "Two or three axes out of model, steps, FFE, seed and prompt: every combination, all in step.")
    start = presets()[0][1]
    with gr.Row(equal_height=True):
        prompt = prompt_field(scale=5, min_width=280)
        model = gr.Dropdown(
            model_choices(), value=default_model(DEFAULT.asd), label="Model", scale=2, min_width=160, elem_id="model"
        )
        steps = gr.Radio(
            [1, 2, 3, 4], value=1, label="Steps", elem_classes=SEGMENTS, scale=2, min_width=150, elem_id="steps"
        )
        ffe = gr.Dropdown(FFE_CHOICES, value=0, label="FFE", scale=1, min_width=110)
        seed = gr.Number(7, label="Seed", scale=1, min_width=90, elem_id="seed")
        frames = length_box([model.value])
        dice = gr.Button("New seed", size="sm", scale=0, min_width=90, elem_id="dice")
    notice = prompt_notice()
    axes = []
    with gr.Row(equal_height=False, elem_id="axes"):
        for name, (axis, text) in zip("XYZ", start, strict=True):
            choices = AXIS_CHOICES if name != "Z" else [("none", ""), *AXIS_CHOICES]
            with gr.Group():
                what = gr.Dropdown(choices, value=axis, label=f"{name} axis", elem_id=f"axis-{name}")
                values = gr.Textbox(
                    text,
                    label=f"{name} values",
                    info=VALUES,
                    lines=1,
                    max_lines=6,
                    visible=bool(axis),
                    elem_id=f"values-{name}",
                )
            axes += [what, values]
    with gr.Row(elem_id="presets"):
        buttons = [(gr.Button(title, size="sm", min_width=130), title) for title, _ in presets()]
    with gr.Row():
        run = gr.Button("Generate grid", variant="primary", scale=3, elem_id="make")
        stop = gr.Button("Cancel", variant="stop", interactive=False, scale=1, min_width=100, elem_id="cancel")
    with gr.Accordion("Example prompts; start from a picture or a video", open=False, elem_id="more") as more:
        inputs = build_inputs([model.value])
        examples = example_prompts(prompt, model.value)
    status = script_component("status", elem_id="status")
    cells = script_component("cells", options={"empty": EMPTY}, elem_id="cells")

    form = [model, steps, ffe, seed, prompt, frames, *axes]
    in_link = [*form, *inputs.linked]
    made = [cells, status, run, stop]
    linked = gr.State(False)
    quiet = {"show_progress": "hidden", **PRIVATE}
    busy = {run: gr.update(interactive=False), stop: gr.update(interactive=True)}
    ready = {run: gr.update(interactive=True), stop: gr.update(interactive=False)}

    def reopen(request: gr.Request) -> Update:
        """Fill the form from the address of the page."""
        simple = {"model": model, "steps": steps, "first_steps": ffe, "seed": seed, "prompt": prompt, "frames": frames}
        try:
            found = read_grid_link(request.query_params)
            opened = open_inputs(inputs, context, found)
            along = [part for pair in found.get("axes", ()) for part in pair]
            models = _models(found.get("model") or model.value, along)
        except RequestError as error:
            return {status: {"state": "error", "text": str(error)}, linked: False}
        updates: Update = {component: found[name] for name, component in simple.items() if name in found}
        if "prompt" not in found:
            updates |= suited(prompt.value, found.get("model") or model.value, *along)
        updates[frames] = length_update(models, found.get("frames", frames.value))
        updates |= opened | {linked: "axes" in found, **examples_update(examples, models)}
        if opened:
            updates[more] = gr.update(open=True)
        if "axes" in found:
            for i, (name, text) in enumerate(found["axes"]):
                updates[axes[2 * i]] = name if name in AXES else ""
                updates[axes[2 * i + 1]] = text
            updates[status] = {"state": "running", "text": "Waiting for the model", "progress": 0}
        return updates

    def suited(text: str, name: str, *along: str) -> Update:
        """A prompt that suits the grid's models, and what they will not show of the grid's prompts."""
        fitting = prompt_updates(prompt, notice, text, _models_by_title(name, along))
        return fitting | ({notice: told_before(text, name, *along)} if "prompt" in along[::2] else {})

    def told_before(text: str, name: str, *along: str) -> dict[str, Any]:
        prompts = dict(zip(along[::2], along[1::2], strict=True)).get("prompt", text)
        return notice_value(prompts.replace("|", "\n"), _models_by_title(name, along))

    def fit(kind: str, length: Any, name: str, *along: str) -> Update:
        """Only what every model of the grid takes is offered: inputs, lengths, and example prompts."""
        models = _models(name, along)
        fitted = {inputs.source: fitting_source(models, kind), frames: length_update(models, length)}
        return fitted | examples_update(examples, models)

    def make(*values: Any, kept: bool = False) -> Iterator[Update]:
        asked, given = values[: len(form)], values[len(form) :]
        try:
            context.check_writable()
            grid = grid_of(*asked)
            yield {status: {"state": "running", "text": "Loading the models", "progress": 0}, **busy}
            changes = make_grid(context, grid, given, kept=kept)
            yield from holding(
                ({**busy, **{outputs[n]: part for n, part in parts.items()}} for parts in changes), ready
            )
        except Exception as error:
            hidden = [*given[1:3], context.evaluations.library.uploads]
            yield {status: {"state": "error", "text": sentence(error, *hidden)}, **ready}

    def make_linked(open_it: bool, *values: Any) -> Iterator[Update]:
        if open_it:
            yield from make(*values, kept=True)
        else:
            yield {run: gr.update()}

    def stopped() -> Update:
        return {status: {"state": "idle", "text": "Cancelled. Cells that were finished are saved."}} | ready

    outputs = {"cells": cells, "status": status}
    for what, values in zip(axes[::2], axes[1::2], strict=True):
        what.change(None, what, values, js=ASKED, **quiet)
    shown = [*form, *inputs.opened, notice, status, linked, more, *examples.values()]
    opened = blocks.load(reopen, None, shown, **quiet)
    keep_typed(opened.then(None, in_link, None, js=MAKING, **quiet), form)
    gr.on([field.change for field in in_link], None, in_link, None, js=WRITE_LINK, **quiet)
    opening = opened.then(make_linked, [linked, *form, *inputs.fields], made, **MODEL_QUEUE, **quiet)
    clicked = pressed(run, status, stop)
    clicked.then(None, in_link, None, js=MAKING, **quiet)
    connect_inputs(inputs, context)
    making = clicked.then(make, [*form, *inputs.fields], made, **MODEL_QUEUE, **PATIENT, **quiet)
    gr.on(
        [model.input, *(field.change for field in axes)],
        fit,
        [inputs.source, frames, model, *axes],
        [inputs.source, frames, *examples.values()],
        queue=False,
        **quiet,
    )
    chosen = [model, *axes]
    check_prompt_when_left(prompt, notice, chosen, told_before)
    opened.then(told_before, [prompt, *chosen], notice, queue=False, **quiet)
    gr.on(
        [model.input, *(what.input for what in axes[::2]), *(values.blur for values in axes[1::2])],
        suited,
        [prompt, *chosen],
        [prompt, notice],
        queue=False,
        **quiet,
    )
    for event in (opening, making):
        event.failure(None, status, [status, run, stop], js=NOT_STARTED, **quiet)
    stop.click(stopped, None, [status, run, stop], cancels=[opening, making], queue=False, **quiet)
    dice.click(None, None, seed, js=DICE, **quiet)

    def preset(title: str, text: str, name: str) -> Update:
        flat = preset_axes(title, name)
        return dict(zip(axes, flat, strict=True)) | suited(text, name, *flat)

    for button, title in buttons:
        button.click(partial(preset, title), [prompt, model], [prompt, notice, *axes], queue=False, **quiet)


def preset_axes(title: str, model: str) -> list[str]:
    """What a preset puts along the axes, of the world of `model`: each axis and its values, one after the other."""
    return [part for row in dict(presets(world_of(get_spec(model).family)))[title] for part in row]


def _models_by_title(model: str, axes: Sequence[str]) -> dict[str, str]:
    return {System(name, 0).model_title: name for name in _models(model, axes)}


def _models(model: str, axes: Sequence[str]) -> list[str]:
    names = dict(zip(axes[::2], axes[1::2], strict=True)).get("model")
    try:
        return AXES["model"].read(names) if names else [model]
    except RequestError:  # half typed: the button tells it
        return [model]


def grid_of(model: str, steps: Any, ffe: Any, seed: Any, prompt: str, frames: Any, *axes: str) -> Grid:
    """The grid that the form describes; raises RequestError.

    Steps that the model does not offer are moved to the nearest it does, unless they are an axis.
    """
    wanted = whole(steps, "steps", "one of the steps offered")
    base = Cell(
        get_spec(model).name,
        nearest(wanted, offered_steps(model)),
        int(ffe or 0),
        seed_of(seed),
        prompt or "",
        frames_of(frames),
    )
    return read_grid(base, list(zip(axes[::2], axes[1::2], strict=True)))


def make_grid(
    context: Context, grid: Grid, given: Sequence[Any] = FROM_TEXT, *, kept: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield what changes on the page, by component name, as the cells are made one after the other.

    All start from `given`, the values of the page's `Inputs`; with `kept`, clips that were made before are not
    made again. Every cell is checked before the first is made; raises RequestError naming the cell.
    """
    cells, identity = grid.cells(), uuid4().hex
    labels = grid.labels()
    requests = []
    for place, cell in cells:
        try:
            requests.append(with_input(cell.request, context, cell.model, *given))
            context.service.check(cell.model, requests[-1][0])
        except RequestError as error:
            raise RequestError(f"Cell {_words(labels, place)}: {error}") from error
    places = [place for place, _ in cells]
    shown: list[dict[str, Any]] = [
        {"place": list(place), "label": _words(labels, place), "note": "waiting"} for place in places
    ]
    value = {
        "id": identity,
        "fps": get_spec(cells[0][1].model).fps,
        "axes": [
            {"title": AXES[name].title, "labels": found} for (name, _), found in zip(grid.axes, labels, strict=True)
        ],
        "cells": shown,
        "ticks": [],
        "metrics": [_shade(name) for name in SHADES],
        "link": grid_query(grid) | input_query(*given),
    }
    metrics, clips, notices = create_metrics(SHADES), [], {}
    for i, (_, cell) in enumerate(cells):
        clip = kept_clip(context.service, context.evaluations.library, cell.model, requests[i][0]) if kept else None
        if clip is None:
            with closing(context.service.stream(cell.model, *requests[i])) as events:
                clip = as_stored(next(event for event in events if isinstance(event, SavedClip)))
        clips.append(clip)
        notices.setdefault(cell.system.model_title, []).extend(clip.notices)
        frames = clip.result.frames
        world = clip.manifest.family
        source = Source(clip.path.stem, frames=frames, fps=clip.result.fps, prompt=cell.prompt, world=world)
        (scores,) = evaluate([source], metrics)
        shown[i] |= {
            "note": "",
            **sheet(frames, context.media),
            "scores": {name: _score(result) for name, result in scores.results.items()},
            "facts": speed_facts(clip.result),
            "links": [{"label": "open in Generate", "url": _generate(cell)}],
        }
        value["ticks"] = chunk_starts(clip.result.chunk_frames)
        yield {"cells": value | {"cells": list(shown)}, "status": _progress(i + 1, len(cells), shown[i]["label"])}
    yield {"status": _done(grid, clips, told_apart(notices))}


def _done(grid: Grid, clips: Sequence[SavedClip], notices: Sequence[str]) -> dict[str, Any]:
    ids = [clip.path.stem for clip in clips]
    seconds = sum(clip.result.seconds for clip in clips)
    return {
        "state": "done",
        "text": f"Done: {counted(len(clips), 'clip')} in {seconds:.1f} s.",
        "notices": list(notices),
        "links": [
            {"label": "Evaluate these clips", "url": evaluate_link(list(dict.fromkeys(ids)))},
            *export_links(ids, len(grid.axes[0][1])),
        ],
    }


def _progress(done: int, count: int, label: str) -> dict[str, Any]:
    return {"state": "running", "text": f"{done} of {count}: {label}", "progress": done / count}


def _words(labels: Sequence[Sequence[str]], place: Sequence[int]) -> str:
    return " · ".join(labels[axis][i] for axis, i in enumerate(place))


def _generate(cell: Cell) -> str:
    return generate_link(cell.system, cell.prompt, cell.seed, cell.frames)


def _shade(name: str) -> dict[str, Any]:
    facts = create_metrics([name])[0].facts
    return {"name": name, "title": facts.title, "better": facts.higher_is_better}


def _score(result: MetricResult) -> dict[str, Any]:
    if result.value is None:
        return {"value": None, "text": f"not scored: {result.reason}"}
    return {"value": result.value, "text": readable(result.value, 3)}
