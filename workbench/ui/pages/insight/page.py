"""The Insight page: what each denoising step changes, what every chunk reads, and what plans cost."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from models.default_world import DEFAULT
from models.registry import watchable
from models.types import RequestError
from workbench.common.words import counted
from workbench.requests.insight_settings import (
    PLANS,
    REPEATS,
    Settings,
    offered_steps,
    read_plans,
    read_settings,
)
from workbench.requests.links.insight import insight_query, read_insight
from workbench.requests.numbers import frames_of, whole
from workbench.ui.components.component import (
    NOT_STARTED,
    ROOT,
    SEGMENTS,
    form_script,
    keep_typed,
    pressed,
    script_component,
)
from workbench.ui.components.prompts import (
    check_prompt_when_left,
    fitting_prompt,
    notice_value,
    prompt_notice,
    prompt_updates,
    prompts_field,
)
from workbench.ui.components.updates import PATIENT, holding
from workbench.ui.context import (
    EXAMPLE_PROMPTS,
    FFE_CHOICES,
    MODEL_QUEUE,
    PRIVATE,
    Context,
    model_choices,
    sentence,
)
from workbench.ui.pages.header import page_header

EMPTY = "Press “Analyse”, and the clip plays here as it was after every step."
FIELDS = ("model", "prompts", "seeds", "steps", "ffe", "plan", "frames")
# the form as a link gives it; of the cost to measure only what is not as the page opens
SETTINGS = f"""(model, prompts, seeds, steps, ffe, plan, frames, plans, repeats) => {{
  const lines = (prompts ?? '').split(/[|\\n]/).map((line) => line.trim()).filter(Boolean);
  const unlike = (value, usual) => (value === usual ? '' : value);
  const cost = {{ plans: unlike(plans, {json.dumps(PLANS)}), repeats: unlike(repeats, {REPEATS}) }};
  return {{ model, prompts: lines.join('|'), seeds, steps, ffe, frames, plan, ...cost }};
}}"""
WRITE_LINK, MAKING = form_script(SETTINGS, "changed"), form_script(SETTINGS, "making")
# a link with prompts is analysed at once
OPENED = f"""(...fields) => import({ROOT} + '/ui/js/link.js').then((link) =>
  (link.openedQuery().prompts ? {MAKING} : {WRITE_LINK})(...fields))"""
PRESETS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("One clip, 4 steps", {"seeds": "7", "steps": 4, "ffe": 0, "plan": "", "frames": 49}),
    ("Sixteen seeds", {"seeds": "0-15", "steps": 4, "ffe": 0, "plan": "", "frames": 49}),
    ("1 step with FFE", {"seeds": "7", "steps": 1, "ffe": 4, "plan": "", "frames": 49}),
    ("Longer than the window", {"seeds": "7", "steps": 2, "ffe": 4, "plan": "", "frames": 97}),
)
Update = dict[Any, Any]


def build(blocks: gr.Blocks, context: Context) -> None:
    page_header("Insight", "What each denoising step changes, what every chunk reads, and what that costs.")
    form, preset_buttons = _form()
    notice = prompt_notice()
    with gr.Row(elem_id="watch-row"):
        run = gr.Button("Analyse", variant="primary", scale=3, elem_id="watch")
        stop = gr.Button("Cancel", variant="stop", interactive=False, scale=1, min_width=100, elem_id="cancel")
    status = script_component("status", elem_id="status")
    address = script_component("address", elem_id="address")
    # hidden by the style sheet while empty: gradio forgets the options of components that start invisible
    with gr.Column(elem_classes="wb-until-charts"):
        shown = _results()
    gr.Markdown("### What it costs", elem_classes="wb-figure-title")
    with gr.Row(equal_height=True):
        plans = gr.Textbox(
            PLANS,
            label="Step schedules, separated by spaces",
            scale=4,
            elem_id="plans",
        )
        repeats = gr.Number(REPEATS, label="Clips per schedule", scale=1, min_width=90, elem_id="repeats")
        measure = gr.Button("Measure", scale=1, min_width=100, elem_id="measure")
        halt = gr.Button("Cancel", variant="stop", interactive=False, scale=1, min_width=100, elem_id="halt")
    told = script_component("status", elem_id="cost-status")
    costs = {"costs": _figure("costs"), "cost-table": script_component("table", elem_id="cost-table")}

    fields = [*form.values(), plans, repeats]
    linked = gr.State(False)
    quiet = {"show_progress": "hidden", **PRIVATE}

    def reopen(request: gr.Request) -> Update:
        """Fill the form from the address of the page."""
        query = request.query_params
        try:
            found = read_insight(query)
        except RequestError as error:
            return {status: {"state": "error", "text": str(error)}, linked: False}
        components = {**form, "plans": plans, "repeats": repeats}
        update: Update = {components[name]: value for name, value in found.items()}
        update[linked] = bool(query.get("prompts"))
        if "model" in found and not update[linked]:
            update[form["prompts"]] = fitting_prompt(form["prompts"].value, [found["model"]])
        if update[linked]:
            update[status] = {"state": "running", "text": "Waiting for the model", "progress": 0}
        return update

    def look(*values: Any) -> Iterator[Update]:
        settings = settings_of(*values[: len(form)])
        update = {address: insight_query(settings, *values[len(form) :])}
        for parts in watched(context, settings):
            yield update | {{**shown, "status": status}[name]: part for name, part in parts.items()}

    def cost(*values: Any) -> Iterator[Update]:
        settings = settings_of(*values[: len(form)])
        texts = values[len(form) :]
        update = {address: insight_query(settings, *texts)}
        for parts in measured(context, settings, *texts):
            yield update | {{**costs, "status": told}[name]: part for name, part in parts.items()}

    def look_linked(open_it: bool, *values: Any) -> Iterator[Update]:
        if open_it:
            yield from looking(*values)
        else:
            yield {run: gr.update()}

    looking = _guarded(look, context, status, run, stop)
    costing = _guarded(cost, context, told, measure, halt)
    seen = [*shown.values(), address, status, run, stop]
    opened = blocks.load(reopen, None, [*fields, status, linked], **quiet)
    keep_typed(opened.then(None, fields, None, js=OPENED, **quiet), fields)
    gr.on([field.change for field in fields], None, fields, None, js=WRITE_LINK, **quiet)
    opening = opened.then(look_linked, [linked, *fields], seen, **MODEL_QUEUE, **quiet)
    clicked = pressed(run, status, stop)
    clicked.then(None, fields, None, js=MAKING, **quiet)
    going = clicked.then(looking, fields, seen, **MODEL_QUEUE, **PATIENT, **quiet)
    for event in (opening, going):
        event.failure(None, status, [status, run, stop], js=NOT_STARTED, **quiet)
    stop.click(_stopped(status, run, stop), None, [status, run, stop], cancels=[opening, going], queue=False, **quiet)
    timing = pressed(measure, told, halt).then(
        costing, fields, [*costs.values(), address, told, measure, halt], **MODEL_QUEUE, **PATIENT, **quiet
    )
    timing.failure(None, told, [told, measure, halt], js=NOT_STARTED, **quiet)
    halt.click(_stopped(told, measure, halt), None, [told, measure, halt], cancels=[timing], queue=False, **quiet)
    written = [form["prompts"], form["model"]]

    def told_before(text: str, name: str) -> dict[str, Any]:
        return notice_value(text, {name: name})

    def suited(text: str, name: str) -> Update:
        return prompt_updates(form["prompts"], notice, text, {name: name})

    check_prompt_when_left(form["prompts"], notice, [form["model"]], told_before)
    opened.then(told_before, written, notice, queue=False, **quiet)
    form["model"].input(suited, written, [form["prompts"], notice], queue=False, **quiet)
    for button, preset in preset_buttons:
        button.click(
            lambda preset=preset: list(preset.values()), None, [form[name] for name in preset], queue=False, **quiet
        )


def _form() -> tuple[dict[str, Any], list[tuple[gr.Button, dict[str, Any]]]]:
    """The fields by the names a link gives them, and the presets' buttons."""
    models = model_choices(watchable())
    names = [name for _, name in models]
    with gr.Row(equal_height=True):
        prompts = prompts_field(EXAMPLE_PROMPTS[0], scale=5)
        model = gr.Dropdown(
            models,
            value=DEFAULT.asd if DEFAULT.asd in names else names[-1],
            label="Model",
            scale=2,
            min_width=160,
            elem_id="model",
        )
        seeds = gr.Textbox(
            "7", label="Seeds", placeholder="for example 0 1 2 or 0-15", scale=1, min_width=190, elem_id="seeds"
        )
        frames = gr.Number(49, label="Frames", scale=1, min_width=90, elem_id="frames")
    with gr.Row(equal_height=True):
        steps = gr.Radio(
            offered_steps(), value=4, label="Steps", elem_classes=SEGMENTS, scale=2, min_width=150, elem_id="steps"
        )
        ffe = gr.Dropdown(FFE_CHOICES, value=0, label="FFE", scale=1, min_width=110, elem_id="ffe")
        plan = gr.Textbox(
            "", label="Steps per chunk", placeholder="for example 4,1", scale=2, min_width=160, elem_id="plan"
        )
        with gr.Row(scale=4, elem_id="presets"):
            buttons = [(gr.Button(title, size="sm", min_width=120), preset) for title, preset in PRESETS]
    return dict(zip(FIELDS, (model, prompts, seeds, steps, ffe, plan, frames), strict=True)), buttons


