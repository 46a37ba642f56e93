"""Adversarial Self-Distillation (arXiv 2511.01419): on top of distribution matching, the n-step output learns to
pass for the (n + 1)-step output of the same generator, for n drawn anew each iteration, so one checkpoint serves every
step count.

The discriminator's heads sit on the fake score, which is frozen for their update; the (n + 1)-step clip plays "real"
in a relativistic pairing loss with approximate R1 and R2. At n = 4 there is no partner, and only distribution matching
acts, at a random exit from the four steps as in Self Forcing: gradient reaches the last step of a rollout only, and
the second of the four levels is the last of no other step list.

Where the paper leaves a choice, small batches decide it here: both clips of a pair come from one noise and are noised
alike, so that the logit gap tells their quality apart and not their content; the heads learn several times from the
features of the last few iterations; and the generator follows a head only as far as it has lately told fresh pairs
apart.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from models.sampling.rollout import ClipNoise
from models.sampling.schedulers import StepPlan
from models.training.discriminator import VideoDiscriminator
from models.training.distillation import CHUNKS, score_sigma
from models.training.loop import StepSeed, adamw, optimize
from models.training.losses import finite_difference_penalty, noisy_pair, relativistic_loss
from models.training.recipes.self_forcing import SelfForcingConfig, SelfForcingRecipe, prefix_plan

LONGEST = 4


@dataclass(frozen=True)
class ASDConfig(SelfForcingConfig):
    """`positive`: what an n-step clip should pass for: "self" (ASD: n + 1 steps), "real" (real clips of the same
    prompts, as One-Forcing, arXiv 2605.23458) or "both" by turns. `alpha` 0 leaves distribution matching alone,
    `matching` False the discriminator. `longest_share` of the iterations are for n = 4, the rest shared evenly.
    """

    batch: int = 8
    longest_share: float = 0.5
    positive: str = "self"
    matching: bool = True
    alpha: float = 30.0
    ratio: float = 0.3
    head_lr: float = 1e-3
    head_updates: int = 5
    head_replay: int = 4
    head_shift: float = 1.0
    trust_memory: float = 0.8
    penalty: float = 600.0
    penalty_sigma: float = 0.05
    taps: tuple[int, ...] = (2, 4, 6)


class ASDRecipe(SelfForcingRecipe):
    """Self Forcing's roles and a discriminator with one logit per pair: 1 to 3 are (n, n + 1 steps), and, where real
    clips take part, 4 to 7 are (n, real)."""

    config: ASDConfig

    def __init__(self, config: ASDConfig) -> None:
        super().__init__(config)
        model = self.fake_score.config
        width = model.num_attention_heads * model.attention_head_dim
        pairs = LONGEST - 1 if config.positive == "self" else 2 * LONGEST - 1
        if config.positive != "self":
            self.clips = self.real_clips()
        self.discriminator = VideoDiscriminator(width, model.num_attention_heads, config.taps, pairs)
        self.modules["discriminator"] = self.discriminator
        self.optimizers["discriminator"] = adamw([self.discriminator], lr=config.head_lr, betas=(0.0, 0.99))
        self.won = torch.full((pairs,), 0.5)
        self.read: list[tuple[int, list[Tensor]]] = []

    def step(self, step: int, seed: StepSeed) -> dict[str, float]:
        text, x0 = self.draw(seed.numpy)
        n = self.draw_steps(seed.numpy)
        pair = self.pair(n, seed.numpy)
        alone = n == LONGEST and not pair
        plan = prefix_plan(int(seed.numpy.integers(LONGEST)) + 1) if alone else self.plans[n]
        noise = ClipNoise(seed.torch)
        clips = self.rollout(plan, text, noise, gradient=True)
        gradient = self.matching_gradient(clips, text, seed) if self.config.matching else torch.zeros_like(clips)
        logs = {f"dmd/n{n}": float(gradient.square().mean().sqrt())} if self.config.matching else {}
        gradient = gradient / gradient.numel()
        if pair:
            better = x0
            if pair < LONGEST:
                better = self.rollout(self.plans[n + 1], text, noise, gradient=False)
            frames = self.scored_frames(seed)
            logs |= self.update_discriminator(clips.detach(), better, text, pair, seed, frames)
            adversarial = self.adversarial_gradient(clips.detach(), better, text, pair, seed, frames)
            alpha = self.config.alpha
            if self.config.matching:
                alpha = self.weight(gradient, adversarial, self.trust(pair))
                logs[f"ratio/{_label(pair)}"] = alpha * float(adversarial.norm() / gradient.norm())
            logs[f"alpha/{_label(pair)}"] = alpha
            gradient = gradient + alpha * adversarial
        if step >= self.config.warmup and (pair or self.config.matching):
            self.update_generator(clips, gradient)
        return logs | self.update_critic(clips, text, seed)

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor | None]:
        """Prompts, and real clips of them (B, T, C, H, W) where they are needed."""
        if self.clips is None:
            return self.prompts.batch(rng, self.config.batch), None
        x0, captions = self.clips.batch(rng, self.config.batch)
        return self.text.embed(captions), x0

    def draw_steps(self, rng: np.random.Generator) -> int:
        """n for this iteration, of 1 .. 4."""
        share = self.config.longest_share
        return int(rng.choice(range(1, LONGEST + 1), p=[(1 - share) / (LONGEST - 1)] * (LONGEST - 1) + [share]))

    def pair(self, n: int, rng: np.random.Generator) -> int | None:
        """Which pair an n-step clip is judged in now; None where distribution matching is alone."""
        kinds = {"self": [n] if n < LONGEST else [], "real": [LONGEST - 1 + n]}
        fit = [p for kind, pairs in kinds.items() if self.config.positive in (kind, "both") for p in pairs]
        if not fit or not self.config.alpha:
            return None
        return fit[0] if len(fit) == 1 else int(rng.choice(fit))

    def trust(self, pair: int) -> float:
        """How much the generator follows a pair's head: 0 while it tells half of fresh pairs right or less."""
        return max(0.0, 2 * float(self.won[pair - 1]) - 1)

    def weight(self, matching: Tensor, adversarial: Tensor, trust: float) -> float:
        """alpha for this iteration: the paper's 30, or less where the adversarial gradient would exceed `ratio` times
        `trust` times the distribution-matching gradient. A fixed alpha means little on another scale of latents and
        logits, and a head that cannot tell the clips apart would add noise."""
        share = self.config.ratio * trust
        return min(self.config.alpha, share * float(matching.norm() / adversarial.norm().clamp(min=1e-12)))

    @cached_property
    def plans(self) -> dict[int, StepPlan]:
        """The step lists that are used at inference, for n = 1 .. 4."""
        return {n: StepPlan.uniform(CHUNKS, n) for n in range(1, LONGEST + 1)}

    def hidden(self, noisy: Tensor, sigma: Tensor, text: Tensor, frames: list[int] | None = None) -> list[Tensor]:
        """What the heads read of noised clips, or of these latent frames of clips: the fake score's states after the
        tapped layers."""
        how = {"chunks": self.score_chunks, "taps": self.discriminator.taps, "positions": frames}
        return self.fake_score(noisy, 1000 * sigma, text, **how)[1]

    def update_discriminator(
        self,
        worse: Tensor,
        better: Tensor,
        text: Tensor,
        pair: int,
        seed: StepSeed,
        frames: list[int] | None = None,
    ) -> dict[str, float]:
        """Judge a fresh pair of batches, worse = n steps, better = n + 1 steps or real; then update the heads on it
        and on features of earlier ones. One trunk pass reads all four versions."""
        if frames:
            worse, better = worse[:, frames], better[:, frames]
        config, count = self.config, len(worse)
        sigma = score_sigma(count, seed, config.head_shift)
        noisy = noisy_pair(
            torch.cat([better, worse]),
            torch.randn(worse.shape, generator=seed.torch).repeat(2, 1, 1, 1, 1),
            sigma.repeat(2),
        )
        nudged = noisy + config.penalty_sigma * torch.randn(noisy.shape, generator=seed.torch)
        with torch.no_grad():
            hidden = self.hidden(torch.cat([noisy, nudged]), sigma.repeat(4), text.repeat(4, 1, 1), frames)
            real, fake, *_ = self.discriminator(hidden)[:, pair - 1].split(count)
            gap = real - fake
        won = (gap > 0).float().mean()
        self.won[pair - 1] = torch.lerp(won, self.won[pair - 1], config.trust_memory)
        self.read = [*self.read, (pair, hidden)][-config.head_replay :]
        chosen = [len(self.read) - 1, *seed.numpy.integers(len(self.read), size=config.head_updates - 1)]
        penalties = [self._learn(*self.read[i]) for i in chosen]
        return {
            f"gap/{_label(pair)}": float(gap.mean()),
            f"won/{_label(pair)}": float(won),
            f"trust/{_label(pair)}": self.trust(pair),
            "penalty": sum(penalties) / len(penalties),
        }

    def _learn(self, pair: int, hidden: list[Tensor]) -> float:
        """One update of the heads on the features of one iteration; returns the penalty."""
        logits = self.discriminator(hidden)[:, pair - 1]
        real, fake, near_real, near_fake = logits.chunk(4)
        penalty = finite_difference_penalty(real, near_real) + finite_difference_penalty(fake, near_fake)
        loss = relativistic_loss(real, fake) + 0.5 * self.config.penalty * penalty
        optimize(loss, self.optimizers["discriminator"], lr=self.config.head_lr, clip=10.0)
        return float(penalty.detach())

    def memory(self) -> dict[str, Tensor]:
        read = {
            f"read{i}/{n}/{layer}": states
            for i, (n, hidden) in enumerate(self.read)
            for layer, states in enumerate(hidden)
        }
        return super().memory() | {"won": self.won} | read

    def recall(self, memory: dict[str, Tensor]) -> None:
        read: dict[str, list[Tensor]] = {}
        for key in [key for key in memory if key.startswith("read")]:
            read.setdefault(key.rsplit("/", 1)[0], []).append(memory[key])
        self.read = [(int(key.split("/")[1]), hidden) for key, hidden in read.items()]
        # a run that began before heads were weighed starts to weigh them now
        self.won = memory.get("won", self.won)
        super().recall({key: memory[key] for key in memory if key.startswith(("clips", "text"))})

    def adversarial_gradient(
        self,
        worse: Tensor,
        better: Tensor,
        text: Tensor,
        pair: int,
        seed: StepSeed,
        frames: list[int] | None = None,
    ) -> Tensor:
        """Gradient of the generator's side of the relativistic loss with respect to its clips (B, T, C, H, W)."""
        sigma = score_sigma(len(worse), seed, self.config.head_shift)
        noise = torch.randn(worse.shape, generator=seed.torch)

        def logit(clips: Tensor) -> Tensor:
            noisy = noisy_pair(clips, noise, sigma)
            hidden = self.hidden(noisy if frames is None else noisy[:, frames], sigma, text, frames)
            return self.discriminator(hidden)[:, pair - 1]

        with torch.no_grad():
            real = logit(better)
        self.fake_score.requires_grad_(False)
        clips = worse.requires_grad_(True)
        (gradient,) = torch.autograd.grad(relativistic_loss(logit(clips), real), clips)
        self.fake_score.requires_grad_(True)
        return gradient


def _label(pair: int) -> str:
    return f"n{pair}" if pair < LONGEST else f"real{pair - LONGEST + 1}"
