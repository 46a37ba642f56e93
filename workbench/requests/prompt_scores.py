"""How often the models that ship follow held-out captions, as the reports in `assets/results` say."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from workbench.requests.systems import System

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "results"
RIGHT = "oracle"  # the metric of `few-steps` that counts clips with everything right


@dataclass(frozen=True)
class PromptScore:
    """Share of `n` clips, from 0 to 1, in which the oracle finds everything as asked, with its 95 % interval."""

    system: System
    mean: float
    low: float
    high: float
    n: int

    def row(self) -> dict[str, Any]:
        """The score as JSON-ready data, the system as text such as `asd:1*`."""
        return asdict(self) | {"system": str(self.system)}


def prompt_score(model: str, folder: Path = FOLDER) -> PromptScore | None:
    """The score of a model at its most steps; None where no report has it."""
    found = [score for score in _scores(folder) if score.system.model == model and not score.system.first_steps]
    return max(found, key=lambda score: score.system.steps, default=None)


@cache
def _scores(folder: Path) -> tuple[PromptScore, ...]:
    return (*_few_steps(folder / "few_steps.json"), *_prompt_following(folder / "prompt_following.json"))


def _few_steps(path: Path) -> Iterator[PromptScore]:
    for row in _rows(path):
        if row["metric"] == RIGHT and ":" in row["system"]:
            yield PromptScore(System.read(row["system"]), row["mean"], row["low"], row["high"], row["n"])


def _prompt_following(path: Path) -> Iterator[PromptScore]:
    for row in _rows(path):
        if row["steps"] and row["objects"] == 1 and not (row["image"] or row["ffe"]):
            right = row["all_right"]
            yield PromptScore(
                System(row["model"], row["steps"]), right["value"], right["low"], right["high"], right["n"]
            )


def _rows(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
