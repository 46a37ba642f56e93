"""VBench's input pipelines on uint8 frames, bit for bit: which frames, and what each network sees of them.

Resizing is `torch.nn.functional.interpolate` without antialiasing, which equals torchvision's Resize on tensors;
OpenCV, Pillow and open_clip's own transforms give other numbers. Outputs are (n, 3, h, w) float32.
"""

import warnings
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE = 224
MUSIQ_LONGER = 512


def middle_frames(count: int, wanted: int) -> list[int]:
    """VBench's "middle" sampler: the middle of each of `wanted` equal parts; short clips repeat their last index."""
    if count < 1:
        raise ValueError(f"{count} frames cannot be sampled; give a clip of at least one")
    edges = np.linspace(0, count, min(wanted, count) + 1).astype(int)
    indices = [int(first + last - 1) // 2 for first, last in pairwise(edges)]
    return indices + indices[-1:] * (wanted - len(indices))


def as_tensor(frames: np.ndarray) -> Tensor:
    """(n, H, W, 3) uint8 frames as an (n, 3, H, W) uint8 view, without a copy."""
    # torch warns of arrays that are read-only, and these are only read
    with warnings.catch_warnings(action="ignore"):
        return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)


def shorter_side(height: int, width: int, side: int) -> tuple[int, int]:
    """Size with the shorter side at `side`; the longer one is truncated, as torchvision does."""
    if height <= width:
        return side, int(side * width / height)
    return int(side * height / width), side


def longer_side(height: int, width: int, limit: int = MUSIQ_LONGER) -> tuple[int, int]:
    """MUSIQ's size in VBench's mode "longer": both sides truncated when the longer one is beyond `limit`."""
    if max(height, width) <= limit:
        return height, width
    scale = limit / max(height, width)
    return int(scale * height), int(scale * width)


def centre_crop(images: Tensor, side: int = SIDE) -> Tensor:
    """The middle `side` x `side`; offsets round half to even, as torchvision's do."""
    top, left = (round((size - side) / 2.0) for size in images.shape[-2:])
    return images[..., top : top + side, left : left + side]


def resize(images: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Float images to `size` without antialiasing; values may overshoot 0..255 in bicubic mode."""
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    return F.interpolate(images, size=size, mode=mode, align_corners=False, antialias=False)


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(images / 255 - mean) / std per channel, in the caller's buffer, which must be float and its own."""
    middle, scale = (torch.tensor(row, dtype=images.dtype).view(-1, 1, 1) for row in (mean, std))
    return images.div_(255.0).sub_(middle).div_(scale)


def clip_input(frames: np.ndarray) -> Tensor:
    """CLIP's input of background consistency and aesthetic quality: bicubic on floats, overshoot kept."""
    return normalise(_clip_square(frames).contiguous(), CLIP_MEAN, CLIP_STD)


def clip_input_rounded(frames: np.ndarray) -> Tensor:
    """CLIP's and ViCLIP's input of the competition's CLIP score and overall consistency: rounded, kept in 0..255."""
    return normalise(_clip_square(frames).round_().clamp_(0, 255), CLIP_MEAN, CLIP_STD)


def clip_input_pil(frames: np.ndarray) -> Tensor:
    """CLIP's input of appearance style: through Pillow, whose bicubic filter always antialiases."""
    height, width = frames.shape[1:3]
    high, wide = shorter_side(height, width, SIDE)
    resized = np.stack([np.asarray(Image.fromarray(f).resize((wide, high), Image.Resampling.BICUBIC)) for f in frames])
    square = centre_crop(as_tensor(resized)).float()
    # ToTensor divides before the mean is taken off, as `normalise` does
    return normalise(square.contiguous(), CLIP_MEAN, CLIP_STD)


def dino_input(frames: np.ndarray) -> Tensor:
    """DINO's input of subject consistency: shorter side 224, bilinear, no crop."""
    height, width = frames.shape[1:3]
    size = shorter_side(height, width, SIDE)
    return normalise(_resized(frames, size, "bilinear"), IMAGENET_MEAN, IMAGENET_STD)


def dino_input_i2v(frames: np.ndarray) -> Tensor:
    """DINO's input of i2v_subject for frames: shorter side 256 bicubic with antialiasing, middle 224 x 224.

    VBench-I2V leaves antialiasing to torchvision, which has had it on for tensors since 0.17.
    """
    images = as_tensor(frames).float()
    height, width = frames.shape[1:3]
    size = shorter_side(height, width, 256)
    if tuple(images.shape[-2:]) != size:
        images = F.interpolate(images, size=size, mode="bicubic", align_corners=False, antialias=True)
    return normalise(centre_crop(images).contiguous(), IMAGENET_MEAN, IMAGENET_STD)


def dino_input_i2v_picture(image: np.ndarray) -> Tensor:
    """DINO's input of i2v_subject for the picture (H, W, 3) uint8, through Pillow; a batch of one."""
    height, width = image.shape[:2]
    high, wide = shorter_side(height, width, 256)
    resized = np.asarray(Image.fromarray(image).resize((wide, high), Image.Resampling.BICUBIC))
    return normalise(centre_crop(as_tensor(resized[None])).float().contiguous(), IMAGENET_MEAN, IMAGENET_STD)


def musiq_input(frames: np.ndarray) -> Tensor:
    """MUSIQ's input of imaging quality: longer side at most 512, bilinear, in 0..1."""
    return _resized(frames, longer_side(*frames.shape[1:3]), "bilinear").div_(255.0)


def _clip_square(frames: np.ndarray) -> Tensor:
    height, width = frames.shape[1:3]
    return centre_crop(_resized(frames, shorter_side(height, width, SIDE), "bicubic"))


def _resized(frames: np.ndarray, size: tuple[int, int], mode: str) -> Tensor:
    """Frames as floats at `size`, one at a time, so that the full-size float copy stays in the cache."""
    views = as_tensor(frames)
    out = torch.empty((len(frames), 3, *size))
    for image, row in zip(views, out, strict=True):
        row.copy_(resize(image[None].float().contiguous(), size, mode)[0])
    return out
