"""What a clip costs: network calls timed one by one, a fit over them, and the seconds it predicts for any plan.

The fit is seconds = call + frame * t + pair * t * r for t latent frames made and r read, all three at least 0: the
fixed part of a call, the part linear in tokens, and attention, whose cost is queries times keys.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.insight import check, frames_read
from models.networks.kv_cache import KVCache
from models.pipeline import VideoPipeline, cache_limits
from models.sampling.schedulers import StepPlan
from models.types import GenerationRequest


@dataclass(frozen=True)
class Call:
    """One timed call: `frames` latent frames made, `read` latent frames attended to (itself included), `seconds`."""

    frames: int
    read: int
    seconds: float


@dataclass(frozen=True)
class Times:
    """Where the seconds of clips went: network calls and decodings (which read nothing before themselves)."""

    forwards: list[Call] = field(default_factory=list)
    decodes: list[Call] = field(default_factory=list)


@dataclass(frozen=True)
class Fit:
    """`call`, `frame` and `pair` in seconds, as above; `n` calls behind it; `error` the median of |fit - measured| /
    measured over them."""

    call: float
    frame: float
    pair: float
    n: int
    error: float

    def seconds(self, frames: int, read: int) -> float:
        return self.call + self.frame * frames + self.pair * frames * read


@dataclass(frozen=True)
class CostModel:
    """The fits of network calls and of decoding."""

    forward: Fit
    decode: Fit

    def predict(self, plan: StepPlan, read: Sequence[Sequence[int]]) -> float:
        """Seconds of a clip with this plan, whose chunks read these latent frames. The text is not in it."""
        last = len(plan.chunks) - 1
        return sum(
            (len(sigmas) + (chunk < last)) * self.forward.seconds(length, len(read[chunk]))
            + self.decode.seconds(length, 0)
            for chunk, (length, sigmas) in enumerate(zip(plan.chunks, plan.sigmas, strict=True))
        )


@torch.no_grad()
def time_clip(pipeline: VideoPipeline, request: GenerationRequest, times: Times) -> None:
    """Make one clip as `pipeline` does and add the seconds of every call to `times`. Raises RequestError."""
    check(pipeline, request)
    plan = pipeline.plan(request)
    network = _Timed(pipeline.transformer, times.forwards)
    chunks = pipeline.causal_latents(request, network=network)

    lengths = iter(plan.chunks)
    began = 0.0

    def runs() -> Iterator[Tensor]:
        nonlocal began
        for chunk in chunks:
            began = _now(pipeline.transformer.device)
            yield chunk.latents

    for _ in pipeline.codec.stream_decode(runs()):
        times.decodes.append(Call(next(lengths), 0, _now(pipeline.transformer.device) - began))


def fit_calls(calls: Sequence[Call]) -> Fit:
    """Least squares of relative errors, over the median of each pair of frames made and read, none negative.

    Medians, because a busy machine makes some calls many times slower and none faster.
    """
    places = defaultdict(list)
    for call in calls:
        places[call.frames, call.read].append(call.seconds)
    if not places:
        raise ValueError("no calls were timed; time at least one clip")
    typical = {place: median(seconds) for place, seconds in places.items()}
    rows = np.array([(1, frames, frames * read) for frames, read in typical])
    from scipy.optimize import nnls

    found, _ = nnls(rows / np.array([*typical.values()])[:, None], np.ones(len(rows)))
    call, frame, pair = found.tolist()
    fit = Fit(call, frame, pair, n=len(calls), error=0.0)
    errors = [abs(fit.seconds(c.frames, c.read) - c.seconds) / c.seconds for c in calls]
    return Fit(fit.call, fit.frame, fit.pair, fit.n, median(errors))


def cost_model(times: Times) -> CostModel:
    """The fits behind predictions."""
    return CostModel(fit_calls(times.forwards), fit_calls(times.decodes))


def reads_of(pipeline: VideoPipeline, plan: StepPlan) -> tuple[tuple[int, ...], ...]:
    """The latent frames that each chunk of a plan reads with the model's window and sink."""
    return frames_read(plan.chunks, **cache_limits(pipeline.spec, plan.chunks))


class _Timed:
    """Stands in for a transformer and writes down how long each call took."""

    def __init__(self, model: Any, calls: list[Call]) -> None:
        self.model, self.calls = model, calls

    def __call__(self, latents: Tensor, *arguments: Any, cache: KVCache, start_frame: int, **options: Any) -> Tensor:
        frames, per_frame = latents.shape[1], cache.tokens_per_frame
        kept = cache.kept(start_frame * per_frame, frames * per_frame)
        read = frames + sum(part.stop - part.start for part in kept) // per_frame
        began = _now(latents.device)
        flow = self.model(latents, *arguments, cache=cache, start_frame=start_frame, **options)
        self.calls.append(Call(frames, read, _now(latents.device) - began))
        return flow


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
