"""The numbers of the ablation: means with intervals over captions, and differences from the baseline of the same
steps, paired by caption and seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from eval.realism.frechet import frechet_distance
from eval.statistics.intervals import Interval, bootstrap_mean, paired_difference
from eval.statistics.paired import holm, sign_flip_p, swap_p
from workbench.experiments.ablation import ASD, BASELINE, REAL, REFERENCE, SECOND, Job, Judged, systems
from workbench.requests.systems import System

SURE = 0.05
FRECHET = "frechet"


@dataclass(frozen=True)
class Effort:
    """How often is drawn: for intervals of means and of distances, for p of differences of distances."""

    means: int = 10_000
    distances: int = 500
    swaps: int = 4000


@dataclass(frozen=True)
class Column:
    """A column of the table; `scale` brings its values to what is printed, with `digits` decimals."""

    name: str
    title: str
    higher_is_better: bool
    block: str
    scale: float = 1.0
    digits: int = 2


HEADLINE, TEXT, QUALITY, DRIFT = "headline", "as asked", "quality", "over time"
COLUMNS = (
    Column("total", "Total", True, HEADLINE),
    Column("quality", "Quality", True, HEADLINE),
    Column("semantic", "Semantic", True, HEADLINE),
    Column(FRECHET, "Fréchet distance", False, HEADLINE),
    Column("oracle_right", "All right %", True, TEXT, 100, 1),
    Column("oracle_right.color", "Colour %", True, TEXT, 100, 1),
    Column("oracle_right.shape", "Shape %", True, TEXT, 100, 1),
    Column("oracle_right.direction", "Direction %", True, TEXT, 100, 1),
    Column("oracle_right.background", "Background %", True, TEXT, 100, 1),
    Column("oracle_right.count", "Number %", True, TEXT, 100, 1),
    Column("oracle_shape_error", "Shape error", False, TEXT, 1, 3),
    Column("shapes_clip_alignment", "Shapes CLIP", True, TEXT, 100, 1),
    Column("subject_consistency_shapes_clip", "Subject consistency", True, QUALITY, 100),
    Column("background_consistency_shapes_clip", "Background consistency", True, QUALITY, 100),
    Column("temporal_flickering", "Temporal flickering", True, QUALITY, 100),
    Column("motion_smoothness_flow", "Motion smoothness", True, QUALITY, 100),
    Column("warping_error", "Warping error", False, QUALITY, 1, 3),
    Column("blockiness", "Blockiness", False, QUALITY, 1, 3),
    Column("colorfulness_drift", "Colour drift", False, DRIFT, 1, 3),
    Column("sharpness_drift", "Detail drift", False, DRIFT, 1, 3),
    Column("motion_collapse", "Motion collapse", False, DRIFT, 1, 3),
)
BLOCKS = {TEXT: "What is asked for", QUALITY: "Quality", DRIFT: "Over time"}


@dataclass(frozen=True)
class Cell:
    """A mean over captions with its 95 % interval; `clips` behind it, `unscored` clips that have no value."""

    value: float
    low: float
    high: float
    clips: int
    prompts: int
    unscored: int


@dataclass(frozen=True)
class Difference:
    """From the baseline of the same steps, over the captions and seeds that both have a value for. `p_holm` is
    corrected for all comparisons of the headline columns, or of the others."""

    value: float
    low: float
    high: float
    p: float | None
    p_holm: float | None
    clips: int
    prompts: int


def clip_table(jobs: Sequence[Job], judged: Mapping[str, Judged]) -> pd.DataFrame:
    """One row a clip and number: system, model, steps, first_steps, prompt, seed, clip, metric, value. The real clips
    that distances are measured from are not in it."""
    shown = [judged[job.key] for job in jobs if (job.system.model, job.draw) != (REAL, REFERENCE)]
    rows = [
        (row.system, *_parts(System.read(row.system)), row.prompt, row.seed, row.clip, name, value)
        for row in shown
        for name, value in row.values.items()
    ]
    columns = ["system", "model", "steps", "first_steps", "prompt", "seed", "clip", "metric", "value"]
    return pd.DataFrame(rows, columns=columns).sort_values(["system", "metric", "prompt", "seed"], ignore_index=True)


def _parts(system: System) -> tuple[str, int, int]:
    return system.model, system.steps, system.first_steps


def build_report(
    jobs: Sequence[Job], judged: Mapping[str, Judged], effort: Effort = Effort(), **facts: Any
) -> dict[str, Any]:
    """The whole table as JSON-ready data; `judged` by the key of its job, `facts` are told as they are."""
    rows = _by_row(jobs, judged)
    reference = _features(rows.pop((REAL, REFERENCE)))
    second = rows.pop((REAL, SECOND))
    plain = {name: clips for (name, _), clips in rows.items()}
    table = [_row(System(REAL, 0), second, reference, effort)]
    tests: dict[tuple[str, str], dict[str, Any]] = {}
    for system in systems():
        if system.stored not in plain:
            continue
        baseline = System(BASELINE, system.steps)
        table.append(_row(system, plain[system.stored], reference, effort))
        if system != baseline and baseline.stored in plain:
            for column in COLUMNS:
                found = _difference(column, plain[system.stored], plain[baseline.stored], reference, effort)
                if found:
                    tests[system.stored, column.name] = found
    _correct(tests)
    for row in table:
        row["differences"] = {name: found for (system, name), found in tests.items() if system == row["system"]}
    columns = [asdict(column) for column in COLUMNS]
    return {**facts, "columns": columns, "rows": table, "comparisons": len(tests)}


def _by_row(jobs: Sequence[Job], judged: Mapping[str, Judged]) -> dict[tuple[str, int], list[Judged]]:
    """Clips by (system, draw), those of a system in the order of captions and seeds, the same for all."""
    rows: dict[tuple[str, int], list[Judged]] = {}
    for job in jobs:
        name = REAL if job.system.model == REAL else job.system.stored
        rows.setdefault((name, job.draw), []).append(judged[job.key])
    return rows


def _row(system: System, clips: Sequence[Judged], reference: np.ndarray, effort: Effort) -> dict[str, Any]:
    cells = {column.name: asdict(cell) for column in COLUMNS if (cell := _cell(column, clips, reference, effort))}
    made = [clip for clip in clips if clip.forwards]
    return {
        "system": system.stored,
        "model": system.model,
        "steps": system.steps,
        "first_steps": system.first_steps,
        "asd": system.model == ASD,
        "ffe": system.ffe,
        "clips": len(clips),
        "forwards": float(np.mean([clip.forwards for clip in made])) if made else None,
        "cells": cells,
    }


def _cell(column: Column, clips: Sequence[Judged], reference: np.ndarray, effort: Effort) -> Cell | None:
    prompts = [clip.prompt for clip in clips]
    if column.name == FRECHET:
        if len(clips) < 3:
            return None
        features = _features(clips)
        found = _distance_interval(
            lambda rows: frechet_distance(reference[rows], features[rows]), prompts, effort.distances
        )
        return Cell(found.value, max(found.low, 0.0), found.high, len(clips), found.n, 0)
    known = [(clip.values[column.name], clip.prompt) for clip in clips if column.name in clip.values]
    if not known:
        return None
    values, clusters = zip(*known, strict=True)
    found = bootstrap_mean(values, clusters, resamples=effort.means)
    return Cell(found.value, found.low, found.high, len(known), found.n, len(clips) - len(known))


def _difference(
    column: Column, clips: Sequence[Judged], others: Sequence[Judged], reference: np.ndarray, effort: Effort
) -> dict[str, Any] | None:
    if column.name == FRECHET:
        return _distance_difference(clips, others, reference, effort) if len(clips) > 2 else None
    both = [
        (one.values[column.name], other.values[column.name], one.prompt)
        for one, other in zip(clips, others, strict=True)
        if column.name in one.values and column.name in other.values
    ]
    if not both:
        return None
    first, second, prompts = (list(part) for part in zip(*both, strict=True))
    found = paired_difference(first, second, prompts, resamples=effort.means)
    frame = pd.DataFrame({"prompt": prompts, "difference": np.subtract(first, second)})
    p = sign_flip_p(frame.groupby("prompt", sort=True)["difference"].mean().to_numpy())
    return asdict(Difference(found.value, found.low, found.high, p, None, len(both), found.n))


def _distance_difference(
    clips: Sequence[Judged], others: Sequence[Judged], reference: np.ndarray, effort: Effort
) -> dict[str, Any]:
    first, second, prompts = _features(clips), _features(others), [clip.prompt for clip in clips]

    def between(rows: np.ndarray) -> float:
        return frechet_distance(reference[rows], first[rows]) - frechet_distance(reference[rows], second[rows])

    names, member = np.unique(prompts, return_inverse=True)

    def swapped(mask: np.ndarray) -> float:
        sides = mask[member][:, None]
        one, other = np.where(sides, second, first), np.where(sides, first, second)
        return frechet_distance(reference, one) - frechet_distance(reference, other)

    found = _distance_interval(between, prompts, effort.distances)
    p = swap_p(swapped, len(names), resamples=effort.swaps)
    return asdict(Difference(found.value, found.low, found.high, p, None, len(clips), len(names)))


def _distance_interval(measure: Callable[[np.ndarray], float], prompts: Sequence[str], resamples: int) -> Interval:
    """Captions are drawn again with all their clips; a resample repeats clips and so lies a little too far out, which
    is taken off."""
    names, member = np.unique(prompts, return_inverse=True)
    rows = [np.flatnonzero(member == k) for k in range(len(names))]
    generator = np.random.default_rng(0)
    value = measure(np.arange(len(prompts)))
    draws = [
        measure(np.concatenate([rows[k] for k in generator.integers(len(names), size=len(names))]))
        for _ in range(resamples)
    ]
    low, high = np.quantile(draws, [0.025, 0.975]) - np.mean(draws) + value
    return Interval(value, float(low), float(high), len(names))


def _features(clips: Sequence[Judged]) -> np.ndarray:
    return np.array([clip.features for clip in clips])


def _correct(tests: dict[tuple[str, str], dict[str, Any]]) -> None:
    headline = {column.name for column in COLUMNS if column.block == HEADLINE}
    for family in (True, False):
        keys = [key for key in tests if (key[1] in headline) == family]
        for key, corrected in zip(keys, holm([tests[key]["p"] for key in keys]), strict=True):
            tests[key]["p_holm"] = corrected


def verdict(column: Column | Mapping[str, Any], difference: Mapping[str, Any] | None) -> str:
    """ "better" or "worse" where the corrected p is below 0.05, else ""."""
    better = column.higher_is_better if isinstance(column, Column) else column["higher_is_better"]
    if not difference or difference["p_holm"] is None or difference["p_holm"] >= SURE or not difference["value"]:
        return ""
    return "better" if (difference["value"] > 0) == better else "worse"
