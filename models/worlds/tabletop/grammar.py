"""The language of the tabletop world: what a prompt says, and which combinations training never sees.

    a red ball rolling left over grass
    a red ball rolling left and a white cone moving up over night sky

The vocabulary and its colours are data, in `assets/tabletop.json`.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

VOCABULARY = json.loads((Path(__file__).resolve().parents[3] / "assets" / "tabletop.json").read_text())
COLORS: dict[str, list[int]] = VOCABULARY["colors"]
SOLIDS: list[str] = VOCABULARY["solids"]
VERBS: list[str] = VOCABULARY["verbs"]
DIRECTIONS: dict[str, list[int]] = VOCABULARY["directions"]
GROUNDS: list[str] = VOCABULARY["grounds"]
HELD_OUT_GROUNDS: dict[str, str] = VOCABULARY["held_out_grounds"]
SIZE: int = VOCABULARY["size"]
FPS: int = VOCABULARY["fps"]
FRAMES: int = VOCABULARY["frames"]

_OBJECT = rf"an? ({'|'.join(COLORS)}) ({'|'.join(SOLIDS)}) (?:{'|'.join(VERBS)}) ({'|'.join(DIRECTIONS)})"
_PROMPT = re.compile(rf"{_OBJECT}(?: and {_OBJECT})? over (?:the |an? )?({'|'.join(GROUNDS)})")


@dataclass(frozen=True)
class Combination:
    """What a prompt says about one solid."""

    color: str
    solid: str
    direction: str

    @property
    def held_out(self) -> bool:
        """True for the half of all combinations that no training clip ever shows.

        The split is by parity, so every pair (color-solid, color-direction, solid-direction) is seen in training and
        only the triple is new.
        """
        indices = (list(COLORS).index(self.color), SOLIDS.index(self.solid), list(DIRECTIONS).index(self.direction))
        return sum(indices) % 2 == 1


@dataclass(frozen=True)
class Caption:
    """The meaning of a prompt inside the grammar."""

    objects: tuple[Combination, ...]
    ground: str

    @property
    def held_out(self) -> bool:
        """True if training shows no such clip: for one of its combinations, or for a solid on its ground."""
        return any(thing.held_out or HELD_OUT_GROUNDS[thing.solid] == self.ground for thing in self.objects)

    def text(self, verb: str = VERBS[0]) -> str:
        """The prompt in words; all verbs mean the same."""
        things = " and ".join(f"{article(o.color)} {o.color} {o.solid} {verb} {o.direction}" for o in self.objects)
        return f"{things} over {self.ground}"

    def __str__(self) -> str:
        return self.text()


def article(word: str) -> str:
    """`a` or `an`, as the word asks for."""
    return "an" if word[0] in "aeiou" else "a"


def parse_prompt(prompt: str) -> Caption | None:
    """The caption a prompt means, or None when it is outside the grammar."""
    match = _PROMPT.fullmatch(" ".join(prompt.lower().replace(".", " ").split()))
    if not match:
        return None
    *words, ground = match.groups()
    things = [Combination(*words[i : i + 3]) for i in (0, 3) if words[i]]
    return Caption(tuple(things), ground)


@cache
def known_words() -> frozenset[str]:
    """Every word of the grammar."""
    grounds = " ".join(GROUNDS).split()
    return frozenset(["a", "an", "the", "and", "over", *VERBS, *COLORS, *SOLIDS, *DIRECTIONS, *grounds])


def unknown_words(prompt: str) -> list[str]:
    """Words of `prompt` that the tabletop world does not know, in order, each once."""
    words = re.findall(r"[^\W_]+", prompt.lower())
    return [w for w in dict.fromkeys(words) if w not in known_words()]


def all_combinations() -> list[Combination]:
    return [Combination(*words) for words in product(COLORS, SOLIDS, DIRECTIONS)]


def sample_caption(rng: np.random.Generator, *, held_out: bool, objects: int = 1) -> Caption:
    """A random caption of the training split, or with every combination from the held-out half (on any ground)."""
    pool = [c for c in all_combinations() if c.held_out == held_out]
    while True:
        chosen = tuple(pool[rng.integers(len(pool))] for _ in range(objects))
        caption = Caption(chosen, str(rng.choice(GROUNDS)))
        # two of a colour and solid would be told apart by their motion alone
        alike = objects > 1 and len({(o.color, o.solid) for o in chosen}) < objects
        if caption.held_out == held_out and not alike:
            return caption
