"""What the Dashboard shows, as its components take it: plain data."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd

from eval.preferences.table import counted
from eval.preferences.versus_metrics import MetricAgreement, metric_agreement
from eval.video import Unreadable
from models.registry import list_models
from workbench.ablation_files import HEADLINE, Report, notes, row_label, tables
from workbench.charts import (
    ClipCurves,
    OverTime,
    Panel,
    Point,
    Speed,
    metric_curves,
    metric_dots,
    over_time,
    radar,
    share_dots,
    speed_quality,
)
from workbench.display import make_display
from workbench.leaderboard import (
    Row,
    disagreement,
    find_row,
    metric_facts,
    mixed,
    page_order,
    usual_metrics,
    verdict,
    words_of,
)
from workbench.leaderboard_files import MARKS, Board, figure, title_of
from workbench.preferences import study_report
from workbench.published_tables import COLUMNS as PUBLISHED_COLUMNS
from workbench.published_tables import PublishedTable, published_tables
from workbench.store import Store
from workbench.store.records import ClipFilter
from workbench.ui.clips import sheet
from workbench.ui.comparison import LETTERS, Side
from workbench.ui.context import Context
from workbench.ui.dashboard_query import Query
from workbench.ui.links import compare_link, evaluate_link, generate_link
from workbench.ui.results_view import matrix

MOST_PROMPTS = 200  # lines of the table of prompts on the page; the files hold all
MOST_SHOWN = 4  # clips side by side
MOST_CLIPS = 40  # clips of a prompt in the table
MOST_TIMED = 200  # newest clips of a system whose speed is looked at
FEW_LINES = 4  # systems that are all drawn along the clip
MOST_CURVES = 400  # clips of a system behind a line over time
DIRECTION = {True: "higher is better", False: "lower is better", None: "neither good nor bad"}
READ_AS = (
    "Mean (Student's 95 % interval over prompts; a prompt's clips are averaged first). ▲ better, ▼ worse, ≠ different "
    "from the reference: p below 0.05 in a paired t test over the prompts that both have, after Holm over all "
    "comparisons shown. Press a name or a number for what is behind it."
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


def key(**changes: str) -> str:
    """What a press on a cell changes in the query."""
    return urlencode(changes)


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
    base = [system for system in systems if system.startswith("shapes-self-forcing:") and system.endswith(":0")]
    return max(base, key=lambda name: int(name.split(":")[1])) if base else next(iter(systems), "")


def status(board: Board, query: Query, link: str) -> dict[str, Any]:
    """What is behind the page, and what must not be read as one."""
    table = board.table
    clips = int(table.groupby(["system", "settings"])["n"].max().sum()) if len(table) else 0
    if not len(table):
        text = "No clip of the store is what these filters ask for; take one of them away."
        return {"state": "idle", "text": text, "links": [{"label": "Without filters", "url": "/dashboard"}]}
    lines, metrics = len(table.drop_duplicates(["system", "settings"])), table["metric"].nunique()
    comparisons = int(table["p"].notna().sum())
    text = f"{lines} lines of {table['system'].nunique()} systems, {metrics} metrics, at least {clips} clips."
    facts = [("Reference", title_of(board.reference or "") or "none"), ("Comparisons corrected for", str(comparisons))]
    unscored = int(table["n_unscored"].sum())
    if unscored:
        facts.append(("Values that could not be scored", str(unscored)))
    params = urlencode(query.params() | {"reference": board.reference or ""})
    files = [
        {"label": label, "url": f"/api/v1/leaderboard/{name}?{params}", "name": name}
        for name, label in FILE_LABELS.items()
    ]
    told = {"notices": [*board.told, *mixed(table)], "facts": facts, "downloads": files}
    return {"state": "done", "text": text, **told, "links": [{"label": "Link to this", "url": link}]}


def empty_status(read_only: bool) -> dict[str, Any]:
    """The store has no values yet: what fills it."""
    links = (
        [] if read_only else [{"label": "Make a clip", "url": "/"}, {"label": "Evaluate clips", "url": "/evaluate"}]
    )
    return {
        "state": "idle",
        "text": "There are no measured clips in the store yet. One of these commands fills it:",
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
        title = f"{row[0]}; {own['conditions'].iloc[0]}; settings {row[1]}"
        values = [_board_cell(cells.get(name), count, row) for name in metrics]
        rows.append([{"text": names[row], "title": title}, count, *values])
        keys.append(key(row=f"{row[0]}@{row[1]}"))
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
        why = "not measured" if cell is None else f"none of {cell['n_unscored']} clips could be scored"
        return {"text": "—", "tone": "mute", "title": why}
    told = verdict(cell["metric"], cell["difference"], cell["p_holm"])
    interval = "" if np.isnan(cell["low"]) else f" ({figure(cell['low'])} to {figure(cell['high'])})"
    few = f" n={cell['n']}" if cell["n"] != count else ""
    target = key(row=f"{row[0]}@{row[1]}", metric=cell["metric"])
    text = f"{figure(cell['mean'])}{MARKS[told]}{interval}{few}"
    tone = {"better": "good", "worse": "bad"}.get(told)
    return {"text": text, "title": hint(cell), "tone": tone, "key": target, "value": cell["mean"]}


def hint(cell: Mapping[str, Any]) -> str:
    """What a mean rests on, in one line."""
    told = [f"{cell['n']} clips of {cell['prompts']} prompts"]
    if cell["n_unscored"]:
        told.append(f"{cell['n_unscored']} not scored")
    if not np.isnan(cell["difference"]):
        bounds = f" ({figure(cell['difference_low'], '+')} to {figure(cell['difference_high'], '+')})"
        bounds = "" if np.isnan(cell["difference_low"]) else bounds
        told.append(
            f"{figure(cell['difference'], '+')}{bounds} from the reference on {cell['shared_prompts']} prompts"
        )
        if not np.isnan(cell["p"]):
            told.append(f"p {cell['p']:.2g}, corrected {cell['p_holm']:.2g}")
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
            hint_ = f"{point.hint}; speed of the newest {len(seconds)} clips"
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
        "keys": [key(at=prompt) for prompt in both["prompt"].head(MOST_PROMPTS)],
        "note": f"{DIRECTION[words_of(metric).higher_is_better].capitalize()}.{more} Press a prompt for its clips.",
    }


def _tone(metric: str, difference: float) -> str | None:
    better = words_of(metric).higher_is_better
    return None if better is None or not difference else "good" if (difference > 0) == better else "bad"


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
        ("made in", f"{row['seconds']:.2f} s, {row['forwards']} forwards"),
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


def side_of(row: Mapping[str, Any]) -> Side:
    first = int(row["first_steps"])
    return Side(row["model"], int(row["steps"]), first > 0, first or 4)


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
    count = f"{len(clips)} clip{'s' * (len(clips) != 1)} of “{query.at}”"
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


# votes


def votes_of(store: Store, study: str, metrics: Sequence[str]) -> dict[str, Any]:
    """The win matrix of a study, and how metrics side with its people: `matrix`, `dots`, `table`, `status`."""
    votes, flags = store.votes(study), store.flags(study)
    report = study_report(votes, flags)
    found = agreements(store, study, counted(votes[votes["question"] == "overall"]), metrics)
    points = [
        Point(
            words_of(row.metric).title,
            row.accuracy.value,
            row.accuracy.low,
            row.accuracy.high,
            f"{row.pairs} pairs of clips",
        )
        for row in found
        if row.accuracy
    ]
    told = "No votes yet: they begin on the Vote page." if not report.votes else report.headline
    notice = []
    if report.votes and not points:
        notice = ["None of the clips that were voted on has values in this store: metrics cannot be set beside votes."]
    return {
        "matrix": matrix(report),
        "dots": share_dots(points, "share of decisions that agree with people; ties by the best threshold", 0.5),
        "table": agreement_table(found),
        "status": {
            "state": "done" if report.votes else "idle",
            "text": told,
            "notices": notice,
            "links": [{"label": "All about these votes", "url": f"/results?{urlencode({'study': study})}"}],
        },
    }


def agreements(store: Store, study: str, votes: pd.DataFrame, metrics: Sequence[str]) -> list[MetricAgreement]:
    """Of the metrics that have a better side, most agreeing first."""
    origins = {clip.id: clip.origin for clip in store.studies.clips(study) if clip.origin}
    prompts = tuple(sorted({clip.prompt for clip in store.studies.clips(study)}))
    judged = [name for name in metrics if words_of(name).higher_is_better is not None]
    if votes.empty or not origins or not judged:
        return []
    values = store.value_table(ClipFilter(prompts=prompts, metrics=tuple(judged))).dropna(subset="value")
    found = []
    for name in judged:
        own = values[values["metric"] == name].set_index("clip")["value"].to_dict()
        known = {clip: own[origin] for clip, origin in origins.items() if origin in own}
        row = metric_agreement(votes, known, name, higher_is_better=bool(words_of(name).higher_is_better))
        if row.pairs > 1:
            found.append(row)
    return sorted(found, key=lambda row: -(row.accuracy.value if row.accuracy else 0))


def agreement_table(found: Sequence[MetricAgreement]) -> dict[str, Any]:
    if not found:
        return {}
    rows = [
        [words_of(row.metric).title, row.pairs, row.prompts, _interval(row.accuracy), _interval(row.tau)]
        for row in found
    ]
    return {
        "caption": "Metrics beside people",
        "columns": ["Metric", "Pairs of clips", "Prompts", "Decisions that agree (95 %)", "Kendall's tau-b (95 %)"],
        "rows": rows,
        "note": "Pairs of clips of one prompt and seed; intervals by bootstrap over prompts. Chance is 0.5 and 0.",
    }


def _interval(interval: Any) -> str:
    return f"{interval.value:.2f} ({interval.low:.2f} to {interval.high:.2f})" if interval else "—"


# ablation and published tables


def ablation_tables(report: Report) -> list[dict[str, Any]]:
    """The ablation's tables, as the command prints them."""
    return [{"caption": title, "columns": head, "rows": rows, "dense": True} for title, head, rows in tables(report)]


