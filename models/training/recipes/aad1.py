"""AAD-1 (arXiv 2606.03972), its last stage: a causal one-step image-to-video generator against a bidirectional
discriminator that gives one score per video, with no distribution matching any more.

The generator arrives through one-step regression (`ode-init`, preset `aad1`) and a short distribution-matching
warm-up (`self-forcing`, preset `aad1-warmup`). The discriminator starts as a copy of the teacher with fresh heads; it
reads the whole clip, noised except for the given picture. `causal` and `per_frame` are the paper's two ablations.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.networks.codec import load_codec
from models.sampling.rollout import ClipNoise
from models.training.data import real_clips
from models.training.discriminator import VideoDiscriminator
from models.training.distillation import (
    CHUNKS,
    Roles,
    load_role,
    load_text_encoder,
    rollout_sheet,
    training_rollout,
)
from models.training.loop import Average, Recipe, StepSeed, adamw, compile_layers, optimize
from models.training.losses import finite_difference_penalty, noisy_pair
from models.training.recipes.self_forcing import prefix_plan


@dataclass(frozen=True)
class AAD1Config:
    roles: Roles = field(default_factory=lambda: Roles(generator=Path("runs/aad1-warmup/export/generator")))
    pools: Path = Path("runs/pools")
    clip_pool: int = 6000
    steps: int = 80
    batch: int = 8
    disc_updates: int = 3
    lr: float = 1.5e-5
    backbone_lr: float = 1e-4
    head_lr: float = 5e-4
    penalty: float = 20.0
    penalty_sigma: float = 0.05
    warmup: int = 20
    taps: tuple[int, ...] = (2, 4, 6)
    causal: bool = False
    per_frame: bool = False
    ema: float = 0.98
    compile: bool = True


class AAD1Recipe(Recipe):
    """Roles: generator (causal, trained) and discriminator (backbone and heads, trained)."""

    def __init__(self, config: AAD1Config) -> None:
        torch.manual_seed(0)
        self.config = config
        self.generator = load_role(config.roles.generator, train=True)
        self.backbone = load_role(config.roles.teacher, train=True)
        if config.compile:
            compile_layers(self.backbone.blocks)
        shape = self.backbone.config
        self.heads = VideoDiscriminator(
            shape.num_attention_heads * shape.attention_head_dim, shape.num_attention_heads, config.taps, 1
        )
        self.codec = load_codec(config.roles.autoencoder)
        self.text = load_text_encoder(config.roles.text_encoder)
        self.frame = config.roles.latent_shape[1:]
        self.clips = real_clips(self.codec, config.clip_pool, config.pools, config.roles.world)
        self.modules = {"generator": self.generator, "backbone": self.backbone, "heads": self.heads}
        self.optimizers = {
            "generator": adamw([self.generator], lr=config.lr, betas=(0.0, 0.99)),
            "discriminator": torch.optim.AdamW(
                [
                    {"params": [p for p in self.backbone.parameters() if p.requires_grad], "lr": config.backbone_lr},
                    {"params": list(self.heads.parameters()), "lr": config.head_lr},
                ],
                betas=(0.0, 0.99),
                foreach=True,
            ),
        }
        self.averages = {"generator": Average(self.generator, config.ema, start=20)}

    def step(self, step: int, seed: StepSeed) -> dict[str, float]:
        x0, captions = self.clips.batch(seed.numpy, self.config.batch)
        text, plan = self.text.embed(captions), prefix_plan(1, 1, given=1)
        how = {"gradient": True, "frame": self.frame, "given": x0[:, :1]}
        clips = training_rollout(self.generator, plan, text, ClipNoise(seed.torch), **how)
        logs = [self.update_discriminator(x0, clips.detach(), text, seed) for _ in range(self.config.disc_updates)]
        # the heads are new: they learn before the generator first follows them
        norm = self.update_generator(clips, text, seed) if step >= self.config.warmup else 0.0
        return {name: float(np.mean([log[name] for log in logs])) for name in logs[0]} | {"grad_norm": norm}

    def logits(self, clips: Tensor, sigma: Tensor, noise: Tensor, text: Tensor) -> Tensor:
        """(B,), or (B, T - 1) per frame: how real clips (B, T, C, H, W) look once noised to `sigma` (B,). The given
        picture, their first frame, stays clean."""
        levels = sigma[:, None].repeat(1, clips.shape[1])
        levels[:, 0] = 0
        return self.judge(noisy_pair(clips, noise, levels), levels, text)

    def judge(self, noisy: Tensor, levels: Tensor, text: Tensor) -> Tensor:
        """Logits of noised clips (B, T, C, H, W) at `levels` (B, T)."""
        chunks = CHUNKS if self.config.causal else None
        _, hidden = self.backbone(noisy, 1000 * levels, text, chunks=chunks, taps=self.heads.taps)
        if not self.config.per_frame:
            return self.heads(hidden)[:, 0]
        count, frames = noisy.shape[:2]
        alone = [states.unflatten(1, (frames, -1)).flatten(0, 1) for states in hidden]
        return self.heads(alone)[:, 0].unflatten(0, (count, frames))[:, 1:]

    def update_discriminator(self, real: Tensor, fake: Tensor, text: Tensor, seed: StepSeed) -> dict[str, float]:
        """One step on a batch of pairs, real and generated clips noised alike; one pass reads all four versions."""
        count = len(real)
        sigma = torch.rand(count, generator=seed.torch)
        levels = sigma[:, None].repeat(1, real.shape[1])
        levels[:, 0] = 0
        noise = torch.randn(real.shape, generator=seed.torch)
        both = noisy_pair(torch.cat([real, fake]), noise.repeat(2, 1, 1, 1, 1), levels.repeat(2, 1))
        nudged = both + self.config.penalty_sigma * torch.randn(both.shape, generator=seed.torch)
        seen = self.judge(torch.cat([both, nudged]), levels.repeat(4, 1), text.repeat(4, 1, 1))
        on_real, on_fake, near_real, near_fake = seen.chunk(4)
        penalty = finite_difference_penalty(on_real, near_real) + finite_difference_penalty(on_fake, near_fake)
        loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean() + self.config.penalty * penalty
        optimizer = self.optimizers["discriminator"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], 10.0)
        optimizer.step()
        gap = on_real - on_fake
        return {
            "disc_loss": float(loss.detach()),
            "gap": float(gap.detach().mean()),
            "won": float((gap > 0).float().mean()),
            "penalty": float(penalty.detach()),
        }

    def update_generator(self, clips: Tensor, text: Tensor, seed: StepSeed) -> float:
        """One step toward clips that pass for real ones; returns the gradient's norm."""
        sigma = torch.rand(len(clips), generator=seed.torch)
        noise = torch.randn(clips.shape, generator=seed.torch)
        for module in (self.backbone, self.heads):
            module.requires_grad_(False)
        loss = F.softplus(-self.logits(clips, sigma, noise, text)).mean()
        norm = optimize(loss, self.optimizers["generator"], lr=self.config.lr, clip=10.0)
        for module in (self.backbone, self.heads):
            module.requires_grad_(True)
        return norm

    def sample_sheet(self) -> np.ndarray:
        text = self.text.embed(self.clips.captions[:8])
        given = self.clips.latents[:8, :1].float()
        return rollout_sheet(self.generator, self.codec, text, (1,), frame=self.frame, given=given)
