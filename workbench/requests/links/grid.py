"""The query of the Grid page."""

from collections.abc import Mapping
from typing import Any

from workbench.requests.grid import AXES, Grid
from workbench.requests.links.inputs import read_inputs
from workbench.requests.numbers import whole

TEXTS, NUMBERS = ("model", "prompt"), ("steps", "first_steps", "seed", "frames")


def grid_query(grid: Grid) -> dict[str, Any]:
    """The grid as the query of an address: the axes, and what they leave fixed."""
    query: dict[str, Any] = {}
    for axis, (name, values) in zip("xyz", grid.axes, strict=False):
        query[axis] = name
        query[f"{axis}v"] = ("|" if name == "prompt" else ",").join(map(str, values))
    varied = {name for name, _ in grid.axes}
    fixed = {name: getattr(grid.base, name) for name in (*AXES, "frames")}
    return query | {name: value for name, value in fixed.items() if name not in varied}


def read_grid_link(query: Mapping[str, str]) -> dict[str, Any]:
    """What a Grid link leaves fixed, what its clips start from, and `axes`, (name, text of the values) of each, where
    it names two; raises RequestError."""
    found: dict[str, Any] = {name: query[name] for name in TEXTS if query.get(name)}
    found |= {name: whole(query[name], name, "a whole number") for name in NUMBERS if query.get(name)}
    if query.get("x") and query.get("y"):
        found["axes"] = [(query.get(axis, ""), query.get(f"{axis}v", "")) for axis in "xyz"]
    return found | read_inputs(query)
