"""The results of a run as tables and files."""

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from eval.metric import Facts
from eval.stats import bootstrap_mean
from workbench.runs import Run


@dataclass(frozen=True)
class Summary:
    """A metric over all clips of a run; the interval is over prompts, and None with fewer than two."""

    n: int
    unscored: int
    mean: float | None
    low: float | None
    high: float | None


def summary_rows(run: Run) -> list[tuple[Facts, Summary]]:
    return [(facts, _summary(run, facts.name)) for facts in run.facts]


def _summary(run: Run, name: str) -> Summary:
    scored = [(row.results[name].value, row.prompt or row.id) for row in run.rows if _value(row, name) is not None]
    unscored = len(run.rows) - len(scored)
    if not scored:
        return Summary(0, unscored, None, None, None)
    values, prompts = zip(*scored, strict=True)
    if len(set(prompts)) < 2:
        return Summary(len(values), unscored, sum(values) / len(values), None, None)
    interval = bootstrap_mean(values, prompts)
    return Summary(len(values), unscored, interval.value, interval.low, interval.high)


def _value(row: Any, name: str) -> float | None:
    return row.results[name].value if name in row.results else None


def clip_results(run: Run, *, curves: bool) -> list[dict[str, Any]]:
    """One JSON-ready row a clip: facts, `values` and `reasons` by metric, and `per_frame` when `curves`."""
    return [_clip(run, i, curves=curves) for i in range(len(run.rows))]


def _clip(run: Run, index: int, *, curves: bool) -> dict[str, Any]:
    scores, clip = run.scores(index) if curves else run.rows[index], run.plan.clips[index]
    known = {name: result for name, result in scores.results.items() if result.value is not None}
    row = {
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
    }
    return row | ({"per_frame": {n: list(r.per_frame) for n, r in scores.results.items()}} if curves else {})


def everything(run: Run) -> dict[str, Any]:
    """The whole run as one JSON-ready object."""
    return {
        "evaluation": run.id,
        "created": run.created,
        "complete": run.complete,
        "metrics": [asdict(facts) for facts in run.facts],
        "summary": {facts.name: asdict(summary) for facts, summary in summary_rows(run)},
        "clips": clip_results(run, curves=True),
    }


def clip_table(run: Run) -> pd.DataFrame:
    """One row a clip and a column a metric; `reasons` tells in words what is empty."""
    rows = []
    for row in clip_results(run, curves=False):
        facts = {name: row[name] for name in ("clip", "id", "prompt", "sha256", "frames", "fps", "width", "height")}
        values = {each.name: row["values"].get(each.name) for each in run.facts}
        reasons = "; ".join(f"{name}: {why}" for name, why in row["reasons"].items())
        rows.append(facts | values | {"skipped": row["skipped"], "reasons": reasons})
    return pd.DataFrame(rows)


def frame_table(run: Run) -> pd.DataFrame:
    """One row a clip and frame, and a column a metric that has curves."""
    parts = []
    for i, clip in enumerate(run.plan.clips[: len(run.rows)]):
        scores = run.scores(i)
        curves = {name: result.per_frame for name, result in scores.results.items() if result.per_frame}
        if curves:
            frame = pd.DataFrame({name: pd.Series(curve, dtype="float64") for name, curve in curves.items()})
            frame.insert(0, "clip", f"{i + 1} {clip.name}")
            frame.insert(1, "frame", range(len(frame)))
            frame.insert(2, "seconds", frame["frame"] / scores.fps)
            parts.append(frame)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["clip", "frame", "seconds"])


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()


def _parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


# file name: MIME type and what makes it
EXPORTS: dict[str, tuple[str, Callable[[Run], bytes]]] = {
    "clips.csv": ("text/csv", lambda run: _csv(clip_table(run))),
    "frames.csv": ("text/csv", lambda run: _csv(frame_table(run))),
    "clips.parquet": ("application/vnd.apache.parquet", lambda run: _parquet(clip_table(run))),
    "frames.parquet": ("application/vnd.apache.parquet", lambda run: _parquet(frame_table(run))),
    "scores.json": ("application/json", lambda run: json.dumps(everything(run), ensure_ascii=False).encode()),
}
