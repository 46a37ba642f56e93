"""The numbers of the Dashboard: means over prompts with intervals, differences, disagreement by prompt.

Everything is made from `Store.leaderboard_rows`, one row for each system, settings, prompt and metric, so that no page
ever scans the values. Clips of one prompt are averaged first: a prompt is one unit, however many seeds it has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from eval.metric import Facts
from eval.statistics.intervals import wilson
from eval.statistics.paired import holm
from workbench.experiments.ablation import METRICS as ABLATION_METRICS
from workbench.experiments.ablation_report import COLUMNS as ABLATION_COLUMNS
from workbench.experiments.ablation_report import FRECHET
from workbench.scoring.evaluation import metric_rows

SURE = 0.05
PARTS = {"color": "colour"}  # side results whose name is not the word for it
ROW = ["system", "model", "steps", "first_steps", "settings"]
BOARD_COLUMNS = (
    *("system", "model", "steps", "first_steps", "settings", "conditions", "metric"),
    *("n", "n_unscored", "prompts", "mean", "low", "high"),
    *("shared_prompts", "difference", "difference_low", "difference_high", "p", "p_holm"),
)


@dataclass(frozen=True)
class Words:
    """What is said of a metric. `higher_is_better` None: a description, neither good nor bad."""

    name: str
    title: str
    group: str
    higher_is_better: bool | None
    unit: str = ""
    says: str = ""
    bounds: tuple[float | None, float | None] = (None, None)
    version: str = ""


@cache
def metric_facts() -> tuple[Facts, ...]:
    """Of every metric in page order; made once, because asking each metric what it lacks takes time."""
    return tuple(facts for facts, _ in metric_rows())


@cache
def metric_words() -> dict[str, Words]:
    """Every metric by name in page order, those that the ablation derives included."""
    words = {
        facts.name: Words(
            facts.name,
            facts.title,
            facts.group,
            facts.higher_is_better,
            facts.unit,
            facts.says,
            facts.bounds,
            facts.version,
        )
        for facts in metric_facts()
    }
    for column in ABLATION_COLUMNS:
        if column.name not in words and column.name != FRECHET:
            title = column.title.removesuffix(" %")
            title = f"Oracle: {title.lower()}" if column.name.startswith("oracle_right.") else title
            bounds = (0.0, 1.0) if column.name.startswith("oracle_right.") else (None, None)
            words[column.name] = Words(column.name, title, column.block, column.higher_is_better, bounds=bounds)
    return words


def words_of(metric: str) -> Words:
    """Of a metric that this program does not know only the name is said. A side result is called as its metric."""
    known = metric_words()
    whole, _, part = metric.partition(".")
    if metric not in known and part and whole in known:
        return Words(metric, f"{known[whole].title}: {PARTS.get(part, part)}", known[whole].group, None)
    return known.get(metric) or Words(metric, metric, "other", None)


def page_order(metrics: Sequence[str]) -> list[str]:
    """Known metrics in page order, then the others by name."""
    places = {name: place for place, name in enumerate(metric_words())}
    return sorted(set(metrics), key=lambda name: (places.get(name, len(places)), name))


def usual_metrics(metrics: Sequence[str]) -> list[str]:
    """What a leaderboard begins with, of those that there are: the headline metrics, or the first six."""
    headline = ("quality", "semantic", "oracle_right", "temporal_flickering", "shapes_clip_alignment", "warping_error")
    found = [name for name in headline if name in metrics]
    found += [name for name in page_order(metrics) if name not in found and name in ABLATION_METRICS]
    return page_order((found + [name for name in page_order(metrics) if name not in found])[:6])


def conditions_of(settings: pd.DataFrame) -> dict[str, str]:
    """What clips of a settings hash have in common, the weights left out, in words: systems whose words differ are
    not compared."""
    return {row["settings"]: _told(row) for row in settings.to_dict("records")}


def _told(row: Mapping) -> str:
    guidance = f", guidance {row['guidance_scale']:g}" if row["guidance_scale"] != 1 else ""
    from_picture = ", from a picture" if row["task"] == "i2v" else ""
    size = f"{row['width']}x{row['height']}"
    return f"{row['frames']} frames, {size}, {row['fps']:g} fps{guidance}, {row['dtype']}{from_picture}"


def newest_versions(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Rows of one version of each metric, this program's own where there are values of it, and a sentence about each
    metric of which others were left out: values of different versions are never averaged."""
    kept, told = {}, []
    for metric, versions in rows.groupby("metric")["version"].unique().items():
        own = words_of(metric).version
        kept[metric] = own if own in versions else max(versions)
        if len(versions) > 1:
            others = ", ".join(sorted(set(versions) - {kept[metric]}))
            told.append(f"{words_of(metric).title}: values of version {others} are left out, {kept[metric]} is shown.")
    return rows[rows["version"] == rows["metric"].map(kept)], told


