"""Figures that papers print, kept apart from everything that was measured here."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PREFERENCES = Path(__file__).resolve().parents[2] / "assets" / "published" / "preferences.json"


@dataclass(frozen=True)
class PublishedRow:
    """Shares in percent; where the paper prints only `ours`, `theirs` is the rest and `tie` None."""

    opponent: str
    ours: float
    tie: float | None
    theirs: float


@dataclass(frozen=True)
class PublishedStudy:
    """A preference study as its paper prints it."""

    name: str
    source: str
    link: str
    ours: str
    rows: tuple[PublishedRow, ...]


@cache
def published_preferences() -> tuple[PublishedStudy, ...]:
    content = json.loads(PREFERENCES.read_text(encoding="utf-8"))
    return tuple(
        PublishedStudy(
            study["name"], study["source"], study["link"], study["ours"], tuple(_row(row) for row in study["rows"])
        )
        for study in content["studies"]
    )


def _row(row: dict) -> PublishedRow:
    return PublishedRow(row["opponent"], row["ours"], row.get("tie"), row.get("theirs", 100 - row["ours"]))
