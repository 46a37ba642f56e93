"""What every page gets, and what pages share."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.default_world import DEFAULT, SHAPES, TABLETOP
from models.registry import get_spec, list_models, unavailable
from models.specs import ModelSpec
from models.types import RequestError
from models.wan.rows import PROMPTS as WAN_PROMPTS
from workbench.clips.generation import GenerationService
from workbench.common.faults import fault_sentence
from workbench.requests.insight_settings import FIRST_STEPS
from workbench.requests.systems import System
from workbench.scoring.runs import EvaluationService
from workbench.settings import Settings
from workbench.sweeps.first_run import FirstRun
from workbench.ui.api.media import MediaTokens
from workbench.upkeep.jobs import Jobs
from workbench.votes.voting import VotingService

# every handler that touches a network shares this queue, so two never run at once
MODEL_QUEUE = {"concurrency_id": "model", "concurrency_limit": 1}
# evaluations wait for one another by themselves; the name tells handlers that start one from those that only read
EVALUATION_QUEUE = {"concurrency_id": "evaluation", "concurrency_limit": None}
PRIVATE = {"api_visibility": "private"}
EXAMPLE_PROMPTS = DEFAULT.prompts
WORLDS = {"shapes": "Shapes world", "tabletop": "Tabletop world", "wan": "Wan 2.1"}
EXAMPLES = {SHAPES.name: SHAPES.prompts, TABLETOP.name: TABLETOP.prompts, "wan": WAN_PROMPTS}


@dataclass(frozen=True)
class Context:
    """The services that make, evaluate and vote on clips, how this server was started, the media it hands out, and how
    its routes are described."""

    service: GenerationService
    evaluations: EvaluationService
    settings: Settings
    voting: VotingService
    first_run: FirstRun
    jobs: Jobs | None = None
    media: MediaTokens = field(default_factory=MediaTokens)
    openapi: Callable[[], dict[str, Any]] = lambda: {"paths": {}}

    def check_writable(self) -> None:
        """Raises RequestError on a server that only shows results."""
        if self.settings.read_only:
            raise RequestError("this server is read-only and makes nothing; start one without --read-only")


def model_choices(specs: Sequence[ModelSpec] | None = None) -> list[tuple[str, str]]:
    """(title, name) of `specs`, by default of every model that can run here, for a dropdown; those of another world
    than the app's own say so."""
    offered = [spec for spec in list_models() if not unavailable(spec)] if specs is None else specs
    return [(System(spec.name, spec.steps[0]).model_title, spec.name) for spec in offered]


def about_model(name: str) -> str:
    """What a person should know who chooses a model: its world, how to write for it, its length and licence."""
    spec = get_spec(name)
    length = f"trained on {spec.trained_frames} frames, {spec.trained_frames / spec.fps:.1f} s"
    words = "prompts are free text" if spec.family == "wan" else "prompts in its own small language"
    return f"{WORLDS.get(spec.family, spec.family)}: {words}; {length}. Licence: {spec.license}."


def default_model(*preferred: str) -> str:
    """The first of `preferred` that exists, else the last model of the registry."""
    names = [name for _, name in model_choices()]
    return next((name for name in preferred if name in names), names[-1])


FFE_CHOICES = [(f"{number} steps" if number else "off", number) for number in FIRST_STEPS]  # of the first chunk


def offered_steps(model: str) -> list[int]:
    """The step counts a model offers."""
    return list(get_spec(model).steps)


def nearest(value: int | None, choices: Sequence[int]) -> int:
    """The choice closest to `value`, so that switching models keeps the steps where it can."""
    return min(choices, key=lambda choice: (abs(choice - (value or 0)), choice))


def sentence(error: Exception, *hidden: str | Path | None) -> str:
    """An error as it may be shown: no server paths, and no details of what was not the user's doing."""
    if not isinstance(error, RequestError):
        logging.getLogger(__name__).error("a handler failed", exc_info=error)
        if fault := fault_sentence(error, place=False):
            return _hiding(f"{fault[:1].upper()}{fault[1:]}. Your settings are unchanged.", hidden)
        return (
            f"This failed on the server ({type(error).__name__}); the log there says why. Your settings are unchanged."
        )
    return _hiding(str(error), hidden)


def _hiding(text: str, hidden: Sequence[str | Path | None]) -> str:
    for path in filter(None, hidden):
        text = text.replace(str(path), Path(path).name)
    return text
