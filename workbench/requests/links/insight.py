"""The query of the Insight page."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.registry import watchable
from models.types import RequestError
from workbench.requests.insight_settings import FIRST_STEPS, PLANS, REPEATS, Settings, offered_steps
from workbench.requests.links.address import address
from workbench.requests.numbers import whole


def insight_query(settings: Settings, plans: str = PLANS, repeats: Any = REPEATS) -> dict[str, Any]:
    """The settings, and of the cost to measure what is not as the page opens."""
    query = {"model": settings.model, "prompts": "|".join(settings.prompts), "seeds": _ranges(settings.seeds)}
    query |= {"steps": settings.steps, "ffe": settings.first_steps, "frames": settings.frames}
    query |= {"plan": ",".join(map(str, settings.plan))} if settings.plan else {}
    changed = {"plans": (plans, PLANS), "repeats": (repeats, REPEATS)}
    return query | {name: value for name, (value, usual) in changed.items() if value not in (usual, None, "")}


def insight_link(settings: Settings) -> str:
    return address("/insight", insight_query(settings))


def steps_link(model: str, prompt: str, steps: int) -> str:
    """The Insight page with one prompt, where the steps of a model are looked at one by one."""
    return address("/insight", {"model": model, "prompts": prompt, "steps": steps})


def read_insight(query: Mapping[str, str]) -> dict[str, Any]:
    """The fields that a link names, as the form takes them; raises RequestError."""
    found: dict[str, Any] = {}
    for name in ("model", "seeds", "plan", "plans"):
        if query.get(name):
            found[name] = query[name]
    if query.get("prompts"):
        found["prompts"] = query["prompts"].replace("|", "\n")
    for name in ("steps", "ffe", "frames", "repeats"):
        if query.get(name):
            found[name] = whole(query[name], f"{name} in this link", "a whole number")
    names = [spec.name for spec in watchable()]
    if found.get("model", names[0]) not in names:
        raise RequestError(f"model {query['model'][:40]!r} in this link cannot be watched; choose {', '.join(names)}")
    for name, choices in (("steps", offered_steps()), ("ffe", FIRST_STEPS)):
        if found.get(name, choices[0]) not in choices:
            shown = ", ".join(map(str, choices))
            raise RequestError(f"{name} {found[name]} in this link is not offered; choose {shown}")
    return found


def _ranges(numbers: Sequence[int]) -> str:
    """`0-15` for sixteen numbers in a row, so that a link stays short."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
