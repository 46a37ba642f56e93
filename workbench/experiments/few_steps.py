"""What few steps cost: every system beside real clips of the same held-out captions, with paired intervals.

Caption i has one seed for all systems. A clip is made once and kept in the data folder with its manifest; its measures
are a line of a file, so that a second call only adds what is missing.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.oracles import ORACLES
from eval.realism.efficientnet import VERSION
from eval.realism.real_clips import (
    ACCURACY,
    FRECHET,
    SPECTRUM,
    TITLES,
    ClipMeasures,
    Comparison,
    Row,
    compare_to_real,
    difference_rows,
    mean_row,
    measure_clip,
)
from eval.statistics.intervals import wilson
from models.default_world import EMBEDDED
from models.specs import ModelSpec
from models.worlds.training_worlds import WORLDS
from workbench.common.words import fixed
from workbench.experiments.strip import strip_png
from workbench.requests.systems import FFE_STEPS, System, label_of
from workbench.scoring import resumable_jobs

if TYPE_CHECKING:
    from models.networks.codec import Codec
    from workbench.clips.generation import GenerationService

REFERENCE, REAL, RECONSTRUCTIONS = "reference", "real clips", "reconstructions"
DRAWS = {REFERENCE: 0, REAL: 1, RECONSTRUCTIONS: 1}  # reconstructions are those of the row of real clips
ORACLE = "oracle"
STEPS = (1, 2, 4)
LEAST = 18  # captions: three of each ground
COLUMNS = {FRECHET: 2, SPECTRUM: 2, ACCURACY: 0, ORACLE: 0}  # of the Markdown table, with digits; 0 for percent
NOTE = (
    "{captions} held-out captions, seeds by caption, 49 frames; each metric against another draw of real clips, with "
    "95 % intervals (bootstrap over captions; Wilson for shares). Reconstructions are real clips through the "
    "autoencoder. n* is n steps with First-Frame Enhancement ({first} steps in the first chunk). Two-sample accuracy: "
    "how often a classifier tells the clips from real ones; 50 % is chance. All right: what moves, its colour, "
    "direction and ground are as asked, judged from pixels by the oracle."
)
WINDOW = 48  # frames that the oracle judges at a time in longer clips: four seconds of the tabletop world
MEASURES = f"2-{VERSION}"  # changes when the same clip would be measured otherwise


@dataclass(frozen=True)
class Job:
    """One clip to make and measure: caption `index` of a system, or of real clips or their reconstructions."""

    world: str
    system: str
    planned: System | None
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
    """`values` are those of `ClipMeasures.to_values`; `right` is the oracle's verdict, `windows` its verdicts on every
    WINDOW frames of a clip of more than one window."""

    key: str
    system: str
    index: int
    values: dict[str, Any]
    right: bool | None
    windows: Sequence[bool | None] = ()


def real_clip(world: str, prompt: str, index: int, draw: int, frames: int) -> np.ndarray:
    """(frames, H, W, 3) uint8 of a caption; another `draw` is another scene that it may describe."""
    return WORLDS[world].real_clip(prompt, (index, draw, 7), frames)


def plans_of(spec: ModelSpec) -> list[System]:
    """A model's rows: 1, 1*, 2, 2* and 4 steps where it offers them; its default where it takes many."""
    if not spec.few_step:
        return [System(spec.name, spec.default_steps)]
    ways = [(steps, first) for steps in STEPS if steps in spec.steps for first in (0, FFE_STEPS) if first != steps]
    return [System(spec.name, *way) for way in ways]


