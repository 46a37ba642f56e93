"""What a comparison is: the same prompt and noise through two to four choices of model, steps and FFE."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.default_world import DEFAULT
from models.registry import get_spec
from models.types import GenerationRequest, RequestError
from workbench.requests.timeline import read_step_plan
from workbench.systems import FFE_STEPS, read_system, system_label, system_text

MIN_SIDES, MAX_SIDES = 2, 4
LETTERS = "ABCD"
OLDER = re.compile(r",(?=[a-z])")  # between sides of older links; a plan of steps has commas before digits


@dataclass(frozen=True)
class Side:
    """One column of a comparison."""

    model: str
    steps: int
    ffe: bool = False
    first_steps: int = 4
    plan: tuple[int, ...] = ()  # steps of each chunk by hand; `steps` and `ffe` do not count then

    @property
    def label(self) -> str:
        return system_label(self.model, self.steps, self.first_steps if self.ffe else 0, self.plan)

    def request(self, prompt: str, seed: int, frames: int) -> GenerationRequest:
        return GenerationRequest(prompt, self.steps, self.ffe, self.first_steps, frames, seed, step_plan=self.plan)


def format_sides(sides: Sequence[Side]) -> str:
    """Sides as a link has them: systems joined by `;`."""
    return ";".join(system_text(s.model, s.steps, s.first_steps if s.ffe else 0, s.plan) for s in sides)


def parse_sides(text: str) -> tuple[Side, ...]:
    """The inverse of `format_sides`, which also reads older links; raises RequestError for anything else."""
    parts = text.split(";") if ";" in text else OLDER.split(text)
    return _counted([_parse_side(part) for part in parts])


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


EXAMPLE = json.dumps(
    [{"model": DEFAULT.baseline, "steps": 1, "ffe": False}, {"model": DEFAULT.asd, "steps": 1, "ffe": True}]
)


def _side_from_object(item: Mapping[str, Any]) -> Side:
    unknown = sorted(set(item) - {"model", "steps", "ffe", "first_steps", "plan"})
    if unknown or "model" not in item:
        problem = f"the unknown key {unknown[0]!r}" if unknown else "no model"
        raise RequestError(f"a side has {problem}; give {EXAMPLE}")
    steps, ffe, first_steps = item.get("steps", 4), item.get("ffe", False), item.get("first_steps", 4)
    if type(steps) is not int or type(first_steps) is not int or not isinstance(ffe, bool):
        raise RequestError(f"a side has steps {steps!r}, ffe {ffe!r}, first_steps {first_steps!r}; give {EXAMPLE}")
    plan = read_step_plan(str(item.get("plan") or ""), "a side's plan")
    return Side(get_spec(str(item["model"])).name, steps, ffe, first_steps, plan)


def _parse_side(part: str) -> Side:
    model, steps, first_steps, plan = read_system(part)
    return Side(get_spec(model).name, steps, first_steps > 0, first_steps or FFE_STEPS, plan)


def _counted(sides: Sequence[Side]) -> tuple[Side, ...]:
    if not MIN_SIDES <= len(sides) <= MAX_SIDES:
        raise RequestError(f"{len(sides)} sides cannot be compared; choose {MIN_SIDES} to {MAX_SIDES}")
    return tuple(sides)


def recipe_difference(recipes: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Any]]]:
    """The fields in which recipes differ, each with its value on every side, in the order of the first recipe."""
    names = list(dict.fromkeys(name for recipe in recipes for name in recipe))
    rows = [(name, [recipe.get(name) for recipe in recipes]) for name in names]
    return [(name, values) for name, values in rows if any(value != values[0] for value in values)]
