"""The vote table: one row is one answer to one question about one pair of clips."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

ANSWERS = {"a": "left", "b": "right", "tie": "tie", "bad": "bad"}
CHECKS = ("", "degraded", "identical")
DEGRADED = "/degraded"  # ends the system name of the side that was spoilt on purpose
MOST_ROWS = 5_000_000


class Column(NamedTuple):
    """`kind`: text, whole, number, truth, or moment (UTC, ISO 8601)."""

    kind: str
    meaning: str


# the data dictionary; exports carry it
COLUMNS: dict[str, Column] = {
    "vote_id": Column("text", "identity of the vote; its answers to several questions share it"),
    "study": Column("text", "identity of the study"),
    "study_version": Column("whole", "version of the study's protocol, from 1"),
    "protocol_hash": Column("text", "SHA-256 of the frozen protocol; empty when the study was not frozen"),
    "assignment": Column("text", "identity of the pair as it was handed to this annotator"),
    "annotator": Column("text", "identity of the annotator"),
    "prompt": Column("text", "what both clips should show"),
    "seed": Column("whole", "seed of both clips"),
    "question": Column("text", "identity of the question"),
    "left_system": Column("text", "what made the clip shown as A: model:steps:first_steps, 0 for no FFE"),
    "right_system": Column("text", "what made the clip shown as B"),
    "answer": Column("text", "a, b, tie (no difference) or bad (both bad), as given"),
    "winner": Column("text", "left, right, tie or bad: the answer by side; A is left"),
    "check_kind": Column("text", "attention check: degraded, identical, or empty for a real pair"),
    "watched_seconds": Column("number", "how long the clips had played before the vote, in seconds"),
    "seconds": Column("number", "time from showing the pair to the vote, in seconds"),
    "created_at": Column("moment", "when the vote was stored"),
    "undone": Column("truth", "the annotator took the vote back; it does not count"),
    "app_version": Column("text", "version of the application that took the vote"),
    "left_clip": Column("text", "identity of the clip shown as A"),
    "right_clip": Column("text", "identity of the clip shown as B"),
}
FLAG_COLUMNS: dict[str, Column] = {
    "vote_id": Column("text", "identity of the vote the flag came with"),
    "side": Column("text", "left or right (A or B)"),
    "time_seconds": Column("number", "the flagged moment, in seconds from the clip's start"),
    "kind": Column("text", "what is wrong: flicker, morph, freeze, colour, drift"),
    "comment": Column("text", "the annotator's words, may be empty"),
}
KEY = ["vote_id", "question"]
SIDES = {"left": "left", "right": "right", "a": "left", "b": "right"}
DTYPES = {"text": object, "whole": "int64", "number": "float64", "truth": "bool", "moment": object}


def check_votes(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy with exactly the columns of `COLUMNS`, in order and typed. ValueError names the first bad row and value.

    `winner` may be missing; it follows from `answer`. Other columns are dropped. Equal rows collapse to one.
    """
    frame = frame.copy()
    if "winner" not in frame and "answer" in frame:
        frame["winner"] = frame["answer"].map(ANSWERS)
    table = _typed(frame, COLUMNS)
    _one_of(table, "answer", tuple(ANSWERS))
    _one_of(table, "check_kind", CHECKS)
    wrong = table["winner"] != table["answer"].map(ANSWERS)
    _refuse(table, wrong, "winner", "it does not follow from the answer: a is left, b is right")
    _refuse(table, (table["left_system"] == "") | (table["right_system"] == ""), "left_system", "name both systems")
    _refuse(table, (table["vote_id"] == "") | (table["annotator"] == ""), "annotator", "name vote and annotator")
    same = (table["left_system"] == table["right_system"]) & (table["check_kind"] == "")
    _refuse(table, same, "right_system", "both sides are the same; such a pair is an attention check")
    moments = pd.to_datetime(table["created_at"], utc=True, errors="coerce", format="ISO8601")
    _refuse(table, moments.isna(), "created_at", "write a moment as 2026-11-21T10:00:00+00:00")
    table = table.drop_duplicates(ignore_index=True)
    _refuse(table, table.duplicated(KEY), "vote_id", "the same vote answers one question twice, differently")
    return table


def check_flags(frame: pd.DataFrame) -> pd.DataFrame:
    """The flags table typed; ValueError names the first bad row and value."""
    frame = frame.copy()
    if "side" in frame:
        frame["side"] = frame["side"].astype(str).str.lower().replace(SIDES)
    table = _typed(frame, FLAG_COLUMNS)
    _one_of(table, "side", ("left", "right"))
    _refuse(table, ~(table["time_seconds"] >= 0), "time_seconds", "give seconds from the clip's start")
    return table.drop_duplicates(ignore_index=True)


def counted(votes: pd.DataFrame, question: str | None = None) -> pd.DataFrame:
    """The votes that count: not undone, not attention checks, of one question when given."""
    kept = ~votes["undone"].astype(bool) & (votes["check_kind"] == "")
    if question is not None:
        kept &= votes["question"] == question
    return votes[kept].reset_index(drop=True)


def systems_of(votes: pd.DataFrame) -> list[str]:
    """Every system of the table, sorted."""
    return sorted(set(votes["left_system"]) | set(votes["right_system"]))


def score_of_left(votes: pd.DataFrame) -> np.ndarray:
    """1 where the left side won, 0 where it lost, 1/2 for a tie and for both bad."""
    return votes["winner"].map({"left": 1.0, "right": 0.0, "tie": 0.5, "bad": 0.5}).to_numpy(float)


def empty_table(columns: Mapping[str, Column]) -> pd.DataFrame:
    """A table of these columns without a row."""
    return pd.DataFrame({name: pd.Series(dtype=DTYPES[column.kind]) for name, column in columns.items()})


def _typed(frame: pd.DataFrame, columns: Mapping[str, Column]) -> pd.DataFrame:
    missing = [name for name in columns if name not in frame]
    if missing:
        raise ValueError(f"the table has no column {missing[0]!r}; it needs {', '.join(columns)}")
    if len(frame) > MOST_ROWS:
        raise ValueError(f"{len(frame)} rows are more than the {MOST_ROWS} that are read at once; split the table")
    frame = frame.reset_index(drop=True)
    return pd.DataFrame({name: _cast(frame[name], name, column.kind) for name, column in columns.items()})


def _cast(values: pd.Series, name: str, kind: str) -> pd.Series:
    if kind in ("text", "moment"):
        return values.astype(object).where(values.notna(), "").map(str).astype(object)
    if kind == "truth":
        words = values.map(lambda value: str(value).strip().lower())
        truths = words.map({"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False})
        _refuse_values(values, truths.isna(), name, "write true or false")
        return truths.astype(bool)
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    _refuse_values(values, ~np.isfinite(numbers), name, "give a finite number")
    if kind == "number":
        return numbers
    _refuse_values(values, numbers != numbers.round(), name, "give a whole number")
    return numbers.astype("int64")


def _one_of(table: pd.DataFrame, name: str, allowed: tuple[str, ...]) -> None:
    words = ", ".join(word or "empty" for word in allowed)
    _refuse(table, ~table[name].isin(allowed), name, f"choose one of {words}")


def _refuse(table: pd.DataFrame, wrong: pd.Series, name: str, rule: str) -> None:
    _refuse_values(table[name], wrong, name, rule)


def _refuse_values(values: pd.Series, wrong: pd.Series, name: str, rule: str) -> None:
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{name} {str(values.iloc[row])[:60]!r} in row {row + 1} is refused: {rule}")
