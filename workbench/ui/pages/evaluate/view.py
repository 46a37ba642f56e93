"""What the Evaluate page shows of a run, as the page's components take it: plain data."""

from collections.abc import Container, Sequence
from typing import Any

from eval.evaluator import ClipScores
from eval.metric import GROUPS, Facts, MetricResult
from eval.report import drift_rows
from eval.video.reader import Unreadable
from models.default_world import DEFAULT
from workbench.charts import ClipCurves, metric_curves, spread_over_clips
from workbench.clips.display import Display, make_display
from workbench.clips.library import world_of
from workbench.common.words import counted, readable
from workbench.requests.comparison import LETTERS
from workbench.requests.links.evaluate import TIME_AXES
from workbench.scoring.evaluation import metric_rows
from workbench.scoring.results import summary_rows
from workbench.scoring.runs import FAILED, QUEUED, RUNNING, Run
from workbench.ui.context import Context

MOST_SHOWN = 4  # clips in the player and the chart
MOST_ROWS = 100  # clips in the table on the page; the files hold all
MOST_TOLD = 8  # skipped clips told in full
MOST_IN_BAND = 200
SHEET_HEIGHT = 16_000  # pixels; browsers refuse pictures of more than twice that
QUICK = 10.0  # milliseconds a frame
DIRECTION = {True: "higher is better", False: "lower is better", None: ""}
FRAMES, SECONDS = TIME_AXES


def checklist(context: Context, clips: Sequence[str] = ()) -> dict[str, Any]:
    """Every metric by group, as the checklist takes it; chosen are those of `default_metrics`."""
    rows = metric_rows(context.evaluations.resources)
    names = [*GROUPS, *(facts.group for facts, _ in rows if facts.group not in GROUPS)]
    groups = [
        {"name": name, "metrics": [_metric(facts, why) for facts, why in rows if facts.group == name]}
        for name in dict.fromkeys(names)
    ]
    return {"groups": [group for group in groups if group["metrics"]], "chosen": _quick(rows, _worlds(context, clips))}


def default_metrics(context: Context, clips: Sequence[str] = ()) -> list[str]:
    """The names of the quick metrics that run here and know the world of stored clips, whose ids are `clips`; of the
    world that the app opens with when there are none."""
    return _quick(metric_rows(context.evaluations.resources), _worlds(context, clips))


def _quick(rows: Sequence[tuple[Facts, str]], worlds: Container[str]) -> list[str]:
    return [facts.name for facts, why in rows if not why and facts.cost <= QUICK and facts.world in worlds]


def _worlds(context: Context, clips: Sequence[str]) -> set[str]:
    stored = context.evaluations.library.stored
    return {"", *({world_of(stored(clip).path) for clip in clips} or {DEFAULT.name})}


def _metric(facts: Facts, why: str) -> dict[str, Any]:
    cost = "" if why else f"about {readable(facts.cost, 2)} ms per frame at 832 x 480"
    return {
        "name": facts.name,
        "title": facts.title,
        "kind": facts.kind,
        "judge": facts.judged_by,
        "says": facts.says,
        "needs": ", ".join(facts.needs),
        "cost": cost,
        "direction": DIRECTION[facts.higher_is_better],
        "why": why,
        "quick": facts.cost <= QUICK,
    }


def status(run: Run) -> dict[str, Any]:
    """How far a run is, and what it could not score."""
    total = len(run.plan.clips)
    done = f"{len(run.rows)} of {counted(total, 'clip')}"
    common = {"notices": _notices(run)}
    if run.state == QUEUED:
        return {"state": "running", "text": "Waiting until another evaluation has ended", "progress": 0}
    if run.state == RUNNING:
        return common | {"state": "running", **_progress(run)}
    if run.state == FAILED:
        text = f"This failed on the server ({run.error}) after {done}; press “Go on” to try again."
        return {"state": "error", "text": text}
    if not run.complete:
        return common | {
            "state": "idle",
            "text": f"Stopped: {done} are done. “Go on” takes up the rest.",
            **_files(run),
        }
    seconds = sum(row.seconds for row in run.rows)
    scored = sum(not row.skipped for row in run.rows)
    clips = counted(total, "clip") if scored == total else f"{scored} of {counted(total, 'clip')}"
    left_out = f" {counted(total - scored, 'clip')} skipped: why stands below." if scored < total else ""
    text = f"Done: {clips} with {counted(len(run.facts), 'metric')} in {seconds:.1f} s of computing.{left_out}"
    return common | {"state": "done", "text": text, **_files(run)}


