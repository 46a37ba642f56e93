"""The ablation of the ASD paper on the shapes world: Adversarial Self-Distillation and First-Frame Enhancement, each
with and without the other, at two steps and at one, with four steps as anchor.

Every system makes the same held-out captions from the same seeds. A clip that was made and judged is one line of a
file, so an interrupted run goes on where it stopped; clips that lie in the data folder are judged, not made again.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eval.evaluator import ClipScores, Source, evaluate
from eval.metric import Metric
from eval.realism.frechet import clip_features
from eval.statistics.over_time import drift_score, motion_collapse
from eval.vbench.constants import DIMENSIONS, QUALITY_WEIGHT, SEMANTIC_WEIGHT
from eval.video.reader import open_video
from models.default_world import MEASURED
from models.types import RequestError
from models.worlds.training_worlds import WORLDS
from workbench.clips.manifest import manifest_path, read_manifest
from workbench.requests.systems import System
from workbench.scoring import resumable_jobs
from workbench.scoring.evaluation import create_metrics
from workbench.scoring.store_rows import record_of
from workbench.store import Store
from workbench.store.records import ClipFilter, Value

if TYPE_CHECKING:
    from workbench.clips.generation import GenerationService

BASELINE, ASD = MEASURED.baseline, MEASURED.asd
FIRST_STEPS = 4
STEPS = (2, 1)
ANCHOR = 4
REAL = "real"
REFERENCE, SECOND = 0, 1  # draws of real clips: what distances are measured from, and a row of the table
METRICS = (
    "temporal_flickering",
    "motion_smoothness_flow",
    "warping_error",
    "sharpness",
    "colorfulness",
    "blockiness",
    "shapes_clip_alignment",
    "subject_consistency_shapes_clip",
    "background_consistency_shapes_clip",
    "dynamic_degree_flow",
    "oracle_right",
    "oracle_shape_error",
)
ATTRIBUTES = ("color", "shape", "direction", "background", "count")
# the metrics that stand in for VBench's, whose ranges they are put in
QUALITY = {
    "subject_consistency_shapes_clip": "subject_consistency",
    "background_consistency_shapes_clip": "background_consistency",
    "temporal_flickering": "temporal_flickering",
    "motion_smoothness_flow": "motion_smoothness",
}


def systems() -> list[System]:
    """The rows of the paper's Table 2, two steps before one, after those of four steps, at which FFE changes
    nothing."""
    rows = [System(model, ANCHOR) for model in (BASELINE, ASD)]
    for steps in STEPS:
        rows += [System(model, steps, first) for first in (0, FIRST_STEPS) for model in (BASELINE, ASD)]
    return rows


@dataclass(frozen=True)
class Job:
    """One clip to make and judge; a system of 0 steps is real clips, and only for those `draw` counts. `path` is where
    the clip lies already."""

    system: System
    prompt: str
    seed: int
    frames: int
    weights: str
    draw: int = 0
    path: str = ""

    @property
    def key(self) -> str:
        """What decides the clip and its numbers."""
        row = self.system
        what = [row.model, row.steps, row.first_steps, self.prompt, self.seed, self.frames, self.weights, self.draw]
        return hashlib.sha256(json.dumps([*what, metric_versions()]).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Judged:
    """A clip's numbers: `values` by name, `reasons` for those it has none of, 36 `features` for the distance, `curves`
    of the metrics that have one."""

    key: str
    system: str
    prompt: str
    seed: int
    clip: str
    values: dict[str, float]
    reasons: dict[str, str]
    features: tuple[float, ...]
    curves: dict[str, list[float | None]]
    forwards: int = 0
    seconds: float = 0.0
    first_frame_seconds: float = 0.0


@cache
def metric_versions() -> tuple[tuple[str, str], ...]:
    return tuple((metric.facts.name, metric.facts.version) for metric in create_metrics(METRICS))


def plan_jobs(prompts: Sequence[str], seeds: int, *, seed: int, frames: int, weights: Mapping[str, str]) -> list[Job]:
    """All clips of the table: caption i has the seeds `seed` + i, + i + 10,000, and so on; real clips come first."""
    pairs = [(prompt, seed + i + 10_000 * k) for i, prompt in enumerate(prompts) for k in range(seeds)]
    jobs = [
        Job(System(REAL, 0), prompt, number, frames, "renderer", draw)
        for draw in (REFERENCE, SECOND)
        for prompt, number in pairs
    ]
    return jobs + [Job(row, *pair, frames, weights[row.model]) for row in systems() for pair in pairs]


def run_jobs(jobs: Sequence[Job], data_dir: Path, *, workers: int, device: str = "cpu") -> Iterator[Judged]:
    """Every clip's numbers, those of an earlier run first; raises RequestError for fewer than one worker."""
    known = made_clips(data_dir / "clips")
    return resumable_jobs.run_jobs(
        [_located(job, known) for job in jobs],
        data_dir / "ablation" / "clips.jsonl",
        ClipJudge(data_dir, device),
        Judged,
        workers=workers,
    )


Identity = tuple[str, str, str, int, int, int, int]


def made_clips(folder: Path) -> dict[Identity, str]:
    """The text-to-video clips of a folder, by what was asked for, at the model's own guidance."""
    found: dict[Identity, str] = {}
    for path in sorted(folder.glob("*.mp4")) if folder.is_dir() else []:
        try:
            made = read_manifest(manifest_path(path))
        except RequestError:
            continue
        if made.plain and made.guidance_scale == 1.0:
            first = made.first_steps if made.ffe else 0
            asked = (made.model, made.weights_digest, made.prompt, made.seed, made.steps, first, made.frames)
            found.setdefault(asked, str(path))
    return found


