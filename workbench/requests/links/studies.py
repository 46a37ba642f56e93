"""The query of the Studies page: the fields of a study that is being written, or a comparison to ask people about."""

from collections.abc import Mapping
from typing import Any

from workbench.requests.links.address import address

# the fields of the form that are a study's own, by name; lists are text of one line each
LINES = ("prompts", "seeds")
FIELDS = (
    "id",
    "title",
    "systems",
    *LINES,
    "questions",
    "own_questions",
    "pairing",
    "sampling",
    "votes_per_pair",
    "pairs_per_annotator",
    "degraded",
    "identical",
    "frames",
    "reveal",
    "instructions",
    "consent",
)
WHOLE = ("votes_per_pair", "pairs_per_annotator", "degraded", "identical", "frames")
LISTS = ("systems", "questions")
BETWEEN = ";"  # items of a list in an address; prompts and seeds are text as it stands in the form


def draft_query(form: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a form as the page's address writes them."""
    return {name: _text(form[name]) for name in FIELDS}


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return BETWEEN.join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def comparison_study_link(query: Mapping[str, Any]) -> str:
    """The page with a study begun from the query of a comparison, as `compare_query` makes it."""
    return address("/studies", query)


def read_draft(query: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a form that an address names: those of `draft_query`, or the sides, prompt and seed of a
    comparison. What no study can ask about is told when the form is saved."""
    found: dict[str, Any] = {name: query[name] for name in FIELDS if query.get(name)}
    for name in LISTS:
        if name in found:
            found[name] = [item for item in found[name].split(BETWEEN) if item]
    found |= {name: number_or_text(found[name]) for name in WHOLE if name in found}
    if "reveal" in found:
        found["reveal"] = found["reveal"] == "true"
    if query.get("sides"):
        sides = list(dict.fromkeys(query["sides"].split(BETWEEN)))
        found |= {"systems": sides, "prompts": query.get("prompt", ""), "pairing": "all"}
        found |= {"seeds": query["seed"]} if query.get("seed") else {}
    return found


def number_or_text(value: Any) -> Any:
    """What is a whole number, as one; the rest as it is, to be refused by its name."""
    try:
        return int(value) if int(value) == float(value) else value
    except (TypeError, ValueError, OverflowError):
        return value
