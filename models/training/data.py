"""Latents of shapes-world clips, encoded once and kept on disk: rendering and encoding cost more than a training
step."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from models.codec import Codec
from models.world import FRAMES, Scene, render, sample_caption, sample_scene

log = logging.getLogger(__name__)
TWO_OBJECTS = 0.3


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


def random_scene(rng: np.random.Generator) -> Scene:
    """A training scene: seen combinations only, three in ten with two objects."""
    return sample_scene(sample_caption(rng, held_out=False, objects=2 if rng.random() < TWO_OBJECTS else 1), rng)


def latent_pool(codec: Codec, count: int, *, frames: int = FRAMES, seed: int, folder: Path) -> LatentPool:
    """`count` training clips of `frames` frames as latents; built once for an autoencoder and kept in `folder`."""
    path = folder / f"latents-{fingerprint(codec.autoencoder)}-{count}x{frames}-{seed}.safetensors"
    if not path.exists():
        _build(codec, count, frames, seed, path)
    scenes = (random_scene(np.random.default_rng([seed, index])) for index in range(count))
    return LatentPool(load_file(path)["latents"], [str(scene.caption) for scene in scenes])


def _build(codec: Codec, count: int, frames: int, seed: int, path: Path) -> None:
    log.info("encoding %d clips into %s", count, path)
    latents = []
    for index in tqdm(range(count), desc="encoding clips", mininterval=5):
        scene = random_scene(np.random.default_rng([seed, index]))
        latents.append(codec.encode(render(scene, frames)).half().cpu())
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file({"latents": torch.cat(latents)}, temporary)
    temporary.replace(path)


def fingerprint(module: nn.Module) -> str:
    """Twelve digits that change with the weights: files made by a network carry them in their name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]
