"""A CLIP of the shapes world, trained with open_clip's contrastive loss on rendered diptychs and their captions.

It judges generated clips, so it never sees one while training; blur and noise on half of the pictures keep it calm
about the small faults of a decoder.
"""

from dataclasses import dataclass

import numpy as np
import torch
from open_clip import ClipLoss
from torch import Tensor
from torch.nn import functional as F

from models.shapes_clip import ShapesClip, grammar_vocabulary
from models.training.data import random_scene
from models.training.loop import Average, Recipe, StepSeed, adamw, compile_layers, cosine, optimize
from models.world import BACKGROUNDS, FPS, FRAMES, Caption, Scene, all_combinations, render, sample_scene

CHECK_EVERY = 100
MAX_LOGIT_SCALE = np.log(100)


@dataclass(frozen=True)
class ShapesClipConfig:
    steps: int = 1000
    batch: int = 96
    lr: float = 1.5e-3
    ema: float = 0.99
    width: int = 128
    layers: int = 4
    compile: bool = True


class ShapesClipRecipe(Recipe):
    def __init__(self, config: ShapesClipConfig) -> None:
        torch.manual_seed(0)
        self.config = config
        self.model = ShapesClip(grammar_vocabulary(), width=config.width, vision_layers=config.layers)
        if config.compile:
            compile_layers(self.model.clip.visual.transformer.resblocks)
        self.loss = ClipLoss()
        self.modules = {"clip": self.model}
        self.optimizers = {"clip": adamw([self.model], lr=config.lr, betas=(0.9, 0.98), weight_decay=0.05)}
        self.averages = {"clip": Average(self.model, config.ema, start=100)}

    def step(self, step: int, seed: StepSeed) -> dict[str, float]:
        scenes = self._scenes(seed.numpy)
        gap = round(self.model.config.gap_seconds * FPS)
        pictures = _worn(diptychs(scenes, gap, seed.numpy), seed)
        images = self.model.embed_images(pictures)
        texts = self.model.embed_captions([str(scene.caption) for scene in scenes])
        loss = self.loss(images, texts, self.model.clip.logit_scale.exp())
        lr = self.config.lr * cosine(step, self.config.steps, warmup=100)
        norm = optimize(loss, self.optimizers["clip"], lr=lr, clip=1.0)
        with torch.no_grad():
            self.model.clip.logit_scale.clamp_(0, MAX_LOGIT_SCALE)
        logged = {"loss": float(loss.detach()), "grad_norm": norm}
        if (step + 1) % CHECK_EVERY == 0:
            logged["held_out_top1"] = self.held_out_top1(np.random.default_rng(step))
        return logged

    def _scenes(self, rng: np.random.Generator) -> list[Scene]:
        """As many training scenes as the batch, no two with one caption: a double would be a false negative."""
        scenes: dict[str, Scene] = {}
        while len(scenes) < self.config.batch:
            scene = random_scene(rng)
            scenes.setdefault(str(scene.caption), scene)
        return list(scenes.values())

    def held_out_top1(self, rng: np.random.Generator) -> float:
        """Share of the 64 held-out combinations, one picture each, whose own caption is nearest of the 64."""
        similarity = self._held_out_similarity(rng)
        return float((similarity.argmax(1) == torch.arange(len(similarity))).float().mean())

    def sample_sheet(self) -> np.ndarray:
        """The similarity of 64 held-out pictures (rows) to their 64 captions (columns), black -1 to white 1."""
        gray = ((self._held_out_similarity(np.random.default_rng(0)) + 1) * 127.5).byte().cpu().numpy()
        return np.stack([gray.repeat(6, 0).repeat(6, 1)] * 3, axis=-1)

    @torch.no_grad()
    def _held_out_similarity(self, rng: np.random.Generator) -> Tensor:
        combinations = [c for c in all_combinations() if c.held_out]
        backgrounds = rng.choice(list(BACKGROUNDS), len(combinations))
        scenes = [
            sample_scene(Caption((c,), str(background)), rng)
            for c, background in zip(combinations, backgrounds, strict=True)
        ]
        gap = round(self.model.config.gap_seconds * FPS)
        with self.averaged():
            images = self.model.embed_images(diptychs(scenes, gap, rng))
            texts = self.model.embed_captions([str(scene.caption) for scene in scenes])
        return images @ texts.T


def diptychs(scenes: list[Scene], gap: int, rng: np.random.Generator) -> Tensor:
    """For each scene a random frame and the one `gap` frames before it: (N, 3, H, 2W) float in [-1, 1]."""
    pictures = []
    for scene in scenes:
        start = int(rng.integers(FRAMES - gap))
        pair = [render(scene, 1, start=s)[0] for s in (start, start + gap)]
        pictures.append(np.concatenate(pair, axis=1))
    pixels = torch.from_numpy(np.stack(pictures)).to(torch.get_default_device())
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


def _worn(pictures: Tensor, seed: StepSeed) -> Tensor:
    """A quarter of the pictures blurred, another quarter noisy (up to 12 levels)."""
    fate = torch.rand(len(pictures), 1, 1, 1, generator=seed.torch)
    blurred = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    noise = (
        torch.randn(pictures.shape, generator=seed.torch) * torch.rand(fate.shape, generator=seed.torch) * 12 / 127.5
    )
    return torch.where(fate < 0.25, blurred, torch.where(fate < 0.5, pictures + noise, pictures))
