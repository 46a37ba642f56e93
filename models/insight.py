"""What happens in a rollout: the prediction of every step, the frames that every chunk reads, where attention goes.

The rollout that is watched is the ordinary one. Nothing is added to it: predictions come through its `observe`, and
attention is measured on a copy of the network's modules that shares the weights, so sampling itself knows nothing.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.networks.kv_cache import KVCache
from models.networks.transformer import CausalVideoTransformer
from models.pipeline import VideoPipeline, cache_limits
from models.registry import watchable
from models.sampling.schedulers import StepPlan
from models.types import GenerationRequest, RequestError


@dataclass(frozen=True)
class Trace:
    """One watched clip.

    `predictions[chunk][step]` is x0 (1, t, C, H, W) as that step predicted it, after the past that the rollout itself
    had; `reads[chunk]` the latent frames that the chunk attended to, its own last; `attention` (chunks, chunks) in
    [0, 1], where row i is how chunk i spread its attention, mean over heads, layers, tokens and steps, and None where
    it was not asked for; `forwards` the network calls.
    """

    plan: StepPlan
    predictions: tuple[tuple[Tensor, ...], ...]
    reads: tuple[tuple[int, ...], ...]
    attention: Tensor | None
    forwards: int


def check(pipeline: VideoPipeline, request: GenerationRequest) -> list[str]:
    """Notices about a request that can be watched; raises RequestError for one that cannot."""
    spec = pipeline.spec
    if not spec.few_step:
        why = "makes all frames at once" if not spec.causal else "takes many steps down the flow"
        names = ", ".join(other.name for other in watchable())
        raise RequestError(f"{spec.name} {why}; Insight watches few-step causal models, so choose one of {names}")
    if request.image is not None or request.switches:
        raise RequestError("Insight watches clips from one prompt; leave picture and prompt switches out")
    return pipeline.check(request)


@torch.no_grad()
def trace(pipeline: VideoPipeline, request: GenerationRequest, *, attention: bool = True) -> Trace:
    """Make the latents of a clip and keep what every step predicted; the last predictions are the clip's own latents.

    Raises RequestError as `check` does.
    """
    check(pipeline, request)
    plan, spec = pipeline.plan(request), pipeline.spec
    read = frames_read(plan.chunks, **cache_limits(spec, plan.chunks))
    network = _Watched(pipeline.transformer, plan.chunks, read) if attention else None
    predictions: list[list[Tensor]] = [[] for _ in plan.chunks]

    def observe(chunk: int, step: int, x0: Tensor) -> None:
        predictions[chunk].append(x0)
        if network:
            network.take(chunk)

    done = list(pipeline.causal_latents(request, network=network.model if network else None, observe=observe))
    spread = network.attention() if network else None
    return Trace(plan, tuple(map(tuple, predictions)), read, spread, sum(chunk.forwards for chunk in done))


def frames_read(chunks: Sequence[int], *, window: int | None = None, sink: int = 0) -> tuple[tuple[int, ...], ...]:
    """The latent frames that each chunk attends to, its own last, in the order in which the cache hands them out.

    The cache is asked, not its rule: it is given the numbers of the frames as keys and gives back those it held.
    """
    cache = KVCache(layers=1, tokens_per_frame=1, window=window, sink=sink)
    start, found = 0, []
    for length in chunks:
        numbers = torch.arange(start, start + length).view(1, -1, 1, 1)
        seen, _ = cache.context(0, start, length, write=True)(numbers, numbers)
        cache.advance(start, length)
        found.append(tuple(seen.flatten().tolist()))
        start += length
    return tuple(found)


def step_similarity(predictions: Sequence[Tensor]) -> Tensor:
    """Cosine similarity between the x0 predictions of a chunk's steps, as in figure 2 of ASD (arXiv 2511.01419).

    `predictions`: one tensor of any one shape a step. Returns (steps, steps) float64 in [-1, 1]; 1 is the same
    direction.
    """
    flat = torch.stack([x0.flatten() for x0 in predictions]).double()
    unit = torch.nn.functional.normalize(flat, dim=1)
    return (unit @ unit.T).clamp(-1, 1)


def attention_mass(q: Tensor, k: Tensor) -> Tensor:
    """Attention paid to every key: softmax(q k / sqrt(head_dim)), mean over clips, heads and queries.

    q (B, tokens, heads, head_dim), k (B, n, heads, head_dim), both after norm and RoPE. Returns (n,), which sums to 1.
    """
    scale = q.shape[-1] ** -0.5
    # head by head: all of them at once would take gigabytes for a large model
    heads = [
        ((q[:, :, head].float() * scale) @ k[:, :, head].float().transpose(1, 2)).softmax(-1).mean((0, 1))
        for head in range(q.shape[2])
    ]
    return torch.stack(heads).mean(0)


def step_clips(pipeline: VideoPipeline, watched: Trace, frames: int) -> list[np.ndarray]:
    """What the clip looked like after step 1, 2, ...: each (frames, H, W, 3) uint8 RGB; the last is the clip itself.

    A chunk that took fewer steps shows its last prediction.
    """
    steps = max(map(len, watched.predictions))
    clips = []
    for step in range(steps):
        runs = (chunk[min(step, len(chunk) - 1)] for chunk in watched.predictions)
        clips.append(np.concatenate(list(pipeline.codec.stream_decode(runs)))[:frames])
    return clips


class _Watched:
    """Modules of their own on the same weights, whose self-attention tells what it pays to which chunk."""

    def __init__(self, model: CausalVideoTransformer, chunks: Sequence[int], read: Sequence[Sequence[int]]) -> None:
        shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
        self.model = copy.deepcopy(model, shared)
        for layer in self.model.blocks:
            layer.attn1.attend = partial(self._attend, layer.attn1.attend)
        self.chunk_of = torch.arange(len(chunks)).repeat_interleave(torch.tensor(chunks))
        self.read, self.rows = read, []
        self.steps: list[list[Tensor]] = [[] for _ in chunks]

    def _attend(self, attend: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        self.rows.append(attention_mass(q, k).cpu())
        return attend(q, k, v, mask)

    def take(self, chunk: int) -> None:
        """File the newest call under its chunk. A clean pass before it is dropped: nothing is predicted from it."""
        layers = torch.stack(self.rows[-len(self.model.blocks) :]).mean(0).double()
        self.rows.clear()
        frames = layers.view(len(self.read[chunk]), -1).sum(1)
        owners = self.chunk_of[list(self.read[chunk])]
        self.steps[chunk].append(torch.zeros(len(self.steps), dtype=frames.dtype).index_add(0, owners, frames))

    def attention(self) -> Tensor:
        return torch.stack([torch.stack(steps).mean(0) for steps in self.steps])
