"""What steps change and what chunks see, over prompts and seeds: asked for in words, answered with intervals and n."""

import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import Any

import torch
from torch import Tensor

from eval.stats import Interval, bootstrap_mean
from models.cost import CostModel, Times, cost_model, reads_of, time_clip
from models.insight import Trace, check, step_similarity, trace
from models.pipeline import VideoPipeline
from models.registry import get_spec
from models.schedulers import StepPlan
from models.types import GenerationRequest, RequestError
from workbench.grid import AXES
from workbench.timeline import read_step_plan

MOST_CLIPS = 256
MOST_FRAMES = 481  # maps of more chunks than this cannot be read
MOST_REPEATS = 50
MOST_PLANS = 12
PLANS = "1 1* 2 2* 4"


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
        ffe = self.first_steps > 0
        more = {"step_plan": self.plan} if self.plan else {}
        return GenerationRequest(prompt, self.steps, ffe, self.first_steps or 4, self.frames, seed, **more)

    def requests(self) -> list[GenerationRequest]:
        """One for each prompt and seed, prompt after prompt."""
        return [self.request(prompt, seed) for prompt, seed in product(self.prompts, self.seeds)]

    def query(self) -> dict[str, Any]:
        """The settings as the query of an address."""
        query = {"model": self.model, "prompts": "|".join(self.prompts), "seeds": _ranges(self.seeds)}
        query |= {"steps": self.steps, "ffe": self.first_steps, "frames": self.frames}
        return query | ({"plan": ",".join(map(str, self.plan))} if self.plan else {})


