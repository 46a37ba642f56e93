"""What steps change and what chunks see, over prompts and seeds: asked for in words, answered with intervals and n."""

import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from eval.statistics.intervals import Interval, bootstrap_mean
from models.cost import CostModel, Times, cost_model, reads_of, time_clip
from models.insight import Trace, check, step_similarity, trace
from models.pipeline import VideoPipeline
from models.sampling.schedulers import StepPlan
from models.types import RequestError
from workbench.requests.insight_settings import Settings
from workbench.requests.links.insight import insight_query

MOST_REPEATS = 50


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
        **insight_query(found.settings),
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
