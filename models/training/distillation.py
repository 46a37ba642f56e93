"""What the distillation recipes share: the roles, their prompts, training rollouts, distribution matching, the
critic."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.networks.attention_masks import chunk_layout
from models.networks.codec import Codec
from models.networks.text_encoder import ShapesTextEncoder
from models.networks.transformer import CausalVideoTransformer
from models.sampling.noise_levels import shift_sigma
from models.sampling.rollout import ClipNoise, rollout
from models.sampling.schedulers import StepPlan, x0_from_flow
from models.training.loop import StepSeed, contact_sheet, optimize
from models.training.losses import dmd_gradient, flow_matching_loss, noisy_pair
from models.weights import load_model
from models.worlds.training_worlds import WORLDS, World

LATENT_SHAPE = WORLDS["shapes"].latent_shape
CHUNKS = chunk_layout(LATENT_SHAPE[0], 3, 1)


@dataclass(frozen=True)
class Roles:
    """Folders the roles start from: the teacher (real score, also where the fake score starts) and the generator."""

    teacher: Path = Path("assets/shapes-teacher")
    generator: Path = Path("runs/ode-init/export/generator")
    text_encoder: Path = Path("assets/shapes-text-encoder")
    autoencoder: Path = Path("assets/shapes-autoencoder")
    world: str = "shapes"

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """(T, C, h, w) of the clips that the roles see."""
        return WORLDS[self.world].latent_shape


@dataclass(frozen=True)
class Prompts:
    """Captions of the training split with their embeddings (N, L, D) and the embedding of no prompt (1, L, D)."""

    captions: list[str]
    embeddings: Tensor
    none: Tensor

    @classmethod
    @torch.no_grad()
    def sample(cls, text: ShapesTextEncoder, count: int, seed: int, world: World = WORLDS["shapes"]) -> "Prompts":
        draws = (np.random.default_rng([seed, i]) for i in range(count))
        captions = [world.prompt(world.random_scene(rng).caption, rng) for rng in draws]
        return cls(
            captions, torch.cat([text.embed(captions[i : i + 256]) for i in range(0, count, 256)]), text.embed([""])
        )

    def batch(self, rng: np.random.Generator, count: int) -> Tensor:
        return self.embeddings[torch.tensor(rng.integers(len(self.captions), size=count))]


def load_role(folder: Path, *, train: bool) -> CausalVideoTransformer:
    model = load_model(CausalVideoTransformer, folder)
    return model.train(train).requires_grad_(train)


def load_text_encoder(folder: Path) -> ShapesTextEncoder:
    return load_model(ShapesTextEncoder, folder).eval().requires_grad_(False)


def training_rollout(
    model: CausalVideoTransformer,
    plan: StepPlan,
    text: Tensor,
    noise: ClipNoise,
    *,
    gradient: bool,
    frame: tuple[int, ...],
    given: Tensor | None = None,
) -> Tensor:
    """A full causal rollout of a batch (B, 13, C, h, w) of latent frames `frame` (C, h, w); with `gradient`, through
    the last step of every chunk. `given` (B, 1, C, h, w) are the pictures that clips of an image-to-video plan start
    from.

    Two rollouts from one `noise` share it wherever their plans have a chunk and a step in common. Self Forcing's exit
    after step e is the plan whose chunks hold the first e noise levels of the list.
    """

    def draw(chunk: int, step: int, size: tuple[int, ...]) -> Tensor:
        return noise(chunk, step, size).to(text.device)

    cache = model.new_cache(*frame[1:])
    size: Any = (len(text), *frame)
    chunks = rollout(model, plan, text, cache, draw, size, given=given, gradient=gradient)
    return torch.cat([chunk.latents for chunk in chunks], 1)


def score_sigma(count: int, seed: StepSeed, shift: float = 5.0) -> Tensor:
    """Noise levels for both scores: uniform, shifted, clamped to [0.02, 0.98], one per clip (Self Forcing)."""
    return shift_sigma(torch.rand(count, generator=seed.torch), shift).clamp(0.02, 0.98)


def some_frames(total: int, count: int, rng: np.random.Generator) -> list[int] | None:
    """Places of `count` latent frames of `total`, drawn anew each time, in order; None (all of them) for `count` 0."""
    return sorted(rng.choice(total, count, replace=False).tolist()) if count else None


@torch.no_grad()
def distribution_matching(
    x: Tensor,
    text: Tensor,
    none: Tensor,
    teacher: CausalVideoTransformer,
    fake_score: CausalVideoTransformer,
    guidance_scale: float,
    seed: StepSeed,
    chunks: tuple[int, ...] | None = None,
    frames: list[int] | None = None,
) -> Tensor:
    """The DMD gradient at generated clips `x` (B, T, C, H, W): both scores look at one noising of the whole clip.

    `guidance_scale` is in the convention uncond + s * (cond - uncond); Self Forcing's additive 3 is 4 here. `chunks`
    makes both scores chunk-causal; by default they attend in both directions. With `frames` they see those latent
    frames only, at their places in time, and the gradient, 0 elsewhere, is scaled up to the same mean.
    """
    whole = x.detach()
    x = whole if frames is None else whole[:, frames]
    seen = {"chunks": chunks, "positions": frames}
    sigma = score_sigma(len(x), seed)
    noisy = noisy_pair(x, torch.randn(x.shape, generator=seed.torch), sigma)
    time, level = 1000 * sigma, sigma[:, None, None, None, None]
    fake = x0_from_flow(noisy, fake_score(noisy, time, text, **seen), level)
    cond = teacher(noisy, time, text, **seen)
    free = teacher(noisy, time, none.expand(len(x), -1, -1), **seen)
    real = x0_from_flow(noisy, free + guidance_scale * (cond - free), level)
    gradient = dmd_gradient(x, real, fake)
    if frames is None:
        return gradient
    spread = torch.zeros_like(whole)
    spread[:, frames] = gradient * (whole.shape[1] / len(frames))
    return spread


@dataclass
class Replay:
    """The clips of the last few generator steps: the critic's data. The generator moves little between them."""

    size: int
    clips: list[tuple[Tensor, Tensor]]

    def add(self, clips: Tensor, text: Tensor) -> None:
        self.clips = [*self.clips, (clips.detach(), text)][-self.size :]

    def batch(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        clips, text = (torch.cat(part) for part in zip(*self.clips, strict=True))
        rows = torch.tensor(rng.integers(len(clips), size=count))
        return clips[rows], text[rows]


def critic_step(
    fake_score: CausalVideoTransformer,
    optimizer: torch.optim.Optimizer,
    clips: Tensor,
    text: Tensor,
    seed: StepSeed,
    lr: float,
    chunks: tuple[int, ...] | None = None,
    frames: list[int] | None = None,
) -> float:
    """One flow-matching update of the fake score on generated clips, or on some latent `frames` of them; returns the
    loss."""
    clips = clips if frames is None else clips[:, frames]
    sigma = score_sigma(len(clips), seed)
    noise = torch.randn(clips.shape, generator=seed.torch)
    flow = fake_score(noisy_pair(clips, noise, sigma), 1000 * sigma, text, chunks=chunks, positions=frames)
    loss = flow_matching_loss(flow, clips, noise)
    optimize(loss, optimizer, lr=lr, clip=10.0)
    return float(loss.detach())


@torch.no_grad()
def rollout_sheet(
    model: CausalVideoTransformer,
    codec: Codec,
    words: Tensor,
    steps: tuple[int, ...] = (1, 4),
    *,
    frame: tuple[int, ...],
    given: Tensor | None = None,
) -> np.ndarray:
    """Rows of clips for `words` (B, L, D) at each step count, same noise; image-to-video with `given`. `frame` is the
    shape (C, h, w) of a latent frame."""
    rows = []
    for count in steps:
        plan = StepPlan.uniform(CHUNKS, count, given=int(given is not None))
        noise = ClipNoise(StepSeed.at(0, 0).torch)
        latents = training_rollout(model, plan, words, noise, gradient=False, frame=frame, given=given)
        rows.append(np.stack([codec.decode(z[None]) for z in latents]))
    sheets = [contact_sheet(clips, lambda n: range(0, n, 12)) for clips in rows]
    return np.concatenate(sheets, 1)
