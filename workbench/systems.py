"""What is compared, named everywhere the same way: a model and its plan of steps.

As text `shapes-asd:1*`, for people `ASD 1*`: one step, four on the first chunk (First-Frame Enhancement). Another
number of first steps is a plan by hand, `3,1`. Stored results and older links write `shapes-asd:1:4`, which is read
as well.
"""

from collections.abc import Sequence
from typing import NamedTuple

from models.default_world import DEFAULT
from models.registry import list_models
from models.types import RequestError

FFE_STEPS = 4  # steps of the first chunk behind a star
EXAMPLE = f"{DEFAULT.asd}:1*"


def plan_text(steps: int, first_steps: int = 0, plan: Sequence[int] = ()) -> str:
    """A plan of steps as `2`, `1*` or `4,1,2`; `first_steps` 0 means no First-Frame Enhancement."""
    if plan:
        return ",".join(map(str, plan))
    if first_steps in (0, steps):
        return str(steps)
    return f"{steps}*" if first_steps == FFE_STEPS else f"{first_steps},{steps}"


def system_text(model: str, steps: int, first_steps: int = 0, plan: Sequence[int] = ()) -> str:
    return f"{model}:{plan_text(steps, first_steps, plan)}"


def system_label(model: str, steps: int, first_steps: int = 0, plan: Sequence[int] = ()) -> str:
    """A system for people, as "ASD 1*"; a model that is not registered goes by its name."""
    title = next((spec.title for spec in list_models() if spec.name == model), model)
    return f"{title} {plan_text(steps, first_steps, plan)}"


class Planned(NamedTuple):
    """A system's text taken apart; `first_steps` 0 means no First-Frame Enhancement, `plan` is one by hand."""

    model: str
    steps: int
    first_steps: int = 0
    plan: tuple[int, ...] = ()


def read_system(text: str) -> Planned:
    """A system from `model:1*`, `model:2`, `model:4,1,2` or the older `model:1:4`.

    Raises RequestError for anything else; whether the model exists and offers the steps is not asked here.
    """
    model, *rest = text.strip().split(":")
    try:
        if len(rest) == 2:
            return Planned(model, int(rest[0]), int(rest[1]))
        (plan,) = rest
        if plan.endswith("*"):
            return Planned(model, int(plan[:-1]), FFE_STEPS)
        first, *later = map(int, plan.split(","))
        if len(later) > 1:
            return Planned(model, later[-1], plan=(first, *later))
        return Planned(model, later[0], first if first != later[0] else 0) if later else Planned(model, first)
    except ValueError as error:
        raise RequestError(
            f"{text[:80]!r} is not a system; write a model and its steps, as {EXAMPLE} (1 step, 4 on the first chunk)"
        ) from error


def label_of(system: str) -> str:
    """The label of a system's text; text that is no system stays as it is."""
    try:
        return system_label(*read_system(system))
    except RequestError:
        return system
