"""The Models page: the registry, and what can run on this machine."""

import re
from typing import Any

import gradio as gr

from models.registry import get_spec, weights_digest
from workbench.catalogue import model_rows
from workbench.ui.component import script_component
from workbench.ui.context import PRIVATE, Context
from workbench.ui.pages.header import page_header

COLUMNS = ("Model", "What it is", "Family", "Paper", "Makes", "Steps", "Weights", "Runs here")
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
        row["note"],
        row["family"],
        _paper(row["paper"]),
        ", ".join(TASKS.get(task, task) for task in row["tasks"]),
        ", ".join(map(str, row["steps"])),
        _digest(row["name"], row["available"]),
        {"text": "yes", "tone": "good"} if row["available"] else {"text": f"no: {row['reason']}", "tone": "bad"},
    ]


def _paper(paper: str) -> str | dict[str, str]:
    if paper.startswith("https://"):
        return {"text": paper.removeprefix("https://"), "href": paper}
    found = ARXIV.search(paper or "")
    return {"text": paper, "href": f"https://arxiv.org/abs/{found[0]}"} if found else paper


def _digest(name: str, available: bool) -> dict[str, Any]:
    if not available:
        return {"text": "not on this machine", "tone": "mute"}
    return {"text": weights_digest(get_spec(name))[:12], "mono": True}
