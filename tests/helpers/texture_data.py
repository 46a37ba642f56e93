"""Small tabletop clips with the same captions, drawn anew for each seed, and ways to make them worse."""

from functools import cache

import cv2
import numpy as np

from models.worlds.tabletop.grammar import GROUNDS, Caption, sample_caption
from models.worlds.tabletop.render import render
from models.worlds.tabletop.scene import sample_scene

COUNT, LENGTH = 24, 9


@cache
def captions() -> tuple[str, ...]:
    return tuple(map(str, _captions()))


def _captions() -> list[Caption]:
    generator = np.random.default_rng(99)
    drawn = [sample_caption(generator, held_out=False) for _ in range(COUNT)]
    return [Caption(caption.objects, GROUNDS[i % 4]) for i, caption in enumerate(drawn)]


@cache
def real_clips(seed: int) -> np.ndarray:
    """(24, 9, 128, 128, 3) uint8 RGB."""
    generator = np.random.default_rng(seed)
    return np.stack([render(sample_scene(caption, generator), LENGTH) for caption in _captions()])


def blurred(clip: np.ndarray, sigma: float) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in clip])


def noisy(clip: np.ndarray, levels: float) -> np.ndarray:
    noise = np.random.default_rng(int(clip[0].sum()) % 1000).normal(0, levels, clip.shape)
    return (clip + noise).clip(0, 255).round().astype(np.uint8)


def without_texture(clip: np.ndarray, share: float) -> np.ndarray:
    """Detail is faded by `share`, edges of more than 40 levels are kept."""
    flat = np.stack([cv2.bilateralFilter(frame, 9, 40, 5) for frame in clip]).astype(float)
    return (clip + share * (flat - clip)).round().astype(np.uint8)


WORSE = {"blur": (blurred, (0.5, 0.8, 1.3)), "noise": (noisy, (2, 5, 10)), "texture": (without_texture, (0.4, 0.7, 1))}
