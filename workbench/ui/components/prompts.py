"""The fields for prompts, the same on every page: one prompt, several of them, example prompts, and switches; and what
the chosen models will not show of a prompt."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from models.registry import get_spec
from models.worlds.training_worlds import about_prompt
from workbench.requests.comparison import told_apart
from workbench.requests.timeline import EXAMPLE as SWITCH
from workbench.ui.components.component import SEGMENTS, script_component
from workbench.ui.context import EXAMPLE_PROMPTS, EXAMPLES, PRIVATE, model_choices

SWITCH_CACHES = [("stay as they are", "keep"), ("are re-cached", "recache"), ("are forgotten", "reset")]


def prompt_field(lines: int = 1, **layout: Any) -> gr.Textbox:
    """The prompt of a clip, `lines` high; Enter in it presses the page's main button (see `page_frame`)."""
    return gr.Textbox(EXAMPLE_PROMPTS[0], label="Prompt", lines=lines, max_lines=6, elem_id="prompt", **layout)


def prompts_field(
    value: str = "", label: str = "Prompts, one per line", info: str | None = None, lines: int = 1, **layout: Any
) -> gr.Textbox:
    """Several prompts, one a line; it grows with them."""
    return gr.Textbox(value, label=label, info=info, lines=lines, max_lines=16, elem_id="prompts", **layout)


def example_prompts(field: gr.Textbox, model: str) -> dict[str, gr.Column]:
    """Prompts that a click puts into the field, of every world that has models here, by world; those of the world of
    `model` are shown."""
    shown = get_spec(model).family
    found = {}
    for world, prompts in EXAMPLES.items():
        if world == shown or any(get_spec(name).family == world for _, name in model_choices()):
            with gr.Column(visible=world == shown, min_width=160, elem_id=f"examples-{world}") as found[world]:
                gr.Examples([[prompt] for prompt in prompts], field, label="Example prompts", **PRIVATE)
    return found


def examples_update(examples: Mapping[str, gr.Column], models: Sequence[str]) -> dict[gr.Column, Any]:
    """The updates that show the examples of the world of the first of `models`."""
    shown = get_spec(models[0]).family
    return {box: gr.update(visible=world == shown) for world, box in examples.items()} if shown in examples else {}


def fitting_prompt(prompt: str, models: Sequence[str]) -> str:
    """The prompt to go on with for other models: an example of another world than the first one's gives way to an
    example of its own, and what a person wrote stays."""
    own = EXAMPLES.get(get_spec(models[0]).family, ())
    examples = {example for prompts in EXAMPLES.values() for example in prompts}
    return own[0] if own and prompt in examples.difference(own) else prompt


def prompt_notice() -> gr.HTML:
    """What the chosen models will not show of the prompt, before they are asked to."""
    return script_component("status", elem_id="prompt-notice")


def notice_value(prompt: str, models: Mapping[str, str]) -> dict[str, Any]:
    """The value of `prompt_notice` for models by what the page calls them, of a prompt or of several, one a line."""
    lines = [line for line in (prompt or "").splitlines() if line.strip()]
    told = {
        name: [notice for line in lines for notice in about_prompt(get_spec(model).family, line)]
        for name, model in models.items()
    }
    return {"notices": told_apart(told)}


def prompt_updates(field: gr.Textbox, notice: gr.HTML, prompt: str, models: Mapping[str, str]) -> dict[Any, Any]:
    """The updates for other models: a prompt that suits them, and what they will not show of it."""
    fitting = fitting_prompt(prompt, list(models.values()))
    told = notice_value(fitting, models)
    return {field: gr.update() if fitting == prompt else fitting, notice: told}


def check_prompt_when_left(
    field: gr.Textbox, notice: gr.HTML, chosen: Sequence[Any], told: Callable[..., dict[str, Any]]
) -> None:
    """While a prompt is typed nothing is said of it; when the field is left, what `told` makes of the prompt and the
    values of `chosen`."""
    quiet = {"show_progress": "hidden", "queue": False, **PRIVATE}
    field.change(None, None, notice, js="() => ({})", **quiet)
    field.blur(told, [field, *chosen], notice, **quiet)


def switch_fields() -> tuple[gr.Textbox, gr.Radio]:
    """Prompts that follow the first within a clip, and what becomes of the chunks before."""
    switches = gr.Textbox(
        label="Prompt switches",
        info=f"One per line, chunk: prompt, for example {SWITCH}. Chunks count from 1.",
        lines=2,
        elem_id="switches",
    )
    cache = gr.Radio(SWITCH_CACHES, value="keep", label="At a switch, the chunks before", elem_classes=SEGMENTS)
    return switches, cache
