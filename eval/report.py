"""Scores as tables: one row a clip, one row a frame, one row a metric; and files of them."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from eval.evaluator import ClipScores
from eval.statistics.intervals import bootstrap_mean
from eval.statistics.over_time import drift_score, first_to_last, frame_seconds, motion_collapse, slope_of_windows

SPEED = "dynamic_degree_flow"  # its curve is the speed
FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20'\t\r\n")  # what a spreadsheet begins to compute at, wide letters too


@dataclass(frozen=True)
class Summary:
    """A metric over clips. The interval is over prompts, or over clips that have none; None with fewer than two.

    `reasons` counts why clips are not in `n`.
    """

    metric: str
    n: int
    mean: float | None
    low: float | None
    high: float | None
    unscored: int
    reasons: dict[str, int]


def clip_row(scores: ClipScores) -> dict[str, object]:
    """A clip in one flat row: facts, a column a metric, side results as `metric.part`, reasons in words."""
    row = {
        "clip": scores.id,
        "prompt": scores.prompt,
        "frames": scores.frames,
        "fps": scores.fps,
        "width": scores.width,
        "height": scores.height,
    }
    for name, result in scores.results.items():
        row[name] = result.value
        row |= {f"{name}.{part}": value for part, value in result.parts.items()}
    reasons = [f"{name}: {result.reason}" for name, result in scores.results.items() if result.reason]
    told = {"skipped": scores.skipped, "reasons": "; ".join(reasons), "notices": "; ".join(scores.notices)}
    told["color"] = scores.color
    return row | told | {"sha256": scores.digest}


def clip_table(scores: Iterable[ClipScores]) -> pd.DataFrame:
    """One row a clip, in order; a clip that was skipped is there with the reason."""
    rows = [clip_row(each) for each in scores]
    last = ["skipped", "reasons", "notices", "color", "sha256"]
    names = list(dict.fromkeys(name for row in rows for name in row if name not in last))
    return pd.DataFrame(rows, columns=[*names, *last])


def frame_table(scores: Iterable[ClipScores]) -> pd.DataFrame:
    """One row a clip and frame, a column for each metric with a curve; empty where there is nothing to measure."""
    parts = []
    for each in scores:
        curves = {name: result.per_frame for name, result in each.results.items() if result.per_frame}
        if not curves:
            continue
        count = max(map(len, curves.values()))
        columns = {"frame": np.arange(count), "seconds": frame_seconds(count, each.fps, each.times)}
        columns |= {name: pd.Series(curve, dtype="float64") for name, curve in curves.items()}
        table = pd.DataFrame(columns)
        table.insert(0, "clip", each.id)
        parts.append(table)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["clip", "frame", "seconds"])


def drift_rows(scores: ClipScores) -> list[dict[str, object]]:
    """How each curve of a clip changes over time: slope per second, first to last, spread; collapse of motion."""
    rows = []
    for name, result in scores.results.items():
        seconds = frame_seconds(len(result.per_frame), scores.fps, scores.times)
        known = sum(value is not None for value in result.per_frame)
        if known < 4:
            continue
        slope, change = slope_of_windows(result.per_frame, seconds), first_to_last(result.per_frame)
        rows.append(
            {
                "clip": scores.id,
                "metric": name,
                "slope_per_second": slope and slope.value,
                "slope_low": slope and slope.low,
                "slope_high": slope and slope.high,
                "first_to_last": change and change[0],
                "first_to_last_relative": change[1] if change and np.isfinite(change[1]) else None,
                "drift_score": drift_score(result.per_frame),
                "motion_collapse": motion_collapse(result.per_frame) if name == SPEED else None,
            }
        )
    return rows


def summary(scores: Sequence[ClipScores]) -> list[Summary]:
    """Every metric over all clips, in the order of the first clip that has results."""
    names = dict.fromkeys(name for each in scores for name in each.results)
    return [_summary(name, scores) for name in names]


def _summary(name: str, scores: Sequence[ClipScores]) -> Summary:
    results = [(each, each.results.get(name)) for each in scores]
    known = [(r.value, each.prompt or f"clip {each.id}") for each, r in results if r and r.value is not None]
    reasons = Counter(
        r.reason if r else "skipped" if each.skipped else "not asked for" for each, r in results if not r or r.reason
    )
    lost: dict[str, Any] = {"unscored": reasons.total(), "reasons": dict(reasons.most_common())}
    if not known:
        return Summary(name, 0, None, None, None, **lost)
    values, prompts = zip(*known, strict=True)
    interval = bootstrap_mean(values, prompts)
    many = interval.n > 1
    return Summary(
        name, len(values), interval.value, interval.low if many else None, interval.high if many else None, **lost
    )


def write_csv(table: pd.DataFrame, file: Path | BinaryIO) -> None:
    """All digits are kept; no text is a formula to a spreadsheet."""
    harmless(table).to_csv(file, index=False)


def harmless(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before every text that a spreadsheet would take for a formula."""
    table = table.copy()
    for place, kind in enumerate(table.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            table.isetitem(place, [_harmless_cell(cell) for cell in table.iloc[:, place]])
    return table


def _harmless_cell(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def write_parquet(table: pd.DataFrame, file: Path | BinaryIO) -> None:
    table.to_parquet(file, index=False)


def json_pieces(scores: Iterable[ClipScores], rows: Sequence[Summary], command: str) -> Iterator[str]:
    """A JSON document piece by piece, so that ten thousand clips with their curves need not be held at once."""
    yield json.dumps({"command": command, "summary": [asdict(row) for row in rows]}, ensure_ascii=False)[:-1]
    yield ', "clips": ['
    for index, each in enumerate(scores):
        document = json.loads(each.to_json()) | {"drift": drift_rows(each)}
        yield (",\n" if index else "\n") + json.dumps(document, ensure_ascii=False, allow_nan=False)
    yield "\n]}\n"
