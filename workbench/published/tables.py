"""The tables of results that papers print, apart from everything that was measured here."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "published"
TEXTS = ("model", "setting", "size")
COLUMNS = {
    "model": "Model",
    "setting": "Setting",
    "parameters_b": "Parameters (B)",
    "size": "Size",
    "steps": "Steps",
    "total": "Total",
    "quality": "Quality",
    "semantic": "Semantic",
    "temporal": "Temporal quality",
    "frame": "Frame quality",
    "text": "Text alignment",
    "latency_s": "Latency (s)",
    "fps": "Frames/s",
    "subject_consistency": "Subject consistency",
    "background_consistency": "Background consistency",
    "motion_smoothness": "Motion smoothness",
    "dynamic_degree": "Dynamic degree",
    "aesthetic_quality": "Aesthetic quality",
    "imaging_quality": "Imaging quality",
    "i2v_subject": "I2V subject",
    "i2v_background": "I2V background",
    "drift": "Drift",
}


@dataclass(frozen=True)
class PublishedTable:
    """`rows` hold the figures as text, digit for digit, by the names in `columns`; "" is not in the table."""

    paper: str
    table: str
    title: str
    source: str
    link: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]


@cache
def published_tables() -> tuple[PublishedTable, ...]:
    """Every table of every paper, in the order of `sources.json`."""
    papers = json.loads((FOLDER / "sources.json").read_text(encoding="utf-8"))["papers"]
    return tuple(table for paper in papers for table in _tables(paper))


def published_table(paper: str, table: str) -> PublishedTable:
    """One of them; raises KeyError for one that is not there."""
    for each in published_tables():
        if (each.paper, each.table) == (paper, table):
            return each
    raise KeyError(f"{paper} {table}")


def _tables(paper: dict) -> list[PublishedTable]:
    with (FOLDER / paper["file"]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for name, title in paper["tables"].items():
        own = [row for row in rows if row["table"] == name]
        columns = tuple(column for column in COLUMNS if any(row.get(column) for row in own))
        plain = tuple({column: row[column] for column in columns} for row in own)
        source = f"{paper['source']}, {name}"
        found.append(PublishedTable(paper["paper"], name, title, source, paper["link"], paper["note"], columns, plain))
    return found