def _results() -> dict[str, gr.HTML]:
    """The components of what was watched, by name."""
    gr.Markdown(
        "### How alike the steps' predictions are\nSimilarity of the first prediction of a chunk to its last, and of "
        "all its predictions to each other.",
        elem_classes="wb-figure-title",
    )
    shown = {"line": _figure("line"), "maps": _figure("maps"), "chunks": script_component("table", elem_id="chunks")}
    gr.Markdown(
        "### What each step changed\nThe first clip as it was predicted after each step; every chunk goes on from the "
        "finished past.",
        elem_classes="wb-figure-title",
    )
    shown["player"] = script_component(
        "player", options={"bus": "insight", "compare": True, "empty": EMPTY}, elem_id="player"
    )
    gr.Markdown(
        "### What a chunk reads\nThe latent frames that the cache holds for each chunk, as the cache itself hands "
        "them out.",
        elem_classes="wb-figure-title",
    )
    shown["reads"] = _figure("reads")
    gr.Markdown(
        "### Where its attention goes\nShare of a chunk's (row) attention that each chunk (column) gets, mean over "
        "heads, layers, steps and clips.",
        elem_classes="wb-figure-title",
    )
    return shown | {"attention": _figure("attention")}


def _figure(name: str) -> gr.HTML:
    return script_component("figure", options={"still": True, "name": f"insight-{name}"}, elem_id=f"chart-{name}")


