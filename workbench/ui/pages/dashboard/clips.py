"""The clips behind the Dashboard's numbers, as its components take them: plain data."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from eval.video.reader import Unreadable
from models.registry import list_models
from workbench.charts import (
    ClipCurves,
    metric_curves,
)
from workbench.clips.display import make_display
from workbench.common.words import counted
from workbench.leaderboard.files import Board, figure, title_of
from workbench.leaderboard.means import (
    Row,
    metric_facts,
    words_of,
)
from workbench.requests.comparison import LETTERS
from workbench.requests.links.compare import compare_link
from workbench.requests.links.dashboard import Query
from workbench.requests.links.evaluate import evaluate_link
from workbench.requests.links.generate import generate_link
from workbench.requests.systems import System
from workbench.store import Store
from workbench.store.records import ClipFilter
from workbench.ui.components.clips import sheet
from workbench.ui.context import Context

MOST_SHOWN = 4  # clips side by side
MOST_CLIPS = 40  # clips of a prompt in the table


def clips_at(store: Store, query: Query, filters: ClipFilter, first: Row | None, second: Row | None) -> pd.DataFrame:
    """The clips of the prompt in focus, those of the two lines in focus first, then newest first."""
    asked = ClipFilter(
        models=filters.models,
        steps=filters.steps,
        first_steps=filters.first_steps,
        sweep=filters.sweep,
        prompts=(query.at,),
    )
    clips = store.clip_table(asked, MOST_CLIPS)
    wanted = {row: place for place, row in enumerate(filter(None, (first, second)))}
    order = [wanted.get((row.system, row.settings), len(wanted)) for row in clips.itertuples()]
    return clips.assign(order=order).sort_values("order", kind="stable", ignore_index=True).drop(columns="order")


def player_value(context: Context, clips: pd.DataFrame, query: Query) -> dict[str, Any]:
    """The first four clips of the prompt, in step by time."""
    shown = []
    rate = float(clips["fps"].max()) if len(clips) else 12.0
    for letter, row in zip(LETTERS, clips.head(MOST_SHOWN).to_dict("records"), strict=False):
        shown.append(_player_clip(context, f"{letter} · {title_of(row['system'])} · seed {row['seed']}", row))
    longest = max((row["frames"] / row["fps"] for row in clips.head(MOST_SHOWN).to_dict("records")), default=0)
    identity = " ".join(clips["id"].head(MOST_SHOWN))
    total = max(1, round(longest * rate))
    return {"id": identity, "fps": rate, "total": total, "clips": shown, "link": query.params()}


def _player_clip(context: Context, label: str, row: Mapping[str, Any]) -> dict[str, Any]:
    path = context.settings.data_dir / row["path"]
    links = []
    if not context.settings.read_only and _can_make(row):
        links.append({"label": "make this again", "url": again_link(row)})
    clip: dict[str, Any] = {"label": label, "fps": row["fps"], "done": True, "links": links}
    clip["facts"] = [
        ("made in", f"{row['seconds']:.2f} s, {counted(row['forwards'], 'network call')}"),
        ("weights", row["weights_digest"][:12]),
    ]
    try:
        display = make_display(path, row["id"], context.settings.data_dir / "display")
    except (Unreadable, OSError):
        return clip | {"note": "this file is no longer there"}
    files = [("mp4", path), ("manifest", path.with_suffix(".json"))]
    clip["downloads"] = [
        {"label": kind, "url": context.media.file(file), "name": file.name} for kind, file in files if file.exists()
    ]
    if display.frames is None:
        return clip | {"video": context.media.file(display.video), "count": display.count}
    return clip | {"sheets": [sheet(display.frames, context.media)]}


def _can_make(row: Mapping[str, Any]) -> bool:
    return row["task"] == "t2v" and row["model"] in {spec.name for spec in list_models()}


def side_of(row: Mapping[str, Any]) -> System:
    return System(row["model"], int(row["steps"]), int(row["first_steps"]))


def again_link(row: Mapping[str, Any]) -> str:
    """The Generate page with the request of this clip."""
    return generate_link(side_of(row), row["prompt"], int(row["seed"]), int(row["frames"]))


def clip_links(clips: pd.DataFrame, query: Query, read_only: bool) -> dict[str, Any]:
    """Where the clips of the prompt can be taken to."""
    shown = clips.head(MOST_SHOWN)
    links = [{"label": "Link to this", "url": query.link()}]
    if not read_only and len(shown):
        links.append({"label": "Evaluate these clips", "url": evaluate_link(list(shown["id"]))})
        rows = shown.to_dict("records")
        if len(rows) > 1 and shown["seed"].nunique() == shown["frames"].nunique() == 1 and all(map(_can_make, rows)):
            sides = tuple(side_of(row) for row in rows)
            url = compare_link(sides, query.at, int(rows[0]["seed"]), int(rows[0]["frames"]))
            links.append({"label": "Open in Compare", "url": url})
    count = f"{counted(len(clips), 'clip')} of “{query.at}”"
    more = f", the first {MOST_SHOWN} in the player" if len(clips) > MOST_SHOWN else ""
    return {"state": "done", "text": f"{count}{more}.", "links": links}


def clips_grid(board: Board, clips: pd.DataFrame, metric: str) -> dict[str, Any]:
    """Every clip of the prompt with its values."""
    if clips.empty:
        return {}
    values = board.store.value_table(ClipFilter(prompts=tuple(clips["prompt"].unique())))
    values = values[values["clip"].isin(set(clips["id"]))]
    metrics = list(dict.fromkeys([metric, *board.metrics]))
    found = {(row["clip"], row["metric"]): row for row in values.to_dict("records")}
    rows = []
    for place, row in enumerate(clips.to_dict("records")):
        letter = f"{LETTERS[place]} · " if place < MOST_SHOWN else ""
        cells = [_value_cell(found.get((row["id"], name))) for name in metrics]
        rows.append([f"{letter}{title_of(row['system'])}", row["seed"], row["settings"][:6], *cells])
    columns = ["Clip", "Seed", "Settings", *(words_of(name).title for name in metrics)]
    return {"caption": "Clips of this prompt", "columns": columns, "rows": rows, "dense": True}


def _value_cell(row: Mapping[str, Any] | None) -> Any:
    if row is None or np.isnan(row["value"]):
        return {"text": "—", "tone": "mute", "title": row["reason"] if row else "not measured"}
    return {"text": figure(row["value"]), "value": row["value"]}


def curves_value(board: Board, clips: pd.DataFrame, metric: str) -> dict[str, Any]:
    """The curves of the clips in the player, of the metrics on the board, the one in focus on top."""
    shown = clips.head(MOST_SHOWN)
    if shown.empty:
        return {}
    found = board.store.curves(ClipFilter(prompts=tuple(shown["prompt"].unique()), metrics=tuple(board.metrics)))
    by_clip: dict[str, dict[str, list]] = {}
    for (clip, name, _), curve in found.items():
        by_clip.setdefault(clip, {})[name] = [None if np.isnan(value) else float(value) for value in curve]
    lines = [
        ClipCurves(f"{letter} · {title_of(row['system'])}", row["fps"], by_clip.get(row["id"], {}))
        for letter, row in zip(LETTERS, shown.to_dict("records"), strict=False)
    ]
    facts = sorted(metric_facts(), key=lambda each: each.name != metric)
    return metric_curves(facts, lines, seconds=False)
