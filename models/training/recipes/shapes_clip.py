"""A CLIP of the shapes world, trained with open_clip's contrastive loss on rendered diptychs and their captions.

It judges generated clips, so it never sees one while training; blur and noise on half of the pictures keep it calm
about the small faults of a decoder.

Colour, shape and background tell most captions of a batch apart, so that little asks for the direction: batches hold
captions that differ by direction alone. And of a colour and a direction only some shapes are ever seen, so that a
picture of another one would be taken for one of those, always. Two things make captions that were never seen mean what
their words say. Pictures, those of held-out combinations among them, must also find the parts of their captions, which
leave out a word. And the embedding of every caption, seen or not, is drawn to the sum of its parts', which takes no
picture. No picture is ever shown with a held-out caption.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from open_clip import ClipLoss
from torch import Tensor
from torch.nn import functional as F

from models.networks.shapes_clip import ShapesClip, grammar_vocabulary
from models.training.data import as_pictures, diptych, diptych_pool
from models.training.loop import Average, Recipe, StepSeed, adamw, compile_layers, cosine, optimize
from models.weights import load_model
from models.worlds.shapes import BACKGROUNDS, FPS, Caption, Scene, all_combinations, sample_scene

CHECK_EVERY = 100
MAX_LOGIT_SCALE = np.log(100)
WHOLE_WEIGHT = 3.0


def _course(caption: Caption) -> str:
    (thing,) = caption.objects
    return f"a {thing.shape} moving {thing.direction}"


def _look(caption: Caption) -> str:
    (thing,) = caption.objects
    return f"a {thing.color} {thing.shape}"


def _colored_course(caption: Caption) -> str:
    (thing,) = caption.objects
    return f"a {thing.color} moving {thing.direction}"


def _background(caption: Caption) -> str:
    return f"a {caption.background} background"


WHOLE = [Caption((thing,), background) for thing in all_combinations() for background in BACKGROUNDS]
PARTS = {part: sorted({part(caption) for caption in WHOLE}) for part in (_course, _look, _colored_course, _background)}
"""What each leaves of the captions in `WHOLE`."""


@dataclass(frozen=True)
class ShapesClipConfig:
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


class ShapesClipRecipe(Recipe):
    def __init__(self, config: ShapesClipConfig) -> None:
        torch.manual_seed(0)
        self.config = config
        self.model = ShapesClip(grammar_vocabulary(), width=config.width, vision_layers=config.layers)
        if config.start:
            self.model.load_state_dict(load_model(ShapesClip, config.start).state_dict())
        if config.compile:
            compile_layers(self.model.clip.visual.transformer.resblocks)
        self.loss = ClipLoss()
        self.gap = round(self.model.config.gap_seconds * FPS)
        self.pool = diptych_pool(config.pool, self.gap, seed=13, folder=config.pools)
        self.held_out = diptych_pool(config.pool // 2, self.gap, seed=14, folder=config.pools, held_out=True)
        self.modules = {"clip": self.model}
        self.optimizers = {"clip": adamw([self.model], lr=config.lr, betas=(0.9, 0.98), weight_decay=0.05)}
        self.averages = {"clip": Average(self.model, config.ema, start=100)}

    def step(self, step: int, seed: StepSeed) -> dict[str, float]:
        pictures, captions = self.pool.batch(seed.numpy, self.config.batch)
        images = self.model.embed_images(_worn(pictures, seed))
        texts = self.model.embed_captions([str(caption) for caption in captions])
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
        whole = [WHOLE[i] for i in seed.numpy.integers(len(WHOLE), size=self.config.whole)]
        scale = self.model.clip.logit_scale.exp()
        loss, summed = 0.0, 0.0
        for part, table in PARTS.items():
            texts = self.model.embed_captions(table)
            right = torch.tensor([table.index(part(caption)) for caption in named], device=images.device)
            loss = loss + F.cross_entropy(scale * shown @ texts.T, right)
            summed = summed + texts[[table.index(part(caption)) for caption in whole]].detach()
        found = self.model.embed_captions([str(caption) for caption in whole])
        return loss + WHOLE_WEIGHT * (1 - F.cosine_similarity(found, summed)).mean()

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
        with self.averaged():
            images = self.model.embed_images(diptychs(scenes, self.gap, rng))
            texts = self.model.embed_captions([str(scene.caption) for scene in scenes])
        return images @ texts.T


def diptychs(scenes: Sequence[Scene], gap: int, rng: np.random.Generator) -> Tensor:
    """A diptych of each scene at a random frame: (N, 3, H, 2W) float in [-1, 1]."""
    return as_pictures(torch.from_numpy(np.stack([diptych(scene, gap, rng) for scene in scenes])))


def _worn(pictures: Tensor, seed: StepSeed) -> Tensor:
    """A quarter of the pictures blurred, another quarter noisy (up to 12 levels)."""
    fate = torch.rand(len(pictures), 1, 1, 1, generator=seed.torch)
    blurred = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    noise = (
        torch.randn(pictures.shape, generator=seed.torch) * torch.rand(fate.shape, generator=seed.torch) * 12 / 127.5
    )
    return torch.where(fate < 0.25, blurred, torch.where(fate < 0.5, pictures + noise, pictures))