def leaderboard(
    rows: pd.DataFrame, conditions: Mapping[str, str] | None = None, reference: str | None = None
) -> pd.DataFrame:
    """One row for each system, settings and metric, with `BOARD_COLUMNS`.

    `mean` is over prompts with Student's 95 % interval (nan for one prompt), cut at the metric's bounds, or with
    Wilson's where a metric says yes or no (nothing but 0 and 1 in `rows`); `n` counts
    clips. Differences are from system `reference` of the same conditions, over the prompts that both have, p from the
    paired t test of prompt means, `p_holm` corrected for all comparisons in this table. `rows` has one version of
    each metric.
    """
    per_prompt = prompt_means(rows, conditions)
    if per_prompt.empty:
        return pd.DataFrame(columns=list(BOARD_COLUMNS))
    keys = [*ROW, "conditions", "metric"]
    counts = per_prompt.groupby(keys)[["n", "n_unscored"]].sum()
    board = counts.join(_student(per_prompt[per_prompt["n"] > 0].groupby(keys)["value"]), how="left")
    board = board.rename(columns={"units": "prompts"}).reset_index()
    board["prompts"] = board["prompts"].fillna(0).astype(int)
    for bound, cut, place in (("low", np.maximum, 0), ("high", np.minimum, 1)):
        limits = board["metric"].map(lambda name, place=place: words_of(name).bounds[place])
        limits = pd.to_numeric(limits).fillna(-np.inf if place == 0 else np.inf)
        board[bound] = cut(board[bound].to_numpy(float), limits.to_numpy(float))
    board = _with_shares(board, per_prompt)
    against = _differences(per_prompt, reference, keys)
    board = (
        board.merge(against, on=keys, how="left")
        if len(against)
        else board.assign(
            shared_prompts=np.nan, difference=np.nan, difference_low=np.nan, difference_high=np.nan, p=np.nan
        )
    )
    board["shared_prompts"] = board["shared_prompts"].fillna(0).astype(int)
    corrected = holm([None if np.isnan(p) else p for p in board["p"]])
    board["p_holm"] = [np.nan if p is None else p for p in corrected]
    order = {name: place for place, name in enumerate(page_order(list(board["metric"])))}
    board["place"] = board["metric"].map(order)
    board = board.sort_values(
        ["model", "steps", "first_steps", "settings", "place"], ascending=[True, False, True, True, True]
    )
    return board[list(BOARD_COLUMNS)].reset_index(drop=True)


def _with_shares(board: pd.DataFrame, per_prompt: pd.DataFrame) -> pd.DataFrame:
    """The board with Wilson's intervals for metrics that say yes or no, of two prompts or more."""
    scored = per_prompt[per_prompt["n"] > 0]
    yes_or_no = scored["value"].isin((0.0, 1.0)).groupby(scored["metric"]).all()
    shares = board["metric"].map(yes_or_no).eq(True) & (board["prompts"] > 1)
    found = [
        wilson(round(mean * n), n) for mean, n in zip(board["mean"][shares], board["prompts"][shares], strict=True)
    ]
    board.loc[shares, "low"] = [share.low for share in found]
    board.loc[shares, "high"] = [share.high for share in found]
    return board


