"""The query of the Dashboard page."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from models.types import RequestError
from workbench.requests.links.address import address
from workbench.requests.numbers import whole

# name in the address: title
VIEWS = {
    "leaderboard": "Leaderboard",
    "charts": "Charts",
    "prompts": "Prompts",
    "votes": "Votes",
    "ablation": "Ablation",
    "published": "Published",
}
FFE = {"": "both", "off": "without", "on": "with"}
LISTS = ("models", "steps", "metrics")
# what decides which values count: what it is, and what it may be
COUNTED = {
    "models": ("models that count; all when left out", "names joined by commas"),
    "steps": ("steps per chunk that count; all when left out", "whole numbers joined by commas"),
    "ffe": ("clips with or without First-Frame Enhancement; both when left out", "on, off"),
    "metrics": ("metrics; the usual ones when left out", "names joined by commas"),
    "prompt": ("words that prompts must hold", "any words"),
    "sweep": ("the sweep that made the clips; all when left out", "its id"),
    "reference": ("the system that all are compared with; none when left out", "as shapes-self-forcing:1:0"),
}


@dataclass(frozen=True)
class Query:
    """Empty fields ask for everything, or for what is usual. `prompt` are words that prompts have; `metric`, `row`
    (system@settings) and `at` (a prompt) are what is looked at closely."""

    view: str = "leaderboard"
    models: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    ffe: str = ""
    metrics: tuple[str, ...] = ()
    prompt: str = ""
    sweep: str = ""
    reference: str = ""
    metric: str = ""
    row: str = ""
    at: str = ""
    study: str = ""

    def params(self) -> dict[str, str]:
        """The query of the address; what is empty or usual is left out."""
        found = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                found[field.name] = ",".join(map(str, value)) if field.name in LISTS else str(value)
        return found

    def link(self, **changes: Any) -> str:
        return address("/dashboard", replace(self, **changes).params())


def read_dashboard(params: Mapping[str, str]) -> Query:
    """The view that an address names; keys of others are ignored. Raises RequestError."""
    found: dict[str, Any] = {}
    for field in fields(Query):
        text = params.get(field.name, "")
        if text:
            found[field.name] = tuple(text.split(",")) if field.name in LISTS else text
    if "steps" in found:
        advice = "step counts joined by commas, as 1,2"
        found["steps"] = tuple(whole(part, "steps in this link", advice) for part in found["steps"])
    _check(found.get("view"), VIEWS, "view")
    _check(found.get("ffe"), FFE, "ffe")
    return Query(**found)


def cell_key(**changes: str) -> str:
    """What a press on a cell of a table changes in the query, as the cell carries it."""
    return urlencode(changes)


def read_cell_key(text: str) -> dict[str, str]:
    """The inverse of `cell_key`; raises RequestError for what no cell carries."""
    found = dict(parse_qsl(text))
    if unknown := set(found) - {"row", "metric", "at"}:
        raise RequestError(f"{sorted(unknown)[0]!r} cannot be pressed; reload the page")
    return found


def _check(value: str | None, known: Mapping[str, str], name: str) -> None:
    if value is not None and value not in known:
        choices = ", ".join(filter(None, known))
        raise RequestError(f"{name} {value[:40]!r} in this link is unknown; choose one of {choices}")