def _ranges(numbers: Sequence[int]) -> str:
    """`0-15` for sixteen numbers in a row, so that a link stays short."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def read_settings(
    model: str, prompts: str | Sequence[str], seeds: str, steps: int, first_steps: int, plan: str, frames: int
) -> Settings:
    """Settings from the texts of a form, a link or flags: prompts one a line or between bars, seeds as 7 or 0-15.

    Raises RequestError for no prompt or seed, too many clips, or a text that does not read.
    """
    texts = AXES["prompt"].read(prompts) if isinstance(prompts, str) else [text for text in prompts if text.strip()]
    numbers = AXES["seed"].read(seeds)
    if not texts:
        raise RequestError(
            "there is no prompt; write one, or several one a line, as a red circle moving right on a ..."
        )
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


def check_settings(pipeline: VideoPipeline, settings: Settings) -> list[str]:
    """Notices about all clips, each once; raises RequestError for the first that cannot be made."""
    return list(dict.fromkeys(notice for request in settings.requests() for notice in check(pipeline, request)))


@dataclass(frozen=True)
class Findings:
    """What was seen in the clips watched so far.

    `similarity[chunk]` (steps, steps), the mean over clips; `first_to_last[chunk]` the similarity of step 1 to the
    last with its 95 % interval (nan with one unit), None for a chunk of one step; `attention` (chunks, chunks), rows
    summing to 1, the mean over clips; `trace` the first clip.
    """

    settings: Settings
    clips: int
    trace: Trace
    similarity: tuple[Tensor, ...]
    first_to_last: tuple[Interval | None, ...]
    attention: Tensor

    @property
    def plan(self) -> StepPlan:
        return self.trace.plan

    @property
    def unit(self) -> str:
        """What `n` counts."""
        return "prompts" if len(self.settings.prompts) > 1 else "seeds of one prompt"


def watch(pipeline: VideoPipeline, settings: Settings) -> Iterator[Findings]:
    """Watch clip after clip and yield the findings so far. Every clip is checked first; raises RequestError."""
    check_settings(pipeline, settings)
    matrices: list[tuple[Tensor, ...]] = []
    spreads, prompts, first = [], [], None
    for request in settings.requests():
        watched = trace(pipeline, request)
        first = first or watched
        matrices.append(tuple(step_similarity(steps) for steps in watched.predictions))
        spreads.append(watched.attention)
        prompts.append(request.prompt)
        yield Findings(
            settings,
            len(matrices),
            first,
            tuple(torch.stack(chunk).mean(0) for chunk in zip(*matrices, strict=True)),
            tuple(_first_to_last(chunk, prompts) for chunk in zip(*matrices, strict=True)),
            torch.stack(spreads).mean(0),
        )


def _first_to_last(matrices: Sequence[Tensor], prompts: Sequence[str]) -> Interval | None:
    """Seeds of one prompt are no independent prompts: with several prompts, those are the units."""
    if len(matrices[0]) < 2:
        return None
    values = [float(matrix[0, -1]) for matrix in matrices]
    if len(values) == 1:
        return Interval(values[0], math.nan, math.nan, 1)
    several = len(set(prompts)) > 1
    return bootstrap_mean(values, prompts if several else None)


def as_json(found: Findings) -> dict[str, Any]:
    """Findings as JSON-ready data; what is not known is null."""
    plan = found.plan
    return {
        **found.settings.query(),
        "prompts": list(found.settings.prompts),
        "seeds": list(found.settings.seeds),
        "clips": found.clips,
        "unit": found.unit,
        "forwards": found.trace.forwards,
        "chunks": [
            {
                "chunk": chunk,
                "latent_frames": plan.chunks[chunk],
                "steps": len(plan.sigmas[chunk]),
                "sigmas": list(plan.sigmas[chunk]),
                "similarity": found.similarity[chunk].tolist(),
                "first_to_last": interval_json(found.first_to_last[chunk]),
                "reads": list(found.trace.reads[chunk]),
                "attention": found.attention[chunk].tolist(),
            }
            for chunk in range(len(plan.chunks))
        ],
    }


def interval_json(interval: Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    low, high = (None if math.isnan(end) else end for end in (interval.low, interval.high))
    return {"value": interval.value, "low": low, "high": high, "n": interval.n}


@dataclass(frozen=True)
class PlanCost:
    """A plan by its `name`, its network calls, the seconds that the fit predicts for a clip, and those measured."""

    name: str
    forwards: int
    predicted: float
    measured: tuple[float, ...]

    @property
    def typical(self) -> float:
        return median(self.measured)


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
    number = name.removesuffix("*")
    if number.isdigit():
        return Settings(*common, int(number), (settings.first_steps or 4) * name.endswith("*"), (), settings.frames)
    try:
        plan = read_step_plan(name)
    except RequestError as error:
        raise RequestError(f"the plan {name[:40]!r} does not read; write 2, 2* with FFE, or 4,1,2 by hand") from error
    return Settings(*common, settings.steps, 0, plan, settings.frames)


def check_costs(pipeline: VideoPipeline, plans: Mapping[str, Settings], repeats: int) -> None:
    """Raises RequestError for a plan that the model does not offer, naming it, and for too many repeats."""
    if not 1 <= repeats <= MOST_REPEATS:
        raise RequestError(f"repeats is {repeats}; give a whole number from 1 to {MOST_REPEATS}")
    for name, settings in plans.items():
        try:
            check(pipeline, settings.requests()[0])
        except RequestError as error:
            raise RequestError(f"plan {name}: {error}") from error


def measure_cost(
    pipeline: VideoPipeline, plans: Mapping[str, Settings], repeats: int
) -> Iterator[tuple[CostModel, list[PlanCost]]]:
    """Predicted and measured seconds of clips of each plan; yields after every round, `repeats` times.

    The fit knows the calls of clips of its own; those that are measured are made as any other, after one to warm up.
    Rounds take turns, so that a load on the machine that comes and goes meets all plans. Raises RequestError.
    """
    check_costs(pipeline, plans, repeats)
    requests = {name: settings.requests()[0] for name, settings in plans.items()}
    schedules = {name: pipeline.plan(request) for name, request in requests.items()}
    longest = max(requests, key=lambda name: schedules[name].forwards)
    times, seconds = Times(), {name: [] for name in plans}
    pipeline(requests[longest])
    for _ in range(repeats):
        time_clip(pipeline, requests[longest], times)
        for name, request in requests.items():
            seconds[name].append(pipeline(request).seconds)
        model = cost_model(times)
        yield (
            model,
            [
                PlanCost(name, plan.forwards, model.predict(plan, reads_of(pipeline, plan)), tuple(seconds[name]))
                for name, plan in schedules.items()
            ],
        )


def cost_json(model: CostModel, rows: Sequence[PlanCost]) -> dict[str, Any]:
    """Costs as JSON-ready data, in seconds."""
    fits = {"forward": model.forward, "decode": model.decode}
    return {
        "fit": {name: vars(fit) for name, fit in fits.items()},
        "plans": [
            {
                "plan": row.name,
                "forwards": row.forwards,
                "predicted": row.predicted,
                "median": row.typical,
                "low": min(row.measured),
                "high": max(row.measured),
                "n": len(row.measured),
            }
            for row in rows
        ],
    }


def machine(pipeline: VideoPipeline) -> dict[str, Any]:
    """What seconds depend on beside the plan."""
    return {
        "device": str(pipeline.transformer.device),
        "dtype": str(pipeline.transformer.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "processor": platform.processor() or platform.machine(),
    }
