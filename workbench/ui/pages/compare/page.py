"""The Compare page: the same prompt and noise through two to four choices, played in step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from models.default_world import DEFAULT, EmbeddedWorld, world_of
from models.registry import get_spec, list_models
from models.types import RequestError
from workbench.requests.clip_length import length_choices
from workbench.requests.comparison import LETTERS, MAX_SIDES, MIN_SIDES
from workbench.requests.links.compare import read_compare
from workbench.requests.numbers import frames_of, seed_of, whole
from workbench.requests.systems import FFE_STEPS, System
from workbench.requests.timeline import read_step_plan, read_switches
from workbench.sweeps.first_run import first_models
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
    EXAMPLE_PROMPTS,
    FFE_CHOICES,
    MODEL_QUEUE,
    PRIVATE,
    Context,
    model_choices,
    nearest,
    offered_steps,
    sentence,
)
from workbench.ui.pages.compare.view import Plan, make_comparison
from workbench.ui.pages.header import page_header

SETTINGS = f"""(prompt, seed, frames, size, count, switches, cache, source, kept, strength, ...cards) => {{
  {LINK_SCRIPT}
  const plan = (steps, ffe) => !ffe || ffe === steps ? steps : ffe === 4 ? `${{steps}}*` : `${{ffe}},${{steps}}`;
  const side = (i) => {{
    const [model, steps, ffe, byHand] = cards.slice(4 * i, 4 * i + 4);
    return `${{model}}:${{(byHand ?? '').replace(/\\s/g, '') || plan(steps, ffe)}}`;
  }};
  const changed = (switches ?? '').trim().split('\\n').join('|');
  const sides = Array.from({{ length: count }}, (_, i) => side(i)).join(';');
  const later = changed ? {{ switches: changed, cache }} : {{}};
  const sized = size ? {{ size }} : {{}};
  return {{ prompt, seed, frames, ...sized, sides, ...later, ...inputs(source, kept, strength) }};
}}"""
WRITE_LINK, MAKING = form_script(SETTINGS, "changed"), form_script(SETTINGS, "making")
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


def presets(world: EmbeddedWorld = DEFAULT) -> list[tuple[str, tuple[System, ...]]]:
    """Comparisons worth one click, of the models of a world, which every world that ships has."""
    teacher, baseline, asd = world.teacher, world.baseline, world.asd
    return [
        ("Baseline 1, ASD 1*", (System(baseline, 1), System(asd, 1, FFE_STEPS))),
        ("Baseline and ASD, 1 step", (System(baseline, 1), System(asd, 1))),
        ("Both with FFE", (System(baseline, 1, FFE_STEPS), System(asd, 1, FFE_STEPS))),
        ("ASD ladder: 1, 1*, 2, 4", (System(asd, 1), System(asd, 1, FFE_STEPS), System(asd, 2), System(asd, 4))),
        (
            "Teacher, baseline, ASD",
            (System(teacher, get_spec(teacher).default_steps), System(baseline, 4), System(asd, 4)),
        ),
    ]


def start_sides() -> tuple[System, ...]:
    """What the page opens with: the baseline at the fewest steps beside ASD with FFE, where they differ most."""
    specs = first_models() or list_models()[:1]
    specs = specs if len(specs) > 1 else specs * 2
    left, right = (System(spec.name, nearest(1, spec.steps)) for spec in specs)
    return left, replace(right, first_steps=FFE_STEPS if specs[1].few_step else 0)


def preset_sides(title: str, model: str) -> tuple[System, ...]:
    """The sides of a preset, of the world of `model`."""
    return dict(presets(world_of(get_spec(model).family)))[title]


def build(blocks: gr.Blocks, context: Context) -> None:
    page_header("Compare", "One prompt, one noise, two to four choices: every frame in step.")
    start = start_sides()
    with gr.Row(equal_height=True):
        prompt = prompt_field(scale=6, min_width=280)
        with gr.Column(scale=2, min_width=200):
            run = gr.Button("Generate all", variant="primary", elem_id="compare")
            stop = gr.Button("Cancel", variant="stop", size="sm", interactive=False, elem_id="cancel")
    notice = prompt_notice()
    with gr.Row(elem_id="presets"):
        columns = [(f"{n} sides", n) for n in range(MIN_SIDES, MAX_SIDES + 1)]
        count = gr.Radio(
            columns,
            value=len(start),
            label="How many sides",
            show_label=False,
            container=False,
            elem_classes=SEGMENTS,
            scale=0,
            min_width=230,
            elem_id="columns",
        )
        preset_buttons = [(gr.Button(title, size="sm", min_width=120), title) for title, _ in presets()]
    with gr.Row(equal_height=True, elem_classes="wb-cards"):
        cards = [_card(i, start[i] if i < len(start) else start[-1], i < len(start)) for i in range(MAX_SIDES)]
    status = script_component("status", elem_id="status")
    player = script_component("player", options={"bus": "compare", "compare": True, "empty": EMPTY}, elem_id="player")
    with gr.Accordion("More settings: input, frames, seed, schedules", open=False, elem_id="more") as more:
        with gr.Row(equal_height=True):
            frames = length_box([side.model for side in start])
            seed = gr.Number(7, label="Seed", scale=1, min_width=90, elem_id="seed")
            dice = gr.Button("New seed", size="sm", scale=0, min_width=90, elem_id="dice")
            size = size_box([side.model for side in start])
            inputs = build_inputs([side.model for side in start])
        with gr.Row():
            plans = [card.plan.render() for card in cards]
        with gr.Row():
            switches, cache = switch_fields()
        examples = example_prompts(prompt, start[0].model)
    chart = script_component("chart", options={"bus": "compare"}, elem_id="chart")
    recipes = script_component("table", elem_id="recipes")
    with gr.Accordion("Numbers: PSNR, SSIM, FLIP", open=False, elem_id="numbers-panel"):
        numbers = script_component("table", {"note": NO_NUMBERS}, elem_id="numbers")
    with gr.Accordion("Player self-test", open=False, elem_id="selftest-panel"):
        script_component("selftest", elem_id="selftest")

    card_fields = [field for card in cards for field in card.fields]
    form = [prompt, seed, frames, size, count, switches, cache, *inputs.fields, *card_fields]
    in_link = [prompt, seed, frames, size, count, switches, cache, *inputs.linked, *card_fields]
    linked = gr.State(False)
    quiet = {"show_progress": "hidden", **PRIVATE}
    busy = {run: gr.update(interactive=False), stop: gr.update(interactive=True)}
    ready = {run: gr.update(interactive=True), stop: gr.update(interactive=False)}

    def show_sides(sides: Sequence[System], chosen: str = "", length: Any = None) -> Update:
        updates: Update = {count: len(sides)}
        for i, card in enumerate(cards):
            updates[card.group] = gr.update(visible=i < len(sides))
            updates[card.plan] = gr.update(visible=i < len(sides), value="")
            if i < len(sides):
                updates |= _card_values(card, sides[i])
        return updates | fit([side.model for side in sides], chosen, length)

    def fit(names: Sequence[str], chosen: str, length: Any) -> Update:
        """What all sides can make is offered: sizes, lengths (one that is not given stays), and example prompts."""
        lengths = gr.update(choices=length_choices(names)) if length is None else length_update(names, length)
        return {size: size_update(names, chosen), frames: lengths, **examples_update(examples, names)}

    def reopen(request: gr.Request) -> Update:
        """Fill the form from the address of the page."""
        try:
            found = read_compare(request.query_params)
            opened = open_inputs(inputs, context, found)
        except RequestError as error:
            return {status: {"state": "error", "text": str(error)}, linked: False}
        simple = {prompt: "prompt", seed: "seed", frames: "frames", switches: "switches", cache: "cache"}
        updates: Update = {component: found[name] for component, name in simple.items() if name in found}
        if not request.query_params.get("sides") and context.settings.first_run:
            found = {"sides": start, "prompt": EXAMPLE_PROMPTS[0]} | found  # a new visitor sees what this page is for
        updates |= opened
        updates[linked] = "sides" in found and "prompt" in found
        if opened or found.get("switches") or any(side.plan for side in found.get("sides", ())):
            updates[more] = gr.update(open=True)
        if updates[linked]:
            updates[status] = {"state": "running", "text": "Waiting for the model", "progress": 0}
        if "sides" not in found:
            return updates
        if "prompt" not in found:
            updates |= prompt_updates(prompt, notice, prompt.value, _by_side([s.model for s in found["sides"]]))
        return updates | show_sides(found["sides"], found.get("size", ""), found.get("frames"))

    def told(parts: dict[str, Any]) -> Update:
        """What changes; once the clips are there the button is free, though what the eye sees is still computed."""
        made_all = parts.get("status", {}).get("state") == "done"
        return {**(ready if made_all else busy), **{outputs[name]: part for name, part in parts.items()}}

    def make(
        text: str,
        number: float,
        length: float,
        frame_size: str,
        columns: int,
        others: str,
        past: str,
        *values: Any,
        kept: bool = False,
    ) -> Iterator[Update]:
        given, values = values[: len(inputs.fields)], values[len(inputs.fields) :]
        try:
            context.check_writable()
            sides, later = _sides(columns, values), read_switches(others or "", past)
            plan = Plan(text, seed_of(number), frames_of(length), sides, later, given, frame_size or "")
            yield {
                status: {"state": "running", "text": "Loading the models", "progress": 0},
                chart: {},
                recipes: {},
                numbers: {"note": NO_NUMBERS},
                **busy,
            }
            changes = make_comparison(context, plan, kept=kept)
            yield from holding((told(parts) for parts in changes), ready)
        except Exception as error:
            hidden = [*given[1:3], context.evaluations.library.uploads]
            yield {status: {"state": "error", "text": sentence(error, *hidden)}, **ready}

    def make_linked(open_it: bool, *values: Any) -> Iterator[Update]:
        if open_it:
            yield from make(*values, kept=True)
        else:
            yield {run: gr.update()}

    def stopped() -> Update:
        return {status: {"state": "idle", "text": "Cancelled. Sides that were finished are saved."}} | ready

    outputs = {"player": player, "status": status, "chart": chart, "recipes": recipes, "numbers": numbers}
    made = [*outputs.values(), run, stop]
    opened = blocks.load(
        reopen,
        None,
        [
            *[prompt, seed, frames, size, count, switches, cache, *inputs.opened, *card_fields],
            *[card.group for card in cards],
            *[notice, status, linked, more, *examples.values()],
        ],
        **quiet,
    )
    keep_typed(opened.then(None, in_link, None, js=MAKING, **quiet), form)
    gr.on([field.change for field in in_link], None, in_link, None, js=WRITE_LINK, **quiet)
    opening = opened.then(make_linked, [linked, *form], made, **MODEL_QUEUE, **quiet)
    clicked = pressed(run, status, stop)
    clicked.then(None, in_link, None, js=MAKING, **quiet)
    connect_inputs(inputs, context)
    making = clicked.then(make, form, made, **MODEL_QUEUE, **PATIENT, **quiet)
    for event in (opening, making):
        event.failure(None, status, [status, run, stop], js=NOT_STARTED, **quiet)
    stop.click(stopped, None, [status, run, stop], cancels=[opening, making], js=STOPPED, queue=False, **quiet)
    dice.click(None, None, seed, js=DICE, **quiet)
    models = [card.model for card in cards]
    sides_chosen = [count, *models]

    def told_before(text: str, columns: int, *names: str) -> dict[str, Any]:
        return notice_value(text, _by_side(names[:columns]))

    def suited(text: str, columns: int, *names: str) -> Update:
        return prompt_updates(prompt, notice, text, _by_side(names[:columns]))

    opened.then(told_before, [prompt, *sides_chosen], notice, queue=False, **quiet)
    check_prompt_when_left(prompt, notice, sides_chosen, told_before)
    gr.on(
        [count.input, *(side.input for side in models)],
        suited,
        [prompt, *sides_chosen],
        [prompt, notice],
        queue=False,
        **quiet,
    )

    def shared(kind: str, columns: int, chosen: str, length: Any, *names: str) -> Update:
        """What the sides can start from, and what all of them make."""
        return {inputs.source: fitting_source(names[:columns], kind), **fit(names[:columns], chosen, length)}

    count.input(
        lambda n: [gr.update(visible=i < n) for i in range(MAX_SIDES)] * 2,
        count,
        [*[card.group for card in cards], *plans],
        queue=False,
        **quiet,
    )
    for card in cards:
        card.model.input(_fit, [card.model, card.steps, card.ffe], [card.steps, card.ffe], queue=False, **quiet)
        given = [inputs.source, count, size, frames, *models]
        fitted = [inputs.source, size, frames, *examples.values()]
        card.model.change(shared, given, fitted, queue=False, **quiet)

    def preset(title: str, text: str, model: str) -> Update:
        sides = preset_sides(title, model)
        return show_sides(sides) | suited(text, len(sides), *[side.model for side in sides])

    for button, title in preset_buttons:
        button.click(
            partial(preset, title),
            [prompt, cards[0].model],
            [prompt, notice, count, size, frames, *card_fields, *[c.group for c in cards], *examples.values()],
            queue=False,
            **quiet,
        )


NO_NUMBERS = "How far the sides are from one another, once they are made."
EMPTY = "Choose what to compare and press “Generate all”. The clips play here in step, with their curves below."


def _by_side(models: Sequence[str]) -> dict[str, str]:
    return {f"Side {letter}": model for letter, model in zip(LETTERS, models, strict=False)}


def _card(i: int, side: System, visible: bool) -> Card:
    choices = offered_steps(side.model)
    with (
        gr.Group(
            visible=visible, elem_classes=f"wb-side-card wb-side-card-{i}", elem_id=f"side-{LETTERS[i]}"
        ) as group,
        gr.Row(),
    ):
        model = gr.Dropdown(model_choices(), value=side.model, label=f"{LETTERS[i]} · Model", scale=4, min_width=240)
        steps = gr.Radio(choices, value=side.steps, label="Steps", elem_classes=SEGMENTS, scale=3, min_width=200)
        ffe = gr.Dropdown(FFE_CHOICES, value=0, label="FFE, first chunk", scale=2, min_width=135)
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


def _card_values(card: Card, side: System) -> Update:
    few_step = get_spec(side.model).few_step
    return {
        card.model: side.model,
        card.steps: gr.update(choices=offered_steps(side.model), value=side.steps),
        card.ffe: gr.update(value=side.first_steps, interactive=few_step),
        card.plan: gr.update(visible=True, value=",".join(map(str, side.plan))),
    }


def _fit(model: str, steps: int, ffe: int) -> tuple[dict, dict]:
    few_step = get_spec(model).few_step
    choices = offered_steps(model)
    return gr.update(choices=choices, value=nearest(steps, choices)), gr.update(
        value=ffe if few_step else 0, interactive=few_step
    )


def _sides(columns: int, values: Sequence[Any]) -> tuple[System, ...]:
    """Sides from the cards' values: model, steps, FFE and a plan by hand, four for each card."""
    advice = "one of the steps offered for this model"
    sides = []
    for i, letter in enumerate(LETTERS[:columns]):
        model, steps, ffe, by_hand = values[4 * i : 4 * i + 4]
        plan = read_step_plan(by_hand or "", f"the schedule of {letter}")
        sides.append(System(model, whole(steps, "steps", advice), int(ffe), plan))
    return tuple(sides)
