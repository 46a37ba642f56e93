"""A CLIP of one world, trained with open_clip's contrastive loss on rendered diptychs and their captions.

It judges generated clips, so it never sees one while training; blur and noise on half of the pictures keep it calm
about the small faults of a decoder.

Colour, kind and ground tell most captions of a batch apart, so that little asks for the direction: batches hold
captions that differ by direction alone. And of a colour and a direction only some kinds of things are ever seen, so
that a picture of another one would be taken for one of those, always. Two things make captions that were never seen
mean what their words say. Pictures, those of held-out combinations among them, must also find the parts of their
captions, which leave out a word. And the embedding of every caption, seen or not, is drawn to the sum of its parts',
which takes no picture. No picture is ever shown with a held-out caption.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip import ClipLoss
from torch import Tensor
from torch.nn import functional as F

from models.networks.world_clip import WorldClip, vocabulary_of
from models.training.diptychs import as_pictures, diptych, diptych_pool
from models.training.loop import Average, Recipe, StepSeed, adamw, compile_layers, cosine, optimize
from models.weights import load_model
from models.worlds.captions import CAPTIONS, Caption
from models.worlds.training_worlds import WORLDS, World

CHECK_EVERY = 100
MAX_LOGIT_SCALE = np.log(100)
WHOLE_WEIGHT = 3.0
CHECKED = 64


@dataclass(frozen=True)
class WorldClipConfig:
    """`patch` (h, w) in pixels of a diptych, where every second half of `w` is the earlier frame."""

    world: str = "shapes"
    patch: tuple[int, int] = (8, 16)
    steps: int = 1400
    batch: int = 96
    lr: float = 1.5e-3
    ema: float = 0.99
    width: int = 128
    layers: int = 4
    compile: bool = True
    whole: int = 96
    start: Path | None = None
    pool: int = 20_000
    pools: Path = Path("runs/pools")


class WorldClipRecipe(Recipe):
    def __init__(self, config: WorldClipConfig) -> None:
        torch.manual_seed(0)
        self.config = config
        self.world, self.captions = WORLDS[config.world], CAPTIONS[config.world]
        size = (self.world.size, 2 * self.world.size)
        self.model = WorldClip(
            vocabulary_of(self.world.words), size, config.patch, width=config.width, vision_layers=config.layers
        )
        if config.start:
            self.model.load_state_dict(load_model(WorldClip, config.start).state_dict())
        if config.compile:
            compile_layers(self.model.clip.visual.transformer.resblocks)
        self.loss = ClipLoss()
        self.gap = round(self.model.config.gap_seconds * self.world.fps)
        drawn: dict[str, Any] = {"folder": config.pools, "world": config.world}
        self.pool = diptych_pool(config.pool, self.gap, seed=13, **drawn)
        self.held_out = diptych_pool(config.pool // 2, self.gap, seed=14, held_out=True, **drawn)
        self.modules = {"clip": self.model}
        self.optimizers = {"clip": adamw([self.model], lr=config.lr, betas=(0.9, 0.98), weight_decay=0.05)}
        self.averages = {"clip": Average(self.model, config.ema, start=100)}

    def step(self, step: int, seed: StepSeed) -> dict[str, float]:
        pictures, captions = self.pool.batch(seed.numpy, self.config.batch)
        images = self.model.embed_images(_worn(pictures, seed))
        texts = self.model.embed_captions([self.world.prompt(caption, seed.numpy) for caption in captions])
        scale = self.model.clip.logit_scale.exp()
        contrast, parts = self.loss(images, texts, scale), self._by_parts(images, captions, seed)
        loss = contrast + parts
        lr = self.config.lr * cosine(step, self.config.steps, warmup=100)
        norm = optimize(loss, self.optimizers["clip"], lr=lr, clip=1.0)
        with torch.no_grad():
            self.model.clip.logit_scale.clamp_(0, MAX_LOGIT_SCALE)
        logged = {"contrast": float(contrast.detach()), "parts": float(parts.detach()), "grad_norm": norm}
        if (step + 1) % CHECK_EVERY == 0:
            logged["held_out_top1"] = self.held_out_top1(np.random.default_rng(step))
        return logged

    def _by_parts(self, images: Tensor, captions: Sequence[Caption], seed: StepSeed) -> Tensor:
        """Cross-entropy of one-object pictures and of held-out ones among all parts of captions, and how far whole
        captions are from the sum of their parts."""
        pictures, more = self.held_out.batch(seed.numpy, self.config.batch // 2)
        rows = [row for row, caption in enumerate(captions) if len(caption.objects) == 1]
        shown = torch.cat([images[rows], self.model.embed_images(_worn(pictures, seed))])
        named = [captions[row] for row in rows] + more
        every = self.captions.whole
        whole = [every[i] for i in seed.numpy.integers(len(every), size=self.config.whole)]
        scale = self.model.clip.logit_scale.exp()
        loss, summed = 0.0, 0.0
        for part, table in self.captions.part_tables.items():
            texts = self.model.embed_captions(table)
            right = torch.tensor([table.index(self.captions.parts(c)[part]) for c in named], device=images.device)
            loss = loss + F.cross_entropy(scale * shown @ texts.T, right)
            summed = summed + texts[[table.index(self.captions.parts(c)[part]) for c in whole]].detach()
        found = self.model.embed_captions([self.world.prompt(caption, seed.numpy) for caption in whole])
        return loss + WHOLE_WEIGHT * (1 - F.cosine_similarity(found, summed)).mean()

    def held_out_top1(self, rng: np.random.Generator) -> float:
        """Share of 64 held-out pictures of as many captions whose own caption is nearest of the 64."""
        similarity = self._held_out_similarity(rng)
        return float((similarity.argmax(1) == torch.arange(len(similarity))).float().mean())

    def sample_sheet(self) -> np.ndarray:
        """The similarity of 64 held-out pictures (rows) to their 64 captions (columns), black -1 to white 1."""
        gray = ((self._held_out_similarity(np.random.default_rng(0)) + 1) * 127.5).byte().cpu().numpy()
        return np.stack([gray.repeat(6, 0).repeat(6, 1)] * 3, axis=-1)

    @torch.no_grad()
    def _held_out_similarity(self, rng: np.random.Generator) -> Tensor:
        held_out = {caption.objects: caption for caption in rng.permutation(self._held_out_captions)}
        scenes = [self.world.scene(caption, rng) for caption in list(held_out.values())[:CHECKED]]
        with self.averaged():
            images = self.model.embed_images(diptychs(self.world, scenes, self.gap, rng))
            texts = self.model.embed_captions([str(scene.caption) for scene in scenes])
        return images @ texts.T

    @property
    def _held_out_captions(self) -> np.ndarray:
        held_out = [caption for caption in self.captions.whole if caption.objects[0].held_out]
        captions = np.empty(len(held_out), object)
        captions[:] = held_out
        return captions


def diptychs(world: World, scenes: Sequence[Any], gap: int, rng: np.random.Generator) -> Tensor:
    """A diptych of each scene at a random frame: (N, 3, H, 2W) float in [-1, 1]."""
    return as_pictures(torch.from_numpy(np.stack([diptych(world, scene, gap, rng) for scene in scenes])))


def _worn(pictures: Tensor, seed: StepSeed) -> Tensor:
    """A quarter of the pictures blurred, another quarter noisy (up to 12 levels)."""
    fate = torch.rand(len(pictures), 1, 1, 1, generator=seed.torch)
    blurred = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    noise = (
        torch.randn(pictures.shape, generator=seed.torch) * torch.rand(fate.shape, generator=seed.torch) * 12 / 127.5
    )
    return torch.where(fate < 0.25, blurred, torch.where(fate < 0.5, pictures + noise, pictures))