def ablation_chart(report: Report) -> dict[str, Any]:
    """The headline columns and the share that is all right, a point a system."""
    columns = [each for each in report["columns"] if each["block"] == HEADLINE or each["name"] == "oracle_right"]
    found = []
    for column in columns:
        points = [_ablation_point(row, column) for row in report["rows"]]
        found.append(Panel(column["title"], column["higher_is_better"], points))
    return metric_dots(found)


def _ablation_point(row: Mapping[str, Any], column: Mapping[str, Any]) -> Point:
    cell = row["cells"].get(column["name"])
    if cell is None:
        return Point(row_label(row), float("nan"), float("nan"), float("nan"))
    value, low, high = (column["scale"] * cell[name] for name in ("value", "low", "high"))
    return Point(row_label(row), value, low, high, f"{cell['clips']} clips of {cell['prompts']} prompts")


def ablation_status(report: Report | None, own: bool) -> dict[str, Any]:
    if report is None:
        text = "The ablation was not made yet: python -m workbench ablation makes it, and this view shows it."
        return {"state": "idle", "text": text}
    text = "Whether Adversarial Self-Distillation and First-Frame Enhancement help, at 4, 2 and 1 steps."
    where = [] if own else ["This result comes with the repository; it was not made with the clips of this store."]
    return {"state": "done", "text": text, "notices": [*where, *notes(report)]}


def published_value(table: PublishedTable) -> dict[str, Any]:
    """A published table; every row leads to its source."""
    source = {"text": table.source, "href": table.link}
    return {
        "caption": f"{table.paper}, {table.table}: {table.title} (as published)",
        "columns": [*(PUBLISHED_COLUMNS[name] for name in table.columns), "Source"],
        "rows": [[*(row[name] or "—" for name in table.columns), source] for row in table.rows],
        "note": table.note,
        "dense": True,
    }


def published_values() -> list[dict[str, Any]]:
    return [published_value(table) for table in published_tables()]


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
