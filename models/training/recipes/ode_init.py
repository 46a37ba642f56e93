"""ODE-trajectory initialisation: the causal student regresses the end of the teacher's sampling paths (CausVid,
2412.07772).

Trajectories are sampled once with guidance and kept at the student's noise levels. Each chunk of a training clip
takes a random level, so the student meets every mixture of clean past and noisy present under its chunk-causal mask.

The paths of a bidirectional teacher depend on noise of later chunks, which a causal student cannot see; those of a
causal teacher, made chunk by chunk, do not (Causal Forcing, arXiv 2602.02214).
"""

import shutil
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

from models.networks.codec import load_codec
from models.sampling.noise_levels import step_sigmas
from models.sampling.rollout import ClipNoise, Guidance, rollout, sample_flow
from models.sampling.schedulers import StepPlan, x0_from_flow
from models.training.data import fingerprint, keep
from models.training.distillation import (
    CHUNKS,
    Prompts,
    Roles,
    load_role,
    load_text_encoder,
    rollout_sheet,
)
from models.training.loop import Average, Recipe, StepSeed, adamw, compile_layers, cosine, optimize
from models.training.losses import ode_regression_loss
from models.worlds.training_worlds import WORLDS

PIECE = 16
"""Paths that are sampled at once, and kept before the next are."""


@dataclass(frozen=True)
class OdeInitConfig:
    """`causal`: the teacher makes its paths chunk by chunk, as a causal one can. `one_step` restricts the levels to
    those of a one-step student, pure noise and clean, after a clean first chunk: stage one of AAD-1 (arXiv
    2606.03972)."""

    roles: Roles = field(default_factory=lambda: Roles(generator=Roles.teacher))
    pools: Path = Path("runs/pools")
    trajectories: int = 192
    sampler_steps: int = 16
    guidance_scale: float = 4.0
    steps: int = 160
    batch: int = 8
    lr: float = 3e-4
    ema: float = 0.98
    causal: bool = False
    one_step: bool = False
    compile: bool = True


class OdeInitRecipe(Recipe):
    def __init__(self, config: OdeInitConfig) -> None:
        torch.manual_seed(0)
        self.config = config
        self.teacher = load_role(config.roles.teacher, train=False)
        self.model = load_role(config.roles.teacher, train=True)
        if config.compile:
            compile_layers(self.model.blocks)
            if not config.causal:  # a causal teacher meets a new shape in every chunk
                compile_layers(self.teacher.blocks)
        self.codec = load_codec(config.roles.autoencoder)
        self.shape = config.roles.latent_shape
        text = load_text_encoder(config.roles.text_encoder)
        self.prompts = Prompts.sample(text, config.trajectories, 21, WORLDS[config.roles.world])
        self.sigmas = torch.tensor([*step_sigmas(4), 0.0])
        self.modules = {"generator": self.model}
        self.optimizers = {"generator": adamw([self.model], lr=config.lr, betas=(0.9, 0.98))}
        self.averages = {"generator": Average(self.model, config.ema, start=20)}

    @cached_property
    def trajectories(self) -> Tensor:
        """(N, 5, T, C, h, w) float16: the states at sigmas 1, .9375, .8333, .625 and 0."""
        config = self.config
        kind = "chunks-" if config.causal else ""
        made_by = f"{fingerprint(self.teacher)}-{config.trajectories}x{config.sampler_steps}-{config.guidance_scale:g}"
        path = config.pools / f"trajectories-{kind}{made_by}.safetensors"
        if not path.exists():
            self._draw(path)
        return load_file(path, device=str(torch.get_default_device()))["states"]

    def _draw(self, path: Path) -> None:
        """Sample the paths into `path`, in pieces that are kept beside it until all are there."""
        config, pieces = self.config, path.with_suffix("")
        paths = self._chunk_paths if config.causal else self._clip_paths
        stride = config.sampler_steps // 4
        files = [pieces / f"{first:05}.safetensors" for first in range(0, config.trajectories, PIECE)]
        for index, file in enumerate(tqdm(files, desc="teacher trajectories")):
            if file.exists():
                continue
            words = self.prompts.embeddings[index * PIECE : (index + 1) * PIECE]
            found = paths(words, self.prompts.none.expand(len(words), -1, -1), StepSeed.at(22, index * PIECE))
            keep({"states": torch.stack(found[::stride], 1).cpu().half()}, file)
        with torch.autocast("cpu", enabled=False):  # --precision bf16 has no rule for joining float16
            states = torch.cat([load_file(file)["states"] for file in files])
        keep({"states": states}, path)
        shutil.rmtree(pieces)

    def _clip_paths(self, words: Tensor, none: Tensor, seed: StepSeed) -> list[Tensor]:
        """The states (B, T, C, h, w) of whole clips before the first step and after each."""
        noise = torch.randn(len(words), *self.shape, generator=seed.torch)
        levels = step_sigmas(self.config.sampler_steps)
        return [noise, *sample_flow(self.teacher, levels, words, none, noise, self.config.guidance_scale)]

    def _chunk_paths(self, words: Tensor, none: Tensor, seed: StepSeed) -> list[Tensor]:
        """As `_clip_paths`, every chunk after a finished past."""
        plan = StepPlan.uniform(CHUNKS, self.config.sampler_steps)
        noise = ClipNoise(seed.torch)
        chunks: list[list[Tensor]] = []

        def draw(chunk: int, step: int, size: tuple[int, ...]) -> Tensor:
            chunks.append([noise(chunk, step, size).to(words.device)])
            return chunks[-1][0]

        def follow(chunk: int, step: int, x0: Tensor) -> None:
            level, following = (*plan.sigmas[chunk], 0.0)[step : step + 2]
            # an Euler step keeps the direction from x0 and shortens the distance
            chunks[chunk].append(x0 + following / level * (chunks[chunk][-1] - x0))

        guidance = Guidance(none, self.config.guidance_scale, self.teacher.new_cache(*self.shape[2:]))
        cache, shape = self.teacher.new_cache(*self.shape[2:]), (len(words), *self.shape[1:])
        for _ in rollout(self.teacher, plan, words, cache, draw, shape, guidance=guidance, observe=follow):
            pass
        return [torch.cat(parts, 1) for parts in zip(*chunks, strict=True)]

    def step(self, step: int, seed: StepSeed) -> dict[str, float]:
        config = self.config
        rows = torch.tensor(seed.numpy.integers(config.trajectories, size=config.batch))
        states = self.trajectories[rows].float()
        level = torch.tensor(seed.numpy.integers(5, size=(config.batch, len(CHUNKS))))
        if config.one_step:
            level = torch.where(level < 3, 0, 4)
            level[:, 0] = 4
        level = level.repeat_interleave(torch.tensor(CHUNKS), 1)
        noisy = states[torch.arange(config.batch)[:, None], level, torch.arange(self.shape[0])[None]]
        sigma = self.sigmas[level]
        flow = self.model(noisy, 1000 * sigma, self.prompts.embeddings[rows], chunks=CHUNKS)
        x0 = x0_from_flow(noisy, flow, sigma[:, :, None, None, None])
        loss = ode_regression_loss(x0, states[:, -1], sigma)
        lr = config.lr * cosine(step, config.steps, warmup=20)
        norm = optimize(loss, self.optimizers["generator"], lr=lr, clip=1.0)
        return {"loss": float(loss.detach()), "grad_norm": norm}

    def sample_sheet(self) -> np.ndarray:
        return rollout_sheet(self.model, self.codec, self.prompts.embeddings[:8], frame=self.shape[1:])