def _guarded(
    work: Callable[..., Iterator[Update]], context: Context, status: Any, run: gr.Button, stop: gr.Button
) -> Callable[..., Iterator[Update]]:
    """`work` with its buttons held while it goes on, and any error as a sentence."""
    busy = {run: gr.update(interactive=False), stop: gr.update(interactive=True)}
    ready = {run: gr.update(interactive=True), stop: gr.update(interactive=False)}

    def guarded(*values: Any) -> Iterator[Update]:
        try:
            context.check_writable()
            yield {status: {"state": "running", "text": "Loading the model", "progress": 0}, **busy}
            yield from holding(({**busy, **parts} for parts in work(*values)), ready)
        except Exception as error:
            yield {status: {"state": "error", "text": sentence(error)}, **ready}

    return guarded


def _stopped(status: Any, run: gr.Button, stop: gr.Button) -> Callable[[], Update]:
    ready = {run: gr.update(interactive=True), stop: gr.update(interactive=False)}
    return lambda: {status: {"state": "idle", "text": "Cancelled. What was measured before stays."}} | ready


def settings_of(model: str, prompts: str, seeds: str, steps: Any, ffe: Any, plan: str, frames: Any) -> Settings:
    """The settings that the form describes; raises RequestError."""
    wanted = whole(steps, "steps", "one of the steps offered")
    return read_settings(model or "", prompts or "", seeds or "", wanted, int(ffe or 0), plan or "", frames_of(frames))


def watched(context: Context, settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield what changes on the page, by component name, as clip after clip is watched; raises RequestError."""
    from workbench.experiments.insight import check_settings, watch
    from workbench.ui.pages.insight import view

    pipeline = context.service.pipeline(settings.model)
    told, count, first = check_settings(pipeline, settings), len(settings.requests()), {}
    for found in watch(pipeline, settings):
        first = first or {"player": view.player_value(pipeline, found, context.media)}
        text = f"{found.clips} of {counted(count, 'clip')}"
        progress = {"state": "running", "text": text, "progress": found.clips / count}
        yield {
            **first,
            **view.similarity_values(found),
            **view.reading_values(pipeline, found),
            "status": progress if found.clips < count else view.done_status(pipeline, found, told),
        }


def measured(context: Context, settings: Settings, plans: str, repeats: Any) -> Iterator[dict[str, Any]]:
    """Yield what changes on the page, by component name, round after round; raises RequestError."""
    from workbench.experiments.insight import measure_cost
    from workbench.ui.pages.insight import view

    number = whole(repeats, "clips per schedule", "a whole number, as 3")
    pipeline = context.service.pipeline(settings.model)
    rounds = measure_cost(pipeline, read_plans(plans or "", settings), number)
    for done, (model, rows) in enumerate(rounds, 1):
        progress = {"state": "running", "text": f"round {done} of {number}", "progress": done / number}
        text = f"Done: {counted(number * len(rows), 'clip')} measured, {number} per schedule."
        finished = {"state": "done", "text": text}
        yield {**view.cost_values(model, rows), "status": progress if done < number else finished}
