"""What training draws from, made once and kept on disk: latents of a world's clips."""

import hashlib
import logging
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
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
from models.whole_files import replacing
from models.worlds.shapes import FRAMES
from models.worlds.training_worlds import WORLDS

log = logging.getLogger(__name__)


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
    `folder` for as long as the world draws the first of them as it did."""
    drawn = hashlib.sha256(b"".join(_first_frame(world, seed, index) for index in range(min(count, 8)))).hexdigest()
    made_by = f"{fingerprint(codec.autoencoder)}-{drawn[:12]}"
    path = folder / f"latents-{made_by}-{count}x{frames}-{seed}.safetensors"
    if not path.exists():
        _build(codec, count, frames, seed, path, world)
    captions = [_scene_and_prompt(world, seed, index)[1] for index in range(count)]
    return LatentPool(load_file(path)["latents"], captions)


def real_clips(codec: Codec, count: int, folder: Path, world: str) -> LatentPool:
    """The clips of a world that all recipes learn from."""
    return latent_pool(codec, count, frames=WORLDS[world].frames, seed=12, folder=folder, world=world)


def _first_frame(world: str, seed: int, index: int) -> bytes:
    return WORLDS[world].render(_scene_and_prompt(world, seed, index)[0], 1).tobytes()


def _scene_and_prompt(world: str, seed: int, index: int) -> tuple[Any, str]:
    rng = np.random.default_rng([seed, index])
    scene = WORLDS[world].random_scene(rng)
    return scene, WORLDS[world].prompt(scene.caption, rng)


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


def keep(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a pool whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, durable=False) as temporary:
        save_file(tensors, temporary)
