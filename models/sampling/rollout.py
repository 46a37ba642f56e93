"""The one sampling loop: chunk after chunk, few steps each, through the key/value cache.

The application, the command line and training rollouts all run `denoise_chunk` and `rollout`; they differ only in
where noise comes from and in which step carries gradient.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from models.networks.kv_cache import KVCache
from models.networks.transformer import CausalVideoTransformer
from models.sampling.schedulers import StepPlan, add_noise, x0_from_flow

Draw = Callable[[int, int, tuple[int, ...]], Tensor]
Observe = Callable[[int, int, Tensor], None]


class ClipNoise:
    """All noise of one clip by place: (chunk, step) always gives the same tensor for the same generator state.

    Step 0 is the noise a chunk starts from; step i > 0 is the fresh noise before its step i. Because draws do not
    depend on one another, clips of any length, step count or model share the noise of the places they have in common.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.key = int(torch.randint(2**62, (), generator=generator, device=generator.device))

    @classmethod
    def of_seed(cls, seed: int) -> "ClipNoise":
        """The noise of a seed, 0 to 2^63 - 1. torch's generator reads 32 bits of it; those above go into the key."""
        noise, above = cls(torch.Generator().manual_seed(seed)), seed >> 32
        if above:  # lower seeds keep the noise that they have always had
            noise.key = int(np.random.SeedSequence([noise.key, above]).generate_state(1, np.uint64)[0] >> 2)
        return noise

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


@dataclass(frozen=True)
class Guidance:
    """Makes `rollout` sample a many-step causal model: Euler down the flow of each chunk with uncond + scale * (cond -
    uncond). `negative` (B, L, D) is the text of uncond, `cache` its own past."""

    negative: Tensor
    scale: float
    cache: KVCache


def denoise_chunk(
    model: CausalVideoTransformer,
    sigmas: tuple[float, ...],
    text: Tensor,
    cache: KVCache,
    start_frame: int,
    noise: Callable[[int], Tensor],
    *,
    gradient: bool = False,
    source: Tensor | None = None,
    observe: Callable[[int, Tensor], None] | None = None,
    sigma_at: Callable[[float], float] = float,
) -> Tensor:
    """Few-step sampling with fresh noise between steps (consistency-style, as in Self Forcing, arXiv 2506.08009).

    `noise(step)` gives (B, t, C, H, W). With `gradient` the last step, and only it, carries gradient. With `source`
    (B, t, C, H, W) the chunk starts from that, noised to the first level, as in SDEdit (arXiv 2108.01073), instead of
    from noise alone, which a first level below 1 scales, as in rCM (arXiv 2510.08431). `observe(step, x0)` sees the
    prediction of every step. The network is told 1000 * sigma, and `sigma_at(sigma)` is what noise and x0 are computed
    with (CausVid's nearest entry of a table). Returns x0.
    """
    first = sigma_at(sigmas[0])
    noisy = first * noise(0) if source is None else add_noise(source, noise(0), first)
    for step, sigma in enumerate(sigmas):
        with torch.set_grad_enabled(gradient and step == len(sigmas) - 1):
            timestep = torch.full((noisy.shape[0], 1), 1000 * sigma, device=noisy.device)
            flow = model(noisy, timestep, text, cache=cache, start_frame=start_frame)
            x0 = x0_from_flow(noisy, flow, sigma_at(sigma))
        if observe:
            observe(step, x0.detach())
        if step + 1 < len(sigmas):
            noisy = add_noise(x0, noise(step + 1), sigma_at(sigmas[step + 1]))
    return x0


@torch.no_grad()
def flow_chunk(
    model: CausalVideoTransformer,
    sigmas: tuple[float, ...],
    text: Tensor,
    cache: KVCache,
    start_frame: int,
    noise: Tensor,
    guidance: Guidance,
    *,
    source: Tensor | None = None,
    observe: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Many-step Euler of one chunk from `noise` (B, t, C, H, W), with guidance unless its scale is 1. `source` and
    `observe` as in `denoise_chunk`. Returns x0."""
    x = noise if source is None else add_noise(source, noise, sigmas[0])
    for step, (sigma, following) in enumerate(zip(sigmas, (*sigmas[1:], 0.0), strict=True)):
        timestep = torch.full((x.shape[0], 1), 1000 * sigma, device=x.device)
        flow = model(x, timestep, text, cache=cache, start_frame=start_frame)
        if guidance.scale != 1:
            free = model(x, timestep, guidance.negative, cache=guidance.cache, start_frame=start_frame)
            flow = free + guidance.scale * (flow - free)
        if observe:
            observe(step, x0_from_flow(x, flow, sigma))
        x = x + (following - sigma) * flow
    return x


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
    source: Callable[[int, int], Tensor] | None = None,
    gradient: bool = False,
    switches: Mapping[int, TextSwitch] | None = None,
    guidance: Guidance | None = None,
    observe: Observe | None = None,
    sigma_at: Callable[[float], float] = float,
) -> Iterator[ChunkLatents]:
    """Generate chunk after chunk. `shape` is (B, C, H, W) of one latent frame; `draw(chunk, step, shape)` gives noise.

    Chunks without noise levels are taken from `given` (B, t, C, H, W) in order. `source(start, length)` gives the
    latent frames (B, length, C, H, W) of a video that every chunk starts from: it is asked for when a chunk's turn
    comes, so the video may still be arriving. A chunk is given before its clean pass, so that it can be shown at once;
    the clean pass of the last chunk is left out: nothing follows it.
    `switches` change the prompt before the chunks they are filed under. `guidance` samples with many steps instead of
    few. `observe(chunk, step, x0)` sees the prediction of every step. `sigma_at` is as in `denoise_chunk`.
    """
    batch, *frame = shape
    start, past = 0, []
    pasts = [(cache, text)]
    if guidance and guidance.scale != 1:
        pasts.append((guidance.cache, guidance.negative))
    for index, (length, sigmas) in enumerate(zip(plan.chunks, plan.sigmas, strict=True)):
        size = (batch, length, *frame)
        if switches and index in switches:
            text = switches[index].text
            pasts[0] = (cache, text)
            for kept, words in pasts:
                switch_text(model, replace(switches[index], text=words), past, kept, start)
        start_from = source(start, length) if source else None
        extra = {"source": start_from, "observe": partial(observe, index) if observe else None}
        if not sigmas:
            x0 = given[:, start : start + length] if start_from is None else start_from
        elif guidance:
            x0 = flow_chunk(model, sigmas, text, cache, start, draw(index, 0, size), guidance, **extra)
        else:
            noise = partial(_of_chunk, draw, index, size)
            x0 = denoise_chunk(model, sigmas, text, cache, start, noise, gradient=gradient, sigma_at=sigma_at, **extra)
        last = index == len(plan.chunks) - 1
        if switches:
            past.append((start, x0.detach()))
        yield ChunkLatents(index, x0, sigmas, (len(sigmas) + (not last)) * len(pasts))
        if not last:
            for kept, words in pasts:
                clean_pass(model, x0.detach(), words, kept, start)
        start += length


def _of_chunk(draw: Draw, chunk: int, shape: tuple[int, ...], step: int) -> Tensor:
    return draw(chunk, step, shape)


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
