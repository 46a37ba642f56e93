"""The one sampling loop: chunk after chunk, few steps each, through the key/value cache.

The application, the command line and training rollouts all run `denoise_chunk` and `rollout`; they differ only in
where noise comes from and in which step carries gradient.
"""

from collections.abc import Callable, Iterator, Mapping
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


@dataclass(frozen=True)
class TextSwitch:
    """From its chunk on, `text` (B, L, D) is the prompt. `cache` is as in `switch_text`."""

    text: Tensor
    cache: str = "keep"


CACHES = ("keep", "recache", "reset")


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


@torch.no_grad()
def switch_text(
    model: CausalVideoTransformer, switch: TextSwitch, past: list[tuple[int, Tensor]], cache: KVCache, start: int
) -> None:
    """Another prompt from latent frame `start` on; `past` holds the chunks before it as (first frame, x0).

    `keep`: only the prompt's keys and values change; the past stays as the old prompt wrote it (CausVid, arXiv
    2412.07772). `recache`: the chunks that are held enter the cache again under the new prompt, in order (LongLive,
    arXiv 2509.22622). `reset`: the past is forgotten, as at a cut.
    """
    if switch.cache == "keep":
        cache.reset_text()
        return
    cache.reset()
    if switch.cache == "recache":
        reach = 0 if cache.window is None else start - (cache.window - cache.sink)
        for first, x0 in past:
            if first < cache.sink or first + x0.shape[1] > reach:
                cache.skip(first * cache.tokens_per_frame)
                clean_pass(model, x0, switch.text, cache, first)
    cache.skip(start * cache.tokens_per_frame)


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
    switches: Mapping[int, TextSwitch] | None = None,
) -> Iterator[ChunkLatents]:
    """Generate chunk after chunk. `shape` is (B, C, H, W) of one latent frame; `draw(chunk, step, shape)` gives noise.

    Chunks without noise levels are taken from `given` (B, t, C, H, W) in order. The clean pass of the last chunk is
    left out: nothing follows it. `switches` change the prompt before the chunks they are filed under.
    """
    batch, *frame = shape
    start, past = 0, []
    for index, (length, sigmas) in enumerate(zip(plan.chunks, plan.sigmas, strict=True)):
        size = (batch, length, *frame)
        if switches and index in switches:
            switch_text(model, switches[index], past, cache, start)
            text = switches[index].text
        if sigmas:
            x0 = denoise_chunk(
                model, sigmas, text, cache, start, lambda step, i=index, s=size: draw(i, step, s), gradient=gradient
            )
        else:
            x0 = given[:, start : start + length]
        last = index == len(plan.chunks) - 1
        if not last:
            clean_pass(model, x0.detach(), text, cache, start)
        if switches:
            past.append((start, x0.detach()))
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
