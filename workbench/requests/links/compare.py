"""The query of the Compare page."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.types import PromptSwitch
from workbench.requests.comparison import format_sides, parse_sides
from workbench.requests.links.address import address, clip_query, read_clip_query, read_steps
from workbench.requests.links.inputs import read_inputs
from workbench.requests.systems import System


def compare_query(
    sides: Sequence[System],
    prompt: str,
    seed: int | None = None,
    frames: int | None = None,
    size: str = "",
    switches: Sequence[PromptSwitch] = (),
) -> dict[str, Any]:
    query = {"prompt": prompt} | clip_query(seed, frames, size, switches)
    return query | {"sides": format_sides(sides)}


def compare_link(
    sides: Sequence[System],
    prompt: str,
    seed: int | None = None,
    frames: int | None = None,
    size: str = "",
    switches: Sequence[PromptSwitch] = (),
) -> str:
    return address("/compare", compare_query(sides, prompt, seed, frames, size, switches))


def read_compare(query: Mapping[str, str]) -> dict[str, Any]:
    """The comparison a link names; raises RequestError. Without `sides` there is none to open."""
    found: dict[str, Any] = {"sides": parse_sides(query["sides"])} if query.get("sides") else {}
    for side in found.get("sides", ()):
        read_steps(side.model, side.steps)
    if query.get("prompt"):
        found["prompt"] = query["prompt"]
    return found | read_inputs(query) | read_clip_query(query)
