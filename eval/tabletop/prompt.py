"""What a prompt of the tabletop world says; the vocabulary is data, in `assets/tabletop.json`."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

ASSETS = Path(__file__).resolve().parents[2] / "assets"
VOCABULARY = json.loads((ASSETS / "tabletop.json").read_text())
COLORS: list[str] = list(VOCABULARY["colors"])
SOLIDS: list[str] = VOCABULARY["solids"]
GROUNDS: list[str] = VOCABULARY["grounds"]
DIRECTIONS: dict[str, list[int]] = VOCABULARY["directions"]

_THING = rf"an? ({'|'.join(COLORS)}) ({'|'.join(SOLIDS)}) (?:{'|'.join(VOCABULARY['verbs'])}) ({'|'.join(DIRECTIONS)})"
_PROMPT = re.compile(rf"{_THING}(?: and {_THING})? over (?:the |an? )?({'|'.join(GROUNDS)})")


@dataclass(frozen=True)
class Thing:
    """What a prompt says about one solid, or what was seen of it."""

    color: str
    solid: str
    direction: str


@dataclass(frozen=True)
class Prompt:
    """A prompt of the grammar."""

    things: tuple[Thing, ...]
    ground: str


def parse(prompt: str) -> Prompt | None:
    """The meaning of `a red ball rolling left [and ...] over grass`; None outside the grammar."""
    match = _PROMPT.fullmatch(" ".join(prompt.lower().replace(".", " ").split()))
    if not match:
        return None
    *words, ground = match.groups()
    return Prompt(tuple(Thing(*words[i : i + 3]) for i in (0, 3) if words[i]), ground)
