"""A grid of clips: two or three axes out of model, steps, FFE, seed and prompt, every combination one clip."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from models.default_world import DEFAULT
from models.registry import get_spec
from models.types import GenerationRequest, RequestError

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
    def request(self) -> GenerationRequest:
        ffe = self.first_steps > 0
        return GenerationRequest(self.prompt, self.steps, ffe, self.first_steps or 4, self.frames, self.seed)

    @property
    def system(self) -> str:
        return f"{self.model}:{self.steps}:{self.first_steps}"


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
            if not (first.strip().isdigit() and (not dash or last.strip().isdigit())):
                raise RequestError(f"{name} {part[:40]!r} is no whole number from 0; write numbers as 1, 2, 4 or 7-10")
            low, high = int(first), int(last) if dash else int(first)
            if not 0 <= high - low < MOST_SEEDS:
                raise RequestError(f"{name} {part[:40]!r} counts down or holds over {MOST_SEEDS}; write it as 7-10")
            found += range(low, high + 1)
        return found

    return read


AXES: dict[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis("model", "Model", _models, lambda name: get_spec(name).title, f"{DEFAULT.baseline}, {DEFAULT.asd}"),
        Axis("steps", "Steps", _numbers("steps"), lambda n: f"{n} step{'s' * (n != 1)}", "1, 2, 4"),
        Axis("first_steps", "FFE", _numbers("FFE"), lambda n: f"FFE {n}" if n else "no FFE", "0, 4"),
        Axis("seed", "Seed", _numbers("seed"), lambda n: f"seed {n}", "7-10"),
        Axis("prompt", "Prompt", _texts, str, "one prompt a line"),
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


def grid_query(grid: Grid) -> dict[str, Any]:
    """The grid as the query of an address: the axes, and what they leave fixed."""
    query: dict[str, Any] = {}
    for axis, (name, values) in zip("xyz", grid.axes, strict=False):
        query[axis] = name
        query[f"{axis}v"] = ("|" if name == "prompt" else ",").join(map(str, values))
    varied = {name for name, _ in grid.axes}
    fixed = {name: getattr(grid.base, name) for name in (*AXES, "frames")}
    return query | {name: value for name, value in fixed.items() if name not in varied}


def texts_from_query(query: Mapping[str, str]) -> list[tuple[str, str]]:
    """The axes a link names, with their texts; a prompt axis of one value keeps its bar so that it reads back."""
    return [(query.get(axis, ""), query.get(f"{axis}v", "")) for axis in "xyz"]
