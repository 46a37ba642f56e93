"""VBench's input pipelines against torchvision's transforms, composed as VBench composes them."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Lambda, Normalize, Resize, ToTensor

from eval.vbench import preprocessing as ours

CLIP = Normalize(ours.CLIP_MEAN, ours.CLIP_STD)
IMAGENET = Normalize(ours.IMAGENET_MEAN, ours.IMAGENET_STD)
BICUBIC = InterpolationMode.BICUBIC
SIZES = [(480, 832), (64, 64), (240, 416), (721, 405), (224, 300), (97, 131), (600, 513)]


def hard_edges(size, count=2, seed=0):
    """Blocks of random colour with random pixels: bicubic overshoots far beyond 0..255 on it."""
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 2, (count, size[0] // 8 + 1, size[1] // 8 + 1, 3), dtype=np.uint8) * 255
    image = blocks.repeat(8, 1).repeat(8, 2)[:, : size[0], : size[1]]
    image[:, ::5, ::7] = generator.integers(0, 256, image[:, ::5, ::7].shape, dtype=np.uint8)
    return np.ascontiguousarray(image)


def floats(frames):
    return torch.Tensor(frames).permute(0, 3, 1, 2)


@pytest.mark.parametrize("size", SIZES)
def test_clip_input_is_bit_equal(size):
    frames = hard_edges(size)
    theirs = Compose(
        [Resize(224, BICUBIC, antialias=False), CenterCrop(224), Lambda(lambda x: x.float().div(255.0)), CLIP]
    )
    assert torch.equal(ours.clip_input(frames), theirs(floats(frames)))
    assert torch.equal(ours.clip_input_rounded(frames), theirs(torch.from_numpy(frames).permute(0, 3, 1, 2)))


@pytest.mark.parametrize("size", SIZES)
def test_clip_input_through_pillow_is_bit_equal(size):
    frames = hard_edges(size)
    theirs = Compose([Resize(224, BICUBIC, antialias=False), CenterCrop(224), ToTensor(), CLIP])
    assert torch.equal(ours.clip_input_pil(frames), torch.stack([theirs(Image.fromarray(f)) for f in frames]))


@pytest.mark.parametrize("size", SIZES)
def test_dino_input_is_bit_equal(size):
    frames = hard_edges(size)
    theirs = Compose([Resize(224, antialias=False), Lambda(lambda x: x.float().div(255.0)), IMAGENET])
    assert torch.equal(ours.dino_input(frames), theirs(floats(frames)))


@pytest.mark.parametrize("size", SIZES)
def test_dino_inputs_of_i2v_are_bit_equal(size):
    frames = hard_edges(size)
    steps = [Resize(256, BICUBIC), CenterCrop(224)]
    theirs = Compose([*steps, Lambda(lambda x: x.float().div(255.0)), IMAGENET])
    assert torch.equal(ours.dino_input_i2v(frames), theirs(floats(frames)))
    picture = Compose([*steps, ToTensor(), IMAGENET])(Image.fromarray(frames[0]))
    assert torch.equal(ours.dino_input_i2v_picture(frames[0])[0], picture)


@pytest.mark.parametrize("size", SIZES)
def test_musiq_input_is_bit_equal(size):
    frames = hard_edges(size)
    images = floats(frames)
    if max(size) > 512:
        scale = 512.0 / max(size)
        images = Resize((int(scale * size[0]), int(scale * size[1])), antialias=False)(images)
    assert torch.equal(ours.musiq_input(frames), images / 255.0)


def test_the_three_clip_inputs_differ():
    frames = hard_edges((480, 832))
    plain, rounded, pillow = (f(frames) for f in (ours.clip_input, ours.clip_input_rounded, ours.clip_input_pil))
    assert plain.max() > rounded.max() > 0 and (plain - pillow).abs().mean() > (plain - rounded).abs().mean() > 0


def test_batch_does_not_matter():
    frames = hard_edges((240, 416), count=5)
    for prepare in (ours.clip_input, ours.clip_input_rounded, ours.clip_input_pil, ours.dino_input, ours.musiq_input):
        assert torch.equal(prepare(frames), torch.cat([prepare(frames[i : i + 1]) for i in range(5)]))


@pytest.mark.parametrize(
    ("count", "wanted", "indices"),
    [
        (16, 8, [0, 2, 4, 6, 8, 10, 12, 14]),
        (21, 8, [0, 3, 5, 8, 11, 13, 16, 19]),
        (81, 8, [4, 14, 24, 34, 44, 54, 64, 75]),
        (121, 8, [7, 22, 37, 52, 67, 82, 97, 112]),
        (81, 16, [2, 7, 12, 17, 22, 27, 32, 37, 42, 47, 52, 57, 62, 67, 72, 77]),
        (3, 8, [0, 1, 2, 2, 2, 2, 2, 2]),
        (1, 8, [0] * 8),
    ],
)
def test_middle_frames(count, wanted, indices):
    assert ours.middle_frames(count, wanted) == indices
