"""Causal many-step teacher: the bidirectional one taught to see the past only, by diffusion forcing (arXiv
2407.01392, as CausVid's negative control, arXiv 2412.07772).

Every chunk has a noise level of its own, so that the model meets any mixture of noise before and at a chunk: that is
what it is asked for as a score of noised clips. In half of the clips a random number of first chunks is clean: that is
what it is asked for when it makes clips chunk by chunk through the cache.

With `causal` off the same steps go to a model that sees both ways, at one noise level a clip: the control that tells
what the causal mask costs from what more training gives.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.networks.codec import load_codec
from models.networks.kv_cache import KVCache
from models.sampling.noise_levels import shift_sigma, step_sigmas
from models.sampling.rollout import ClipNoise, Guidance, rollout, sample_flow
from models.sampling.schedulers import StepPlan, per_frame
from models.training.data import real_clips
from models.training.distillation import CHUNKS, Roles, load_role, load_text_encoder
from models.training.loop import Average, Recipe, StepSeed, adamw, compile_layers, contact_sheet, cosine, optimize
from models.training.losses import noisy_pair


@dataclass(frozen=True)
class CausalTeacherConfig:
    roles: Roles = field(default_factory=lambda: Roles(generator=Roles.teacher))
    pools: Path = Path("runs/pools")
    clip_pool: int = 6000
    steps: int = 600
    batch: int = 10
    lr: float = 5e-4
    causal: bool = True
    clean_share: float = 0.5
    dropout: float = 0.1
    shift: float = 3.0
    guidance_scale: float = 4.0
    ema: float = 0.99
    compile: bool = True


class CausalTeacherRecipe(Recipe):
    """Starts from the bidirectional teacher's weights; the text encoder stays as it is."""

    def __init__(self, config: CausalTeacherConfig) -> None:
        torch.manual_seed(0)
        self.config = config
        self.model = load_role(config.roles.teacher, train=True)
        if config.compile:
            compile_layers(self.model.blocks)
        self.codec = load_codec(config.roles.autoencoder)
        self.text = load_text_encoder(config.roles.text_encoder)
        self.shape = config.roles.latent_shape
        self.clips = real_clips(self.codec, config.clip_pool, config.pools, config.roles.world)
        self.modules = {"causal_teacher": self.model}
        self.optimizers = {"causal_teacher": adamw([self.model], lr=config.lr, betas=(0.9, 0.98))}
        self.averages = {"causal_teacher": Average(self.model, config.ema, start=50)}

    def step(self, step: int, seed: StepSeed) -> dict[str, float]:
        config = self.config
        x0, captions = self.clips.batch(seed.numpy, config.batch)
        captions = ["" if seed.numpy.random() < config.dropout else caption for caption in captions]
        sigma = self.noise_levels(len(x0), seed)
        noise = torch.randn(x0.shape, generator=seed.torch)
        chunks = CHUNKS if config.causal else None
        flow = self.model(noisy_pair(x0, noise, sigma), 1000 * sigma, self.text.embed(captions), chunks=chunks)
        asked = per_frame(sigma > 0).expand_as(x0)
        loss = F.mse_loss(flow[asked], (noise - x0)[asked])
        lr = config.lr * cosine(step, config.steps, warmup=30)
        norm = optimize(loss, self.optimizers["causal_teacher"], lr=lr, clip=1.0)
        return {"loss": float(loss.detach()), "grad_norm": norm, "lr": lr}

    def noise_levels(self, count: int, seed: StepSeed) -> Tensor:
        """Levels (B, T), equal within a chunk, 0 in the clean first chunks of `clean_share` of the clips; equal in a
        whole clip for a model that is not causal."""
        chunks = len(CHUNKS)
        if not self.config.causal:
            # antithetic strata: one noise level from each of `count` equal parts of (0, 1)
            level = torch.rand(1, generator=seed.torch) / count + torch.arange(count) / count
            return shift_sigma(level, self.config.shift)[:, None].repeat(1, self.shape[0])
        sigma = shift_sigma(torch.rand(count, chunks, generator=seed.torch), self.config.shift)
        clean = torch.tensor(seed.numpy.integers(1, chunks, size=count))
        clean *= torch.tensor(seed.numpy.random(count) < self.config.clean_share)
        sigma = sigma.masked_fill(torch.arange(chunks) < clean[:, None], 0.0)
        return sigma.repeat_interleave(torch.tensor(CHUNKS), 1)

    @torch.no_grad()
    def sample_sheet(self) -> np.ndarray:
        text = self.text.embed(self.clips.captions[:6])
        none = self.text.embed([""] * len(text))
        if not self.config.causal:
            start = torch.randn(len(text), *self.shape, generator=StepSeed.at(0, 0).torch)
            with self.averaged():
                *_, latents = sample_flow(self.model, step_sigmas(16), text, none, start, self.config.guidance_scale)
            return contact_sheet(np.stack([self.codec.decode(z[None]) for z in latents]), lambda n: range(0, n, 12))
        plan = StepPlan.uniform(CHUNKS, 16)

        def cache() -> KVCache:
            return self.model.new_cache(*self.shape[2:])

        guidance = Guidance(none, self.config.guidance_scale, cache())
        noise = ClipNoise(StepSeed.at(0, 0).torch)
        shape = (len(text), *self.shape[1:])
        with self.averaged():
            chunks = list(rollout(self.model, plan, text, cache(), noise, shape, guidance=guidance))
        latents = torch.cat([chunk.latents for chunk in chunks], 1)
        return contact_sheet(np.stack([self.codec.decode(z[None]) for z in latents]), lambda n: range(0, n, 12))
