"""What the captions of a world say in part: what its CLIP is taught and asked about them.

The worlds' captions differ in their words, not in their build: one or two things, each of a colour, a kind and a
direction, before something behind them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from models.types import RequestError
from models.worlds import shapes
from models.worlds.tabletop import grammar as tabletop
from models.worlds.training_worlds import WORLDS

Caption = shapes.Caption | tabletop.Caption


@dataclass(frozen=True)
class Captions:
    """The captions of a world.

    `whole` are those of one thing, all there are; `words` lists the choices for each part of one, `kind` and `behind`
    are how the world calls its kind of thing and what is behind it. `behind_in_words` says the latter alone.
    """

    whole: tuple[Any, ...]
    words: dict[str, tuple[str, ...]]
    kind: str
    behind: str
    behind_in_words: Callable[[str], str]

    def parts(self, caption: Caption) -> dict[str, str]:
        """What a caption of one thing says without one or two of its words, by the name of what is left."""
        (thing,) = caption.objects
        kind, behind = getattr(thing, self.kind), getattr(caption, self.behind)
        return {
            "course": f"a {kind} moving {thing.direction}",
            "look": f"a {thing.color} {kind}",
            "colored course": f"a {thing.color} moving {thing.direction}",
            self.behind: self.behind_in_words(behind),
        }

    @cached_property
    def part_tables(self) -> dict[str, list[str]]:
        """Every text that `parts` makes of the captions in `whole`, by its name."""
        found: dict[str, set[str]] = {}
        for caption in self.whole:
            for name, text in self.parts(caption).items():
                found.setdefault(name, set()).add(text)
        return {name: sorted(texts) for name, texts in found.items()}

    def alike_but(self, caption: Any, word: str) -> list[Any]:
        """The captions that differ from one of one thing by the choice of `word` alone, itself included."""
        (thing,) = caption.objects
        if word == self.behind:
            return [replace(caption, **{word: choice}) for choice in self.words[word]]
        return [replace(caption, objects=(replace(thing, **{word: choice}),)) for choice in self.words[word]]


CAPTIONS = {
    "shapes": Captions(
        whole=tuple(
            shapes.Caption((thing,), background)
            for thing in shapes.all_combinations()
            for background in shapes.BACKGROUNDS
        ),
        words={
            "color": tuple(shapes.COLORS),
            "shape": tuple(shapes.SHAPES),
            "direction": tuple(shapes.DIRECTIONS),
            "background": tuple(shapes.BACKGROUNDS),
        },
        kind="shape",
        behind="background",
        behind_in_words=lambda background: f"a {background} background",
    ),
    "tabletop": Captions(
        whole=tuple(
            tabletop.Caption((thing,), ground) for thing in tabletop.all_combinations() for ground in tabletop.GROUNDS
        ),
        words={
            "color": tuple(tabletop.COLORS),
            "solid": tuple(tabletop.SOLIDS),
            "direction": tuple(tabletop.DIRECTIONS),
            "ground": tuple(tabletop.GROUNDS),
        },
        kind="solid",
        behind="ground",
        behind_in_words=lambda ground: f"over {ground}",
    ),
}


def held_out_captions(world: str, count: int, objects: int = 1) -> list[str]:
    """A fixed list of captions that no training clip shows, mixed once and for all, so that the first few are as
    varied as all of them.

    Of one thing: all held-out combinations in turn, each pass with the next of what can be behind them. Raises
    RequestError for more than there are.
    """
    draws = np.random.default_rng(64)
    if objects == 2:
        chosen: dict[str, None] = {}
        while len(chosen) < count:
            chosen[str(WORLDS[world].held_out_caption(draws, 2))] = None
        return list(chosen)
    captions = CAPTIONS[world]
    behind = captions.words[captions.behind]
    by_words = {(c.objects, getattr(c, captions.behind)): c for c in captions.whole if c.objects[0].held_out}
    things = list(dict.fromkeys(objects for objects, _ in by_words))
    if count > len(by_words):
        raise RequestError(f"{count} captions are too many; there are {len(by_words)} held-out captions of one object")
    order = draws.permutation(len(things))
    return [
        str(by_words[things[order[i % len(things)]], behind[(i + i // len(things)) % len(behind)]])
        for i in range(count)
    ]
