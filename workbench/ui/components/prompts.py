"""The fields for prompts, the same on every page: one prompt, several of them, example prompts, and switches."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from models.registry import get_spec
from workbench.requests.timeline import EXAMPLE as SWITCH
from workbench.ui.components.component import SEGMENTS
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