def _located(job: Job, known: Mapping[Identity, str]) -> Job:
    row = job.system
    asked = (row.model, job.weights, job.prompt, job.seed, row.steps, row.first_steps, job.frames)
    return Job(**{**vars(job), "path": known.get(asked, "")})


def real_clip(prompt: str, seed: int, frames: int, draw: int) -> np.ndarray:
    """A rendered clip (frames, 64, 64, 3) uint8 of a caption; another `draw` is another scene it may describe."""
    return WORLDS["shapes"].real_clip(prompt, (seed, draw, 5), frames)


@dataclass
class ClipJudge:
    """Makes a job's clip on `device` where none is known, keeps it below `data_dir`, and judges it."""

    data_dir: Path
    device: str

    def __call__(self, job: Job) -> Judged:
        if job.system.model == REAL:
            frames = real_clip(job.prompt, job.seed, job.frames, job.draw)
            return judge_clip(job, Source("real", frames=frames, fps=12, prompt=job.prompt), frames, self._metrics)
        path = Path(job.path) if job.path else self._made(job)
        with open_video(path) as video:
            frames = np.concatenate([window.frames for window in video.windows()])
        made = read_manifest(manifest_path(path))
        judged = judge_clip(job, Source(path.stem, path=path, prompt=job.prompt), frames, self._metrics)
        speed = {"seconds": made.seconds, "first_frame_seconds": made.first_frame_seconds, "forwards": made.forwards}
        return Judged(**{**vars(judged), **speed})

    def _made(self, job: Job) -> Path:
        row = job.system
        return self.service.generate(row.model, row.request(job.prompt, job.seed, job.frames)).path

    @cached_property
    def service(self) -> "GenerationService":
        from workbench.clips.generation import GenerationService

        return GenerationService(self.data_dir, self.device)

    @cached_property
    def _metrics(self) -> Sequence[Metric]:
        return create_metrics(METRICS)


def judge_clip(job: Job, source: Source, frames: np.ndarray, metrics: Sequence[Metric]) -> Judged:
    """Score a clip, `frames` of which are those of `source`."""
    scores = next(evaluate([source], metrics))
    if scores.skipped:
        raise RequestError(f"clip {source.id!r} cannot be read ({scores.skipped}); delete it, and it is made again")
    values, reasons = derived_values(scores)
    features = tuple(float(number) for number in clip_features(frames))
    clip = "" if job.system.model == REAL else source.id
    curves = {name: [_short(v) for v in found.per_frame] for name, found in scores.results.items() if found.per_frame}
    return Judged(job.key, job.system.stored, job.prompt, job.seed, clip, values, reasons, features, curves)


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def derived_values(scores: ClipScores) -> tuple[dict[str, float], dict[str, str]]:
    """A clip's metrics, the oracle's verdict by attribute, how much colour and detail change over the clip, whether
    motion stops, and the sums that stand for VBench's."""
    values = {name: result.value for name, result in scores.results.items() if result.value is not None}
    reasons = {name: result.reason for name, result in scores.results.items() if result.reason}
    if "oracle_right" in values:
        parts = scores.results["oracle_right"].parts
        values |= {f"oracle_right.{name}": float(parts[name]) for name in ATTRIBUTES}
    for name in ("colorfulness", "sharpness"):
        drift = drift_score(scores.results[name].per_frame)
        if drift is not None:
            values[f"{name}_drift"] = drift
    collapse = motion_collapse(scores.results["dynamic_degree_flow"].per_frame)
    if collapse is None:
        reasons["motion_collapse"] = "the clip does not move in the first place"
    else:
        values["motion_collapse"] = collapse
    return values | sums(values), reasons


def sums(values: Mapping[str, float]) -> dict[str, float]:
    """Quality, semantic and total in percent, made as VBench makes them from what is measured here.

    Quality: the stand-ins in VBench's ranges, equal weights. Semantic: the share of colour, shape, direction,
    background and number that are as asked. Total: four parts quality, one part semantic.
    """
    if any(name not in values for name in (*QUALITY, "oracle_right")):
        return {}
    quality = float(np.mean([100 * DIMENSIONS[of].normalised(values[name]) for name, of in QUALITY.items()]))
    semantic = float(np.mean([100 * values[f"oracle_right.{name}"] for name in ATTRIBUTES]))
    total = (QUALITY_WEIGHT * quality + SEMANTIC_WEIGHT * semantic) / (QUALITY_WEIGHT + SEMANTIC_WEIGHT)
    return {"quality": quality, "semantic": semantic, "total": total}


def store_clips(store: Store, judged: Sequence[Judged], data_dir: Path) -> int:
    """Put clips and their numbers into the store, for the Dashboard; those that are there are left as they are.

    Returns how many were new. Clips whose file is gone are left out.
    """
    here = store.value_table(ClipFilter(metrics=("total",)))
    known, count = set(here["clip"]), 0
    versions = dict(metric_versions())
    for row in judged:
        path = data_dir / "clips" / f"{row.clip}.mp4"
        if not row.clip or row.clip in known or not path.exists():
            continue
        store.add_clip(record_of(read_manifest(manifest_path(path)), row.clip))
        names = {**dict.fromkeys(row.values), **dict.fromkeys(row.reasons)}
        store.add_values(row.clip, {name: _stored(row, name, versions.get(name, "1")) for name in names})
        count += 1
    return count


def _stored(row: Judged, name: str, version: str) -> Value:
    return Value(row.values.get(name), version, row.reasons.get(name, ""), tuple(row.curves.get(name, ())))
