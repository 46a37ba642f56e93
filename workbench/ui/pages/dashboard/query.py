"""What the Dashboard shows, as the query of its address, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

from models.types import RequestError
from workbench.leaderboard.means import usual_metrics
from workbench.store.records import ClipFilter
from workbench.ui.context import whole

# name in the address: title
VIEWS = {
    "leaderboard": "Leaderboard",
    "charts": "Charts",
    "prompts": "Prompts",
    "votes": "Votes",
    "ablation": "Ablation",
    "published": "Published",
}
FFE = {"": "with and without", "off": "without", "on": "with"}
LISTS = ("models", "steps", "metrics")


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

    def filters(self, known: Mapping[str, Sequence]) -> ClipFilter:
        """For a store that holds `known` (`Store.filters`). Of no metrics the usual ones are meant: comparisons are
        corrected for how many there are, so that those which nobody sees must not count."""
        enhanced = {"": (), "off": (0,), "on": tuple(n for n in known["first_steps"] if n) or (-1,)}[self.ffe]
        return ClipFilter(
            models=self.models,
            steps=self.steps,
            first_steps=enhanced,
            metrics=self.metrics or tuple(usual_metrics(known["metrics"])),
            prompt=self.prompt,
            sweep=self.sweep,
        )

    def params(self) -> dict[str, str]:
        """The query of the address; what is empty or usual is left out."""
        found = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                found[field.name] = ",".join(map(str, value)) if field.name in LISTS else str(value)
        return found

    def link(self, **changes: Any) -> str:
        params = replace(self, **changes).params()
        return f"/dashboard?{urlencode(params)}" if params else "/dashboard"


def read_query(params: Mapping[str, str]) -> Query:
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


def _check(value: str | None, known: Mapping[str, str], name: str) -> None:
    if value is not None and value not in known:
        choices = ", ".join(filter(None, known))
        raise RequestError(f"{name} {value[:40]!r} in this link is unknown; choose one of {choices}")
