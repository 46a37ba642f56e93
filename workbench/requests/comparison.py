"""What a comparison is: the same prompt and noise through two to four choices of model, steps and FFE."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from eval.video.text_files import parse_json
from models.default_world import DEFAULT
from models.registry import get_spec
from models.types import RequestError
from workbench.common.words import counted
from workbench.requests.systems import FFE_STEPS, System
from workbench.requests.timeline import read_step_plan

MIN_SIDES, MAX_SIDES = 2, 4
LETTERS = "ABCD"
OLDER = re.compile(r",(?=[a-z])")  # between sides of older links; a plan of steps has commas before digits


def format_sides(sides: Sequence[System]) -> str:
    """Sides as a link has them: systems joined by `;`."""
    return ";".join(map(str, sides))


def parse_sides(text: str) -> tuple[System, ...]:
    """The inverse of `format_sides`, which also reads older links; raises RequestError for anything else."""
    parts = text.split(";") if ";" in text else OLDER.split(text)
    return _counted([_parse_side(part) for part in parts])


def sides_from_json(value: Any) -> tuple[System, ...]:
    """Sides from a list of objects {model, steps, ffe, first_steps}, or its JSON text; raises RequestError."""
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except ValueError as error:
            raise RequestError(f"sides are not JSON ({error}); give {EXAMPLE}") from error
    if not isinstance(value, Sequence) or not all(isinstance(item, Mapping) for item in value):
        raise RequestError(f"sides are not a list of objects; give {EXAMPLE}")
    return _counted([_side_from_object(item) for item in value])


EXAMPLE = json.dumps(
    [{"model": DEFAULT.baseline, "steps": 1, "ffe": False}, {"model": DEFAULT.asd, "steps": 1, "ffe": True}]
)


def _side_from_object(item: Mapping[str, Any]) -> System:
    unknown = sorted(set(item) - {"model", "steps", "ffe", "first_steps", "plan"})
    if unknown or "model" not in item:
        problem = f"the unknown key {unknown[0]!r}" if unknown else "no model"
        raise RequestError(f"a side has {problem}; give {EXAMPLE}")
    steps, ffe, first_steps = item.get("steps", 4), item.get("ffe", False), item.get("first_steps", FFE_STEPS)
    if type(steps) is not int or type(first_steps) is not int or not isinstance(ffe, bool):
        raise RequestError(f"a side has steps {steps!r}, ffe {ffe!r}, first_steps {first_steps!r}; give {EXAMPLE}")
    plan = read_step_plan(str(item.get("plan") or ""), "a side's plan")
    return System(get_spec(str(item["model"])).name, steps, first_steps if ffe else 0, plan)


def _parse_side(part: str) -> System:
    side = System.read(part)
    return replace(side, model=get_spec(side.model).name)


def _counted(sides: Sequence[System]) -> tuple[System, ...]:
    if not MIN_SIDES <= len(sides) <= MAX_SIDES:
        raise RequestError(f"{counted(len(sides), 'side')} cannot be compared; choose {MIN_SIDES} to {MAX_SIDES}")
    return tuple(sides)


def recipe_difference(recipes: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Any]]]:
    """The fields in which recipes differ, each with its value on every side, in the order of the first recipe."""
    names = list(dict.fromkeys(name for recipe in recipes for name in recipe))
    rows = [(name, [recipe.get(name) for recipe in recipes]) for name in names]
    return [(name, values) for name, values in rows if any(value != values[0] for value in values)]


def told_apart(notices: Mapping[str, Sequence[str]]) -> list[str]:
    """Notices of several sides by the sides' names, each once; one that is not about all of them names its own."""
    found = []
    for notice in dict.fromkeys(notice for several in notices.values() for notice in several):
        named = [name for name, several in notices.items() if notice in several]
        found.append(notice if len(named) == len(notices) else f"{', '.join(named)}: {notice}")
    return found
