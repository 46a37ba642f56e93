"""The Compare page: the same prompt and noise through two to four choices, played in step."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import gradio as gr

from models.registry import get_spec, list_models
from models.types import GenerationRequest, PromptSwitch, RequestError
from workbench.charts import frame_curves
from workbench.generation import SavedClip
from workbench.timeline import EXAMPLE as SWITCH
from workbench.timeline import read_step_plan, read_switches
from workbench.ui.clips import chunk_starts, file_name, finished_clip, speed_facts
from workbench.ui.comparison import LETTERS, MAX_SIDES, MIN_SIDES, Side, recipe_difference
from workbench.ui.component import DICE, NOT_STARTED, SEGMENTS, STARTED, STOPPED, form_script, script_component
from workbench.ui.context import (
    EXAMPLE_PROMPTS,
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
from workbench.ui.export_api import export_links
from workbench.ui.inputs import (
    LINK_SCRIPT,
    TEXT,
    build_inputs,
    connect_inputs,
    fitting_source,
    linked_input,
    open_inputs,
    with_input,
)
from workbench.ui.links import compare_query, evaluate_link, generate_link, read_compare
from workbench.ui.pages.header import page_header
from workbench.ui.updates import PATIENT, holding
from workbench.words import counted, readable

FFE_CHOICES = [("off", 0), ("2 steps", 2), ("3 steps", 3), ("4 steps", 4)]
SETTINGS = f"""(prompt, seed, frames, count, switches, cache, source, kept, strength, ...cards) => {{
  {LINK_SCRIPT}
  const plan = (steps, ffe) => !ffe || ffe === steps ? steps : ffe === 4 ? `${{steps}}*` : `${{ffe}},${{steps}}`;
  const side = (i) => {{
    const [model, steps, ffe, byHand] = cards.slice(4 * i, 4 * i + 4);
    return `${{model}}:${{(byHand ?? '').replace(/\\s/g, '') || plan(steps, ffe)}}`;
  }};
  const changed = (switches ?? '').trim().split('\\n').join('|');
  const sides = Array.from({{ length: count }}, (_, i) => side(i)).join(';');
  const later = changed ? {{ switches: changed, cache }} : {{}};
  return {{ prompt, seed, frames, sides, ...later, ...inputs(source, kept, strength) }};
}}"""
WRITE_LINK, MAKING = form_script(SETTINGS, "changed"), form_script(SETTINGS, "making")
RECIPE_FIELDS = (
    "model",
    "steps",
    "ffe",
    "first_steps",
    "guidance_scale",
    "forwards",
    "weights_digest",
    "frames",
    "dtype",
)
Update = dict[Any, Any]


@dataclass(frozen=True)
class Card:
    """The controls of one side."""

    group: gr.Group
    model: gr.Dropdown
    steps: gr.Radio
    ffe: gr.Dropdown
    plan: gr.Textbox

    @property
    def fields(self) -> list[Any]:
        return [self.model, self.steps, self.ffe, self.plan]


def presets() -> list[tuple[str, tuple[Side, ...]]]:
    """Comparisons worth one click, of the models this registry has."""
    baseline, asd = "shapes-self-forcing", "shapes-asd"
    offered = [
        ("Baseline and ASD, 1 step", (Side(baseline, 1), Side(asd, 1))),
        ("… with FFE", (Side(baseline, 1, True), Side(asd, 1, True))),
        ("ASD ladder: 1, 1*, 2, 4", (Side(asd, 1), Side(asd, 1, True), Side(asd, 2), Side(asd, 4))),
        ("Teacher, baseline, ASD", (*_teacher(), Side(baseline, 4), Side(asd, 4))),
    ]
    names = {spec.name for spec in list_models()}
    return [(title, sides) for title, sides in offered if all(side.model in names for side in sides)]


def _teacher() -> tuple[Side, ...]:
    teacher = next((spec for spec in list_models() if not spec.causal), None)
    return (Side(teacher.name, teacher.default_steps),) if teacher else ()


def build(blocks: gr.Blocks, context: Context) -> None:
    page_header("Compare", "One prompt, one noise, two to four choices: every frame in step.")
    first = default_model("shapes-self-forcing")
    second = default_model("shapes-asd")
    start = (Side(first, nearest(1, offered_steps(first))), Side(second, nearest(1, offered_steps(second))))
    with gr.Row(equal_height=True):
        prompt = gr.Textbox(
            EXAMPLE_PROMPTS[0],
            label="Prompt",
            lines=1,
            max_lines=4,
            scale=6,
            min_width=280,
            elem_id="prompt",
        )
        with gr.Column(scale=2, min_width=200):
            run = gr.Button("Generate all", variant="primary", elem_id="compare")
            stop = gr.Button("Cancel", variant="stop", size="sm", interactive=False, elem_id="cancel")
    with gr.Row(elem_id="presets"):
        columns = list(range(MIN_SIDES, MAX_SIDES + 1))
        count = gr.Radio(
            columns,
            value=len(start),
            label="Columns",
            show_label=False,
            container=False,
            elem_classes=SEGMENTS,
            scale=0,
            min_width=130,
            elem_id="columns",
        )
        preset_buttons = [(gr.Button(title, size="sm", min_width=120), sides) for title, sides in presets()]
    with gr.Row(equal_height=True, elem_classes="wb-cards"):
        cards = [_card(i, start[i] if i < len(start) else start[-1], i < len(start)) for i in range(MAX_SIDES)]
    status = script_component("status", elem_id="status")
    player = script_component("player", options={"bus": "compare", "compare": True, "empty": EMPTY}, elem_id="player")
    with gr.Accordion("More settings: input, frames, seed, schedules", open=False, elem_id="more") as more:
        with gr.Row(equal_height=True):
            frames = gr.Number(49, label="Frames", precision=0, scale=1, min_width=90, elem_id="frames")
            seed = gr.Number(7, label="Seed", precision=0, scale=1, min_width=90, elem_id="seed")
            dice = gr.Button("New seed", size="sm", scale=0, min_width=90, elem_id="dice")
            inputs = build_inputs([side.model for side in start])
        with gr.Row():
            plans = [card.plan.render() for card in cards]
        with gr.Row():
            switches = gr.Textbox(
                label="Prompt switches",
                info=f"One per line, chunk: prompt, for example {SWITCH}. Chunks count from 1.",
                lines=2,
                elem_id="switches",
            )
            cache = gr.Radio(
                [("stay as they are", "keep"), ("are re-cached", "recache"), ("are forgotten", "reset")],
                value="keep",
                label="At a switch, the chunks before",
                elem_classes=SEGMENTS,
            )
        gr.Examples([[p] for p in EXAMPLE_PROMPTS], prompt, label="Example prompts", **PRIVATE)
    chart = script_component("chart", options={"bus": "compare"}, elem_id="chart")
    recipes = script_component("table", elem_id="recipes")
    with gr.Accordion("Player self-test", open=False, elem_id="selftest-panel"):
        script_component("selftest", elem_id="selftest")

    card_fields = [field for card in cards for field in card.fields]
    form = [prompt, seed, frames, count, switches, cache, *inputs.fields, *card_fields]
    in_link = [prompt, seed, frames, count, switches, cache, *inputs.linked, *card_fields]
    linked = gr.State(False)
    quiet = {"show_progress": "hidden", **PRIVATE}
    busy = {run: gr.update(interactive=False), stop: gr.update(interactive=True)}
    ready = {run: gr.update(interactive=True), stop: gr.update(interactive=False)}

    def show_sides(sides: Sequence[Side]) -> Update:
        updates: Update = {count: len(sides)}
        for i, card in enumerate(cards):
            updates[card.group] = gr.update(visible=i < len(sides))
            updates[card.plan] = gr.update(visible=i < len(sides), value="")
            if i < len(sides):
                updates |= _card_values(card, sides[i])
        return updates

    def reopen(request: gr.Request) -> Update:
        """Fill the form from the address of the page."""
        try:
            found = read_compare(request.query_params)
            opened = open_inputs(inputs, context, found)
        except RequestError as error:
            return {status: {"state": "error", "text": str(error)}, linked: False}
        simple = {prompt: "prompt", seed: "seed", frames: "frames", switches: "switches", cache: "cache"}
        updates: Update = {component: found[name] for component, name in simple.items() if name in found}
        updates |= opened
        updates[linked] = "sides" in found and "prompt" in found
        if opened or found.get("switches") or any(side.plan for side in found.get("sides", ())):
            updates[more] = gr.update(open=True)
        if updates[linked]:
            updates[status] = {"state": "running", "text": "Waiting for the model", "progress": 0}
        return updates | (show_sides(found["sides"]) if "sides" in found else {})

    def make(
        text: str, number: float, length: float, columns: int, others: str, past: str, *values: Any
    ) -> Iterator[Update]:
        given, values = values[: len(inputs.fields)], values[len(inputs.fields) :]
        try:
            context.check_writable()
            sides, later = _sides(columns, values), read_switches(others or "", past)
            plan = Plan(text, seed_of(number), frames_of(length), sides, later, given)
            yield {
                status: {"state": "running", "text": "Loading the models", "progress": 0},
                chart: {},
                recipes: {},
                **busy,
            }
            changes = make_comparison(context, plan)
            yield from holding(
                ({**busy, **{outputs[n]: part for n, part in parts.items()}} for parts in changes), ready
            )
        except Exception as error:
            hidden = [*given[1:3], context.evaluations.library.uploads]
            yield {status: {"state": "error", "text": sentence(error, *hidden)}, **ready}

    def make_linked(open_it: bool, *values: Any) -> Iterator[Update]:
        if open_it:
            yield from make(*values)
        else:
            yield {run: gr.update()}

    def stopped() -> Update:
        return {status: {"state": "idle", "text": "Cancelled. Sides that were finished are saved."}} | ready

    outputs = {"player": player, "status": status, "chart": chart, "recipes": recipes}
    made = [*outputs.values(), run, stop]
    opened = blocks.load(
        reopen,
        None,
        [
            *[prompt, seed, frames, count, switches, cache, *inputs.opened, *card_fields],
            *[card.group for card in cards],
            *[status, linked, more],
        ],
        **quiet,
    )
    opened.then(None, in_link, None, js=MAKING, **quiet)
    gr.on([field.change for field in in_link], None, in_link, None, js=WRITE_LINK, **quiet)
    opening = opened.then(make_linked, [linked, *form], made, **MODEL_QUEUE, **quiet)
    clicked = run.click(None, None, [status, stop], js=STARTED, **quiet)
    clicked.then(None, in_link, None, js=MAKING, **quiet)
    connect_inputs(inputs, context)
    making = clicked.then(make, form, made, **MODEL_QUEUE, **PATIENT, **quiet)
    for event in (opening, making):
        event.failure(None, status, [status, run, stop], js=NOT_STARTED, **quiet)
    stop.click(stopped, None, [status, run, stop], cancels=[opening, making], js=STOPPED, queue=False, **quiet)
    dice.click(None, None, seed, js=DICE, **quiet)
    models = [card.model for card in cards]

    def sources(kind: str, columns: int, *names: str) -> dict:
        return fitting_source(names[:columns], kind)

    count.input(
        lambda n: [gr.update(visible=i < n) for i in range(MAX_SIDES)] * 2,
        count,
        [*[card.group for card in cards], *plans],
        queue=False,
        **quiet,
    )
    for card in cards:
        card.model.input(_fit, [card.model, card.steps, card.ffe], [card.steps, card.ffe], queue=False, **quiet)
        card.model.change(sources, [inputs.source, count, *models], inputs.source, queue=False, **quiet)
    for button, sides in preset_buttons:
        button.click(
            lambda sides=sides: show_sides(sides),
            None,
            [count, *card_fields, *[c.group for c in cards]],
            queue=False,
            **quiet,
        )


EMPTY = "Choose what to compare and press “Generate all”. The clips play here in step, with their curves below."


def _card(i: int, side: Side, visible: bool) -> Card:
    choices = offered_steps(side.model)
    with gr.Group(
        visible=visible, elem_classes=f"wb-side-card wb-side-card-{i}", elem_id=f"side-{LETTERS[i]}"
    ) as group, gr.Row():
        model = gr.Dropdown(model_choices(), value=side.model, label=f"{LETTERS[i]} · Model", min_width=150)
        steps = gr.Radio(choices, value=side.steps, label="Steps", elem_classes=SEGMENTS, min_width=120)
        ffe = gr.Dropdown(FFE_CHOICES, value=0, label="FFE, on the first chunk", min_width=120)
    plan = gr.Textbox(
        label=f"{LETTERS[i]} · Steps per chunk",
        placeholder="for example 4,1,2",
        info="The last number repeats. Empty: as chosen above.",
        min_width=150,
        visible=visible,
        render=False,
        elem_id=f"plan-{LETTERS[i]}",
    )
    return Card(group, model, steps, ffe, plan)


def _card_values(card: Card, side: Side) -> Update:
    few_step = get_spec(side.model).few_step
    return {
        card.model: side.model,
        card.steps: gr.update(choices=offered_steps(side.model), value=side.steps),
        card.ffe: gr.update(value=side.first_steps if side.ffe else 0, interactive=few_step),
        card.plan: gr.update(visible=True, value=",".join(map(str, side.plan))),
    }


def _fit(model: str, steps: int, ffe: int) -> tuple[dict, dict]:
    few_step = get_spec(model).few_step
    choices = offered_steps(model)
    return gr.update(choices=choices, value=nearest(steps, choices)), gr.update(
        value=ffe if few_step else 0, interactive=few_step
    )


def _sides(columns: int, values: Sequence[Any]) -> tuple[Side, ...]:
    """Sides from the cards' values: model, steps, FFE and a plan by hand, four for each card."""
    advice = "one of the steps offered for this model"
    sides = []
    for i, letter in enumerate(LETTERS[:columns]):
        model, steps, ffe, by_hand = values[4 * i : 4 * i + 4]
        plan = read_step_plan(by_hand or "", f"the schedule of {letter}")
        sides.append(Side(model, whole(steps, "steps", advice), bool(ffe), int(ffe) or 4, plan))
    return tuple(sides)


