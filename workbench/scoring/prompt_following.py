"""Prompt following and distance to real clips, measured on captions that no training clip ever showed.

Every model makes the same captions from the same seeds, in several processes; an interrupted run goes on where it
stopped.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from eval.oracles import ORACLES
from eval.realism.frechet import clip_features, frechet_difference, frechet_interval
from eval.statistics.intervals import Interval, paired_difference, wilson
from models.specs import ModelSpec
from models.types import GenerationRequest, GenerationResult
from models.worlds.training_worlds import WORLDS
from workbench.requests.systems import FFE_STEPS, System
from workbench.scoring import resumable_jobs

REAL = "real clips"
PICTURES = 2
"""The draw of real clips whose first frames are given to image-to-video; 0 and 1 are what clips are compared with."""
Pipeline = Callable[[GenerationRequest], GenerationResult]


@dataclass(frozen=True)
class Cell:
    """One row of the table: a model at `steps`, with First-Frame Enhancement or without; `objects` per caption.

    `image`: image-to-video, from the first frame of a real clip of the caption.
    """

    model: str
    steps: int
    ffe: bool
    objects: int
    image: bool = False

    @property
    def system(self) -> System:
        return System(self.model, self.steps, FFE_STEPS * self.ffe)

    @property
    def name(self) -> str:
        steps = f" {self.system.plan_text}" if self.steps else ""
        return self.model + steps + " from a picture" * self.image


@dataclass(frozen=True)
class Job:
    """One clip to make: caption `index` of a cell. Of the cell REAL it is drawn, as draw number `draw`. `world` is
    whose language the prompt is of."""

    cell: Cell
    index: int
    prompt: str
    seed: int
    frames: int
    world: str
    weights: str = "renderer"
    draw: int = 0

    @property
    def key(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class ClipResult:
    """A judged clip: what the oracle said, and the features for the distance. `key` is its job's."""

    key: str
    index: int
    prompt: str
    seed: int
    right: bool
    ok: dict[str, bool]
    reason: str
    features: tuple[float, ...]


def cells(spec: ModelSpec, steps: list[int], objects: int, *, image: bool = False) -> list[Cell]:
    """The rows of a model: its default many steps, or every few-step count without and with FFE.

    FFE with as many first steps as steps is the same clip, so `4*` is not a row of its own. With `image` the rows
    from a picture. No row for what a model does not make, and none for steps it does not offer.
    """
    if image and "i2v" not in spec.tasks:
        return []
    if not image and "t2v" not in spec.tasks:
        return []
    if not spec.few_step:
        return [Cell(spec.name, spec.default_steps, False, objects, image)]
    ways = [(n, ffe) for n in steps if n in spec.steps for ffe in (False, True) if not (ffe and n == FFE_STEPS)]
    return [Cell(spec.name, n, ffe, objects, image) for n, ffe in ways]


def cell_jobs(cell: Cell, prompts: Sequence[str], weights: str, *, seed: int, frames: int, world: str) -> list[Job]:
    """The clips of a cell: caption i from `seed` + i."""
    return [Job(cell, i, prompt, seed + i, frames, world, weights) for i, prompt in enumerate(prompts)]


def real_jobs(objects: int, prompts: Sequence[str], *, draw: int, seed: int, frames: int, world: str) -> list[Job]:
    """Real clips of the same captions; draw 0 is the reference, 1 an independent second set."""
    cell = Cell(REAL, 0, False, objects)
    return [Job(cell, i, prompt, seed + i, frames, world, draw=draw) for i, prompt in enumerate(prompts)]


def run_jobs(jobs: Sequence[Job], file: Path, *, workers: int, device: str = "cpu") -> Iterator[ClipResult]:
    """Every clip's verdict as it is known, those that `file` holds first."""
    return resumable_jobs.run_jobs(jobs, file, ClipJudge(device), ClipResult, workers=workers)


@dataclass
class ClipJudge:
    """Makes and judges a job's clip with the models of the registry; `pipelines` are those loaded so far, by model."""

    device: str
    pipelines: dict[str, Pipeline] = field(default_factory=dict)

    def __call__(self, job: Job) -> ClipResult:
        if job.cell.model == REAL:
            return judge_clip(job, draw_clip(job))
        return judge_clip(job, make_clip(job, self._pipeline(job.cell.model)))

    def _pipeline(self, model: str) -> Pipeline:
        from models.registry import create_pipeline

        if model not in self.pipelines:
            self.pipelines[model] = create_pipeline(model, device=self.device)
        return self.pipelines[model]


def draw_clip(job: Job) -> np.ndarray:
    return _real(job, job.draw, job.frames)


def make_clip(job: Job, pipeline: Pipeline) -> np.ndarray:
    picture = _real(job, PICTURES, 1)[0] if job.cell.image else None
    return pipeline(job.cell.system.request(job.prompt, job.seed, job.frames, image=picture)).frames


def _real(job: Job, draw: int, frames: int) -> np.ndarray:
    key = (job.seed - job.index, job.index, draw)
    return WORLDS[job.world].real_clip(job.prompt, key, frames)


def judge_clip(job: Job, frames: np.ndarray) -> ClipResult:
    oracle = ORACLES[job.world]
    verdict = oracle.judge(frames, job.prompt)
    ok = oracle.right_parts(verdict)
    features = tuple(map(float, clip_features(frames)))
    return ClipResult(job.key, job.index, job.prompt, job.seed, bool(verdict.all_right), ok, verdict.reason, features)


def row(cell: Cell, results: list[ClipResult], real: list[ClipResult]) -> dict:
    """What is told of a cell: rates with Wilson intervals, and the distance to real clips of the same captions."""
    n = len(results)
    rates = {name: sum(r.ok[name] for r in results) / n for name in results[0].ok}
    right = wilson(sum(r.right for r in results), n)
    distance = frechet_interval(_features(real), _features(results), paired=True) if n > 1 else None
    return {
        "name": cell.name,
        **asdict(cell),
        "n": n,
        "all_right": asdict(right),
        **{f"{name}_right": rate for name, rate in rates.items()},
        "frechet": asdict(distance) if distance else None,
        "wrong": [{"prompt": r.prompt, "seed": r.seed, "reason": r.reason} for r in results if not r.right],
    }


def difference(name: str, first: list[ClipResult], second: list[ClipResult], real: list[ClipResult]) -> dict:
    """First minus second, over the same captions and seeds: in the rate of clips all right, and in distance."""
    right = paired_difference([r.right for r in first], [r.right for r in second])
    distance: Interval = frechet_difference(_features(real), _features(first), _features(second))
    return {"name": name, "all_right": asdict(right), "frechet": asdict(distance)}


def _features(results: list[ClipResult]) -> np.ndarray:
    return np.array([r.features for r in results])
