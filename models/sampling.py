"""The one sampling loop: chunk after chunk, few steps each, through the key/value cache.

The application, the command line and training rollouts all run `denoise_chunk` and `rollout`; they differ only in
where noise comes from and in which step carries gradient.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.kv_cache import KVCache
from models.schedulers import StepPlan, add_noise, x0_from_flow
from models.transformer import CausalVideoTransformer

Draw = Callable[[int, int, tuple[int, ...]], Tensor]


class ClipNoise:
    """All noise of one clip by place: (chunk, step) always gives the same tensor for the same generator state.

    Step 0 is the noise a chunk starts from; step i > 0 is the fresh noise before its step i. Because draws do not
    depend on one another, clips of any length, step count or model share the noise of the places they have in common.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.key = int(torch.randint(2**62, (), generator=generator, device=generator.device))

    def __call__(self, chunk: int, step: int, shape: tuple[int, ...]) -> Tensor:
        seed = np.random.SeedSequence([self.key, chunk, step]).generate_state(1, np.uint64)[0] >> 1
        return torch.randn(shape, generator=torch.Generator().manual_seed(int(seed)), device="cpu")


@dataclass(frozen=True)
class ChunkLatents:
    """A finished chunk: `latents` (B, t, C, H, W), its noise levels, and the network calls it took."""

    index: int
    latents: Tensor
    sigmas: tuple[float, ...]
    forwards: int


def denoise_chunk(
    model: CausalVideoTransformer,
    sigmas: tuple[float, ...],
    text: Tensor,
    cache: KVCache,
    start_frame: int,
    noise: Callable[[int], Tensor],
    *,
    gradient: bool = False,
) -> Tensor:
    """Few-step sampling with fresh noise between steps (consistency-style, as in Self Forcing, arXiv 2506.08009).

    `noise(step)` gives (B, t, C, H, W). With `gradient` the last step, and only it, carries gradient. Returns x0.
    """
    noisy = noise(0)
    for step, sigma in enumerate(sigmas):
        with torch.set_grad_enabled(gradient and step == len(sigmas) - 1):
            timestep = torch.full((noisy.shape[0], 1), 1000 * sigma, device=noisy.device)
            flow = model(noisy, timestep, text, cache=cache, start_frame=start_frame)
            x0 = x0_from_flow(noisy, flow, sigma)
        if step + 1 < len(sigmas):
            noisy = add_noise(x0, noise(step + 1), sigmas[step + 1])
    return x0


@torch.no_grad()
def clean_pass(model: CausalVideoTransformer, x0: Tensor, text: Tensor, cache: KVCache, start_frame: int) -> None:
    """Put a finished chunk into the cache: one call at timestep 0 whose output is not used."""
    timestep = torch.zeros((x0.shape[0], 1), device=x0.device)
    model(x0, timestep, text, cache=cache, start_frame=start_frame, write_cache=True)


def rollout(
    model: CausalVideoTransformer,
    plan: StepPlan,
    text: Tensor,
    cache: KVCache,
    draw: Draw,
    shape: tuple[int, int, int, int],
    *,
    given: Tensor | None = None,
    gradient: bool = False,
) -> Iterator[ChunkLatents]:
    """Generate chunk after chunk. `shape` is (B, C, H, W) of one latent frame; `draw(chunk, step, shape)` gives noise.

    Chunks without noise levels are taken from `given` (B, t, C, H, W) in order. The clean pass of the last chunk is
    left out: nothing follows it.
    """
    batch, *frame = shape
    start = 0
    for index, (length, sigmas) in enumerate(zip(plan.chunks, plan.sigmas, strict=True)):
        size = (batch, length, *frame)
        if sigmas:
            x0 = denoise_chunk(
                model, sigmas, text, cache, start, lambda step, i=index, s=size: draw(i, step, s), gradient=gradient
            )
        else:
            x0 = given[:, start : start + length]
        last = index == len(plan.chunks) - 1
        if not last:
            clean_pass(model, x0.detach(), text, cache, start)
        yield ChunkLatents(index, x0, sigmas, len(sigmas) + (not last))
        start += length


@torch.no_grad()
def sample_flow(
    model: CausalVideoTransformer,
    sigmas: tuple[float, ...],
    text: Tensor,
    negative: Tensor,
    noise: Tensor,
    guidance_scale: float,
) -> Iterator[Tensor]:
    """Many-step Euler down the flow with guidance uncond + s * (cond - uncond), whole clip at once.

    Yields the state (B, T, C, H, W) after each step; the last is the result.
    """
    x = noise
    for sigma, following in zip(sigmas, (*sigmas[1:], 0.0), strict=True):
        timestep = torch.full((x.shape[0],), 1000 * sigma, device=x.device)
        flow = model(x, timestep, text)
        if guidance_scale != 1:
            free = model(x, timestep, negative)
            flow = free + guidance_scale * (flow - free)
        x = x + (following - sigma) * flow
        yield x