@dataclass(frozen=True)
class Plan:
    """A comparison to make: the sides share prompt, noise, prompt switches and what they start from (`given`, the
    values of the page's `Inputs`)."""

    prompt: str
    seed: int
    frames: int
    sides: tuple[Side, ...]
    switches: tuple[PromptSwitch, ...] = ()
    given: tuple[Any, ...] = (TEXT, None, None, 0.9, "")

    def request(self, context: Context, side: Side) -> tuple[GenerationRequest, list[str]]:
        """What a side is made by, and what was changed about its input. Raises RequestError."""
        request = replace(side.request(self.prompt, self.seed, self.frames), switches=self.switches)
        return with_input(request, context, side.model, *self.given)

    @property
    def query(self) -> dict[str, Any]:
        """The comparison as the query of an address."""
        query = compare_query(self.sides, self.prompt, self.seed, self.frames)
        if self.switches:
            query["switches"] = "|".join(f"{each.chunk + 1}: {each.prompt}" for each in self.switches)
            query["cache"] = self.switches[0].cache
        return query | linked_input(*self.given)


def make_comparison(context: Context, plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield what changes on the page, by component name, as the sides are made one after the other."""
    requests = check_sides(context, plan)
    identity, clips = uuid4().hex, []
    for i, side in enumerate(plan.sides):
        with closing(context.service.stream(side.model, *requests[i])) as events:
            for event in events:
                if isinstance(event, SavedClip):
                    clips.append(event)
                else:
                    yield {"status": _progress(plan, i, event.index + 1, event.chunks)}
        last = len(clips) == len(plan.sides)
        yield {"player": player_value(context, plan, clips, identity)} | (_results(plan, clips) if last else {})


def check_sides(context: Context, plan: Plan) -> list[tuple[GenerationRequest, list[str]]]:
    """Every side's request with what was changed about its input. Refuses before anything is made; raises
    RequestError naming the side."""
    requests = []
    for letter, side in zip(LETTERS, plan.sides, strict=False):
        try:
            requests.append(plan.request(context, side))
            context.service.check(side.model, requests[-1][0])
        except RequestError as error:
            raise RequestError(f"Side {letter}: {error}") from error
    return requests


def player_value(context: Context, plan: Plan, made: Sequence[SavedClip], identity: str) -> dict[str, Any]:
    """The player's value with the sides made so far; the others are named and wait."""
    clips = []
    for i, side in enumerate(plan.sides):
        label = f"{LETTERS[i]} · {side.label}"
        if i >= len(made):
            clips.append({"label": label, "note": "being made"})
            continue
        name = file_name(side.model, side.steps, side.ffe, plan.seed)
        files = [("mp4", made[i].path), ("manifest", made[i].manifest_path)]
        downloads = [
            {"label": kind, "url": context.media.file(path), "name": name + path.suffix} for kind, path in files
        ]
        more = {
            "facts": speed_facts(made[i].result),
            "downloads": downloads,
            "links": [{"label": "open in Generate", "url": generate_link(side, plan.prompt, plan.seed, plan.frames)}],
        }
        clips.append(finished_clip(label, made[i].result, made[i].path, context.media, **more))
    return {
        "id": identity,
        "fps": get_spec(plan.sides[0].model).fps,
        "total": max((len(clip.result.frames) for clip in made), default=plan.frames),
        "ticks": chunk_starts(max((clip.result.chunk_frames for clip in made), key=len, default=())),
        "clips": clips,
        "live": len(made) < len(plan.sides),
        "autoplay": len(made) == len(plan.sides),
        "link": plan.query,
    }


def _results(plan: Plan, clips: Sequence[SavedClip]) -> dict[str, Any]:
    labels = [f"{letter} · {side.label}" for letter, side in zip(LETTERS, plan.sides, strict=False)]
    notices = list(dict.fromkeys(notice for clip in clips for notice in clip.notices))
    ids = [clip.path.stem for clip in clips]
    seconds = sum(clip.result.seconds for clip in clips)
    ticks = chunk_starts(max((clip.result.chunk_frames for clip in clips), key=len))
    return {
        "status": {
            "state": "done",
            "text": f"Done: {len(clips)} clips in {seconds:.1f} s, all from seed {plan.seed}.{_effort(clips)}",
            "notices": notices,
            "links": [{"label": "Evaluate these clips", "url": evaluate_link(ids)}, *export_links(ids, len(ids))],
        },
        "chart": frame_curves(dict(zip(labels, [clip.result.frames for clip in clips], strict=True)), ticks),
        "recipes": recipe_table(clips),
    }


def _effort(clips: Sequence[SavedClip]) -> str:
    """Cost and speed of two sides as ratios: B against A."""
    if len(clips) != 2:
        return ""
    first, second = (clip.result for clip in clips)
    calls, seconds = second.forwards / first.forwards, second.seconds / max(first.seconds, 1e-9)
    if calls == 1:
        return f" Both take {counted(first.forwards, 'network call')}."
    return f" B takes {readable(calls, 3)} times the network calls of A and {readable(seconds, 3)} times the time."


def recipe_table(clips: Sequence[SavedClip]) -> dict[str, Any]:
    """The fields in which the sides' recipes differ."""
    recipes = [{name: getattr(clip.manifest, name) for name in RECIPE_FIELDS} for clip in clips]
    for recipe, clip in zip(recipes, clips, strict=True):
        recipe["weights_digest"] = recipe["weights_digest"][:12]
        recipe["sigmas of the first chunk"] = _numbers(clip.manifest.sigmas[0])
        recipe["sigmas of the last chunk"] = _numbers(clip.manifest.sigmas[-1])
    rows = [[name.replace("_", " "), *map(_shown, values)] for name, values in recipe_difference(recipes)]
    columns = ["Field", *LETTERS[: len(clips)]]
    if not rows:
        rows = [["nothing", *["the same recipe" for _ in clips]]]
    return {
        "caption": "What differs",
        "columns": columns,
        "rows": rows,
        "note": "Prompt, seed and noise are the same on every side.",
    }


def _numbers(values: Sequence[float]) -> str:
    shown = [f"{value:.3g}" for value in values]
    return " ".join(shown if len(shown) <= 6 else [*shown[:3], "…", shown[-1]])


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _progress(plan: Plan, side: int, chunk: int, chunks: int) -> dict[str, Any]:
    text = f"{LETTERS[side]} · {plan.sides[side].label}: chunk {chunk} of {chunks}"
    return {"state": "running", "text": text, "progress": (side + chunk / chunks) / len(plan.sides)}
