"""What the Dashboard shows, as its components take it: plain data."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from models.default_world import DEFAULT
from workbench.charts import (
    OverTime,
    Panel,
    Point,
    Speed,
    metric_dots,
    over_time,
    radar,
    speed_quality,
)
from workbench.common.words import chance, counted
from workbench.leaderboard.files import MARKS, Board, figure, title_of
from workbench.leaderboard.means import (
    Row,
    disagreement,
    find_row,
    mixed,
    page_order,
    usual_metrics,
    verdict,
    words_of,
)
from workbench.requests.links.address import address
from workbench.requests.links.dashboard import Query, cell_key
from workbench.store.records import ClipFilter

MOST_PROMPTS = 200  # lines of the table of prompts on the page; the files hold all
MOST_TIMED = 200  # newest clips of a system whose speed is looked at
FEW_LINES = 4  # systems that are all drawn along the clip
MOST_CURVES = 400  # clips of a system behind a line over time
DIRECTION = {True: "higher is better", False: "lower is better", None: "neither good nor bad"}
READ_AS = (
    "Mean (Student's 95 % interval over prompts, Wilson's for metrics that say yes or no; a prompt's clips are "
    "averaged first). ▲ better, ▼ worse, ≠ different from the reference: p below 0.05 in a paired t test over the "
    "prompts that both have, after Holm over all comparisons shown. Press a name or a number for what is behind it."
)
EMPTY = (
    "python -m workbench sweep --help: models x steps x FFE x prompts x seeds, made and scored into this store",
    "python -m workbench ablation: baseline and ASD with and without FFE, in a quarter of an hour on two cores",
)
FILE_LABELS = {
    "leaderboard.csv": "Table CSV",
    "leaderboard.parquet": "Table Parquet",
    "leaderboard.tex": "Table LaTeX",
    "values.csv": "Values CSV",
    "values.parquet": "Values Parquet",
}


def labels(board: pd.DataFrame) -> dict[Row, str]:
    """Each line in words; what tells lines of one system apart is added where there are several."""
    lines = board.drop_duplicates(["system", "settings"])
    several = lines["system"].value_counts()
    conditions = lines.groupby("system")["conditions"].nunique()
    found = {}
    for row in lines.to_dict("records"):
        label = title_of(row["system"])
        if several[row["system"]] > 1:
            same = conditions[row["system"]] == 1
            label += f" · weights {row['settings'][:6]}" if same else f" · {row['conditions']} ({row['settings'][:6]})"
        found[row["system"], row["settings"]] = label
    return found


def default_reference(systems: Sequence[str]) -> str:
    """The baseline at its most steps, else the first system."""
    base = [system for system in systems if system.startswith(f"{DEFAULT.baseline}:") and system.endswith(":0")]
    return max(base, key=lambda name: int(name.split(":")[1])) if base else next(iter(systems), "")


def status(board: Board, query: Query, link: str) -> dict[str, Any]:
    """What is behind the page, and what must not be read as one."""
    table = board.table
    clips = int(table.groupby(["system", "settings"])["n"].max().sum()) if len(table) else 0
    if not len(table):
        text = "No clip matches these filters; remove one of them."
        return {"state": "idle", "text": text, "links": [{"label": "Without filters", "url": "/dashboard"}]}
    lines, metrics = len(table.drop_duplicates(["system", "settings"])), table["metric"].nunique()
    comparisons = int(table["p"].notna().sum())
    systems = table["system"].nunique()
    told = [counted(lines, "row"), counted(systems, "system"), counted(metrics, "metric")]
    each = table.groupby(["system", "settings"])["n"].nunique()
    least = "" if each.max() == 1 else "at least "  # metrics of one system may count different clips
    text = f"{', '.join(told)}, from {least}{counted(clips, 'clip')}."
    holm = f"Holm, over {counted(comparisons, 'comparison')}"
    facts = [("Reference", title_of(board.reference or "") or "none"), ("Correction", holm)]
    unscored = int(table["n_unscored"].sum())
    if unscored:
        facts.append(("Values that could not be scored", str(unscored)))
    params = query.params() | {"reference": board.reference or ""}
    files = [
        {"label": label, "url": address(f"/api/v1/leaderboard/{name}", params), "name": name}
        for name, label in FILE_LABELS.items()
    ]
    told = {"notices": [*board.told, *mixed(table)], "facts": facts, "downloads": files}
    return {"state": "done", "text": text, **told, "links": [{"label": "Link to this", "url": link}]}


def empty_status(read_only: bool, first_run: str = "") -> dict[str, Any]:
    """The store has no values yet: what fills it; `first_run` tells how far the first clips are."""
    if first_run:
        text = f"{first_run} The leaderboard appears here when they are measured; reload the page to see it."
        return {"state": "idle", "text": text, "links": [{"label": "Reload", "url": "/dashboard"}]}
    offered = [("Make a clip", "/generate"), ("Evaluate clips", "/evaluate")]
    links = [] if read_only else [{"label": label, "url": url} for label, url in offered]
    return {
        "state": "idle",
        "text": "There are no measured clips in the store yet. One of these commands makes some:",
        "notices": list(EMPTY),
        "links": links,
    }


def leaderboard_grid(board: pd.DataFrame) -> dict[str, Any]:
    """A line for each system and settings, a column for each metric."""
    metrics = page_order(list(board["metric"]))
    names, rows, keys = labels(board), [], []
    for row, own in board.groupby(["system", "settings"], sort=False):
        cells = {cell["metric"]: cell for cell in own.to_dict("records")}
        count = max((int(cells[name]["n"]) for name in metrics if name in cells), default=0)
        title = f"{title_of(row[0])}; {own['conditions'].iloc[0]}; settings {row[1]}"
        values = [_board_cell(cells.get(name), count, row) for name in metrics]
        rows.append([{"text": names[row], "title": title}, count, *values])
        keys.append(cell_key(row=f"{row[0]}@{row[1]}"))
    heads = [
        f"{words_of(name).title}{ {True: ' ↑', False: ' ↓', None: ''}[words_of(name).higher_is_better] }"
        for name in metrics
    ]
    return {
        "caption": "Measured here",
        "columns": ["System", "Clips", *heads],
        "rows": rows,
        "keys": keys,
        "note": READ_AS,
        "dense": True,
    }


def _board_cell(cell: Mapping[str, Any] | None, count: int, row: Row) -> Any:
    if cell is None or np.isnan(cell["mean"]):
        why = "not measured" if cell is None else f"none of {counted(cell['n_unscored'], 'clip')} could be scored"
        return {"text": "—", "tone": "mute", "title": why}
    told = verdict(cell["metric"], cell["difference"], cell["p_holm"])
    interval = "" if np.isnan(cell["low"]) else f" ({figure(cell['low'])} to {figure(cell['high'])})"
    few = f" n={cell['n']}" if cell["n"] != count else ""
    target = cell_key(row=f"{row[0]}@{row[1]}", metric=cell["metric"])
    text = f"{figure(cell['mean'])}{MARKS[told]}{interval}{few}"
    tone = {"better": "good", "worse": "bad"}.get(told)
    return {"text": text, "title": hint(cell), "tone": tone, "key": target, "value": cell["mean"]}


def hint(cell: Mapping[str, Any]) -> str:
    """What a mean rests on, in one line."""
    told = [f"{counted(cell['n'], 'clip')} of {counted(cell['prompts'], 'prompt')}"]
    if cell["n_unscored"]:
        told.append(f"{cell['n_unscored']} not scored")
    if not np.isnan(cell["difference"]):
        bounds = f" ({figure(cell['difference_low'], '+')} to {figure(cell['difference_high'], '+')})"
        bounds = "" if np.isnan(cell["difference_low"]) else bounds
        shared = counted(cell["shared_prompts"], "prompt")
        told.append(f"{figure(cell['difference'], '+')}{bounds} from the reference on {shared}")
        if not np.isnan(cell["p"]):
            told.append(f"p {chance(cell['p'])}, corrected {chance(cell['p_holm'])}")
    return "; ".join(told)


# charts


def panels(board: pd.DataFrame, metrics: Sequence[str]) -> list[Panel]:
    """A panel a metric, a point a line of the leaderboard."""
    names = labels(board)
    cells = {(row["system"], row["settings"], row["metric"]): row for row in board.to_dict("records")}
    found = []
    for name in metrics:
        points = [_point(label, cells.get((*row, name))) for row, label in names.items()]
        found.append(Panel(words_of(name).title, words_of(name).higher_is_better, points))
    return found


def _point(label: str, cell: Mapping[str, Any] | None) -> Point:
    if cell is None:
        return Point(label, float("nan"), float("nan"), float("nan"))
    return Point(label, cell["mean"], cell["low"], cell["high"], hint(cell))


def charts(
    board: Board, metric: str, first: Row | None = None, second: Row | None = None
) -> dict[str, dict[str, Any]]:
    """The charts by name: dots, radar, speed, time. The two lines in focus are drawn along the clip, others on demand
    unless there are few."""
    shown = panels(board.table, board.metrics)
    return {
        "dots": metric_dots(shown),
        "radar": radar(shown),
        "speed": speed_chart(board, metric),
        "time": time_chart(board, metric, tuple(filter(None, (first, second)))),
    }


def speed_chart(board: Board, metric: str) -> dict[str, Any]:
    """Of the metric in focus."""
    (panel,) = panels(board.table, [metric])
    points = []
    for (system, settings), point in zip(labels(board.table), panel.points, strict=True):
        asked = ClipFilter(systems=(system,), settings=(settings,), sweep=board.filters.sweep)
        seconds = board.store.clip_table(asked, MOST_TIMED)["seconds"]
        seconds = seconds[seconds > 0]
        if len(seconds):
            hint_ = f"{point.hint}; speed of the newest {counted(len(seconds), 'clip')}"
            points.append(
                Speed(Point(point.label, point.value, point.low, point.high, hint_), float(seconds.median()))
            )
    return speed_quality(points, panel.title, higher_is_better=panel.higher_is_better)


def time_chart(board: Board, metric: str, close: Sequence[Row] = ()) -> dict[str, Any]:
    """The metric in focus along the clips, by line of the leaderboard; clips of other lengths are left out."""
    lines, names = [], labels(board.table)
    for place, ((system, settings), label) in enumerate(names.items()):
        asked = ClipFilter(
            systems=(system,), settings=(settings,), sweep=board.filters.sweep, prompt=board.filters.prompt
        )
        clips = board.store.clip_table(asked, MOST_CURVES).set_index("id")
        prompts = tuple(clips["prompt"].unique())
        drawn = ClipFilter(systems=(system,), settings=(settings,), metrics=(metric,), prompts=prompts)
        curves = board.store.curves(drawn) if prompts else {}
        known = {clip: curve for (clip, _, _), curve in curves.items() if clip in clips.index}
        if known:
            length = max(len(curve) for curve in known.values())
            kept = {clip: curve for clip, curve in known.items() if len(curve) == length}
            stacked = np.array(list(kept.values()), float)
            told = [str(clips.at[clip, "prompt"]) for clip in kept]
            shown = len(names) <= FEW_LINES or not close or (system, settings) in close
            lines.append(OverTime(label, stacked, told, float(clips["fps"].iloc[0]), place, shown))
    return over_time(lines, words_of(metric).title, higher_is_better=words_of(metric).higher_is_better)


# prompts and clips


def prompts_grid(board: Board, metric: str, first: Row | None, second: Row | None) -> dict[str, Any]:
    """Prompts by how far two lines are apart, widest first."""
    if first is None or second is None:
        return {}
    names = labels(board.table)
    both = disagreement(board.rows, metric, first, second)
    rows = [
        [
            {"text": row["prompt"], "title": "the clips of this prompt"},
            {
                "text": f"{figure(row['difference'], '+')}",
                "value": row["difference"],
                "tone": _tone(metric, row["difference"]),
            },
            {"text": f"{figure(row['value'])} (n={row['n']})", "value": row["value"]},
            {"text": f"{figure(row['value_second'])} (n={row['n_second']})", "value": row["value_second"]},
        ]
        for row in both.head(MOST_PROMPTS).to_dict("records")
    ]
    one, other = names[first], names[second]
    more = f" The first {MOST_PROMPTS} of {len(both)}; the files hold all." if len(both) > MOST_PROMPTS else ""
    return {
        "caption": f"{words_of(metric).title}: where {one} and {other} are farthest apart",
        "columns": ["Prompt", "Difference", one, other],
        "rows": rows,
        "keys": [cell_key(at=prompt) for prompt in both["prompt"].head(MOST_PROMPTS)],
        "note": f"{DIRECTION[words_of(metric).higher_is_better].capitalize()}.{more} Press a prompt for its clips.",
    }


def _tone(metric: str, difference: float) -> str | None:
    better = words_of(metric).higher_is_better
    return None if better is None or not difference else "good" if (difference > 0) == better else "bad"


def focus(board: Board, query: Query) -> tuple[str, Row | None, Row | None]:
    """The metric, the line and the reference line that are looked at closely; what is not named is the usual."""
    table = board.table
    metrics = page_order(list(table["metric"]))
    usual = usual_metrics(metrics)
    metric = query.metric if query.metric in metrics else next(iter(usual), "")
    second = find_row(table, board.reference)
    first = find_row(table, query.row)
    if first is None:
        others = table[(table["system"] != board.reference) & (table["metric"] == metric)]
        first = find_row(table, str(others["system"].iloc[0])) if len(others) else None
    return metric, first, second
