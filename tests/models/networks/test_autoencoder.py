"""The shipped autoencoder's quality, streaming decode, and Wan's own class behind the same codec."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from models.latent_time import latent_frames, pixel_frames
from models.networks.autoencoder import ShapesAutoencoder
from models.networks.codec import Codec
from models.registry import ASSETS
from models.wan.files import to_network
from models.wan.load import load_vae
from models.worlds.shapes import render, sample_caption, sample_scene
from tests.helpers.golden_data import golden


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(
        ShapesAutoencoder.from_pretrained(
            ASSETS / "shapes-autoencoder", torch_dtype=torch.float32, low_cpu_mem_usage=False
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


def test_wans_autoencoder_streams_through_the_same_codec():
    g = golden("vae_io")
    codec = Codec(load_vae(to_network(golden("vae"))))
    for sizes in ([7], [1, 3, 3], [3, 3, 1], [1] * 7):
        pixels = np.concatenate(list(codec.stream_decode(iter(g["latents"].split(sizes, 1)))))
        expected = ((g["decoded_unclamped"][0].clamp(-1, 1) + 1) * 127.5).permute(0, 2, 3, 1).numpy()
        assert pixels.shape == expected.shape
        assert np.abs(pixels - expected).max() < 0.51
    posterior = codec.autoencoder.encode(g["video"].transpose(1, 2)).latent_dist.mode().transpose(1, 2)
    assert_close(codec.normalize(posterior), g["encoded"], atol=1e-5, rtol=0)
