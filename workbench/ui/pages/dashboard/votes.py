"""Votes beside metrics on the Dashboard, as its components take them: plain data."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from eval.preferences.table import counted
from eval.preferences.versus_metrics import MetricAgreement, metric_agreement
from workbench.charts import (
    Point,
    share_dots,
)
from workbench.common import words
from workbench.leaderboard.means import (
    words_of,
)
from workbench.requests.links.results import results_link
from workbench.store import Store
from workbench.store.records import ClipFilter
from workbench.ui.pages.results.view import matrix
from workbench.votes.preferences import study_report


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
            words.counted(row.pairs, "pair") + " of clips",
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
            "links": [{"label": "All about these votes", "url": results_link(study)}],
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
