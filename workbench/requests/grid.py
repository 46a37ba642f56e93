"""A grid of clips: two or three axes out of model, steps, FFE, seed and prompt, every combination one clip."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from models.default_world import DEFAULT
from models.registry import get_spec
from models.types import GenerationRequest, RequestError
from workbench.common.words import counted, read_whole
from workbench.requests.systems import System

MOST_CELLS = 64
MOST_SEEDS = 1000  # in one range, before the cells are counted


@dataclass(frozen=True)
class Cell:
    """One clip to make."""

    model: str
    steps: int
    first_steps: int
    """Steps of the first chunk under FFE; 0 is off."""
    seed: int
    prompt: str
    frames: int = 49

    @property
    def system(self) -> System:
        return System(self.model, self.steps, self.first_steps)

    @property
    def request(self) -> GenerationRequest:
        return self.system.request(self.prompt, self.seed, self.frames)


@dataclass(frozen=True)
class Axis:
    """`read` turns the text of a form or a link into values; `label` words one of them."""

    name: str
    title: str
    read: Callable[[str], list[Any]]
    label: Callable[[Any], str]
    example: str


def _texts(text: str) -> list[str]:
    separator = "\n" if "\n" in text else "|"
    return [" ".join(part.split()) for part in text.split(separator) if part.strip()]


def _models(text: str) -> list[str]:
    return [get_spec(part.strip()).name for part in text.split(",") if part.strip()]


def _numbers(name: str) -> Callable[[str], list[int]]:
    """Whole numbers and ranges: `1, 2, 4` or `7-10`."""

    def read(text: str) -> list[int]:
        found: list[int] = []
        for part in filter(None, (p.strip() for p in text.split(","))):
            first, dash, last = part.partition("-")
            low, high = read_whole(first), read_whole(last if dash else first)
            if low is None or high is None:
                raise RequestError(f"{name} {part[:40]!r} is no whole number from 0; write numbers as 1, 2, 4 or 7-10")
            if not 0 <= high - low < MOST_SEEDS:
                raise RequestError(f"{name} {part[:40]!r} counts down or holds over {MOST_SEEDS}; write it as 7-10")
            found += range(low, high + 1)
        return found

    return read


AXES: dict[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis("model", "Model", _models, lambda name: get_spec(name).title, f"{DEFAULT.baseline}, {DEFAULT.asd}"),
        Axis("steps", "Steps", _numbers("steps"), lambda n: counted(n, "step"), "1, 2, 4"),
        Axis("first_steps", "FFE", _numbers("FFE"), lambda n: f"FFE {n}" if n else "no FFE", "0, 4"),
        Axis("seed", "Seed", _numbers("seed"), lambda n: f"seed {n}", "7-10"),
        Axis("prompt", "Prompt", _texts, str, "one prompt per line"),
    )
}


@dataclass(frozen=True)
class Grid:
    """`axes` are X, Y and perhaps Z: names with their values; `base` holds what they leave fixed."""

    base: Cell
    axes: tuple[tuple[str, tuple[Any, ...]], ...]

    def cells(self) -> list[tuple[tuple[int, ...], Cell]]:
        """Every cell with its place (x, y[, z]), row after row."""
        names, values = zip(*self.axes, strict=True)
        places = product(*(range(len(v)) for v in reversed(values)))
        return [
            (
                tuple(reversed(place)),
                replace(self.base, **{n: values[i][place[-1 - i]] for i, n in enumerate(names)}),
            )
            for place in places
        ]

    def labels(self) -> list[list[str]]:
        """The words along each axis."""
        return [[AXES[name].label(value) for value in values] for name, values in self.axes]


def read_grid(base: Cell, axes: Sequence[tuple[str, str]]) -> Grid:
    """A grid from names of axes and the texts of their values; empty names are left out.

    Raises RequestError for fewer than two axes, one twice, an unknown one, an axis without values, or too many cells.
    """
    chosen = [(name, text) for name, text in axes if name]
    names = [name for name, _ in chosen]
    for name in names:
        if name not in AXES:
            near = difflib.get_close_matches(name, AXES, n=1)
            hint = f"; did you mean {near[0]}" if near else ""
            raise RequestError(f"axis {name[:40]!r} does not exist{hint}; choose from {', '.join(AXES)}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise RequestError(f"{AXES[twice].title} is on two axes; choose another for one of them")
    if len(names) < 2:
        raise RequestError(f"a grid has two or three axes and {len(names)} is chosen; choose X and Y")
    read = []
    for name, text in chosen:
        values = tuple(dict.fromkeys(AXES[name].read(text)))
        if not values:
            raise RequestError(f"the axis {AXES[name].title} has no values; write some, as {AXES[name].example}")
        read.append((name, values))
    count = 1
    for _, values in read:
        count *= len(values)
    if count > MOST_CELLS:
        raise RequestError(f"this grid has {count} cells; at most {MOST_CELLS} are shown, so take fewer values")
    return Grid(base, tuple(read))
