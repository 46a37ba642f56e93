"""The oracles of the worlds that ship: each judges by pixels whether a clip shows what its prompt says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.shapes import oracle as shapes
from eval.tabletop import oracle as tabletop


@dataclass(frozen=True)
class Oracle:
    """`judge(frames, prompt)` gives a verdict on a clip (T, H, W, 3) uint8 RGB, `parse` None for a prompt outside the
    grammar. `words` are what is asked of every thing, `whole` what is asked of the clip, `behind` among it.
    `judge_windows(frames, prompt, width)` judges every `width` frames of a long clip, where a world can."""

    judge: Callable[[np.ndarray, str], Any]
    parse: Callable[[str], Any | None]
    words: tuple[str, ...]
    whole: tuple[str, ...]
    behind: str
    judge_windows: Callable[[np.ndarray, str, int], list[Any]] | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of a verdict by name."""
        return (*self.words, *self.whole)

    def right_parts(self, verdict: Any) -> dict[str, bool]:
        """Which parts of a prompt a clip shows."""
        of_things = {word: all(getattr(t, f"{word}_ok") for t in verdict.things) for word in self.words}
        return of_things | {name: bool(getattr(verdict, f"{name}_ok")) for name in self.whole}


ORACLES = {
    "shapes": Oracle(
        shapes.judge, shapes.parse, ("color", "shape", "direction"), ("background", "count"), "background"
    ),
    "tabletop": Oracle(
        tabletop.judge,
        tabletop.parse,
        ("color", "solid", "direction"),
        ("ground", "count", "sharp"),
        "ground",
        tabletop.judge_windows,
    ),
}
"""By world, which is the family of its models."""
