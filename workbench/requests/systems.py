"""What is compared, named everywhere the same way: a model and its plan of steps.

As text `shapes-asd:1*`, for people `ASD 1*`: one step, four on the first chunk (First-Frame Enhancement). Another
number of first steps is a plan by hand, `3,1`. Stored results and older links write `shapes-asd:1:4`, which is read
as well.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from models.default_world import DEFAULT, EMBEDDED
from models.registry import list_models
from models.types import GenerationRequest, RequestError
from workbench.common.words import read_whole

FFE_STEPS = 4  # steps of the first chunk behind a star
EXAMPLE = f"{DEFAULT.asd}:1*"
# a model's name may hold colons itself, as path:FILE does
SYSTEM = re.compile(r"(?P<model>.+?):(?P<plan>[0-9]{1,19}\*|[0-9]{1,19}(,[0-9]{1,19})*)(:(?P<first>[0-9]{1,19}))?")
ADVICE = f"write a model and its steps, as {EXAMPLE} (1 step, {FFE_STEPS} on the first chunk)"


def plan_text(steps: int, first_steps: int = 0, plan: Sequence[int] = ()) -> str:
    """A plan of steps as `2`, `1*` or `4,1,2`; `first_steps` 0 means no First-Frame Enhancement."""
    if plan:
        return ",".join(map(str, plan))
    if first_steps in (0, steps):
        return str(steps)
    return f"{steps}*" if first_steps == FFE_STEPS else f"{first_steps},{steps}"


def read_plan(text: str, advice: str = "write 2, 2* with First-Frame Enhancement, or 4,1,2 by hand") -> dict[str, Any]:
    """The inverse of `plan_text`, as keyword arguments of `System`. Raises RequestError for anything else."""
    starred = text.endswith("*")
    numbers = tuple(map(read_whole, [text[:-1]] if starred else text.split(",")))
    if None in numbers:
        raise RequestError(f"{text[:80]!r} is no plan of steps; {advice}")
    if starred:
        return {"steps": numbers[0], "first_steps": FFE_STEPS}
    if len(numbers) > 2:
        return {"steps": numbers[-1], "plan": numbers}
    first, last = numbers[0], numbers[-1]
    return {"steps": last, "first_steps": first if first != last else 0}


@dataclass(frozen=True)
class System:
    """A model and its plan of steps; `first_steps` 0 means no First-Frame Enhancement, `plan` is one by hand, in
    which `steps` and `first_steps` do not count."""

    model: str
    steps: int
    first_steps: int = 0
    plan: tuple[int, ...] = ()

    @classmethod
    def read(cls, text: str) -> Self:
        """A system from `model:1*`, `model:2`, `model:4,1,2` or the older `model:1:4`.

        Raises RequestError for anything else; whether the model exists and offers the steps is not asked here.
        """
        found = SYSTEM.fullmatch(text.strip())
        if found is None or (found["first"] and not found["plan"].isdigit()):
            raise RequestError(f"{text[:80]!r} is not a system; {ADVICE}")
        if found["first"]:
            return cls(found["model"], int(found["plan"]), int(found["first"]))
        return cls(found["model"], **read_plan(found["plan"]))

    @classmethod
    def of(cls, model: str, made: Any) -> Self:
        """The system that a request, or a manifest, asks of `model`."""
        return cls(model, made.steps, made.first_steps if made.ffe else 0, tuple(made.step_plan))

    def __str__(self) -> str:
        """The text form, `shapes-asd:1*`, also in links."""
        return f"{self.model}:{self.plan_text}"

    @property
    def plan_text(self) -> str:
        return plan_text(self.steps, self.first_steps, self.plan)

    @property
    def model_title(self) -> str:
        """The model for people, as "ASD", with its world where that is another than the app's; one that is not
        registered goes by its name."""
        spec = next((spec for spec in list_models() if spec.name == self.model), None)
        if spec is None:
            return self.model
        if spec.family not in [world.name for world in EMBEDDED if world != DEFAULT]:
            return spec.title
        return f"{spec.title[:-1]}, {spec.family})" if spec.title.endswith(")") else f"{spec.title} ({spec.family})"

    @property
    def label(self) -> str:
        """The system for people, as "ASD 1*"."""
        return f"{self.model_title} {self.plan_text}"

    @property
    def stored(self) -> str:
        """The form that studies, votes and tables are stored under, `shapes-asd:1:4`; it never changes."""
        return f"{self.model}:{self.steps}:{self.first_steps}"

    @property
    def ffe(self) -> bool:
        return self.first_steps > 0

    def request(self, prompt: str, seed: int = 0, frames: int = 49, **more: Any) -> GenerationRequest:
        """A clip of this system; `more` are further fields of the request, as `switches` or `image`."""
        first_steps = self.first_steps or FFE_STEPS
        return GenerationRequest(prompt, self.steps, self.ffe, first_steps, frames, seed, step_plan=self.plan, **more)


def label_of(system: str) -> str:
    """The label of a system's text; text that is no system stays as it is."""
    try:
        return System.read(system).label
    except RequestError:
        return system
