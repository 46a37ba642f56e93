"""Pictures that show motion, rendered once and kept on disk: what the CLIP of a world learns from."""

import hashlib
import logging
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

from models.training.data import keep
from models.worlds.captions import CAPTIONS
from models.worlds.training_worlds import WORLDS, World

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DiptychPool:
    """`pictures` (N, H, 2W, 3) uint8, a frame `gap` frames earlier beside a frame; `captions` what each shows."""

    pictures: Tensor
    captions: list[Any]
    world: str

    def batch(self, rng: np.random.Generator, count: int) -> tuple[Tensor, list[Any]]:
        """At most `count` pictures (n, 3, H, 2W) float in [-1, 1] and their captions, no two alike: a double would
        be a false negative. One-object captions come with those that differ from them by direction alone, which a
        random batch seldom holds, so that nothing in it would ask for the direction.
        """
        rows: dict[Any, int] = {}
        while len(rows) < min(count, len(self._rows)):
            for caption in self._with_other_directions(self.captions[rng.integers(len(self.captions))]):
                if caption in self._rows:
                    rows.setdefault(caption, int(rng.choice(self._rows[caption])))
        captions = list(rows)[:count]
        return as_pictures(self.pictures[[rows[caption] for caption in captions]]), captions

    def _with_other_directions(self, caption: Any) -> list[Any]:
        if len(caption.objects) > 1:
            return [caption]
        return [caption, *CAPTIONS[self.world].alike_but(caption, "direction")]

    @cached_property
    def _rows(self) -> dict[Any, list[int]]:
        found: dict[Any, list[int]] = {}
        for row, caption in enumerate(self.captions):
            found.setdefault(caption, []).append(row)
        return found


def diptych(world: World, scene: Any, gap: int, rng: np.random.Generator) -> np.ndarray:
    """A random frame of a scene with the one `gap` frames before it on its left: (H, 2W, 3) uint8."""
    start = int(rng.integers(world.frames - gap))
    return np.concatenate([world.render(scene, 1, start=s)[0] for s in (start, start + gap)], axis=1)


def as_pictures(diptychs: Tensor) -> Tensor:
    """(N, H, 2W, 3) uint8 to (N, 3, H, 2W) float in [-1, 1] on the default device."""
    return diptychs.to(torch.get_default_device()).permute(0, 3, 1, 2).float() / 127.5 - 1


def diptych_pool(
    count: int, gap: int, *, seed: int, folder: Path, world: str = "shapes", held_out: bool = False
) -> DiptychPool:
    """`count` training diptychs of a world, or of its held-out captions, one thing each; rendered once and kept in
    `folder` for as long as the renderer draws the first of them as it did."""
    draw = partial(_drawn, world, gap, seed, held_out)
    first = hashlib.sha256(draw(range(min(count, 8))).tobytes()).hexdigest()[:12]
    path = folder / f"diptychs-{first}-{count}x{gap}-{seed}.safetensors"
    if not path.exists():
        log.info("drawing %d diptychs into %s", count, path)
        _build(draw, count, path)
    captions = [_scene(world, seed, index, held_out)[0].caption for index in range(count)]
    return DiptychPool(load_file(path)["pictures"], captions, world)


def _build(draw: partial, count: int, path: Path) -> None:
    pieces = np.array_split(np.arange(count), max(1, min(count // 500, 64)))  # processes take seconds to start
    if len(pieces) == 1:
        pictures = [draw(pieces[0])]
    else:
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
            drawing = tqdm(pool.map(draw, pieces), total=len(pieces), desc="drawing diptychs", mininterval=5)
            pictures = list(drawing)
    keep({"pictures": torch.from_numpy(np.concatenate(pictures))}, path)


def _drawn(world: str, gap: int, seed: int, held_out: bool, indices: np.ndarray | range) -> np.ndarray:
    """The diptychs with these numbers: (N, H, 2W, 3) uint8."""
    cv2.setNumThreads(1)
    scenes = (_scene(world, seed, int(index), held_out) for index in indices)
    return np.stack([diptych(WORLDS[world], scene, gap, rng) for scene, rng in scenes])


def _scene(world: str, seed: int, index: int, held_out: bool) -> tuple[Any, np.random.Generator]:
    """The scene of a diptych, and the generator that goes on to draw its frame."""
    rng, drawn = np.random.default_rng([seed, index]), WORLDS[world]
    return drawn.scene(drawn.held_out_caption(rng, 1), rng) if held_out else drawn.random_scene(rng), rng
