"""Adversarial Self-Distillation (arXiv 2511.01419): on top of distribution matching, the n-step output learns to
pass for
the (n + 1)-step output of the same generator, for n drawn anew each iteration, so one checkpoint serves every step
count.

The discriminator's heads sit on the fake score, which is frozen for their update; the (n + 1)-step clip plays "real"
in a relativistic pairing loss with approximate R1 and R2. At n = 4 there is no partner, and only distribution matching
acts.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from models.schedulers import StepPlan
from models.training.discriminator import VideoDiscriminator
from models.training.distillation import CHUNKS, distribution_matching, score_sigma, training_rollout
from models.training.loop import StepSeed, adamw, optimize
from models.training.losses import finite_difference_penalty, noisy_pair, relativistic_loss
from models.training.recipes.self_forcing import SelfForcingConfig, SelfForcingRecipe

LONGEST = 4


@dataclass(frozen=True)
class ASDConfig(SelfForcingConfig):
    batch: int = 7
    alpha: float = 30.0
    ratio: float = 0.3
    head_lr: float = 3e-4
    head_warmup: int = 8
    penalty: float = 600.0
    penalty_sigma: float = 0.05
    taps: tuple[int, ...] = (2, 4, 6)


class ASDRecipe(SelfForcingRecipe):
    """Self Forcing's roles and a discriminator with one logit per pair (n, n + 1)."""

    config: ASDConfig

    def __init__(self, config: ASDConfig) -> None:
        super().__init__(config)
        model = self.fake_score.config
        width = model.num_attention_heads * model.attention_head_dim
        self.discriminator = VideoDiscriminator(width, model.num_attention_heads, config.taps, LONGEST - 1)
        self.modules["discriminator"] = self.discriminator
        self.optimizers["discriminator"] = adamw([self.discriminator], lr=config.head_lr, betas=(0.0, 0.99))

    def step(self, step: int, seed: StepSeed) -> dict[str, float]:
        text = self.prompts.batch(seed.numpy, self.config.batch)
        n = int(seed.numpy.integers(1, LONGEST + 1))
        clips = training_rollout(self.generator, self.plans[n], text, seed, gradient=True)
        gradient = distribution_matching(
            clips, text, self.prompts.none, self.teacher, self.fake_score, self.config.guidance_scale, seed
        )
        logs = {f"dmd/n{n}": float(gradient.square().mean().sqrt())}
        gradient = gradient / gradient.numel()
        if n < LONGEST:
            better = training_rollout(self.generator, self.plans[n + 1], text, seed, gradient=False)
            logs |= self.update_discriminator(clips.detach(), better, text, n, seed)
            if step >= self.config.head_warmup:
                adversarial = self.adversarial_gradient(clips.detach(), better, text, n, seed)
                alpha = self.weight(gradient, adversarial)
                logs |= {f"alpha/n{n}": alpha, f"ratio/n{n}": alpha * float(adversarial.norm() / gradient.norm())}
                gradient = gradient + alpha * adversarial
        if step >= self.config.warmup:
            self.update_generator(clips, gradient)
        return logs | self.update_critic(clips, text, seed)

    def weight(self, matching: Tensor, adversarial: Tensor) -> float:
        """alpha for this iteration: the paper's 30, or less where the adversarial gradient would exceed `ratio` times
        the distribution-matching gradient. A fixed alpha means little on another scale of latents and logits."""
        return min(self.config.alpha, self.config.ratio * float(matching.norm() / adversarial.norm().clamp(min=1e-12)))

    @cached_property
    def plans(self) -> dict[int, StepPlan]:
        """The step lists that are used at inference, for n = 1 .. 4."""
        return {n: StepPlan.uniform(CHUNKS, n) for n in range(1, LONGEST + 1)}

    def logits(self, clips: Tensor, sigma: Tensor, noise: Tensor, text: Tensor, n: int) -> Tensor:
        """D_n of noised clips (B,)."""
        noisy = noisy_pair(clips, noise, sigma)
        return self.logits_of_noisy(noisy, sigma, text, n)

    def logits_of_noisy(self, noisy: Tensor, sigma: Tensor, text: Tensor, n: int) -> Tensor:
        _, hidden = self.fake_score(noisy, 1000 * sigma, text, taps=self.discriminator.taps)
        return self.discriminator(hidden)[:, n - 1]

    def update_discriminator(
        self, worse: Tensor, better: Tensor, text: Tensor, n: int, seed: StepSeed
    ) -> dict[str, float]:
        """One update of the heads; worse = n steps, better = n + 1 steps. One trunk pass reads all four versions."""
        config, count = self.config, len(worse)
        sigma = score_sigma(count, seed)
        both = torch.cat([better, worse])
        noisy = noisy_pair(both, torch.randn(both.shape, generator=seed.torch), sigma.repeat(2))
        nudged = noisy + config.penalty_sigma * torch.randn(both.shape, generator=seed.torch)
        with torch.no_grad():
            states = torch.cat([noisy, nudged])
            _, hidden = self.fake_score(
                states, 1000 * sigma.repeat(4), text.repeat(4, 1, 1), taps=self.discriminator.taps
            )
        logits = self.discriminator(hidden)[:, n - 1]
        real, fake, near_real, near_fake = logits.split(count)
        penalty = finite_difference_penalty(real, near_real) + finite_difference_penalty(fake, near_fake)
        loss = relativistic_loss(real, fake) + 0.5 * config.penalty * penalty
        optimize(loss, self.optimizers["discriminator"], lr=config.head_lr, clip=10.0)
        gap = (real - fake).detach()
        return {
            f"gap/n{n}": float(gap.mean()),
            f"won/n{n}": float((gap > 0).float().mean()),
            "penalty": float(penalty.detach()),
        }

    def adversarial_gradient(self, worse: Tensor, better: Tensor, text: Tensor, n: int, seed: StepSeed) -> Tensor:
        """Gradient of the generator's side of the relativistic loss with respect to its clips (B, T, C, H, W)."""
        sigma = score_sigma(len(worse), seed)
        noise, other = (torch.randn(worse.shape, generator=seed.torch) for _ in range(2))
        with torch.no_grad():
            real = self.logits(better, sigma, other, text, n)
        self.fake_score.requires_grad_(False)
        clips = worse.requires_grad_(True)
        loss = relativistic_loss(self.logits(clips, sigma, noise, text, n), real)
        (gradient,) = torch.autograd.grad(loss, clips)
        self.fake_score.requires_grad_(True)
        return gradient