def plan_jobs(
    world: str, systems: Sequence[System], prompts: Sequence[str], weights: Mapping[str, str], seed: int, frames: int
) -> list[Job]:
    """Every clip of the table, real ones first. `weights` are digests by model, and by RECONSTRUCTIONS."""
    rows: list[tuple[str, System | None, str]] = [(REFERENCE, None, "renderer"), (REAL, None, "renderer")]
    if RECONSTRUCTIONS in weights:
        rows.append((RECONSTRUCTIONS, None, weights[RECONSTRUCTIONS]))
    rows += [(str(planned), planned, weights[planned.model]) for planned in systems]
    return [
        Job(world, name, planned, index, prompt, seed + index, frames, digest)
        for name, planned, digest in rows
        for index, prompt in enumerate(prompts)
    ]


def run_jobs(
    jobs: Sequence[Job], file: Path, data_dir: Path, *, workers: int, device: str = "cpu"
) -> Iterator[Measured]:
    """Every clip's measures, those that `file` holds first. Raises RequestError for fewer than one worker."""
    return resumable_jobs.run_jobs(jobs, file, ClipMeasurer(data_dir, device), Measured, workers=workers)


def autoencoder_folder(world: str) -> Path:
    from models.registry import ASSETS

    return ASSETS / f"{world}-autoencoder"


@dataclass
class ClipMeasurer:
    """Makes a job's clip on `device`, keeps it below `data_dir`, and measures it. `codecs` are those loaded so far, by
    world."""

    data_dir: Path
    device: str
    codecs: dict[str, "Codec"] = field(default_factory=dict)

    def __call__(self, job: Job) -> Measured:
        frames = self.frames(job)
        oracle = ORACLES.get(job.world)
        right = _right(oracle.judge(frames, job.prompt)) if oracle else None
        windows = []
        if oracle and oracle.judge_windows and len(frames) > WINDOW + 1:  # 49 frames are one window
            windows = [_right(verdict) for verdict in oracle.judge_windows(frames, job.prompt, WINDOW)]
        measures = measure_clip(frames, job.prompt).to_values()
        return Measured(job.key, job.system, job.index, measures, right, windows)

    def frames(self, job: Job) -> np.ndarray:
        """The clip of a job (T, H, W, 3) uint8."""
        if job.planned is None:
            clip = real_clip(job.world, job.prompt, job.index, DRAWS[job.system], job.frames)
            if job.system != RECONSTRUCTIONS:
                return clip
            codec = self._codec(job.world)
            return codec.decode(codec.encode(clip))
        request = job.planned.request(job.prompt, job.seed, job.frames)
        return self.service.generate(job.planned.model, request).result.frames

    @cached_property
    def service(self) -> "GenerationService":
        from workbench.clips.generation import GenerationService

        return GenerationService(self.data_dir, self.device)

    def _codec(self, world: str) -> "Codec":
        from models.networks.codec import Codec, load_codec

        if world not in self.codecs:
            self.codecs[world] = Codec(load_codec(autoencoder_folder(world)).autoencoder.to(self.device))
        return self.codecs[world]


def strip(jobs: Sequence[Job], index: int, data_dir: Path, device: str = "cpu") -> bytes:
    """A PNG of caption `index` by every system of the jobs, real clips last."""
    clips = ClipMeasurer(data_dir, device)
    shown = [job for job in jobs if job.index == index and job.system != REFERENCE]
    shown.sort(key=lambda job: job.planned is None)
    rows = [(_row_label(job), clips.frames(job)) for job in shown]
    return strip_png(shown[0].prompt, rows)


def _row_label(job: Job) -> str:
    """A row of one world's picture needs no word of the world."""
    from models.registry import get_spec

    return f"{get_spec(job.planned.model).title} {job.planned.plan_text}" if job.planned else job.system


def _right(verdict: Any) -> bool | None:
    return None if verdict.all_right is None else bool(verdict.all_right)


@dataclass(frozen=True)
class FrameRow(Row):
    """A row of the table at one frame."""

    frame: int


