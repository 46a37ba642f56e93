"""What training draws from, made once and kept on disk: latents of shapes-world clips, and pictures of them that show
motion."""

import hashlib
import logging
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from models.networks.codec import Codec
from models.worlds.shapes import DIRECTIONS, FRAMES, Caption, Scene, render, sample_caption, sample_scene
from models.worlds.training_worlds import WORLDS

log = logging.getLogger(__name__)
random_scene = WORLDS["shapes"].random_scene


@dataclass(frozen=True)
class LatentPool:
    """`latents` (N, T, C, h, w) float16, normalised; `captions` N prompts."""

    latents: Tensor
    captions: list[str]

    def batch(self, rng: np.random.Generator, count: int) -> tuple[Tensor, list[str]]:
        """`count` random entries: float32 latents on the default device, and their prompts."""
        rows = rng.integers(len(self.captions), size=count)
        latents = self.latents[torch.from_numpy(rows)].to(torch.get_default_device())
        return latents.float(), [self.captions[i] for i in rows]


def latent_pool(
    codec: Codec, count: int, *, frames: int = FRAMES, seed: int, folder: Path, world: str = "shapes"
) -> LatentPool:
    """`count` training clips of `frames` frames of a world as latents; built once for an autoencoder and kept in
    `folder`."""
    path = folder / f"latents-{fingerprint(codec.autoencoder)}-{count}x{frames}-{seed}.safetensors"
    if not path.exists():
        _build(codec, count, frames, seed, path, world)
    captions = [_scene_and_prompt(world, seed, index)[1] for index in range(count)]
    return LatentPool(load_file(path)["latents"], captions)


def real_clips(codec: Codec, count: int, folder: Path, world: str) -> LatentPool:
    """The clips of a world that all recipes learn from."""
    return latent_pool(codec, count, frames=WORLDS[world].frames, seed=12, folder=folder, world=world)


def _scene_and_prompt(world: str, seed: int, index: int) -> tuple[Any, str]:
    rng = np.random.default_rng([seed, index])
    scene = WORLDS[world].random_scene(rng)
    return scene, WORLDS[world].prompt(scene, rng)


def _build(codec: Codec, count: int, frames: int, seed: int, path: Path, world: str) -> None:
    log.info("encoding %d clips into %s", count, path)
    # each worker draws and encodes on one core; a few pieces more than workers, so that none waits long
    pieces = np.array_split(np.arange(count), max(1, min(count // 16, 64)))
    draw = partial(_encoded, codec, frames, seed, world)
    if len(pieces) == 1:
        keep({"latents": draw(pieces[0])}, path)
        return
    with ProcessPoolExecutor(
        os.cpu_count(), get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        drawn = tqdm(pool.map(draw, pieces), total=len(pieces), desc="encoding clips", mininterval=5)
        keep({"latents": torch.from_numpy(np.concatenate([np.asarray(part) for part in drawn]))}, path)


@torch.no_grad()
def _encoded(codec: Codec, frames: int, seed: int, world: str, indices: np.ndarray) -> Tensor:
    """Latents (N, T, C, h, w) float16 of the training clips with these numbers."""
    cv2.setNumThreads(1)
    # a pool may be built in the middle of a step that multiplies in bfloat16
    with torch.autocast(torch.get_default_device().type, enabled=False):
        scenes = (_scene_and_prompt(world, seed, int(index))[0] for index in indices)
        return torch.cat([codec.encode(WORLDS[world].render(scene, frames)).half().cpu() for scene in scenes])


def fingerprint(module: nn.Module) -> str:
    """Twelve digits that change with the weights: files made by a network carry them in their name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class DiptychPool:
    """`pictures` (N, H, 2W, 3) uint8, a frame `gap` frames earlier beside a frame, and what each shows."""

    pictures: Tensor
    captions: list[Caption]

    def batch(self, rng: np.random.Generator, count: int) -> tuple[Tensor, list[Caption]]:
        """At most `count` pictures (n, 3, H, 2W) float in [-1, 1] and their captions, no two alike: a double would
        be a false negative. One-object captions come with those that differ from them by direction alone, which a
        random batch seldom holds, so that nothing in it would ask for the direction.
        """
        rows: dict[Caption, int] = {}
        while len(rows) < min(count, len(self._rows)):
            for caption in _other_directions(self.captions[rng.integers(len(self.captions))]):
                if caption in self._rows:
                    rows.setdefault(caption, int(rng.choice(self._rows[caption])))
        captions = list(rows)[:count]
        return as_pictures(self.pictures[[rows[caption] for caption in captions]]), captions

    @cached_property
    def _rows(self) -> dict[Caption, list[int]]:
        found: dict[Caption, list[int]] = {}
        for row, caption in enumerate(self.captions):
            found.setdefault(caption, []).append(row)
        return found


def _other_directions(caption: Caption) -> list[Caption]:
    """The caption and, if it has one object, those of every other direction."""
    thing, *more = caption.objects
    if more:
        return [caption]
    others = (replace(thing, direction=direction) for direction in DIRECTIONS if direction != thing.direction)
    return [caption, *(replace(caption, objects=(other,)) for other in others)]


def diptych(scene: Scene, gap: int, rng: np.random.Generator) -> np.ndarray:
    """A random frame of a scene with the one `gap` frames before it on its left: (H, 2W, 3) uint8."""
    start = int(rng.integers(FRAMES - gap))
    return np.concatenate([render(scene, 1, start=s)[0] for s in (start, start + gap)], axis=1)


def as_pictures(diptychs: Tensor) -> Tensor:
    """(N, H, 2W, 3) uint8 to (N, 3, H, 2W) float in [-1, 1] on the default device."""
    return diptychs.to(torch.get_default_device()).permute(0, 3, 1, 2).float() / 127.5 - 1


def diptych_pool(count: int, gap: int, *, seed: int, folder: Path, held_out: bool = False) -> DiptychPool:
    """`count` training diptychs (24 kB each), or of held-out combinations, one object each; rendered once and kept in
    `folder` for as long as the renderer draws the first of them as it did."""

    def scene_of(rng: np.random.Generator) -> Scene:
        return sample_scene(sample_caption(rng, held_out=True), rng) if held_out else random_scene(rng)

    def drawn(index: int) -> tuple[Scene, np.ndarray]:
        rng = np.random.default_rng([seed, index])
        scene = scene_of(rng)
        return scene, diptych(scene, gap, rng)

    first = hashlib.sha256(b"".join(drawn(index)[1].tobytes() for index in range(min(count, 8)))).hexdigest()[:12]
    path = folder / f"diptychs-{first}-{count}x{gap}-{seed}.safetensors"
    if not path.exists():
        log.info("drawing %d diptychs into %s", count, path)
        drawing = tqdm(range(count), desc="drawing diptychs", mininterval=5)
        keep({"pictures": torch.from_numpy(np.stack([drawn(index)[1] for index in drawing]))}, path)
    captions = [scene_of(np.random.default_rng([seed, index])).caption for index in range(count)]
    return DiptychPool(load_file(path)["pictures"], captions)


def keep(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a pool whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")  # processes that train together may draw at the same time
    save_file(tensors, temporary)
    temporary.replace(path)
