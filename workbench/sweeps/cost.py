"""What a sweep will cost: network calls counted from the plan, times a speed measured here and now."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from models.pipeline import chunk_layout_for
from models.registry import get_spec
from models.sampling.schedulers import StepPlan
from models.types import RequestError
from workbench.sweeps.plan import Cell
from workbench.sweeps.pool import run_here
from workbench.sweeps.work import Item, Setup

TRIES = 2  # clips a speed is taken from; the last one counts, the first warms up


@dataclass(frozen=True)
class Row:
    """The cells of one system: `forwards` network calls a clip, what is `there`, to `make`, to `judge` only, and what
    `failed` before."""

    model: str
    steps: int
    first_steps: int
    forwards: int
    there: int = 0
    make: int = 0
    judge: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Speed:
    """Of one worker on one model: seconds a network call, and seconds a clip for encoding and metrics."""

    forward: float
    rest: float


def forwards_of(cell: Cell) -> int:
    """Network calls for the clip of a cell, guidance included."""
    spec = get_spec(cell.model)
    if not spec.causal:
        return cell.steps * (2 if spec.guidance_scale != 1 else 1)
    plan = StepPlan.uniform(chunk_layout_for(spec, cell.frames), cell.steps, spec.levels)
    if not spec.few_step:
        return plan.forwards * (2 if spec.guidance_scale != 1 else 1)
    return (plan.enhance_first(cell.first_steps, spec.levels) if cell.first_steps else plan).forwards


def cost_rows(cells: Sequence[Cell], items: Sequence[Item], failed: Sequence[str]) -> list[Row]:
    """One row for each system of the sweep."""
    doing = {item.cell.key: "judge" if item.clip else "make" for item in items} | dict.fromkeys(failed, "failed")
    counts: dict[tuple, dict[str, int]] = {}
    examples: dict[tuple, Cell] = {}
    for cell in cells:
        system = cell.model, cell.steps, cell.first_steps
        examples.setdefault(system, cell)
        found = counts.setdefault(system, {})
        state = doing.get(cell.key, "there")
        found[state] = found.get(state, 0) + 1
    rows = []
    for (model, steps, first_steps), found in counts.items():
        forwards = forwards_of(examples[model, steps, first_steps])
        rows.append(Row(model, steps, first_steps, forwards, **found))
    return rows


def measure(items: Sequence[Item], setup: Setup) -> dict[str, Speed]:
    """The speed of one worker on each model that has work, from clips that are not kept. Raises RequestError for a
    clip that cannot be made."""
    models = dict.fromkeys(item.cell.model for item in items)
    found = {}
    for model in models:
        # a clip that is to be made tells more than one that only lacks values
        mine = sorted((item for item in items if item.cell.model == model), key=lambda item: bool(item.clip))[0]
        for outcome in run_here(iter([mine] * TRIES), setup, 1):
            if outcome.error:
                raise RequestError(f"a first clip of {model} fails ({outcome.error}); mend that before the sweep")
            made = json.loads(outcome.manifest) if outcome.manifest else {"seconds": 0.0, "forwards": 1}
            found[model] = Speed(made["seconds"] / made["forwards"], outcome.seconds - made["seconds"])
    return found


def estimate(items: Sequence[Item], speeds: dict[str, Speed], workers: int) -> float:
    """Seconds that `workers` need for `items`."""
    seconds = 0.0
    for item in items:
        speed = speeds[item.cell.model]
        seconds += speed.rest + (0 if item.clip else forwards_of(item.cell) * speed.forward)
    return seconds / workers
