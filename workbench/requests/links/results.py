"""The query of the Results page."""

from collections.abc import Mapping
from typing import Any

from workbench.common.words import read_whole
from workbench.requests.links.address import address

MOST_WORDS = 200  # letters of the filter of prompts
CHECKS = {"0.5": 0.5, "1": 1.0, "1.0": 1.0}  # shares of attention checks that people must have passed


def results_link(
    study: str, question: str = "", target: str = "", checks: float = 0.0, version: int | None = None, prompt: str = ""
) -> str:
    """The page with these votes; what is empty or 0 is as the page opens."""
    query = {"study": study, "question": question, "target": target, "checks": f"{checks:g}" if checks else ""}
    return address("/results", query | {"version": version or None, "prompt": prompt})


def read_results(query: Mapping[str, str]) -> dict[str, Any]:
    """The fields of the page, whatever the address holds; `study` and `target` are None where it names none."""
    return {
        "study": query.get("study") or None,
        "question": query.get("question", "overall"),
        "target": query.get("target"),
        "checks": CHECKS.get(query.get("checks", ""), 0.0),
        "version": read_whole(query.get("version", "")) or 0,
        "prompt": query.get("prompt", "")[:MOST_WORDS],
    }
