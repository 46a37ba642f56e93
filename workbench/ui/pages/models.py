"""The Models page: the registry, and what can run on this machine."""

import json
import re
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from models.registry import ASSETS, get_spec, weights_digest
from workbench.catalogue import model_rows
from workbench.ui.components.component import script_component
from workbench.ui.context import PRIVATE, Context
from workbench.ui.pages.header import page_header
from workbench.words import readable

COLUMNS = (
    *("Model", "Try it", "What it is", "Family", "Paper", "Makes"),
    *("Steps", "Parameters", "Trained", "Licence", "Weights"),
)
TASKS = {"t2v": "video from text", "i2v": "video from a picture", "v2v": "video from a video"}
ARXIV = re.compile(r"\d{4}\.\d{4,5}")


def build(blocks: gr.Blocks, context: Context) -> None:
    page_header("Models", "Every model of the registry, where it comes from, and whether this machine can run it.")
    table = script_component("table", elem_id="models-table")
    blocks.load(models_table, None, table, show_progress="hidden", **PRIVATE)


def models_table() -> dict[str, Any]:
    return {"caption": "Models", "columns": COLUMNS, "rows": [_row(row) for row in model_rows()]}


def _row(row: dict[str, Any]) -> list[Any]:
    return [
        f"{row['title']} ({row['name']})",
        _try_it(row),
        row["note"],
        row["family"],
        _paper(row["paper"]),
        ", ".join(TASKS.get(task, task) for task in row["tasks"]),
        ", ".join(map(str, row["steps"])),
        *_card(row["weights"]),
        row["license"],
        _digest(row["name"], row["available"]),
    ]


def _try_it(row: dict[str, Any]) -> dict[str, Any]:
    """A link to Generate with this model, or why it cannot run here."""
    if not row["available"]:
        return {"text": f"cannot run here: {row['reason']}", "tone": "bad"}
    return {"text": "Generate with it", "href": f"/generate?{urlencode({'model': row['name']})}"}


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
