"""What a comparison is: the same prompt and noise through two to four choices of model, steps and FFE."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.registry import get_spec
from models.types import GenerationRequest, RequestError

MIN_SIDES, MAX_SIDES = 2, 4
LETTERS = "ABCD"


@dataclass(frozen=True)
class Side:
    """One column of a comparison."""

    model: str
    steps: int
    ffe: bool = False
    first_steps: int = 4

    @property
    def label(self) -> str:
        """Model and steps in words: "ASD · 1 step + FFE 4"."""
        plural = "step" if self.steps == 1 else "steps"
        return f"{get_spec(self.model).title} · {self.steps} {plural}" + (
            f" + FFE {self.first_steps}" if self.ffe else ""
        )

    def request(self, prompt: str, seed: int, frames: int) -> GenerationRequest:
        return GenerationRequest(prompt, self.steps, self.ffe, self.first_steps, frames, seed)


def format_sides(sides: Sequence[Side]) -> str:
    """Sides as a link has them: `model:steps:first_steps`, 0 for no FFE, joined by commas."""
    return ",".join(f"{s.model}:{s.steps}:{s.first_steps if s.ffe else 0}" for s in sides)


def parse_sides(text: str) -> tuple[Side, ...]:
    """The inverse of `format_sides`; raises RequestError for anything else."""
    return _counted([_parse_side(part) for part in text.split(",")])


def sides_from_json(value: Any) -> tuple[Side, ...]:
    """Sides from a list of objects {model, steps, ffe, first_steps}, or its JSON text; raises RequestError."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise RequestError(f"sides are not JSON ({error}); give {EXAMPLE}") from error
    if not isinstance(value, Sequence) or not all(isinstance(item, Mapping) for item in value):
        raise RequestError(f"sides are not a list of objects; give {EXAMPLE}")
    return _counted([_side_from_object(item) for item in value])


EXAMPLE = (
    '[{"model": "shapes-self-forcing", "steps": 1, "ffe": false}, {"model": "shapes-asd", "steps": 1, "ffe": true}]'
)


def _side_from_object(item: Mapping[str, Any]) -> Side:
    unknown = sorted(set(item) - {"model", "steps", "ffe", "first_steps"})
    if unknown or "model" not in item:
        problem = f"the unknown key {unknown[0]!r}" if unknown else "no model"
        raise RequestError(f"a side has {problem}; give {EXAMPLE}")
    steps, ffe, first_steps = item.get("steps", 4), item.get("ffe", False), item.get("first_steps", 4)
    if type(steps) is not int or type(first_steps) is not int or not isinstance(ffe, bool):
        raise RequestError(f"a side has steps {steps!r}, ffe {ffe!r}, first_steps {first_steps!r}; give {EXAMPLE}")
    return Side(get_spec(str(item["model"])).name, steps, ffe, first_steps)


def _parse_side(part: str) -> Side:
    try:
        model, steps, first_steps = part.split(":")
        side = Side(model, int(steps), int(first_steps) > 0, int(first_steps) or 4)
    except ValueError as error:
        raise RequestError(
            f"{part!r} is not a side of a comparison; write model:steps:first_steps, as shapes-asd:1:4"
        ) from error
    get_spec(side.model)
    return side


def _counted(sides: Sequence[Side]) -> tuple[Side, ...]:
    if not MIN_SIDES <= len(sides) <= MAX_SIDES:
        raise RequestError(f"{len(sides)} sides cannot be compared; choose {MIN_SIDES} to {MAX_SIDES}")
    return tuple(sides)


def recipe_difference(recipes: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Any]]]:
    """The fields in which recipes differ, each with its value on every side, in the order of the first recipe."""
    names = list(dict.fromkeys(name for recipe in recipes for name in recipe))
    rows = [(name, [recipe.get(name) for recipe in recipes]) for name in names]
    return [(name, values) for name, values in rows if any(value != values[0] for value in values)]
