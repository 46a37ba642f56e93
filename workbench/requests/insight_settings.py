"""What Insight is asked for, read from forms, links and flags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from models.default_world import DEFAULT
from models.registry import get_spec, watchable
from models.types import GenerationRequest, RequestError
from workbench.requests.grid import AXES
from workbench.requests.systems import System, read_plan
from workbench.requests.timeline import read_step_plan

MOST_CLIPS = 256
MOST_FRAMES = 481  # maps of more chunks than this cannot be read
MOST_PLANS = 12
PLANS, REPEATS = "1 1* 2 2* 4", 3  # what the page opens with: the plans whose cost is measured, and how often
FIRST_STEPS = (0, 2, 3, 4)  # of the first chunk; 0 is no FFE


@dataclass(frozen=True)
class Settings:
    """Clips to watch: every prompt with every seed. `first_steps` 0 is no FFE; `plan` gives steps chunk by chunk."""

    model: str
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    steps: int = 4
    first_steps: int = 0
    plan: tuple[int, ...] = ()
    frames: int = 49

    def request(self, prompt: str, seed: int) -> GenerationRequest:
        return System(self.model, self.steps, self.first_steps, self.plan).request(prompt, seed, self.frames)

    def requests(self) -> list[GenerationRequest]:
        """One for each prompt and seed, prompt after prompt."""
        return [self.request(prompt, seed) for prompt, seed in product(self.prompts, self.seeds)]


def offered_steps() -> list[int]:
    """The numbers of steps that any of the models which can be watched offers."""
    return sorted({steps for spec in watchable() for steps in spec.steps})


def read_settings(
    model: str, prompts: str | Sequence[str], seeds: str, steps: int, first_steps: int, plan: str, frames: int
) -> Settings:
    """Settings from the texts of a form, a link or flags: prompts one a line or between bars, seeds as 7 or 0-15.

    Raises RequestError for no prompt or seed, too many clips, or a text that does not read.
    """
    texts = AXES["prompt"].read(prompts) if isinstance(prompts, str) else [text for text in prompts if text.strip()]
    numbers = AXES["seed"].read(seeds)
    if not texts:
        raise RequestError(f"there is no prompt; write one, or several one a line, as {DEFAULT.prompt}")
    if not numbers:
        raise RequestError("there is no seed; write numbers as 7, or 0-15 for sixteen")
    unique = tuple(dict.fromkeys(texts)), tuple(dict.fromkeys(numbers))
    clips = len(unique[0]) * len(unique[1])
    if clips > MOST_CLIPS:
        raise RequestError(
            f"{len(unique[0])} prompts with {len(unique[1])} seeds are {clips} clips; at most {MOST_CLIPS} are "
            "watched, so take fewer seeds"
        )
    if frames > MOST_FRAMES:
        raise RequestError(f"frames is {frames}; at most {MOST_FRAMES} are shown here, so take fewer")
    return Settings(get_spec(model).name, *unique, steps, first_steps, read_step_plan(plan), frames)


def read_plans(text: str, settings: Settings) -> Mapping[str, Settings]:
    """Plans between spaces: `2` for two steps, `2*` with First-Frame Enhancement, `4,1,2` chunk by chunk.

    Raises RequestError for anything else, for none and for too many.
    """
    names = list(dict.fromkeys(text.split()))
    if not names:
        raise RequestError(f"there is no plan to measure; write some between spaces, as {PLANS} 4,1")
    if len(names) > MOST_PLANS:
        raise RequestError(f"{len(names)} plans are too many; measure at most {MOST_PLANS} at a time")
    return {name: _read_plan(name, settings) for name in names}


def _read_plan(name: str, settings: Settings) -> Settings:
    common = (settings.model, settings.prompts[:1], settings.seeds[:1])
    return Settings(*common, **read_plan(name), frames=settings.frames)
