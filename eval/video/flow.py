"""Optical flow between neighbouring frames, at one working size, by dense inverse search (Kroeger et al., ECCV 2016).

Frames are shrunk by a whole factor until their shorter side is near 256 pixels, so that flow costs the same for
every resolution. Speeds are told in pixels of a picture whose shorter side is 256, as VBench's thresholds are.
"""

from functools import lru_cache

import cv2
import numpy as np

WORKING_SIDE = 256
LEAST_SIDE = 16
TOO_SMALL = f"frames are smaller than {LEAST_SIDE} pixels a side, too small for optical flow; give larger ones"


def shrinking(height: int, width: int) -> int:
    """The whole factor by which frames are shrunk before flow is searched."""
    return max(1, round(min(height, width) / WORKING_SIDE))


def unit_speed(height: int, width: int) -> float:
    """Pixels at a shorter side of 256 for one pixel of flow at the working size."""
    return shrinking(height, width) * WORKING_SIDE / min(height, width)


def small_luma(frame: np.ndarray) -> np.ndarray:
    """(h, w) uint8 luma of a frame (H, W, 3) uint8 RGB at the working size; up to `factor - 1` pixels are cut off."""
    factor = shrinking(*frame.shape[:2])
    height, width = frame.shape[0] // factor, frame.shape[1] // factor
    luma = cv2.cvtColor(frame[: height * factor, : width * factor], cv2.COLOR_RGB2GRAY)
    return luma if factor == 1 else cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)


def flow(first: np.ndarray, second: np.ndarray, *, coarse: bool = False) -> np.ndarray:
    """(h, w, 2) float32: where each pixel of `first` (h, w) uint8 luma lies in `second`, as (x, y) steps in pixels.

    `coarse` stops a scale earlier: a third of the time, good to half a pixel.
    """
    # a new one each time: after frames under 48 pixels a search keeps other settings, and threads must not share one
    return _search(2 if coarse else 1).calc(first, second, None)


def _search(finest_scale: int) -> cv2.DISOpticalFlow:
    # OpenCV's own presets stop at a quarter of the size and miss a moving edge by 10 %; searching to half the size on
    # fewer patches takes less time than its FAST and leaves a fifth of the residual on a moving disc (0.18 against
    # 0.89 levels; MEDIUM 0.12 in four times the time)
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    search.setFinestScale(finest_scale)
    search.setPatchStride(6)
    search.setGradientDescentIterations(8)
    return search


@lru_cache(maxsize=8)
def pixels(height: int, width: int, every: int = 1) -> np.ndarray:
    """(h, w, 2) float32: (x, y) of each pixel, or of every second, third ... in both directions."""
    return np.dstack(np.meshgrid(np.arange(0, width, every), np.arange(0, height, every))).astype(np.float32)


def read(image: np.ndarray, at: np.ndarray) -> np.ndarray:
    """`image` (H, W) or (H, W, c) at places (h, w, 2), bilinear; outside, its edge goes on."""
    return cv2.remap(image, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def warp(image: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """`image` (h, w) read at every pixel plus its step (h, w, 2)."""
    return read(image, pixels(*steps.shape[:2]) + steps)


def seen_in_both(target: np.ndarray, steps: np.ndarray, back: np.ndarray) -> np.ndarray:
    """(h, w) bool: the pixel that took `steps` to `target` is neither covered up nor out of the picture, as `back`
    (H, W, 2) leads home again.

    Criterion of Sundaram, Brox and Keutzer (ECCV 2010): |F + B|^2 < 0.01 (|F|^2 + |B|^2) + 0.5.
    """
    home = read(back, target)
    near = _squared(steps + home) < 0.01 * (_squared(steps) + _squared(home)) + 0.5
    x, y = cv2.split(target)
    return near & (x >= 0) & (x <= back.shape[1] - 1) & (y >= 0) & (y <= back.shape[0] - 1)


def _squared(steps: np.ndarray) -> np.ndarray:
    x, y = cv2.split(steps)
    return x * x + y * y
