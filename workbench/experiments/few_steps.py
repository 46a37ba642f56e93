"""What few steps cost: every system beside real clips of the same held-out captions, with paired intervals.

Caption i has one seed for all systems. A clip is made once and kept in the data folder with its manifest; its measures
are a line of a file, so that a second call only adds what is missing.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

import models.worlds.shapes as shapes
import models.worlds.tabletop.grammar as tabletop
import models.worlds.tabletop.scene as tabletop_scene
from eval.realism.efficientnet import VERSION
from eval.realism.real_clips import (
    ClipMeasures,
    Comparison,
    Row,
    compare_to_real,
    difference_rows,
    mean_row,
    measure_clip,
)
from eval.shapes.oracle import judge as judge_shapes
from eval.statistics.intervals import wilson
from eval.tabletop.oracle import judge as judge_tabletop
from models.specs import ModelSpec
from models.types import GenerationRequest, RequestError
from models.worlds.training_worlds import WORLDS
from workbench.scoring import resumable_jobs
from workbench.scoring.prompt_following import captions as shapes_captions
from workbench.systems import FFE_STEPS, Planned, system_text

REFERENCE, REAL, RECONSTRUCTIONS = "reference", "real clips", "reconstructions"
DRAWS = {REFERENCE: 0, REAL: 1, RECONSTRUCTIONS: 1}  # reconstructions are those of the row of real clips
ORACLE = "oracle"
STEPS = (1, 2, 4)
LEAST = 18  # captions: three of each ground
MEASURES = f"1-{VERSION}"  # changes when the same clip would be measured otherwise
Oracle = Callable[[np.ndarray, str], bool | None]
"""Whether a clip (T, H, W, 3) uint8 RGB shows what its prompt says; None where that cannot be told."""


ORACLES: dict[str, Oracle] = {
    "shapes": lambda frames, prompt: judge_shapes(frames, prompt).all_right,
    "tabletop": lambda frames, prompt: judge_tabletop(frames, prompt).all_right,
}


@dataclass(frozen=True)
class Job:
    """One clip to make and measure: caption `index` of a system, or of real clips or their reconstructions."""

    world: str
    system: str
    planned: Planned | None
    index: int
    prompt: str
    seed: int
    frames: int
    weights: str

    @property
    def key(self) -> str:
        """What decides the clip and its measures."""
        told = asdict(self) | {"measures": MEASURES, "oracle": self.world in ORACLES}
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Measured:
    """`values` are those of `ClipMeasures.to_values`; `right` is the oracle's verdict."""

    key: str
    system: str
    index: int
    values: dict[str, Any]
    right: bool | None


