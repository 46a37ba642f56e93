"""A small sharp video autoencoder on Wan 2.1's grid: 4x in time, 8x8 in space, 16 channels, first frame alone.

Pixel frames map to latent frames as in Wan: frame 0 alone, then groups of four, so `frames = 4 * (latent_frames - 1)
+ 1`. Every group is encoded by itself; the decoder sees the latent frame before too, so that groups join without a
step, and streaming decode is exact: it needs the last latent frame of the run before and nothing else.

There are no norms: on a CPU they cost as much as the convolutions, and without them a network that was trained on
parts of pictures serves whole ones of any size.

The interface is that of diffusers' `AutoencoderKLWan`: `encode(video).latent_dist`, `decode(latents).sample`,
layout (B, C, T, H, W), pixels in [-1, 1], and `config.latents_mean` / `config.latents_std` per channel.
"""

import torch
from torch import Tensor, nn

from models.networks.autoencoder import Decoded, Encoded, PointPosterior
from models.networks.diffusers_parts import ConfigMixin, ModelMixin, register_to_config

GROUP = 4


class VideoAutoencoder(ModelMixin, ConfigMixin):
    """Convolutional autoencoder; `widths` are channels at 1/4 and 1/8 resolution, `encoder_layers` and
    `decoder_layers` the residual layers at each."""

    @register_to_config
    def __init__(
        self,
        z_dim: int = 16,
        encoder_widths: tuple[int, int] = (64, 160),
        decoder_widths: tuple[int, int] = (80, 256),
        encoder_layers: tuple[int, int] = (1, 4),
        decoder_layers: tuple[int, int] = (3, 6),
        latents_mean: tuple[float, ...] = (0.0,) * 16,
        latents_std: tuple[float, ...] = (1.0,) * 16,
        scale_factor_temporal: int = GROUP,
        scale_factor_spatial: int = 8,
    ) -> None:
        super().__init__()
        pixels = 3 * GROUP * 16
        middle, low = encoder_widths
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(pixels, middle, 3, padding=1),
            *_residuals(middle, encoder_layers[0]),
            nn.Conv2d(middle, low, 2, stride=2),
            *_residuals(low, encoder_layers[1]),
            nn.SiLU(),
            nn.Conv2d(low, z_dim, 1),
        )
        middle, low = decoder_widths
        self.decoder = nn.Sequential(
            nn.Conv2d(2 * z_dim, low, 3, padding=1),
            *_residuals(low, decoder_layers[1]),
            nn.Conv2d(low, middle * 4, 1),
            nn.PixelShuffle(2),
            *_residuals(middle, decoder_layers[0]),
            nn.SiLU(),
            nn.Conv2d(middle, pixels, 3, padding=1),
            nn.PixelShuffle(4),
        )
        with torch.no_grad():  # latents begin at about unit size, above the noise of training
            self.encoder[-1].weight *= 10

    def encode_groups(self, groups: Tensor) -> Tensor:
        """Four stacked frames (N, 4, 3, H, W) in [-1, 1] to latents (N, z, H/8, W/8), not normalised."""
        return self.encoder(groups.flatten(1, 2))

    def decode_groups(self, latents: Tensor, before: Tensor) -> Tensor:
        """Latents (N, z, h, w), not normalised, to four frames each (N, 4, 3, 8h, 8w), not clamped. `before` are the
        latent frames that precede them; zeros start a clip."""
        return self.decoder(torch.cat([before, latents], 1)).unflatten(1, (GROUP, 3))

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

    def decode(self, latents: Tensor, *, before: Tensor | None = None) -> Decoded:
        """Decode (B, z, T, h, w) to (B, 3, frames, 8h, 8w), clamped to [-1, 1].

        Without `before` the run starts a clip (one frame for the first latent, then four each); with it, the latent
        frame before the run (B, z, h, w), four frames for each latent.
        """
        batch, _, count, _, _ = latents.shape
        start = torch.zeros_like(latents[:, :, 0]) if before is None else before
        past = torch.cat([start[:, :, None], latents[:, :, :-1]], 2)
        frames = self.decode_groups(*(z.transpose(1, 2).flatten(0, 1) for z in (latents, past)))
        video = frames.unflatten(0, (batch, count)).flatten(1, 2).transpose(1, 2).clamp(-1, 1)
        return Decoded(video[:, :, GROUP - 1 :] if before is None else video)


class _Residual(nn.Module):
    """Three by three within each channel, then a small perceptron at each place: a third of a full convolution's
    time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width),
            nn.Conv2d(width, 2 * width, 1),
            nn.SiLU(),
            nn.Conv2d(2 * width, width, 1),
        )
        nn.init.zeros_(self.body[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def _residuals(width: int, count: int) -> list[nn.Module]:
    return [_Residual(width) for _ in range(count)]