def _progress(run: Run) -> dict[str, Any]:
    done, total, progress = len(run.rows), len(run.plan.clips), run.progress
    if progress is None or done == total:
        return {"text": "Starting", "progress": done / total}
    of = f" of {progress.frames}" if progress.frames else ""
    text = f"Clip {done + 1} of {total}, {run.plan.clips[done].name}: {counted(len(run.facts), 'metric')}"
    share = min(1.0, progress.frame / progress.frames) if progress.frames else 0.0
    return {"text": f"{text} at frame {progress.frame}{of}", "progress": (done + share) / total}


def _notices(run: Run) -> list[str]:
    skipped = [f"Skipped {clip.name}: {row.skipped}" for clip, row in _pairs(run) if row.skipped]
    told = skipped[:MOST_TOLD]
    if len(skipped) > MOST_TOLD:
        told.append(f"… and {len(skipped) - MOST_TOLD} more clips were skipped; the files name them all.")
    odd = [f"{clip.name}: {notice}." for clip, row in _pairs(run) for notice in row.notices]
    return [*told, *odd[:MOST_TOLD]]


def _files(run: Run) -> dict[str, Any]:
    base = f"/api/v1/evaluations/{run.id}"
    files = [
        ("Values CSV", "clips.csv"),
        ("Curves CSV", "frames.csv"),
        ("JSON", "scores.json"),
        ("Values Parquet", "clips.parquet"),
        ("Curves Parquet", "frames.parquet"),
    ]
    downloads = [{"label": label, "url": f"{base}/{name}", "name": f"evaluation-{name}"} for label, name in files]
    return {
        "downloads": downloads if run.rows else [],
        "links": [{"label": "Link to this evaluation", "url": run.link}],
    }


def summary_table(run: Run) -> dict[str, Any]:
    """One row a metric: n, mean, interval."""
    if not run.rows:
        return {}
    rows = []
    for facts, row in summary_rows(run):
        interval = f"{readable(row.low)} to {readable(row.high)}" if row.low is not None else "—"
        mean = "—" if row.mean is None else readable(row.mean)
        rows.append([facts.title, DIRECTION[facts.higher_is_better], str(row.n), str(row.unscored), mean, interval])
    return {
        "caption": "By metric",
        "columns": ["Metric", "Direction", "n", "Not scored", "Mean", "95 % interval"],
        "rows": rows,
        "note": "Intervals are over prompts: clips of one prompt count as one unit. One clip or prompt has none.",
        "dense": True,
    }


def scores_table(run: Run) -> dict[str, Any]:
    """One row a clip: every value, or a dash that tells why there is none."""
    if not run.rows:
        return {}
    pairs = _pairs(run)[:MOST_ROWS]
    rest = len(run.rows) - len(pairs)
    return {
        "caption": "By clip",
        "columns": ["Clip", "Prompt", "Frames", "fps", *(facts.title for facts in run.facts)],
        "rows": [_clip_row(run, row) for _, row in pairs],
        "note": f"The first {counted(len(pairs), 'clip')}; the files hold {rest} more." if rest else "",
        "dense": True,
    }


def _clip_row(run: Run, row: ClipScores) -> list[Any]:
    values = [_value(row.results.get(facts.name), row.skipped) for facts in run.facts]
    frames, fps = (str(row.frames), f"{row.fps:.4g}") if not row.skipped else ("—", "—")
    return [row.id, row.prompt or "—", frames, fps, *values]


def _value(result: MetricResult | None, skipped: str) -> Any:
    if result is not None and result.value is not None:
        return readable(result.value)
    return {"text": "—", "tone": "mute", "title": result.reason if result else skipped or "not computed"}


def reasons_table(run: Run) -> dict[str, Any]:
    """What was not scored and why, each reason once with the number of clips that it holds for."""
    found: dict[tuple[str, str], list[str]] = {}
    for clip, row in _pairs(run):
        for facts in run.facts:
            result = row.results.get(facts.name)
            if result is not None and result.value is None:
                found.setdefault((facts.title, result.reason), []).append(clip.name)
    if not found:
        return {}
    rows = [[title, reason, _names(names)] for (title, reason), names in found.items()]
    return {"caption": "Not scored", "columns": ["Metric", "Why", "Clips"], "rows": rows}


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def shown_choices(run: Run) -> list[tuple[str, int]]:
    """The clips that can be played, as choices of a dropdown."""
    return [(row.id, i) for i, row in enumerate(run.rows) if not row.skipped]


def usual_axis(run: Run, shown: Sequence[int]) -> str:
    """Frames, unless clips of different rates have to be put on one axis."""
    return FRAMES if len({run.rows[i].fps for i in shown}) < 2 else SECONDS