@dataclass(frozen=True)
class Table:
    """`rows` by system and metric; `differences` of every two systems, first minus second, paired by caption; `drift`:
    each metric at each measured frame, against real clips at the same frame, and the share of clips that the oracle
    finds right in the window that begins at a frame."""

    rows: list[Row]
    differences: list[Row]
    drift: list[FrameRow]


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
    differences = [row for first, second in pairs for row in difference_rows(first, second)]
    drift = [row for found in compared for row in [*_drift_rows(found), *_window_rows(groups[found.system])]]
    return Table(rows, differences, drift)


def _drift_rows(found: Comparison) -> list[FrameRow]:
    return [
        FrameRow(found.system, metric, at.value, at.low, at.high, at.n, frame)
        for metric, curve in found.curves.items()
        for frame, at in zip(found.positions, curve, strict=True)
    ]


def _window_rows(group: Sequence[Measured]) -> list[FrameRow]:
    rows = []
    for number, verdicts in enumerate(zip(*(each.windows for each in group), strict=True)):
        told = [right for right in verdicts if right is not None]
        if told:
            at = wilson(sum(told), len(told))
            rows.append(FrameRow(group[0].system, ORACLE, at.value, at.low, at.high, at.n, number * WINDOW))
    return rows


def _oracle_rows(found: Comparison, group: Sequence[Measured]) -> list[Row]:
    told = [each.right for each in group if each.right is not None]
    return [mean_row(found.system, ORACLE, wilson(sum(told), len(told)))] if told else []


def markdown(report: Mapping[str, Any]) -> str:
    """A report as Markdown: the systems, the paired differences that the papers speak of, how it was made."""
    rows = {(row["system"], row["metric"]): row for row in report["rows"]}
    titles = TITLES | {ORACLE: "All right"}
    lines = [f"| System | {' | '.join(titles[metric] for metric in COLUMNS)} |", f"|{'---|' * (len(COLUMNS) + 1)}"]
    for system in dict.fromkeys(row["system"] for row in report["rows"]):
        cells = [_cell(rows.get((system, metric)), digits) for metric, digits in COLUMNS.items()]
        lines.append(f"| {label_of(system)} | {' | '.join(cells)} |")
    paired = {(row["system"], row["metric"]): row for row in report["differences"]}
    lines += ["", "First minus second, paired by caption, with the same noise:", ""]
    lines += [f"| | {titles[FRECHET]} | {titles[SPECTRUM]} |", "|---|---|---|"]
    for name in dict.fromkeys(row["system"] for row in report["differences"]):
        first, second = name.split(" - ")
        if _worth_telling(first, second):
            cells = [_cell(paired[name, metric], 2, "+") for metric in (FRECHET, SPECTRUM)]
            lines.append(f"| {label_of(first)} minus {label_of(second)} | {' | '.join(cells)} |")
    weights = ", ".join(f"{name} {digest[:12]}" for name, digest in report["weights"].items())
    lines += ["", NOTE.format(captions=report["captions"], first=FFE_STEPS)]
    lines += ["", f"Made by `{report['command']}` on {report['date'][:10]}; weights {weights}."]
    return "\n".join(lines) + "\n"


def _worth_telling(first: str, second: str) -> bool:
    """Whether the papers speak of a difference: of students by as many steps, of steps of one student, and of ASD with
    First-Frame Enhancement beside two steps of another."""
    if REAL in (first, second) or RECONSTRUCTIONS in (first, second):
        return False
    one, other = System.read(first), System.read(second)
    if one.model == other.model:
        return (one.plan_text, other.plan_text) in {("1", "1*"), ("1*", "2"), ("2", "2*"), ("1", "4")}
    beside_two = other.model in {world.asd for world in EMBEDDED} and other.plan_text == "1*" and one.plan_text == "2"
    return one.plan_text == other.plan_text or beside_two


def _cell(row: Mapping[str, float] | None, digits: int, sign: str = "") -> str:
    if row is None:
        return "not measured"
    if not digits:
        mean, low, high = (round(100 * row[name]) for name in ("mean", "low", "high"))
        return f"{mean} % ({low} to {high})"
    mean, low, high = (fixed(row[name], digits, sign) for name in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"
