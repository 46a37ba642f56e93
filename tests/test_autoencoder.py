"""The shipped autoencoder's quality, streaming decode, and Wan's own class behind the same codec."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan
from torch.testing import assert_close

from models.autoencoder import ShapesAutoencoder
from models.codec import Codec, latent_frames, pixel_frames
from models.registry import ASSETS, AUTOENCODER
from models.world import render, sample_caption, sample_scene
from tests.golden_data import golden


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(
        ShapesAutoencoder.from_pretrained(
            ASSETS / AUTOENCODER, torch_dtype=torch.float32, low_cpu_mem_usage=False
        ).eval()
    )


def clips(count, objects=1):
    rng = np.random.default_rng(40 + objects)
    return [render(sample_scene(sample_caption(rng, held_out=True, objects=objects), rng)) for _ in range(count)]


def test_frame_counts():
    assert [latent_frames(n) for n in (1, 2, 5, 45, 49, 50)] == [1, 2, 2, 12, 13, 14]
    assert [pixel_frames(n) for n in (1, 2, 13)] == [1, 5, 49]


@pytest.mark.parametrize("objects", [1, 2])
def test_reconstruction_of_clips_never_seen(codec, objects):
    quality = []
    for clip in clips(6, objects):
        latents = codec.encode(clip)
        assert latents.shape == (1, 13, 16, 8, 8)
        quality.append(10 * np.log10(255**2 / np.mean((clip.astype(float) - codec.decode(latents)) ** 2)))
    assert np.mean(quality) > 31


def test_latents_are_normalised(codec):
    latents = torch.cat([codec.encode(clip) for clip in clips(8)])
    assert abs(float(latents.mean())) < 0.2 and 0.8 < float(latents.std()) < 1.2


def test_any_split_decodes_to_the_same_pixels(codec):
    latents = codec.encode(clips(1)[0])
    whole = codec.decode(latents)
    for sizes in ([1, 3, 3, 3, 3], [3, 3, 1, 6], [1] * 13):
        parts = list(codec.stream_decode(iter(latents.split(sizes, 1))))
        assert [len(p) for p in parts] == [4 * n - 3 * (i == 0) for i, n in enumerate(sizes)]
        difference = np.abs(np.concatenate(parts).astype(int) - whole)
        assert difference.max() <= 1  # batched convolutions may round a value at .5 the other way


def test_sides_and_counts_that_do_not_fit_are_refused(codec):
    with pytest.raises(ValueError, match="4k \\+ 1 frames"):
        codec.encode(np.zeros((4, 64, 64, 3), np.uint8))


def wan_autoencoder() -> AutoencoderKLWan:
    """diffusers' class with the recorded random weights, renamed from original Wan names."""
    vae = AutoencoderKLWan(base_dim=8, z_dim=16).eval()
    vae.load_state_dict({_wan_name(name): tensor for name, tensor in golden("vae").items()})
    return vae


def _wan_name(name: str) -> str:
    parts = name.split(".")
    if parts[0] in ("conv1", "conv2"):
        return ".".join([{"conv1": "quant_conv", "conv2": "post_quant_conv"}[parts[0]], *parts[1:]])
    side, rest = parts[0], parts[1:]
    inner = {"0": "norm1", "2": "conv1", "3": "norm2", "6": "conv2"}
    if rest[0] == "conv1":
        return f"{side}.conv_in.{rest[1]}"
    if rest[0] == "head":
        return f"{side}.norm_out.gamma" if rest[1] == "0" else f"{side}.conv_out.{rest[2]}"
    if rest[0] == "middle":
        if rest[1] == "1":
            return f"{side}.mid_block.attentions.0." + ".".join(rest[2:])
        return f"{side}.mid_block.resnets.{int(rest[1]) // 2}." + _residual(rest[2:], inner)
    index = int(rest[1])
    tail = _residual(rest[2:], inner)
    if side == "encoder":
        return f"encoder.down_blocks.{index}.{tail}"
    stage, place = divmod(index, 4)
    if place == 3:
        return f"decoder.up_blocks.{stage}.upsamplers.0.{tail}"
    return f"decoder.up_blocks.{stage}.resnets.{place}.{tail}"


def _residual(rest: list[str], inner: dict[str, str]) -> str:
    if rest[0] == "residual":
        return ".".join([inner[rest[1]], *rest[2:]])
    return ".".join(["conv_shortcut" if rest[0] == "shortcut" else rest[0], *rest[1:]])


def test_wans_autoencoder_streams_through_the_same_codec():
    g = golden("vae_io")
    codec = Codec(wan_autoencoder())
    for sizes in ([7], [1, 3, 3], [3, 3, 1], [1] * 7):
        pixels = np.concatenate(list(codec.stream_decode(iter(g["latents"].split(sizes, 1)))))
        expected = ((g["decoded_unclamped"][0].clamp(-1, 1) + 1) * 127.5).permute(0, 2, 3, 1).numpy()
        assert pixels.shape == expected.shape
        assert np.abs(pixels - expected).max() < 0.51
    posterior = codec.autoencoder.encode(g["video"].transpose(1, 2)).latent_dist.mode().transpose(1, 2)
    assert_close(codec.normalize(posterior), g["encoded"], atol=1e-5, rtol=0)
