"""Prompt following and distance to real clips, measured on captions that no training clip ever showed.

Every model makes the same captions from the same seeds. A finished clip is one line in a file of its cell, so an
interrupted run goes on where it stopped.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from eval.frechet import clip_features, frechet_difference, frechet_interval
from eval.oracle import judge
from eval.stats import Interval, paired_difference, wilson
from models import world
from models.specs import ModelSpec
from models.types import GenerationRequest, GenerationResult, RequestError

FIRST_STEPS = 4
REAL = "real clips"
PICTURES = 2
"""The draw of real clips whose first frames are given to image-to-video; 0 and 1 are what clips are compared with."""
Pipeline = Callable[[GenerationRequest], GenerationResult]
ATTRIBUTES = ("color", "shape", "direction", "background", "count")


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
    def name(self) -> str:
        steps = f" {self.steps}{'*' * self.ffe}" if self.steps else ""
        return self.model + steps + " from a picture" * self.image

    @property
    def file(self) -> str:
        ffe, image = "-ffe" * self.ffe, "-image" * self.image
        return f"{self.model.replace(' ', '-')}-{self.steps}{ffe}{image}-{self.objects}obj.jsonl"


@dataclass(frozen=True)
class ClipResult:
    """A judged clip: what the oracle said, and the features for the distance."""

    index: int
    prompt: str
    seed: int
    right: bool
    ok: dict[str, bool]
    reason: str
    features: list[float]


def captions(count: int, objects: int = 1) -> list[str]:
    """A fixed list of held-out captions. With one object the first 64 are all held-out combinations, each once."""
    generator = np.random.default_rng(64)
    backgrounds = list(world.BACKGROUNDS)
    if objects == 2:
        chosen: dict[str, None] = {}
        while len(chosen) < count:
            chosen[str(world.sample_caption(generator, held_out=True, objects=2))] = None
        return list(chosen)
    pool = [c for c in world.all_combinations() if c.held_out]
    if count > len(pool) * len(backgrounds):
        raise RequestError(
            f"prompts is {count}; there are {len(pool) * len(backgrounds)} held-out captions of one object"
        )
    # mixed once and for all, so that the first few are as varied as all of them
    order = generator.permutation(len(pool))
    things = [pool[order[i % len(pool)]] for i in range(count)]
    # every pass over the combinations moves each to its next background
    return [
        str(world.Caption((thing,), backgrounds[(i + i // len(pool)) % len(backgrounds)]))
        for i, thing in enumerate(things)
    ]


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
    ways = [(n, ffe) for n in steps if n in spec.steps for ffe in (False, True) if not (ffe and n == FIRST_STEPS)]
    return [Cell(spec.name, n, ffe, objects, image) for n, ffe in ways]


def run_cell(
    cell: Cell, prompts: list[str], pipeline: Pipeline, digest: str, *, folder: Path, seed: int, frames: int
) -> Iterator[ClipResult]:
    """Generate and judge the clips of a cell, or read back those that are done; yields each as it is known."""
    identity = _identity(cell, prompts, digest, seed, frames)

    def make(prompt: str, index: int) -> np.ndarray:
        request = GenerationRequest(
            prompt,
            cell.steps,
            ffe=cell.ffe,
            first_steps=FIRST_STEPS,
            frames=frames,
            seed=seed + index,
            image=_real(prompt, 1, (seed, index, PICTURES))[0] if cell.image else None,
        )
        return pipeline(request).frames

    yield from _resume(folder / cell.file, identity, prompts, seed, make)


def run_real(objects: int, prompts: list[str], *, draw: int, folder: Path, seed: int, frames: int) -> list[ClipResult]:
    """Render and judge real clips of the same captions; `draw` 0 is the reference, 1 an independent second set."""
    cell = Cell(f"{REAL} {draw}", 0, False, objects)

    def make(prompt: str, index: int) -> np.ndarray:
        return _real(prompt, frames, (seed, index, draw))

    return list(_resume(folder / cell.file, _identity(cell, prompts, "renderer", seed, frames), prompts, seed, make))


def _real(prompt: str, frames: int, key: tuple[int, int, int]) -> np.ndarray:
    return world.render(world.sample_scene(world.parse_prompt(prompt), np.random.default_rng(key)), frames)


def _identity(cell: Cell, prompts: list[str], digest: str, seed: int, frames: int) -> dict:
    listed = hashlib.sha256("\n".join(prompts).encode()).hexdigest()
    return {**asdict(cell), "weights": digest, "prompts": listed, "seed": seed, "frames": frames}


def _resume(
    path: Path, identity: dict, prompts: list[str], seed: int, make: Callable[[str, int], np.ndarray]
) -> Iterator[ClipResult]:
    done = _read(path, identity)
    if not done:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(identity) + "\n")
    yield from done
    with path.open("a") as lines:
        for index in range(len(done), len(prompts)):
            result = _judged(index, prompts[index], seed + index, make(prompts[index], index))
            lines.write(json.dumps(asdict(result)) + "\n")
            lines.flush()
            yield result


def _read(path: Path, identity: dict) -> list[ClipResult]:
    """The results of an earlier run with the same settings; a line cut short by an interruption is made again."""
    if not path.exists():
        return []
    whole = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    if not whole or json.loads(whole[0]) != identity:
        return []
    path.write_text("".join(whole))
    return [ClipResult(**json.loads(line)) for line in whole[1:]]


def _judged(index: int, prompt: str, seed: int, frames: np.ndarray) -> ClipResult:
    verdict = judge(frames, prompt)
    ok = {name: all(getattr(t, f"{name}_ok") for t in verdict.things) for name in ATTRIBUTES[:3]}
    ok |= {"background": bool(verdict.background_ok), "count": bool(verdict.count_ok)}
    features = clip_features(frames).tolist()
    return ClipResult(index, prompt, seed, bool(verdict.all_right), ok, verdict.reason, features)


def row(cell: Cell, results: list[ClipResult], real: list[ClipResult]) -> dict:
    """What is told of a cell: rates with Wilson intervals, and the distance to real clips of the same captions."""
    n = len(results)
    rates = {name: sum(r.ok[name] for r in results) / n for name in ATTRIBUTES}
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
