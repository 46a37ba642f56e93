"""The query of the Evaluate page."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.types import RequestError
from workbench.requests.links.address import address
from workbench.requests.numbers import whole

TIME_AXES = ("frames", "seconds")


def evaluate_link(clips: Sequence[str]) -> str:
    """The Evaluate page with these clips of the store chosen."""
    return address("/evaluate", {"clips": ",".join(clips)})


def evaluation_link(run: str) -> str:
    """The Evaluate page with this evaluation open."""
    return address("/evaluate", {"run": run})


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
        if query["axis"] not in TIME_AXES:
            choices = " or ".join(TIME_AXES)
            raise RequestError(f"axis {query['axis'][:40]!r} in this link is unknown; write {choices}")
        found["axis"] = query["axis"]
    return found