def prompt_means(rows: pd.DataFrame, conditions: Mapping[str, str] | None = None) -> pd.DataFrame:
    """`rows` with `value`, the mean over a prompt's clips (nan where none is scored), and `conditions`."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(rows["n"] > 0, rows["total"] / rows["n"].where(rows["n"] > 0), np.nan)
    told = [(conditions or {}).get(settings, "") for settings in rows["settings"]]
    return rows.assign(value=value, conditions=told)


def _student(groups) -> pd.DataFrame:
    """Mean, 95 % interval and number of units of each group."""
    found = groups.agg(["mean", "std", "count"])
    units = found["count"].to_numpy(float)
    many = units > 1
    half = np.full(len(found), np.nan)
    half[many] = stdtrit(units[many] - 1, 0.975) * found["std"].to_numpy(float)[many] / np.sqrt(units[many])
    return pd.DataFrame(
        {"units": found["count"], "mean": found["mean"], "low": found["mean"] - half, "high": found["mean"] + half}
    )


def _differences(per_prompt: pd.DataFrame, reference: str | None, keys: list[str]) -> pd.DataFrame:
    """Each row against the reference of its conditions; of several settings of it the one with the most clips."""
    names = [*keys, "shared_prompts", "difference", "difference_low", "difference_high", "p"]
    own = per_prompt[(per_prompt["system"] == reference) & (per_prompt["n"] > 0)]
    if reference is None or own.empty:
        return pd.DataFrame(columns=names)
    clips = own.groupby(["conditions", "settings"])["n"].sum().reset_index().sort_values(["n", "settings"])
    chosen = clips.drop_duplicates("conditions", keep="last")[["conditions", "settings"]]
    own = own.merge(chosen, on=["conditions", "settings"])[["conditions", "settings", "metric", "prompt", "value"]]
    own = own.rename(columns={"value": "reference_value", "settings": "reference_settings"})
    both = per_prompt[per_prompt["n"] > 0].merge(own, on=["conditions", "metric", "prompt"])
    itself = (both["system"] == reference) & (both["settings"] == both["reference_settings"])
    both = both[~itself]
    if both.empty:
        return pd.DataFrame(columns=names)
    groups = both.assign(gap=both["value"] - both["reference_value"]).groupby(keys)["gap"]
    found = _student(groups)
    units, mean = found["units"].to_numpy(float), found["mean"].to_numpy(float)
    spread, reach = groups.std().to_numpy(float), (groups.max() - groups.min()).to_numpy(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = 2 * stdtr(units - 1, -np.abs(mean) / (spread / np.sqrt(units)))
    flat = reach <= 1e-12 * np.maximum(1.0, np.abs(mean))
    p = np.where(flat, np.where(np.abs(mean) <= 1e-12, 1.0, 0.0), p)
    found["p"] = np.where(units > 1, p, np.nan)
    found = found.rename(
        columns={"units": "shared_prompts", "mean": "difference", "low": "difference_low", "high": "difference_high"}
    )
    return found.reset_index()


def verdict(metric: str, difference: float, p_holm: float) -> str:
    """ "better", "worse" or, of a metric that is neither, "differs", where the corrected p is below 0.05; else ""."""
    if np.isnan(p_holm) or p_holm >= SURE or np.isnan(difference) or difference == 0:
        return ""
    better = words_of(metric).higher_is_better
    return "differs" if better is None else "better" if (difference > 0) == better else "worse"


Row = tuple[str, str]
"""A system and the hash of its settings: what a line of the leaderboard is."""


def find_row(board: pd.DataFrame, wanted: str | None) -> Row | None:
    """The line that `system@settings` names, or `system` alone (of several settings the one with the most clips)."""
    system, _, settings = (wanted or "").partition("@")
    own = board[board["system"] == system]
    own = own[own["settings"].str.startswith(settings)] if settings else own
    if own.empty:
        return None
    clips = own.groupby("settings")["n"].max()
    return system, str(clips.idxmax())


def disagreement(rows: pd.DataFrame, metric: str, first: Row, second: Row) -> pd.DataFrame:
    """Prompts by how far two lines are apart in a metric, widest first: prompt, clips of both, means of both, and the
    first's minus the second's."""
    own = rows[(rows["metric"] == metric) & (rows["n"] > 0)]
    means = own.assign(value=own["total"] / own["n"])
    sides = [
        means[(means["system"] == system) & (means["settings"] == settings)][["prompt", "n", "value"]]
        for system, settings in (first, second)
    ]
    both = sides[0].merge(sides[1], on="prompt", suffixes=("", "_second"))
    both["difference"] = both["value"] - both["value_second"]
    return both.sort_values("difference", key=np.abs, ascending=False, kind="stable", ignore_index=True)


def mixed(board: pd.DataFrame) -> list[str]:
    """Sentences about what must not be read as one: systems of several settings, and conditions that differ."""
    told = []
    several = board.groupby("system")["settings"].nunique()
    for system, count in several[several > 1].items():
        told.append(f"{system} was made with {count} settings, which are listed apart and never averaged.")
    conditions = sorted(set(board["conditions"]) - {""})
    if len(conditions) > 1:
        told.append(
            f"Clips of {len(conditions)} kinds are here ({'; '.join(conditions[:4])}): rows are compared with the "
            "reference only within a kind."
        )
    return told