def player_value(context: Context, run: Run, shown: Sequence[int], axis: str) -> dict[str, Any]:
    """The shown clips, in step by time."""
    clips = []
    for letter, i in zip(LETTERS, shown, strict=False):
        row, clip = run.rows[i], run.plan.clips[i]
        try:
            display = make_display(clip.path, row.digest, context.settings.data_dir / "display")
            clips.append((row.frames / row.fps, _player_clip(context, f"{letter} · {clip.name}", row, display)))
        except (Unreadable, OSError):
            clips.append((0.0, {"label": f"{letter} · {clip.name}", "note": "this file is no longer there"}))
    fps = max((clip["fps"] for _, clip in clips if "fps" in clip), default=12)
    link = {"run": run.id, "show": ",".join(map(str, shown)), "axis": axis}
    return {
        "id": f"{run.id} {link['show']}",
        "fps": fps,
        "total": max(1, *(round(seconds * fps) for seconds, _ in clips)) if clips else 0,
        "clips": [clip for _, clip in clips],
        "link": link,
    }


def _player_clip(context: Context, label: str, row: ClipScores, display: Display) -> dict[str, Any]:
    clip: dict[str, Any] = {"label": label, "fps": row.fps, "done": True, "facts": []}
    if row.prompt:
        clip["facts"].append(("prompt", row.prompt))
    clip["facts"].append(("size", f"{row.width} x {row.height}, {counted(row.frames, 'frame')} at {row.fps:.4g} fps"))
    if display.note:
        clip["facts"].append(("note", display.note))
    if display.frames is None:
        return clip | {"video": context.media.file(display.video), "count": display.count}
    step = max(1, SHEET_HEIGHT // display.frames.shape[1])
    parts = [display.frames[first : first + step] for first in range(0, display.count, step)]
    return clip | {"sheets": [{"url": context.media.sheet(part), "frames": len(part)} for part in parts]}


def chart_value(run: Run, shown: Sequence[int], axis: str) -> dict[str, Any]:
    """The curves of the shown clips, over all clips of the run where there are more than two."""
    seconds = axis == SECONDS
    clips = [_curves(run, i, letter) for letter, i in zip(LETTERS, shown, strict=False)]
    playable = [i for i, row in enumerate(run.rows) if not row.skipped][:MOST_IN_BAND]
    bands = {}
    if len(playable) > 2:
        everyone = [_curves(run, i, "") for i in playable]
        spreads = {facts.name: spread_over_clips(everyone, facts.name, seconds=seconds) for facts in run.facts}
        bands = {name: band for name, band in spreads.items() if band is not None}
    return metric_curves(run.facts, clips, seconds=seconds, bands=bands)


def drift_table(run: Run, shown: Sequence[int]) -> dict[str, Any]:
    """How the curves of the shown clips change over time; a change that is surely for the worse stands out."""
    letters = LETTERS[: len(shown)]
    clips = [{row["metric"]: row for row in drift_rows(run.scores(i))} for i in shown]
    rows = [
        [facts.title, *(cell for clip in clips for cell in _drift(facts, clip.get(facts.name)))]
        for facts in run.facts
        if any(facts.name in clip for clip in clips)
    ]
    if not rows:
        return {}
    names = ("change per second", "first to last quarter", "spread over time")
    return {
        "caption": "Over time",
        "columns": ["Metric", *(f"{letter} · {name}" for letter in letters for name in names)],
        "rows": rows,
        "note": "Change per second: Theil-Sen slope of means over half a second, with its 95 % interval. "
        "Spread: standard deviation of the means of five stretches (the drift score of AAD-1, arXiv:2606.03972).",
        "dense": True,
    }


def _drift(facts: Facts, row: dict[str, Any] | None) -> list[Any]:
    if row is None:
        return ["—"] * 3
    slope, low, high = (row[f"slope_{name}"] for name in ("per_second", "low", "high"))
    ends = [readable(value, 3, "+") for value in (slope, low, high)]
    shown: Any = "—" if slope is None else f"{ends[0]} ({ends[1]} to {ends[2]})"
    sure = slope is not None and low * high > 0 and float(ends[0].replace(",", "")) != 0  # what shows as 0 is 0
    if sure and facts.higher_is_better is not None:
        shown = {"text": shown, "tone": "good" if (slope > 0) == facts.higher_is_better else "bad"}
    change, spread = row["first_to_last"], row["drift_score"]
    return [shown, "—" if change is None else readable(change, 3, "+"), "—" if spread is None else readable(spread, 3)]


def _curves(run: Run, index: int, letter: str) -> ClipCurves:
    scores = run.scores(index)
    curves = {name: result.per_frame for name, result in scores.results.items()}
    return ClipCurves(f"{letter} · {run.plan.clips[index].name}", scores.fps, curves)


def _pairs(run: Run) -> list[tuple[Any, ClipScores]]:
    return list(zip(run.plan.clips, run.rows, strict=False))
