"""Pixels to normalised latents and back, with streaming decode, for every autoencoder with Wan's interface."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from models.latent_time import TEMPORAL
from models.networks.autoencoder import ShapesAutoencoder
from models.networks.video_autoencoder import VideoAutoencoder
from models.weights import load_model

if TYPE_CHECKING:  # importing it takes seconds
    from diffusers import AutoencoderKLWan


def load_codec(folder: Path) -> "Codec":
    """The codec of the autoencoder that is kept in `folder`, in float32."""
    kinds = {kind.__name__: kind for kind in (ShapesAutoencoder, VideoAutoencoder)}
    kind = kinds[json.loads((folder / "config.json").read_text())["_class_name"]]
    return Codec(load_model(kind, folder).eval().requires_grad_(False))


class Codec:
    """Wraps an autoencoder: latents here are (B, T, C, H, W), normalised per channel; pixels (T, H, W, 3) uint8."""

    def __init__(self, autoencoder: "ShapesAutoencoder | VideoAutoencoder | AutoencoderKLWan") -> None:
        self.autoencoder = autoencoder
        shape = (1, 1, -1, 1, 1)
        self.mean = torch.tensor(autoencoder.config.latents_mean).view(shape)
        self.std = torch.tensor(autoencoder.config.latents_std).view(shape)

    @torch.no_grad()
    def encode(self, frames: np.ndarray) -> Tensor:
        """(T, H, W, 3) uint8 RGB with T = 4k + 1 to latents (1, k + 1, C, H/8, W/8)."""
        return self.normalize(self.autoencoder.encode(self._to_model(frames)).latent_dist.mode().transpose(1, 2))

    def encode_run(self, frames: np.ndarray, start: int, length: int) -> Tensor:
        """Latent frames `start` to `start + length` of a video (T, H, W, 3): (1, length, C, h, w).

        Only the frames they cover are encoded, after the one before them. Past its end the last frame stands still.
        Equal to a slice of `encode` of the whole where latent frames do not depend on one another, as in the shapes
        autoencoder.
        """
        first = max(0, TEMPORAL * (start - 1))
        ticks = np.arange(first, TEMPORAL * (start + length - 1) + 1)
        latents = self.encode(frames[np.minimum(ticks, len(frames) - 1)])
        return latents[:, -length:]

    def encode_runs(self, frames: np.ndarray) -> Callable[[int, int], Tensor]:
        """Gives runs of a video's latent frames when asked, `(start, length)` one after the other, so that none waits
        for the end of the video: each is the slice of `encode` of the whole that it names."""
        alone = isinstance(self.autoencoder, ShapesAutoencoder | VideoAutoencoder)
        return partial(self.encode_run, frames) if alone else _WanRuns(self, frames)

    def normalize(self, latents: Tensor) -> Tensor:
        return (latents - self.mean.to(latents)) / self.std.to(latents)

    def denormalize(self, latents: Tensor) -> Tensor:
        return latents * self.std.to(latents) + self.mean.to(latents)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        """Latents (1, T, C, h, w) to (4(T-1)+1, 8h, 8w, 3) uint8 RGB."""
        return next(self.stream_decode(iter([latents])))

    @torch.no_grad()
    def stream_decode(self, runs: Iterator[Tensor]) -> Iterator[np.ndarray]:
        """Decode runs of latents (1, t, C, h, w) that follow one another; the first run starts the clip."""
        decode = self.run_decoder()
        for latents in runs:
            yield to_pixels(decode(latents))

    def run_decoder(self) -> "RunDecoder":
        """Decodes the runs of one clip."""
        return RunDecoder(self)

    @property
    def device(self) -> torch.device:
        return next(self.autoencoder.parameters()).device

    def _to_model(self, frames: np.ndarray) -> Tensor:
        parameter = next(self.autoencoder.parameters())
        video = torch.from_numpy(np.array(frames)).to(parameter.device).permute(3, 0, 1, 2)[None]
        return (video.float() / 127.5 - 1).to(parameter.dtype)


class RunDecoder:
    """Decodes the runs of one clip, called with one after the other, and keeps what the next one needs of the last."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.first = True
        self.cache: Any = None

    @torch.no_grad()
    def __call__(self, latents: Tensor) -> Tensor:
        """Latents (1, t, C, h, w) to video (1, 3, T, 8h, 8w) in [-1, 1]."""
        autoencoder = self.codec.autoencoder
        z = self.codec.denormalize(latents).transpose(1, 2)
        if isinstance(autoencoder, ShapesAutoencoder):
            video = autoencoder.decode(z, first=self.first).sample
        elif isinstance(autoencoder, VideoAutoencoder):
            video, self.cache = autoencoder.decode(z, before=self.cache).sample, z[:, :, -1]
        else:
            video, self.cache = _wan_decode(autoencoder, z, self.cache)
        self.first = False
        return video


def to_pixels(video: Tensor) -> np.ndarray:
    """(1, 3, T, H, W) in [-1, 1] to (T, H, W, 3) uint8."""
    return ((video[0].float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 3, 0).cpu().numpy()


class _WanRuns:
    """The latent frames of a video in order, the causal convolutions' feature cache kept from run to run."""

    def __init__(self, codec: Codec, frames: np.ndarray) -> None:
        self.codec, self.frames = codec, frames
        self.cache: list | None = None
        self.next = 0

    @torch.no_grad()
    def __call__(self, start: int, length: int) -> Tensor:
        if start != self.next:
            raise ValueError(f"latent frame {self.next} is next, and {start} was asked for; runs are taken in order")
        self.next += length
        ticks = np.arange(max(0, TEMPORAL * (start - 1) + 1), TEMPORAL * (self.next - 1) + 1)
        video = self.codec._to_model(self.frames[np.minimum(ticks, len(self.frames) - 1)])
        vae = self.codec.autoencoder
        if self.cache is None:
            vae.clear_cache()
            self.cache = [None] * vae._enc_conv_num
        head = start == 0
        groups = [*([video[:, :, :1]] if head else []), *video[:, :, int(head) :].split(TEMPORAL, 2)]
        parts = [vae.encoder(part, feat_cache=self.cache, feat_idx=[0]) for part in groups if part.shape[2]]
        mean = vae.quant_conv(torch.cat(parts, 2)).chunk(2, 1)[0]
        return self.codec.normalize(mean.transpose(1, 2))


def _wan_decode(vae: "AutoencoderKLWan", z: Tensor, cache: list | None) -> tuple[Tensor, list]:
    """Decode one latent frame at a time with the causal convolutions' feature cache kept across calls.

    `AutoencoderKLWan.decode` clears that cache on every call, so its decoder is driven directly.
    """
    starting = cache is None
    if starting:
        vae.clear_cache()
        cache = [None] * vae._conv_num
    x = vae.post_quant_conv(z)
    outputs = []
    for index in range(x.shape[2]):
        arguments = {"first_chunk": True} if starting and index == 0 else {}
        outputs.append(vae.decoder(x[:, :, index : index + 1], feat_cache=cache, feat_idx=[0], **arguments))
    return torch.cat(outputs, 2).clamp(-1, 1), cache
