"""A small video autoencoder on Wan 2.1's latent grid: 4x in time, 8x8 in space, 16 channels, first frame alone.

Pixel frames map to latent frames as in Wan: frame 0 alone, then groups of four, so `frames = 4 * (latent_frames - 1)
+ 1`. Every latent frame is encoded and decoded by itself (2-D convolutions over four stacked frames), which makes
streaming decode exact: any split of a clip into runs of latent frames gives the same pixels.

The interface is that of diffusers' `AutoencoderKLWan`: `encode(video).latent_dist`, `decode(latents).sample`,
layout (B, C, T, H, W), pixels in [-1, 1], and `config.latents_mean` / `config.latents_std` per channel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.networks.diffusers_parts import ConfigMixin, ModelMixin, register_to_config

GROUP = 4


# diffusers' own classes for these lie in a package that imports every autoencoder it has, which takes seconds


@dataclass(frozen=True)
class PointPosterior:
    """A posterior without spread, with the interface of diffusers' `DiagonalGaussianDistribution`; `mean`
    (B, z, t, h, w), not normalised."""

    mean: Tensor

    def mode(self) -> Tensor:
        return self.mean

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        return self.mean


@dataclass(frozen=True)
class Encoded:
    """What `encode` returns, as diffusers' `AutoencoderKLOutput`."""

    latent_dist: PointPosterior


@dataclass(frozen=True)
class Decoded:
    """What `decode` returns, as diffusers' `DecoderOutput`: `sample` (B, 3, T, H, W) in [-1, 1]."""

    sample: Tensor


class ShapesAutoencoder(ModelMixin, ConfigMixin):
    """Convolutional autoencoder for the shapes world; `widths` are channels at 1/2, 1/4 and 1/8 resolution."""

    @register_to_config
    def __init__(
        self,
        z_dim: int = 16,
        widths: tuple[int, int, int] = (48, 96, 192),
        encoder_layers: tuple[int, int, int] = (1, 1, 2),
        decoder_layers: tuple[int, int, int] = (1, 2, 3),
        latents_mean: tuple[float, ...] = (0.0,) * 16,
        latents_std: tuple[float, ...] = (1.0,) * 16,
        scale_factor_temporal: int = 4,
        scale_factor_spatial: int = 8,
    ) -> None:
        super().__init__()
        low, middle, high = widths
        pixels = 3 * GROUP * 4
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(pixels, low, 3, padding=1),
            *_residuals(low, encoder_layers[0]),
            nn.Conv2d(low, middle, 3, stride=2, padding=1),
            *_residuals(middle, encoder_layers[1]),
            nn.Conv2d(middle, high, 3, stride=2, padding=1),
            *_residuals(high, encoder_layers[2]),
            nn.GroupNorm(8, high),
            nn.SiLU(),
            nn.Conv2d(high, z_dim, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(z_dim, high, 3, padding=1),
            *_residuals(high, decoder_layers[2]),
            *_upsample(high, middle),
            *_residuals(middle, decoder_layers[1]),
            *_upsample(middle, low),
            *_residuals(low, decoder_layers[0]),
            nn.GroupNorm(8, low),
            nn.SiLU(),
            nn.Conv2d(low, pixels, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def encode_groups(self, groups: Tensor) -> Tensor:
        """Four stacked frames (N, 4, 3, H, W) in [-1, 1] to latents (N, z, H/8, W/8), not normalised."""
        return self.encoder(groups.flatten(1, 2))

    def decode_groups(self, latents: Tensor) -> Tensor:
        """Latents (N, z, h, w), not normalised, to four frames each (N, 4, 3, 8h, 8w), not clamped."""
        return self.decoder(latents).unflatten(1, (GROUP, 3))

    def encode(self, video: Tensor) -> Encoded:
        """Encode (B, 3, T, H, W) with T = 4k + 1 to (B, z, k + 1, H/8, W/8), not normalised."""
        batch, _, frames, height, width = video.shape
        if (frames - 1) % GROUP or height % 8 or width % 8:
            raise ValueError(
                f"a video of {frames} frames, {height} x {width}, cannot be encoded; use 4k + 1 frames and sides "
                f"divisible by 8"
            )
        first = video[:, :, :1].expand(-1, -1, GROUP, -1, -1)
        groups = torch.cat([first, video[:, :, 1:]], 2).unflatten(2, (-1, GROUP)).permute(0, 2, 3, 1, 4, 5)
        mean = self.encode_groups(groups.flatten(0, 1)).unflatten(0, (batch, -1)).transpose(1, 2)
        return Encoded(PointPosterior(mean))

    def decode(self, latents: Tensor, *, first: bool = True) -> Decoded:
        """Decode (B, z, T, h, w) to (B, 3, frames, 8h, 8w), clamped to [-1, 1].

        With `first` the run starts a clip (one frame for the first latent, then four each); without, it continues one
        (four frames for each latent).
        """
        batch = latents.shape[0]
        frames = self.decode_groups(latents.transpose(1, 2).flatten(0, 1))
        video = frames.unflatten(0, (batch, -1)).flatten(1, 2).transpose(1, 2).clamp(-1, 1)
        return Decoded(video[:, :, GROUP - 1 :] if first else video)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )
        nn.init.zeros_(self.body[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def _residuals(width: int, count: int) -> list[nn.Module]:
    return [_Residual(width) for _ in range(count)]


def _upsample(wide: int, narrow: int) -> list[nn.Module]:
    return [nn.Conv2d(wide, narrow * 4, 1), nn.PixelShuffle(2)]


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of two tensors in [-1, 1] (peak-to-peak 2)."""
    return 10 * torch.log10(4 / F.mse_loss(a.float(), b.float()))
