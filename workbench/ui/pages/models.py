"""The Models page: the registry, and what can run on this machine."""

import json
import re
from typing import Any

import gradio as gr

from models.registry import ASSETS, get_spec, weights_digest
from workbench.common.words import counted, readable
from workbench.requests.catalogue import model_rows
from workbench.requests.links.generate import model_link
from workbench.requests.systems import System
from workbench.ui.components.component import script_component
from workbench.ui.context import PRIVATE, Context
from workbench.ui.pages.header import page_header

COLUMNS = (
    *("Model", "Try it", "What it is", "Family", "Paper", "Starts from"),
    *("Steps", "Follows prompts", "Parameters", "Trained", "Licence", "Weights"),
)
BRIEF = ("Model", "Try it", "What it is")
INPUTS = {"t2v": "text", "i2v": "picture", "v2v": "video"}  # what a clip can be made from, by task
SCORED = (
    "Follows prompts: the share of clips of held-out captions in which the oracle of the model's world finds colour, "
    "shape, direction and ground as asked, with its 95 % interval (Wilson). Empty: not measured."
)
ARXIV = re.compile(r"\d{4}\.\d{4,5}")


def build(blocks: gr.Blocks, context: Context) -> None:
    page_header("Models", "Every model of the registry, where it comes from, and whether this machine can run it.")
    table = script_component("table", elem_id="models-table")
    blocks.load(models_table, None, table, show_progress="hidden", **PRIVATE)


def models_table() -> dict[str, Any]:
    rows = [_row(row) for row in model_rows()]
    return {"caption": "Models", "columns": COLUMNS, "rows": rows, "brief": BRIEF, "note": SCORED}


def _row(row: dict[str, Any]) -> list[Any]:
    return [
        f"{row['title']} ({row['name']})",
        _try_it(row),
        row["note"],
        row["family"],
        _paper(row["paper"]),
        ", ".join(INPUTS.get(task, task) for task in row["tasks"]),
        ", ".join(map(str, row["steps"])),
        _score(row["score"]),
        *_card(row["weights"]),
        row["license"],
        _digest(row["name"], row["available"]),
    ]


def _score(score: dict[str, Any] | None) -> str:
    """The share of clips all right with its interval, at the most steps that were measured, of `n` clips."""
    if score is None:
        return ""
    mean, low, high = (f"{100 * score[name]:.0f}" for name in ("mean", "low", "high"))
    steps = counted(System.read(score["system"]).steps, "step")
    return f"{mean} % ({low} to {high}) at {steps}, n = {score['n']}"


def _try_it(row: dict[str, Any]) -> dict[str, Any]:
    """A link to Generate with this model, or why it cannot run here."""
    if not row["available"]:
        return {"text": f"cannot run here: {row['state']}", "tone": "bad"}
    return {"text": "Generate with it", "href": model_link(row["name"])}


def _card(weights: str) -> tuple[str, str]:
    """Parameters in millions and what training took, as the model's card says; empty where there is none."""
    path = ASSETS / weights / "card.json"
    if not path.is_file():
        return "", ""
    card = json.loads(path.read_text(encoding="utf-8"))
    minutes = card["seconds"] / 60 if "seconds" in card else None
    count = f"{card['parameters'] / 1e6:.1f} M" if "parameters" in card else ""
    return count, "" if minutes is None else f"{readable(minutes, 2)} min on {card.get('hardware', 'this machine')}"


def _paper(paper: str) -> str | dict[str, str]:
    if paper.startswith("https://"):
        return {"text": paper.removeprefix("https://"), "href": paper}
    found = ARXIV.search(paper or "")
    return {"text": paper, "href": f"https://arxiv.org/abs/{found[0]}"} if found else paper


def _digest(name: str, available: bool) -> dict[str, Any]:
    if not available:
        return {"text": "not on this machine", "tone": "mute"}
    return {"text": weights_digest(get_spec(name))[:12], "mono": True}
