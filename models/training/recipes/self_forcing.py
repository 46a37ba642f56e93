"""Self Forcing (arXiv 2506.08009): distribution matching on the student's own cached rollouts, critic five to one.

Every iteration rolls out the full clip with a random exit step, takes the DMD gradient at the result, and updates the
critic five times on the clips of the last few iterations.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.networks.codec import load_codec
from models.sampling.rollout import ClipNoise
from models.sampling.schedulers import StepPlan
from models.training.data import LatentPool, real_clips
from models.training.distillation import (
    CHUNKS,
    Prompts,
    Replay,
    Roles,
    critic_step,
    distribution_matching,
    load_role,
    load_text_encoder,
    rollout_sheet,
    some_frames,
    training_rollout,
)
from models.training.loop import Average, Recipe, StepSeed, adamw, compile_layers
from models.worlds.training_worlds import WORLDS


@dataclass(frozen=True)
class SelfForcingConfig:
    """`sampler_steps`: the step count it trains for, each chunk leaving after one of them at random. `image`: clips
    start from the first frame of a real one and the student makes the rest. `causal_scores`: teacher and fake score
    see the past only. `clip_pool` real clips are read by the recipes that need any. `score_frames` latent frames of a
    clip, drawn anew each time, are seen by the scores; 0: all. `critic_batch` clips are in an update of the critic; 0:
    `batch`.
    """

    roles: Roles = field(default_factory=Roles)
    pools: Path = Path("runs/pools")
    clip_pool: int = 6000
    steps: int = 220
    batch: int = 11
    prompts: int = 2000
    sampler_steps: int = 4
    image: bool = False
    causal_scores: bool = False
    critic_updates: int = 5
    critic_batch: int = 0
    score_frames: int = 0
    replay: int = 3
    lr: float = 1e-4
    critic_lr: float = 2e-4
    guidance_scale: float = 4.0
    warmup: int = 3
    ema: float = 0.9
    compile: bool = True


class SelfForcingRecipe(Recipe):
    """Roles: generator (causal, trained), teacher (bidirectional, frozen), fake score (bidirectional, trained)."""

    def __init__(self, config: SelfForcingConfig) -> None:
        torch.manual_seed(0)
        self.config = config
        self.teacher = load_role(config.roles.teacher, train=False)
        self.fake_score = load_role(config.roles.teacher, train=True)
        self.generator = load_role(config.roles.generator, train=True)
        if config.compile:
            # the generator meets a new shape in every chunk, the scores always see whole clips
            compile_layers(self.teacher.blocks)
            compile_layers(self.fake_score.blocks)
        self.codec = load_codec(config.roles.autoencoder)
        self.text = load_text_encoder(config.roles.text_encoder)
        self.shape = config.roles.latent_shape
        self.prompts = Prompts.sample(self.text, config.prompts, 31, WORLDS[config.roles.world])
        self.clips = self.real_clips() if config.image else None
        self.score_chunks = CHUNKS if config.causal_scores else None
        self.replay = Replay(config.replay, [])
        self.modules = {"generator": self.generator, "fake_score": self.fake_score}
        self.optimizers = {
            "generator": adamw([self.generator], lr=config.lr, betas=(0.0, 0.999)),
            "fake_score": adamw([self.fake_score], lr=config.critic_lr, betas=(0.0, 0.999)),
        }
        self.averages = {"generator": Average(self.generator, config.ema, start=10)}

    def step(self, step: int, seed: StepSeed) -> dict[str, float]:
        clips, text, label = self.generate(seed)
        gradient = self.matching_gradient(clips, text, seed)
        # the critic learns a little before the generator first follows it
        if step >= self.config.warmup:
            self.update_generator(clips, gradient / gradient.numel())
        return {f"dmd/{label}": float(gradient.square().mean().sqrt()), **self.update_critic(clips, text, seed)}

    def generate(self, seed: StepSeed) -> tuple[Tensor, Tensor, str]:
        """Clips (B, T, C, H, W) that carry gradient, their prompts (B, L, D), and what kind of clips they are."""
        text, given = self.conditions(seed.numpy)
        exit_step = int(seed.numpy.integers(self.config.sampler_steps)) + 1
        plan = prefix_plan(exit_step, self.config.sampler_steps, given=int(self.config.image))
        noise = ClipNoise(seed.torch)
        clips = self.rollout(plan, text, noise, gradient=True, given=given)
        return clips, text, f"exit{exit_step}"

    def rollout(self, plan: StepPlan, text: Tensor, noise: ClipNoise, **how: Any) -> Tensor:
        """Clips (B, T, C, H, W) that the generator makes now."""
        return training_rollout(self.generator, plan, text, noise, frame=self.shape[1:], **how)

    def conditions(self, rng: np.random.Generator) -> tuple[Tensor, Tensor | None]:
        """A batch of prompts, and the pictures (B, 1, C, H, W) to start from in image-to-video."""
        if self.clips is None:
            return self.prompts.batch(rng, self.config.batch), None
        x0, captions = self.clips.batch(rng, self.config.batch)
        return self.text.embed(captions), x0[:, :1]

    def matching_gradient(self, clips: Tensor, text: Tensor, seed: StepSeed) -> Tensor:
        """The distribution-matching gradient at clips (B, T, C, H, W)."""
        return distribution_matching(
            clips,
            text,
            self.prompts.none,
            self.teacher,
            self.fake_score,
            self.config.guidance_scale,
            seed,
            self.score_chunks,
            self.scored_frames(seed),
        )

    def scored_frames(self, seed: StepSeed) -> list[int] | None:
        """The latent frames that the scores see now; None: all."""
        return some_frames(self.shape[0], self.config.score_frames, seed.numpy)

    def update_generator(self, clips: Tensor, gradient: Tensor) -> float:
        """One step along `gradient`, the loss gradient at the clips (B, T, C, H, W)."""
        optimizer = self.optimizers["generator"]
        optimizer.zero_grad(set_to_none=True)
        clips.backward(gradient)
        norm = torch.nn.utils.clip_grad_norm_(self.generator.parameters(), 10.0)
        optimizer.step()
        return float(norm)

    def update_critic(self, clips: Tensor, text: Tensor, seed: StepSeed) -> dict[str, float]:
        self.replay.add(clips, text)
        optimizer, lr = self.optimizers["fake_score"], self.config.critic_lr
        losses = []
        for _ in range(self.config.critic_updates):
            batch = self.replay.batch(seed.numpy, self.config.critic_batch or self.config.batch)
            frames = self.scored_frames(seed)
            losses.append(critic_step(self.fake_score, optimizer, *batch, seed, lr, self.score_chunks, frames))
        return {"critic_loss": float(np.mean(losses))}

    def real_clips(self) -> LatentPool:
        return real_clips(self.codec, self.config.clip_pool, self.config.pools, self.config.roles.world)

    def memory(self) -> dict[str, Tensor]:
        return {
            f"{name}{i}": part
            for i, pair in enumerate(self.replay.clips)
            for name, part in zip(("clips", "text"), pair, strict=True)
        }

    def recall(self, memory: dict[str, Tensor]) -> None:
        self.replay.clips = [(memory[f"clips{i}"], memory[f"text{i}"]) for i in range(len(memory) // 2)]

    def sample_sheet(self) -> np.ndarray:
        steps = tuple(sorted({1, self.config.sampler_steps}))
        if self.clips is None:
            return rollout_sheet(self.generator, self.codec, self.prompts.embeddings[:8], steps, frame=self.shape[1:])
        text = self.text.embed(self.clips.captions[:8])
        given = self.clips.latents[:8, :1].float()
        return rollout_sheet(self.generator, self.codec, text, steps, frame=self.shape[1:], given=given)


def prefix_plan(exit_step: int, steps: int = 4, *, given: int = 0) -> StepPlan:
    """Self Forcing's random exit: every chunk stops after the first `exit_step` of `steps` noise levels."""
    plan = StepPlan.uniform(CHUNKS, steps, given=given)
    return replace(plan, sigmas=tuple(sigmas[:exit_step] for sigmas in plan.sigmas))
