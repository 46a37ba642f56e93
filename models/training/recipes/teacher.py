"""Bidirectional teacher: flow matching on clips and single frames, with caption dropout, text encoder trained along.

Most of what a prompt says (colour, shape, place) shows in one frame, and a frame costs a thirteenth of a clip.
Training starts on single frames and mixes clips in later, as large video models do: whole ones, and a few frames of
many.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.latent_time import latent_frames
from models.networks.codec import load_codec
from models.networks.text_encoder import ShapesTextEncoder
from models.networks.transformer import CausalVideoTransformer
from models.sampling.noise_levels import shift_sigma, step_sigmas
from models.sampling.rollout import sample_flow
from models.training.data import LatentPool, latent_pool
from models.training.loop import (
    Average,
    Recipe,
    StepSeed,
    adamw,
    adamw_of,
    compile_layers,
    contact_sheet,
    cosine,
    muon,
    optimize,
    steady,
)
from models.training.losses import flow_matching_loss, noisy_pair
from models.weights import load_model
from models.worlds.training_worlds import WORLDS

ARCHITECTURE = {
    "num_attention_heads": 6,
    "attention_head_dim": 32,
    "ffn_dim": 768,
    "num_layers": 7,
    "text_dim": 128,
    "freq_dim": 64,
}
TABLETOP = {
    "num_attention_heads": 8,
    "attention_head_dim": 32,
    "ffn_dim": 768,
    "num_layers": 6,
    "text_dim": 128,
    "freq_dim": 64,
}
TINY = {
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "ffn_dim": 48,
    "num_layers": 2,
    "text_dim": 128,
    "freq_dim": 16,
}


@dataclass(frozen=True)
class TeacherConfig:
    """`routed_share` of the tokens pass through all layers in training, the others through the first and the last
    (TREAD, arXiv 2501.04765); 1 turns that off, as do the last fifth of the steps. `muon` updates the layers'
    matrices by Muon and holds the learning rate level until the last quarter. `start` is a folder with networks
    `teacher` and `text_encoder` to go on from."""

    world: str = "shapes"
    autoencoder: Path = Path("assets/shapes-autoencoder")
    pools: Path = Path("runs/pools")
    start: Path | None = None
    steps: int = 7400
    lr: float = 2.5e-3
    frame_batch: int = 128
    clip_batch: int = 8
    frames_only: float = 0.4
    sparse_batch: int = 40
    sparse_frames: int = 3
    sparse_share: float = 0.55
    clip_share: float = 0.3
    frame_pool: int = 12000
    clip_pool: int = 6000
    dropout: float = 0.1
    shift: float = 3.0
    frame_shift: float = 3.0
    ema: float = 0.998
    routed_share: float = 1.0
    muon: bool = False
    compile: bool = True
    architecture: dict[str, int] = field(default_factory=lambda: dict(ARCHITECTURE))


class TeacherRecipe(Recipe):
    def __init__(self, config: TeacherConfig) -> None:
        torch.manual_seed(0)
        self.config = config
        self.world = WORLDS[config.world]
        self.codec = load_codec(config.autoencoder)
        self.text = ShapesTextEncoder(tuple(sorted(self.world.words)))
        self.model = CausalVideoTransformer(**config.architecture)
        torch.nn.init.zeros_(self.model.proj_out.weight)
        if config.start:
            self._take_over(config.start)
        if config.compile:
            compile_layers(self.model.blocks)
        self.frames = latent_pool(
            self.codec, config.frame_pool, frames=1, seed=11, folder=config.pools, world=config.world
        )
        self.modules = {"teacher": self.model, "text_encoder": self.text}
        self.optimizers = self._optimizers()
        self.averages = {name: Average(module, config.ema, start=200) for name, module in self.modules.items()}

    @cached_property
    def clips(self) -> LatentPool:
        config = self.config
        frames = self.world.frames
        return latent_pool(
            self.codec, config.clip_pool, frames=frames, seed=12, folder=config.pools, world=config.world
        )

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        lr, betas = self.config.lr, (0.9, 0.98)
        if not self.config.muon:
            return {"teacher": adamw(self.modules.values(), lr=lr, betas=betas)}
        matrices = muon(self.model.blocks, lr=lr)
        taken = {id(p) for group in matrices.param_groups for p in group["params"]}
        others = (p for module in self.modules.values() for p in module.parameters() if id(p) not in taken)
        return {"teacher": matrices, "others": adamw_of(others, lr=lr, betas=betas)}

    def _take_over(self, start: Path) -> None:
        for module, name in ((self.model, "teacher"), (self.text, "text_encoder")):
            module.load_state_dict(load_model(type(module), start / name).state_dict())

    def step(self, step: int, seed: StepSeed) -> dict[str, float]:
        config = self.config
        kind = self._kind(step, seed.numpy)
        x0, captions, positions = self._batch(kind, seed.numpy)
        count = len(captions)
        captions = ["" if seed.numpy.random() < config.dropout else caption for caption in captions]
        shift = config.frame_shift if kind == "frames" else config.shift
        # antithetic strata: one noise level from each of `count` equal parts of (0, 1)
        sigma = shift_sigma(torch.rand(1, generator=seed.torch) / count + torch.arange(count) / count, shift)
        noise = torch.randn(x0.shape, generator=seed.torch)
        flow = self.model(
            noisy_pair(x0, noise, sigma),
            1000 * sigma,
            self.text.embed(captions),
            positions=positions,
            routed=self._routed(step, x0, seed.numpy),
        )
        loss = flow_matching_loss(flow, x0, noise)
        schedule = steady if config.muon else cosine
        lr = config.lr * schedule(step, config.steps, warmup=100)
        norm = optimize(loss, *self.optimizers.values(), lr=lr, clip=1.0)
        return {f"loss/{kind}": float(loss.detach()), "grad_norm": norm, "lr": lr}

    def _routed(self, step: int, x0: Tensor, rng: np.random.Generator) -> Tensor | None:
        """The tokens of this step that pass through all layers, at the same places in every latent frame, so that they
        see each other; None: all do."""
        config = self.config
        if config.routed_share == 1 or step >= 0.8 * config.steps:
            return None
        per_frame = self.model.tokens_per_frame(*x0.shape[3:])
        kept = round(config.routed_share * per_frame)
        chosen = np.sort(rng.permutation(per_frame)[:kept])
        return torch.from_numpy(np.concatenate([t * per_frame + chosen for t in range(x0.shape[1])]))

    def _kind(self, step: int, rng: np.random.Generator) -> str:
        if step < self.config.frames_only * self.config.steps:
            return "frames"
        shares = {"sparse": self.config.sparse_share, "clips": self.config.clip_share}
        return str(rng.choice([*shares, "frames"], p=[*shares.values(), 1 - sum(shares.values())]))

    def _batch(self, kind: str, rng: np.random.Generator) -> tuple[Tensor, list[str], list[int] | None]:
        """Latents, captions and time positions: single frames, whole clips, or a few frames of many clips."""
        if kind == "frames":
            return *self.frames.batch(rng, self.config.frame_batch), None
        if kind == "clips":
            return *self.clips.batch(rng, self.config.clip_batch), None
        # few frames far apart show the motion of a clip at a fraction of its tokens
        x0, captions = self.clips.batch(rng, self.config.sparse_batch)
        positions = sorted(rng.choice(x0.shape[1], self.config.sparse_frames, replace=False).tolist())
        return x0[:, positions], captions, positions

    @torch.no_grad()
    def sample_sheet(self) -> np.ndarray:
        captions = self.frames.captions[:8]
        noise = torch.randn(
            len(captions),
            latent_frames(self.world.frames),
            *self.frames.latents.shape[2:],
            generator=torch.Generator().manual_seed(0),
        )
        with self.averaged():
            words, none = self.text.embed(captions), self.text.embed([""] * len(captions))
            *_, latents = sample_flow(self.model, step_sigmas(16), words, none, noise, guidance_scale=4.0)
        clips = np.stack([self.codec.decode(z[None]) for z in latents])
        return contact_sheet(clips, lambda n: range(0, n, 12))
