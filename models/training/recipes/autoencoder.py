"""Autoencoder: reconstruct groups of four frames through a 16-channel bottleneck with noise on it.

Loss = L1 + 4 * MSE on pixels in [-1, 1] + a pull of the latents toward unit size. Gaussian noise on the latents during
training makes the decoder smooth, so that the small errors of a generator stay small in pixels.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.networks.autoencoder import GROUP, ShapesAutoencoder, psnr
from models.training.loop import Average, Recipe, StepSeed, adamw, contact_sheet, cosine, optimize
from models.worlds.shapes import FRAMES, render, sample_caption, sample_scene, still


@dataclass(frozen=True)
class AutoencoderConfig:
    steps: int = 1700
    batch: int = 16
    lr: float = 1.5e-3
    latent_noise: float = 0.05
    latent_pull: float = 1e-4
    ema: float = 0.995
    widths: tuple[int, int, int] = (48, 96, 192)


def sample_groups(rng: np.random.Generator, count: int) -> Tensor:
    """`count` groups of four frames (N, 4, 3, H, W) in [-1, 1]; one in five is a still, as a first frame is."""
    groups = []
    while len(groups) < count:
        scene = sample_scene(sample_caption(rng, held_out=False, objects=int(rng.integers(1, 3))), rng)
        if rng.random() < 0.2:
            scene = still(scene)
        frames = render(scene, GROUP, start=int(rng.integers(FRAMES - GROUP)))
        groups.append(frames)
    pixels = torch.from_numpy(np.stack(groups)).to(torch.get_default_device())
    return pixels.permute(0, 1, 4, 2, 3).float() / 127.5 - 1


class AutoencoderRecipe(Recipe):
    def __init__(self, config: AutoencoderConfig) -> None:
        torch.manual_seed(0)
        self.config = config
        self.model = ShapesAutoencoder(widths=config.widths)
        self.modules = {"autoencoder": self.model}
        self.optimizers = {"autoencoder": adamw([self.model], lr=config.lr, betas=(0.9, 0.99), weight_decay=1e-3)}
        self.averages = {"autoencoder": Average(self.model, config.ema, start=100)}

    def step(self, step: int, seed: StepSeed) -> dict[str, float]:
        video = sample_groups(seed.numpy, self.config.batch).to(memory_format=torch.contiguous_format)
        latents = self.model.encode_groups(video)
        noise = torch.randn(latents.shape, generator=seed.torch)
        output = self.model.decode_groups(latents + self.config.latent_noise * noise)
        loss = (
            F.l1_loss(output, video)
            + 4 * F.mse_loss(output, video)
            + self.config.latent_pull * latents.square().mean()
        )
        lr = self.config.lr * cosine(step, self.config.steps, warmup=50)
        norm = optimize(loss, self.optimizers["autoencoder"], lr=lr, clip=1.0)
        quality = float(psnr(output.detach().clamp(-1, 1), video))
        return {
            "loss": float(loss.detach()),
            "psnr": quality,
            "latent_rms": float(latents.detach().square().mean().sqrt()),
            "grad_norm": norm,
        }

    @torch.no_grad()
    def sample_sheet(self) -> np.ndarray:
        video = sample_groups(np.random.default_rng(1), 12)
        output = self.model.decode_groups(self.model.encode_groups(video)).clamp(-1, 1)
        both = torch.cat([video, output], 1).permute(0, 1, 3, 4, 2)
        return contact_sheet(((both + 1) * 127.5).round().byte().cpu().numpy(), lambda n: (0, 3, 4, 7))

    @torch.no_grad()
    def export(self, folder: Path) -> None:
        """Save the averaged weights with per-channel latent statistics measured on 512 training groups."""
        with self.averaged():
            latents = self.model.encode_groups(sample_groups(np.random.default_rng(2), 512))
            mean, std = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
            self.model.register_to_config(latents_mean=mean.tolist(), latents_std=std.tolist())
            self.model.save_pretrained(folder / "autoencoder")
