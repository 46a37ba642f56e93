"""Settings as the query of an address, and back. A link that is wrong says so and changes nothing."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from models.registry import get_spec
from models.types import CACHES, RequestError
from workbench.requests.timeline import read_step_plan, read_switches
from workbench.ui.components.comparison import Side, format_sides, parse_sides
from workbench.ui.components.inputs import read_inputs
from workbench.ui.context import frames_of, seed_of, whole


def generate_link(side: Side, prompt: str, seed: int, frames: int) -> str:
    ffe = side.first_steps if side.ffe else 0
    query = {"model": side.model, "prompt": prompt, "steps": side.steps, "ffe": ffe, "seed": seed, "frames": frames}
    return f"/generate?{urlencode(query)}"


def compare_query(sides: tuple[Side, ...], prompt: str, seed: int, frames: int) -> dict[str, Any]:
    return {"prompt": prompt, "seed": seed, "frames": frames, "sides": format_sides(sides)}


def compare_link(sides: tuple[Side, ...], prompt: str, seed: int, frames: int) -> str:
    return f"/compare?{urlencode(compare_query(sides, prompt, seed, frames))}"


def read_generate(query: Mapping[str, str]) -> dict[str, Any]:
    """The settings a Generate link names (those it does not name are missing); raises RequestError."""
    found: dict[str, Any] = {}
    if query.get("prompt"):
        found["prompt"] = query["prompt"]
    if query.get("model"):
        found["model"] = get_spec(query["model"]).name
    if query.get("steps"):
        found["steps"] = _steps(found.get("model"), query["steps"])
    if query.get("ffe"):
        first_steps = whole(query["ffe"], "ffe in this link", "the steps of the first chunk, 0 for off")
        found |= {"ffe": first_steps > 0} | ({"first_steps": first_steps} if first_steps > 0 else {})
    if query.get("plan"):
        found["plan"] = ",".join(map(str, read_step_plan(query["plan"], "plan in this link")))
    if query.get("switches"):
        read_switches(query["switches"])
        found["switches"] = query["switches"].replace("|", "\n")
    if query.get("cache"):
        if query["cache"] not in CACHES:
            raise RequestError(f"cache {query['cache'][:40]!r} in this link is unknown; write {', '.join(CACHES)}")
        found["cache"] = query["cache"]
    return found | _common(query)


def read_compare(query: Mapping[str, str]) -> dict[str, Any]:
    """The comparison a link names; raises RequestError. Without `sides` there is none to open."""
    found: dict[str, Any] = {"sides": parse_sides(query["sides"])} if query.get("sides") else {}
    for side in found.get("sides", ()):
        _steps(side.model, side.steps)
    if query.get("prompt"):
        found["prompt"] = query["prompt"]
    if query.get("switches"):
        read_switches(query["switches"])
        found["switches"] = query["switches"].replace("|", "\n")
    if query.get("cache") in CACHES:
        found["cache"] = query["cache"]
    return found | read_inputs(query) | _common(query)


def evaluate_link(clips: Sequence[str]) -> str:
    """The Evaluate page with these clips of the store chosen."""
    return f"/evaluate?{urlencode({'clips': ','.join(clips)})}"


def read_evaluate(query: Mapping[str, str]) -> dict[str, Any]:
    """What an Evaluate link names: `clips` or `metrics` to choose, or a `run` to open with the clips to `show` and
    the `axis`; raises RequestError."""
    found: dict[str, Any] = {}
    for name in ("clips", "metrics"):
        if query.get(name):
            found[name] = list(dict.fromkeys(query[name].split(",")))
    if query.get("run"):
        found["run"] = query["run"]
    if query.get("show"):
        advice = "numbers of clips joined by commas, as 0,1"
        found["show"] = [whole(part, "show in this link", advice) for part in query["show"].split(",")]
    if query.get("axis"):
        if query["axis"] not in ("frames", "seconds"):
            raise RequestError(f"axis {query['axis'][:40]!r} in this link is unknown; write frames or seconds")
        found["axis"] = query["axis"]
    return found


def _common(query: Mapping[str, str]) -> dict[str, int]:
    found = {}
    if query.get("seed"):
        found["seed"] = seed_of(query["seed"])
    if query.get("frames"):
        found["frames"] = frames_of(query["frames"])
    return found


def _steps(model: str | None, text: Any) -> int:
    steps = whole(text, "steps in this link", "a whole number")
    if model and steps not in get_spec(model).steps:
        offered = ", ".join(map(str, get_spec(model).steps))
        raise RequestError(f"steps {steps} in this link is not offered by {model}; choose one of {offered}")
    return steps
