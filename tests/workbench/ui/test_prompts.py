"""Prompts are asked for by the same fields on every page."""

import ast
from pathlib import Path

import gradio as gr

from models.default_world import DEFAULT, MEASURED
from workbench.ui.components.prompts import (
    example_prompts,
    fitting_prompt,
    notice_value,
    prompt_field,
    prompts_field,
    switch_fields,
)
from workbench.ui.context import EXAMPLE_PROMPTS

PAGES = Path(__file__).resolve().parents[3] / "workbench" / "ui" / "pages"
IDS = {"prompt", "prompts", "switches"}


def built_by_hand(source: str) -> set[str]:
    """The ids of fields for prompts that a source makes itself."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    named = [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "elem_id"]
    return IDS & {value.value for value in named if isinstance(value, ast.Constant)}


def test_no_page_makes_its_own():
    assert not {path.name: found for path in PAGES.rglob("*.py") if (found := built_by_hand(path.read_text()))}
    assert built_by_hand("gr.Textbox(elem_id='prompt')") == {"prompt"}


def test_the_fields():
    with gr.Blocks():
        one, several, (switches, cache) = prompt_field(2, scale=5), prompts_field(), switch_fields()
        shown = example_prompts(one, "shapes-asd")
    assert (one.elem_id, one.label, one.value, one.lines, one.scale) == ("prompt", "Prompt", EXAMPLE_PROMPTS[0], 2, 5)
    assert (several.elem_id, several.label, several.value) == ("prompts", "Prompts, one per line", "")
    assert [world for world, box in shown.items() if box.visible] == ["shapes"]
    assert switches.elem_id == "switches" and cache.value == "keep"
    assert {value for _, value in cache.choices} == {"keep", "recache", "reset"}


def test_an_example_of_another_world_gives_way_and_what_was_written_stays():
    for other in MEASURED.prompts:
        assert fitting_prompt(other, [DEFAULT.asd]) == DEFAULT.prompt
    assert fitting_prompt(DEFAULT.prompt, [MEASURED.asd]) == MEASURED.prompt
    assert fitting_prompt(DEFAULT.prompt, ["self-forcing-wan-1.3b"]) not in DEFAULT.prompts
    for kept in ("a red ball rolling right", "", MEASURED.prompts[2]):
        assert fitting_prompt(kept, [MEASURED.asd]) == kept


def test_what_a_model_does_not_know_is_told_before_it_is_asked():
    told = {"notices": ["words this model does not know: ball, rolling, over, grass"]}
    assert notice_value(DEFAULT.prompt, {"Side A": MEASURED.asd, "Side B": MEASURED.baseline}) == told
    (notice,) = notice_value(DEFAULT.prompt, {"Side A": DEFAULT.asd, "Side B": MEASURED.asd})["notices"]
    assert notice == f"Side B: {told['notices'][0]}"
    for silent in ("", DEFAULT.prompt, "\n".join(DEFAULT.prompts)):
        assert notice_value(silent, {"it": DEFAULT.asd}) == {"notices": []}
