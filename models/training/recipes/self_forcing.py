"""Self Forcing (arXiv 2506.08009): distribution matching on the student's own cached rollouts, critic five to one.

Every iteration rolls out the full clip with a random exit step, takes the DMD gradient at the result, and updates the
critic five times on the clips of the last few iterations.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from models.sampling import ClipNoise
from models.schedulers import StepPlan
from models.training.distillation import (
    CHUNKS,
    Prompts,
    Replay,
    Roles,
    critic_step,
    distribution_matching,
    load_codec,
    load_role,
    load_text_encoder,
    rollout_sheet,
    training_rollout,
)
from models.training.loop import Average, Recipe, StepSeed, adamw, compile_layers


@dataclass(frozen=True)
class SelfForcingConfig:
    roles: Roles = field(default_factory=Roles)
    steps: int = 220
    batch: int = 11
    prompts: int = 2000
    critic_updates: int = 5
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
        self.prompts = Prompts.sample(load_text_encoder(config.roles.text_encoder), config.prompts, seed=31)
        self.replay = Replay(config.replay, [])
        self.modules = {"generator": self.generator, "fake_score": self.fake_score}
        self.optimizers = {
            "generator": adamw([self.generator], lr=config.lr, betas=(0.0, 0.999)),
            "fake_score": adamw([self.fake_score], lr=config.critic_lr, betas=(0.0, 0.999)),
        }
        self.averages = {"generator": Average(self.generator, config.ema, start=10)}

    def step(self, step: int, seed: StepSeed) -> dict[str, float]:
        text = self.prompts.batch(seed.numpy, self.config.batch)
        exit_step = int(seed.numpy.integers(4)) + 1
        plan = prefix_plan(exit_step)
        clips = training_rollout(self.generator, plan, text, ClipNoise(seed.torch), gradient=True)
        gradient = distribution_matching(
            clips, text, self.prompts.none, self.teacher, self.fake_score, self.config.guidance_scale, seed
        )
        # the critic learns a little before the generator first follows it
        if step >= self.config.warmup:
            self.update_generator(clips, gradient / gradient.numel())
        return {
            f"dmd/exit{exit_step}": float(gradient.square().mean().sqrt()),
            **self.update_critic(clips, text, seed),
        }

    def update_generator(self, clips: torch.Tensor, gradient: torch.Tensor) -> float:
        """One step along `gradient`, the loss gradient at the clips (B, T, C, H, W)."""
        optimizer = self.optimizers["generator"]
        optimizer.zero_grad(set_to_none=True)
        clips.backward(gradient)
        norm = torch.nn.utils.clip_grad_norm_(self.generator.parameters(), 10.0)
        optimizer.step()
        return float(norm)

    def update_critic(self, clips: torch.Tensor, text: torch.Tensor, seed: StepSeed) -> dict[str, float]:
        self.replay.add(clips, text)
        losses = []
        for _ in range(self.config.critic_updates):
            batch = self.replay.batch(seed.numpy, self.config.batch)
            losses.append(
                critic_step(self.fake_score, self.optimizers["fake_score"], *batch, seed, self.config.critic_lr)
            )
        return {"critic_loss": float(np.mean(losses))}

    def memory(self) -> dict[str, torch.Tensor]:
        return {
            f"{name}{i}": part
            for i, pair in enumerate(self.replay.clips)
            for name, part in zip(("clips", "text"), pair, strict=True)
        }

    def recall(self, memory: dict[str, torch.Tensor]) -> None:
        self.replay.clips = [(memory[f"clips{i}"], memory[f"text{i}"]) for i in range(len(memory) // 2)]

    def sample_sheet(self) -> np.ndarray:
        return rollout_sheet(self.generator, self.codec, self.prompts)


def prefix_plan(exit_step: int) -> StepPlan:
    """Self Forcing's random exit: every chunk stops after the first `exit_step` of the four noise levels."""
    plan = StepPlan.uniform(CHUNKS, 4)
    return replace(plan, sigmas=tuple(sigmas[:exit_step] for sigmas in plan.sigmas))
