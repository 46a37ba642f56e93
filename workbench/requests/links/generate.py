"""The query of the Generate page."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from models.registry import get_spec
from models.types import PromptSwitch
from workbench.requests.links.address import address, clip_query, read_clip_query, read_steps
from workbench.requests.numbers import whole
from workbench.requests.systems import System
from workbench.requests.timeline import read_step_plan

KEYS = {"model", "prompt", "steps", "ffe", "plan", "switches"}


def generate_query(
    system: System,
    prompt: str,
    seed: int | None = None,
    frames: int | None = None,
    size: str = "",
    switches: Sequence[PromptSwitch] = (),
) -> dict[str, Any]:
    query = {"model": system.model, "prompt": prompt, "steps": system.steps, "ffe": system.first_steps}
    query |= {"plan": ",".join(map(str, system.plan))} if system.plan else {}
    return query | clip_query(seed, frames, size, switches)


def generate_link(
    system: System,
    prompt: str,
    seed: int | None = None,
    frames: int | None = None,
    size: str = "",
    switches: Sequence[PromptSwitch] = (),
) -> str:
    return address("/generate", generate_query(system, prompt, seed, frames, size, switches))


def model_link(model: str) -> str:
    """The Generate page with this model chosen."""
    return address("/generate", {"model": model})


def read_generate(query: Mapping[str, str]) -> dict[str, Any]:
    """The settings a Generate link names (those it does not name are missing); raises RequestError."""
    found: dict[str, Any] = {}
    if query.get("prompt"):
        found["prompt"] = query["prompt"]
    if query.get("model"):
        found["model"] = get_spec(query["model"]).name
    if query.get("steps"):
        found["steps"] = read_steps(found.get("model"), query["steps"])
    if query.get("ffe"):
        first_steps = whole(query["ffe"], "ffe in this link", "the steps of the first chunk, 0 for off")
        found |= {"ffe": first_steps > 0} | ({"first_steps": first_steps} if first_steps > 0 else {})
    if query.get("plan"):
        found["plan"] = ",".join(map(str, read_step_plan(query["plan"], "plan in this link")))
    if query.get("clip"):
        found["clip"] = query["clip"]
    return found | read_clip_query(query)


def asks_for_clip(query: str) -> bool:
    """Whether the text of a query is one of Generate, which older links have at "/"."""
    return bool(KEYS & {name for name, _ in parse_qsl(query)})
