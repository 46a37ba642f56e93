"""Video autoencoder: reconstruct parts of tabletop clips through a 16-channel bottleneck with noise on it.

One example is nine frames of a clip, cut to `crop` pixels: three latent frames, the first alone. Loss = L1 + 4 * MSE
on pixels in [-1, 1] + L1 of the differences between neighbouring frames, so that groups of four join without a step +
a pull of the latents toward unit size. Gaussian noise on the latents during training makes the decoder smooth, so that
the small errors of a generator stay small in pixels.

A mean of squares leaves out what the latents do not tell, and pictures look soft. In the last `sharpen_steps` the
encoder is frozen, and the decoder learns to draw as much fine detail as there is in real frames: L1 losses are added
on the logarithms of the amplitudes of local spectra above a tenth of a cycle a pixel, and of their energies in the two
finest octaves, of frames and of the steps from frame to frame, and on what tells the four places of a group apart, so
that groups do not show as a rhythm. With `adversarial` a discriminator of patches joins them, which sees nine frames
at once and pulls at the pixels by that share of the other losses' gradient: what a spectrum does not tell, it does.
With `start` all steps are of this kind, from published weights: latents stay what they are.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from models.networks.autoencoder import psnr
from models.networks.video_autoencoder import GROUP, VideoAutoencoder
from models.training.discriminator import PatchDiscriminator
from models.training.loop import Average, Recipe, StepSeed, adamw, contact_sheet, cosine, optimize
from models.training.losses import finite_difference_penalty, relativistic_loss
from models.weights import load_model
from models.whole_files import replacing
from models.worlds.tabletop.grammar import FRAMES, SIZE
from models.worlds.tabletop.render import render
from models.worlds.tabletop.scene import random_scene

log = logging.getLogger(__name__)
SNIPPET = 2 * GROUP + 1


@dataclass(frozen=True)
class VideoAutoencoderConfig:
    steps: int = 3000
    sharpen_steps: int = 600
    sharpness: float = 0.1
    sharpen_lr: float = 5e-4
    batch: int = 24
    crop: int = 64
    lr: float = 2e-3
    latent_noise: float = 0.08
    latent_pull: float = 1e-3
    difference: float = 1.0
    ema: float = 0.997
    energy: float = 0.0
    rhythm: float = 0.0
    adversarial: float = 0.0
    critic_lr: float = 2e-4
    penalty: float = 100.0
    penalty_sigma: float = 0.05
    start: Path | None = None
    pool: int = 3000
    pools: Path = Path("runs/pools")


class SnippetPool:
    """Nine-frame pieces of training clips, (N, 9, 128, 128, 3) uint8, drawn once and kept on disk."""

    def __init__(self, count: int, seed: int, folder: Path) -> None:
        self.count, self.seed = count, seed
        path = folder / f"snippets-{count}-{seed}.npy"
        if not path.exists():
            _draw_snippets(path, count, seed)
        self.frames = np.load(path, mmap_mode="r")

    def batch(self, rng: np.random.Generator, count: int, crop: int) -> Tensor:
        """`count` random pieces of `crop` x `crop` pixels, more than half of them about a solid: (B, 9, 3, crop,
        crop) in [-1, 1]."""
        parts = []
        for row in rng.integers(self.count, size=count):
            left, top = rng.integers(0, SIZE - crop + 1, 2)
            if rng.random() < 0.6 and crop < SIZE:
                scene, start = snippet_scene(self.seed, int(row))
                thing = scene.objects[rng.integers(len(scene.objects))]
                x, y = thing.position(start + GROUP)
                left, top = (
                    int(np.clip(c - rng.uniform(0.2, 0.8) * crop, 0, SIZE - crop)) for c in (float(x), float(y))
                )
            part = self.frames[row, :, top : top + crop, left : left + crop]
            parts.append(part[:, :, ::-1] if rng.random() < 0.5 else part)
        pixels = torch.from_numpy(np.stack(parts)).to(torch.get_default_device())
        return pixels.permute(0, 1, 4, 2, 3).float() / 127.5 - 1


def snippet_scene(seed: int, index: int) -> tuple:
    """The scene of a piece and its first frame in it."""
    rng = np.random.default_rng([seed, index])
    return random_scene(rng), int(rng.integers(FRAMES - SNIPPET))


def _draw_snippets(path: Path, count: int, seed: int) -> None:
    log.info("drawing %d pieces of clips into %s", count, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, durable=False) as temporary:
        frames = np.lib.format.open_memmap(temporary, "w+", np.uint8, (count, SNIPPET, SIZE, SIZE, 3))
        for index in tqdm(range(count), desc="drawing pieces", mininterval=5):
            scene, start = snippet_scene(seed, index)
            frames[index] = render(scene, SNIPPET, start=start)
        frames.flush()


class VideoAutoencoderRecipe(Recipe):
    def __init__(self, config: VideoAutoencoderConfig) -> None:
        torch.manual_seed(0)
        self.config = config
        self.pool = SnippetPool(config.pool, 41, config.pools)
        model = load_model(VideoAutoencoder, config.start) if config.start else VideoAutoencoder()
        self.model = model.to(memory_format=torch.channels_last)
        self.modules = {"autoencoder": self.model}
        self.optimizers = {"autoencoder": adamw([self.model], lr=config.lr, betas=(0.9, 0.99), weight_decay=1e-3)}
        self.averages = {"autoencoder": Average(self.model, config.ema, start=200)}
        if config.adversarial:
            self.discriminator = PatchDiscriminator(SNIPPET)
            self.modules["discriminator"] = self.discriminator
            self.optimizers["discriminator"] = adamw([self.discriminator], lr=config.critic_lr, betas=(0.0, 0.99))

    def step(self, step: int, seed: StepSeed) -> dict[str, float]:
        config = self.config
        first_sharp = config.steps - config.sharpen_steps
        if step >= first_sharp:
            self._freeze_encoder(step == first_sharp and not config.start)
        groups = as_groups(self.pool.batch(seed.numpy, config.batch, config.crop))
        latents = self.encode(groups)
        noise = torch.randn(latents.shape, generator=seed.torch)
        output = self.decode(latents + config.latent_noise * noise).float()
        pull = config.latent_pull * latents.float().square().mean()
        loss = reconstruction_loss(output, groups, config.difference) + pull
        logs = {}
        if step < first_sharp:
            lr = config.lr * cosine(step, first_sharp, warmup=100)
        else:
            detail = detail_loss(output.flatten(0, 2), groups.flatten(0, 2))
            energy, rhythm = energy_loss(output, groups), rhythm_loss(output, groups)
            loss = loss + config.sharpness * detail + config.energy * energy + config.rhythm * rhythm
            lr = config.sharpen_lr * cosine(step - first_sharp, config.sharpen_steps, warmup=50)
            logs = {"detail": float(detail.detach()), "energy": float(energy.detach())}
            logs["rhythm"] = float(rhythm.detach())
            if config.adversarial:
                pull, seen = self.adversarial_pull(output, groups, loss, seed)
                loss, logs = loss + pull, logs | seen
        norm = optimize(loss, self.optimizers["autoencoder"], lr=lr, clip=1.0)
        quality = float(psnr(output.detach().clamp(-1, 1), groups))
        rms = float(latents.detach().float().square().mean().sqrt())
        return {"loss": float(loss.detach()), "psnr": quality, "latent_rms": rms, "grad_norm": norm, **logs}

    def adversarial_pull(
        self, output: Tensor, groups: Tensor, loss: Tensor, seed: StepSeed
    ) -> tuple[Tensor, dict[str, float]]:
        """One update of the discriminator on groups (B, 3, 4, 3, h, w), and a loss whose gradient at `output` points
        where the discriminator sees real clips, `adversarial` times as long as that of `loss`."""
        config = self.config
        real, made = shown_frames(groups), shown_frames(output.detach())
        both = torch.cat([real, made])
        nudged = both + config.penalty_sigma * torch.randn(both.shape, generator=seed.torch)
        winner, loser, near_winner, near_loser = self.discriminator(torch.cat([both, nudged])).chunk(4)
        penalty = finite_difference_penalty(winner, near_winner) + finite_difference_penalty(loser, near_loser)
        logs = {"won": float((winner > loser).float().mean()), "penalty": float(penalty.detach())}
        critic_loss = relativistic_loss(winner, loser) + 0.5 * config.penalty * penalty
        optimize(critic_loss, self.optimizers["discriminator"], lr=config.critic_lr, clip=10.0)
        self.discriminator.requires_grad_(False)
        with torch.no_grad():
            winner = self.discriminator(real)
        adversarial = relativistic_loss(self.discriminator(shown_frames(output)), winner)
        (toward,) = torch.autograd.grad(adversarial, output, retain_graph=True)
        self.discriminator.requires_grad_(True)
        (other,) = torch.autograd.grad(loss, output, retain_graph=True)
        share = config.adversarial * other.norm() / toward.norm().clamp(min=1e-12)
        return (share * toward * output).sum(), logs

    @torch.no_grad()
    def _freeze_encoder(self, first: bool) -> None:
        """From the `first` sharpening step on the encoder is what its average was."""
        for name, parameter in self.model.encoder.named_parameters():
            if first:
                parameter.copy_(self.averages["autoencoder"].values[f"encoder.{name}"])
            parameter.requires_grad_(False)

    def encode(self, groups: Tensor) -> Tensor:
        """Groups (B, 3, 4, 3, h, w) to latents (B, 3, z, h/8, w/8)."""
        flat = groups.flatten(0, 1).flatten(1, 2).contiguous(memory_format=torch.channels_last)
        return self.model.encoder(flat).unflatten(0, groups.shape[:2])

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (B, 3, z, h/8, w/8) of a clip's start to groups (B, 3, 4, 3, h, w)."""
        before = torch.cat([torch.zeros_like(latents[:, :1]), latents[:, :-1]], 1)
        flat = torch.cat([before, latents], 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return self.model.decoder(flat).unflatten(1, (GROUP, 3)).unflatten(0, latents.shape[:2])

    @torch.no_grad()
    def sample_sheet(self) -> np.ndarray:
        groups = as_groups(self.pool.batch(np.random.default_rng(1), 6, SIZE))
        with self.averaged():
            output = self.decode(self.encode(groups)).clamp(-1, 1)
        both = torch.stack([groups[:, 1, 1], output[:, 1, 1]], 1).permute(0, 1, 3, 4, 2)
        return contact_sheet(((both.float() + 1) * 127.5).round().byte().cpu().numpy(), lambda n: range(2))

    @torch.no_grad()
    def export(self, folder: Path) -> None:
        """Save the averaged weights with per-channel latent statistics measured on 256 training pieces."""
        with self.averaged():
            rng = np.random.default_rng(2)
            latents = torch.cat([self.encode(as_groups(self.pool.batch(rng, 16, SIZE))) for _ in range(16)]).float()
            mean, std = latents.mean((0, 1, 3, 4)), latents.std((0, 1, 3, 4))
            if not self.config.start:
                self.model.register_to_config(latents_mean=mean.tolist(), latents_std=std.tolist())
            self.model.save_pretrained(folder / "autoencoder")


def as_groups(video: Tensor) -> Tensor:
    """Nine frames (B, 9, 3, h, w) as three groups (B, 3, 4, 3, h, w), the first frame four times."""
    first = video[:, :1].expand(-1, GROUP, -1, -1, -1)
    return torch.cat([first, video[:, 1:]], 1).unflatten(1, (3, GROUP))


def shown_frames(groups: Tensor) -> Tensor:
    """The frames of groups (B, 3, 4, 3, h, w) as a video (B, 9, 3, h, w): of the first group the last alone."""
    return groups.flatten(1, 2)[:, GROUP - 1 :]


def reconstruction_loss(output: Tensor, groups: Tensor, difference: float) -> Tensor:
    """L1 + 4 * MSE + `difference` * L1 of the steps from frame to frame, of groups (B, 3, 4, 3, h, w)."""
    shown, real = shown_frames(output), shown_frames(groups)
    steps = F.l1_loss(shown.diff(dim=1), real.diff(dim=1))
    return F.l1_loss(output, groups) + 4 * F.mse_loss(output, groups) + difference * steps


def detail_loss(output: Tensor, real: Tensor) -> Tensor:
    """L1 of the log amplitudes of luma in windows of 16 x 16 pixels, of frames (N, 3, h, w) in [-1, 1], above a tenth
    of a cycle a pixel."""
    fine = _frequencies().to(output.device) > 0.1
    spectra = [(_amplitudes(frames.mean(1))[..., fine] + 0.05).log() for frames in (output, real)]
    return F.l1_loss(*spectra)


def energy_loss(output: Tensor, groups: Tensor) -> Tensor:
    """L1 of the log energies of luma in the two finest octaves, in windows of 16 x 16 pixels, of the frames of groups
    (B, 3, 4, 3, h, w) and of the steps from frame to frame."""
    frequencies = _frequencies().to(output.device)
    octaves = [(low < frequencies) & (frequencies <= 2 * low) for low in (0.25, 0.125)]
    shown, real = (shown_frames(part).mean(2) for part in (output, groups))
    loss = output.new_zeros(())
    for made, wanted in ((shown, real), (shown.diff(dim=1), real.diff(dim=1))):
        energies = [_amplitudes(luma.flatten(0, 1)).square() for luma in (made, wanted)]
        for octave in octaves:
            loss = loss + F.l1_loss(*((energy[..., octave].mean(-1) + 1e-3).log() for energy in energies)) / 4
    return loss


def rhythm_loss(output: Tensor, groups: Tensor) -> Tensor:
    """How differently the four places of a group fare in groups (B, 3, 4, 3, h, w): mean size, over places, of what
    distinguishes them in the log of fine energy and in the log of the change since the frame before, real taken off.

    It is 0 for an error that is the same in every frame.
    """
    fine = _frequencies().to(output.device) > 0.125
    curves = []
    for part in (output, groups):
        luma = shown_frames(part).mean(2)
        energies = _amplitudes(luma[:, 1:].flatten(0, 1))[..., fine].square().mean((1, 2, 3))
        changes = luma.diff(dim=1).abs().mean((2, 3))
        curves.append(torch.stack([(energies + 1e-3).log().view_as(changes), 2 * (changes + 1e-2).log()]))
    places = (curves[0] - curves[1]).unflatten(2, (-1, GROUP)).mean(2)
    return (places - places.mean(2, keepdim=True)).abs().mean()


SIDE = 16


def _amplitudes(luma: Tensor) -> Tensor:
    """Amplitudes (N, rows, columns, 16, 9) of windows of luma (N, h, w), half overlapping."""
    windows = luma.unfold(1, SIDE, SIDE // 2).unfold(2, SIDE, SIDE // 2)
    taper = torch.hann_window(SIDE, periodic=False, device=luma.device)
    windows = (windows - windows.mean((-2, -1), keepdim=True)) * taper[:, None] * taper
    return torch.fft.rfft2(windows).abs()


def _frequencies() -> Tensor:
    """Cycles a pixel of the amplitudes of one window (16, 9)."""
    return (torch.fft.fftfreq(SIDE)[:, None].square() + torch.fft.rfftfreq(SIDE).square()).sqrt()