def held_out_captions(world: str, count: int) -> list[str]:
    """A fixed list of captions of one thing that no training clip shows, all combinations in turn, all grounds alike.

    Raises RequestError for more than there are.
    """
    if world == "shapes":
        return shapes_captions(count)
    things = [thing for thing in tabletop.all_combinations() if thing.held_out]
    most = len(things) * len(tabletop.GROUNDS)
    if count > most:
        raise RequestError(f"--captions {count} is too many; there are {most} held-out captions of one object")
    order = np.random.default_rng(64).permutation(len(things))
    found = []
    for i in range(count):
        ground = tabletop.GROUNDS[(i + i // len(things)) % len(tabletop.GROUNDS)]
        found.append(str(tabletop.Caption((things[order[i % len(things)]],), ground)))
    return found


def real_clip(world: str, prompt: str, index: int, draw: int, frames: int) -> np.ndarray:
    """(frames, H, W, 3) uint8 of a caption; another `draw` is another scene that it may describe."""
    generator = np.random.default_rng((index, draw, 7))
    language, scenes = (shapes, shapes) if world == "shapes" else (tabletop, tabletop_scene)
    return WORLDS[world].render(scenes.sample_scene(language.parse_prompt(prompt), generator), frames)


def plans_of(spec: ModelSpec) -> list[Planned]:
    """A model's rows: 1, 1*, 2, 2* and 4 steps where it offers them; its default where it takes many."""
    if not spec.few_step:
        return [Planned(spec.name, spec.default_steps)]
    ways = [(steps, first) for steps in STEPS if steps in spec.steps for first in (0, FFE_STEPS) if first != steps]
    return [Planned(spec.name, *way) for way in ways]


def plan_jobs(
    world: str, systems: Sequence[Planned], prompts: Sequence[str], weights: Mapping[str, str], seed: int, frames: int
) -> list[Job]:
    """Every clip of the table, real ones first. `weights` are digests by model, and by RECONSTRUCTIONS."""
    rows: list[tuple[str, Planned | None, str]] = [(REFERENCE, None, "renderer"), (REAL, None, "renderer")]
    if RECONSTRUCTIONS in weights:
        rows.append((RECONSTRUCTIONS, None, weights[RECONSTRUCTIONS]))
    rows += [(system_text(*planned), planned, weights[planned.model]) for planned in systems]
    return [
        Job(world, name, planned, index, prompt, seed + index, frames, digest)
        for name, planned, digest in rows
        for index, prompt in enumerate(prompts)
    ]


def run_jobs(
    jobs: Sequence[Job], file: Path, data_dir: Path, *, workers: int, device: str = "cpu"
) -> Iterator[Measured]:
    """Every clip's measures, those that `file` holds first. Raises RequestError for fewer than one worker."""
    arguments = (str(data_dir), device)
    return resumable_jobs.run_jobs(
        jobs, file, measure_job, Measured, workers=workers, prepare=_prepare, arguments=arguments
    )


class _Here:
    """Where a worker keeps clips, and what it makes them on."""

    data_dir, device = Path("data"), "cpu"


def _prepare(data_dir: str, device: str) -> None:
    _Here.data_dir, _Here.device = Path(data_dir), device


@cache
def _service() -> Any:
    from workbench.clips.generation import GenerationService  # noqa: PLC0415  (loads torch)

    return GenerationService(_Here.data_dir, _Here.device)


def autoencoder_folder(world: str) -> Path:
    from models.registry import ASSETS  # noqa: PLC0415

    return ASSETS / f"{world}-autoencoder"


@cache
def _codec(world: str) -> Any:
    from models.networks.autoencoder import ShapesAutoencoder  # noqa: PLC0415  (loads torch)
    from models.networks.codec import Codec  # noqa: PLC0415
    from models.networks.video_autoencoder import VideoAutoencoder  # noqa: PLC0415
    from models.weights import load_model  # noqa: PLC0415

    kind = ShapesAutoencoder if world == "shapes" else VideoAutoencoder
    return Codec(load_model(kind, autoencoder_folder(world)).eval().to(_Here.device))


def measure_job(job: Job) -> Measured:
    """Make a job's clip and measure it."""
    frames = _frames(job)
    oracle = ORACLES.get(job.world)
    right = oracle(frames, job.prompt) if oracle else None
    measures = measure_clip(frames, job.prompt).to_values()
    return Measured(job.key, job.system, job.index, measures, None if right is None else bool(right))


def _frames(job: Job) -> np.ndarray:
    if job.planned is None:
        clip = real_clip(job.world, job.prompt, job.index, DRAWS[job.system], job.frames)
        codec = _codec(job.world) if job.system == RECONSTRUCTIONS else None
        return codec.decode(codec.encode(clip)) if codec else clip
    model, steps, first, plan = job.planned
    request = GenerationRequest(
        job.prompt, steps, first > 0, first or FFE_STEPS, job.frames, job.seed, step_plan=tuple(plan)
    )
    return _service().generate(model, request).result.frames


@dataclass(frozen=True)
class Table:
    """`rows` by system and metric; `differences` of every two systems, first minus second, paired by caption."""

    rows: list[Row]
    differences: list[Row]


def build_table(measured: Sequence[Measured], *, resamples: int = 200) -> Table:
    """Systems in the order in which they first come, against the clips of REFERENCE."""
    groups: dict[str, list[Measured]] = {}
    for each in sorted(measured, key=lambda each: each.index):
        groups.setdefault(each.system, []).append(each)
    clips = {name: [ClipMeasures.from_values(each.values) for each in group] for name, group in groups.items()}
    reference = clips.pop(REFERENCE)
    compared = compare_to_real(reference, clips, resamples=resamples)
    rows = [row for found in compared for row in [*found.rows(), *_oracle_rows(found, groups[found.system])]]
    pairs = combinations(compared, 2)
    return Table(rows, [row for first, second in pairs for row in difference_rows(first, second)])


def _oracle_rows(found: Comparison, group: Sequence[Measured]) -> list[Row]:
    told = [each.right for each in group if each.right is not None]
    return [mean_row(found.system, ORACLE, wilson(sum(told), len(told)))] if told else []
