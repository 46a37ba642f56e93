"""The results of a run as plain data and as files; tables and formats are those of `eval.report`, as everywhere."""

import io
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pandas as pd

from eval.metric import Facts
from eval.report import Summary, clip_table, frame_table, json_pieces, summary, write_csv, write_parquet
from workbench.scoring.runs import Run


def summary_rows(run: Run) -> list[tuple[Facts, Summary]]:
    """Every metric over the clips that are done, in page order."""
    found = {row.metric: row for row in summary(run.rows)}
    lost = {row.skipped: 1 for row in run.rows}
    nothing = Summary("", 0, None, None, None, len(run.rows), lost)
    return [(facts, found.get(facts.name, nothing)) for facts in run.facts]


def everything(run: Run) -> dict[str, Any]:
    """The whole run as one JSON-ready object, curves included."""
    return {
        "evaluation": run.id,
        "created": run.created,
        "complete": run.complete,
        "metrics": [asdict(facts) for facts in run.facts],
        "summary": {facts.name: asdict(row) | {"metric": facts.name} for facts, row in summary_rows(run)},
        "clips": [_clip(run, i) for i in range(len(run.rows))],
    }


def _clip(run: Run, index: int) -> dict[str, Any]:
    scores, clip = run.scores(index), run.plan.clips[index]
    known = {name: result for name, result in scores.results.items() if result.value is not None}
    return {
        "clip": clip.name,
        "id": clip.id,
        "prompt": scores.prompt,
        "sha256": scores.digest,
        "frames": scores.frames,
        "fps": scores.fps,
        "width": scores.width,
        "height": scores.height,
        "skipped": scores.skipped,
        "notices": list(scores.notices),
        "values": {name: result.value for name, result in known.items()},
        "parts": {name: result.parts for name, result in known.items() if result.parts},
        "reasons": {name: result.reason for name, result in scores.results.items() if name not in known},
        "per_frame": {name: list(result.per_frame) for name, result in scores.results.items()},
    }


def _values(run: Run) -> pd.DataFrame:
    """The table of clips, with the id of those that lie in the store."""
    table = clip_table(run.rows)
    table.insert(1, "store_id", [clip.id for clip in run.plan.clips[: len(run.rows)]])
    return table


def _file(write: Callable, table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    write(table, buffer)
    return buffer.getvalue()


def _json(run: Run) -> bytes:
    rows = [row for _, row in summary_rows(run) if row.metric]
    return "".join(json_pieces(run.all_scores(), rows, f"Evaluate page, evaluation {run.id}")).encode()


CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"
# file name: MIME type and what makes it
EXPORTS: dict[str, tuple[str, Callable[[Run], bytes]]] = {
    "clips.csv": (CSV, lambda run: _file(write_csv, _values(run))),
    "frames.csv": (CSV, lambda run: _file(write_csv, frame_table(run.all_scores()))),
    "clips.parquet": (PARQUET, lambda run: _file(write_parquet, _values(run))),
    "frames.parquet": (PARQUET, lambda run: _file(write_parquet, frame_table(run.all_scores()))),
    "scores.json": ("application/json", _json),
}
