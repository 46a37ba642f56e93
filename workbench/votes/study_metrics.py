"""Metrics beside votes: what metrics say of the clips that were voted on, and of the moments that were flagged.

Values come from the store, by the clip that a display copy was made from; `measure` computes the weight-free metrics
of display copies, once, into `studies/scores.jsonl` below the data folder.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from eval.evaluator import ClipScores, Source, evaluate
from eval.metric import Facts
from eval.preferences.agreement import attentive
from eval.preferences.table import check_flags, check_votes, counted
from eval.preferences.versus_metrics import FlagAgreement, MetricAgreement, flag_agreement, metric_agreement
from workbench.common.line_files import appending, read_lines
from workbench.scoring.evaluation import create_metrics, metric_rows
from workbench.store import Store
from workbench.store.records import Clip, ClipFilter
from workbench.votes.preferences import Filters, plain
from workbench.votes.study_clips import DEGRADED, FOLDER

FILE = "scores.jsonl"
RESAMPLES = 300  # of prompts or clips, for each metric
Curve = tuple[Sequence[float | None], float]


@dataclass(frozen=True)
class Measured:
    """Values by metric and display copy, and curves with their frame rates."""

    values: dict[str, dict[str, float]] = field(default_factory=dict)
    curves: dict[str, dict[str, Curve]] = field(default_factory=dict)

    def add(self, clip: str, metric: str, value: float | None, curve: Sequence[float | None], fps: float) -> None:
        if value is not None:
            self.values.setdefault(metric, {})[clip] = float(value)
        if len(curve):
            self.curves.setdefault(metric, {})[clip] = curve, fps


@dataclass(frozen=True)
class Beside:
    """How metrics side with people, most agreeing first, and where they stood when people flagged something."""

    clips: int
    unmeasured: int
    agreement: tuple[MetricAgreement, ...]
    flagged: tuple[FlagAgreement, ...]

    def to_json(self) -> dict[str, Any]:
        return plain(self)


def weight_free() -> list[Facts]:
    """The metrics that need no network, in page order."""
    return [facts for facts, missing in metric_rows() if facts.kind == "weight-free" and not missing]


def beside(store: Store, data_dir: Path, study: str, filters: Filters) -> Beside:
    """Metrics beside the votes and flags of a study, as `filters` has them."""
    votes = _votes(store, study, filters)
    shown = _shown(store, study, votes)
    found = measured(store, data_dir, shown)
    known = set().union(*found.values.values())
    flags = _flags_by_clip(check_flags(store.flags(study)), votes)
    rows = []
    for facts, _ in metric_rows():
        if facts.name in found.values and facts.higher_is_better is not None:
            better = facts.higher_is_better
            values = found.values[facts.name]
            rows.append(metric_agreement(votes, values, facts.name, higher_is_better=better, resamples=RESAMPLES))
    moved = []
    for name, curves in found.curves.items():
        moved += flag_agreement(flags, curves, name, resamples=RESAMPLES)
    return Beside(
        clips=len(shown),
        unmeasured=len({clip.id for clip in shown} - known),
        agreement=tuple(sorted((row for row in rows if row.accuracy), key=lambda row: -row.accuracy.value)),
        flagged=tuple(sorted(moved, key=lambda row: (row.kind, -row.share.value))),
    )


def measured(store: Store, data_dir: Path, clips: Sequence[Clip]) -> Measured:
    """What is known of display copies: from the store, and from `measure`, which looked at the copies themselves."""
    found, copies = Measured(), {clip.id: clip for clip in clips}
    by_origin: dict[str, list[Clip]] = {}
    for clip in clips:
        by_origin.setdefault(clip.origin, []).append(clip)
    by_origin.pop("", None)
    if by_origin:
        asked = ClipFilter(prompts=tuple(sorted({clip.prompt for clip in clips})))
        curves = store.curves(asked)
        for row in store.value_table(asked).dropna(subset="value").itertuples():
            for clip in by_origin.get(row.clip, ()):
                curve = curves.get((row.clip, row.metric, row.version), ())
                found.add(clip.id, row.metric, row.value, list(curve), clip.fps)
    for scores in _lines(data_dir):
        for name, result in scores.results.items() if scores.id in copies else ():
            found.add(scores.id, name, result.value, result.per_frame, scores.fps)
    return found


def measure(store: Store, data_dir: Path, study: str) -> Iterator[tuple[int, int]]:
    """Compute the weight-free metrics of the clips with votes, once each; (done, of how many) after each clip."""
    done = {scores.id for scores in _lines(data_dir)}
    missing = [clip for clip in _shown(store, study, _votes(store, study, None)) if clip.id not in done]
    sources = [Source(clip.id, data_dir / clip.file, fps=clip.fps, prompt=clip.prompt) for clip in missing]
    metrics = create_metrics([facts.name for facts in weight_free()])
    for count, scores in enumerate(evaluate(sources, metrics), start=1):
        with appending(data_dir / FOLDER / FILE) as add:
            add(scores.to_json())
        yield count, len(missing)


def _votes(store: Store, study: str, filters: Filters | None) -> pd.DataFrame:
    votes = check_votes(store.votes(study))
    if filters is None:
        return counted(votes)
    if filters.version is not None:
        votes = votes[votes["study_version"] == filters.version]
    return counted(filters.of_prompts(attentive(votes, least=filters.least_checks)), filters.question)


def _shown(store: Store, study: str, votes: pd.DataFrame) -> list[Clip]:
    """The display copies that votes are about."""
    wanted = {*votes["left_clip"], *votes["right_clip"]}
    clips = store.studies.clips(study)
    return [clip for clip in clips if clip.id in wanted and not clip.system.endswith(DEGRADED)]


def _flags_by_clip(flags: pd.DataFrame, votes: pd.DataFrame) -> pd.DataFrame:
    """Flags of votes that count, with the clip they are on."""
    sides = votes.drop_duplicates("vote_id").set_index("vote_id")
    known = flags[flags["vote_id"].isin(sides.index)]
    clips = [sides.at[row.vote_id, f"{row.side}_clip"] for row in known.itertuples()]
    return known.assign(clip=clips)[["clip", "time_seconds", "kind"]]


def _lines(data_dir: Path) -> list[ClipScores]:
    """What `measure` wrote; a line that a crash left unreadable is passed over."""
    found = []
    for line in read_lines(data_dir / FOLDER / FILE):
        try:
            found.append(ClipScores.from_json(line))
        except ValueError:
            continue
    return found
