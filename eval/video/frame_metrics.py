"""Metrics of single frames and frame pairs that need no weights; they give the curves over time.

All take a clip (T, H, W, 3) uint8 RGB; a curve has one entry per frame, None where a frame has no value.
"""

from itertools import pairwise

import cv2
import numpy as np

from eval.video.clip import check_frames


def mean_difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference of two uint8 frames in levels, 0 to 255."""
    # cv2's L1 norm of uint8 arrays is an exact integer sum, so no rounding depends on the machine
    return float(cv2.norm(a, b, cv2.NORM_L1)) / a.size


def flicker_per_frame(frames: np.ndarray) -> list[float | None]:
    """Mean absolute difference to the previous frame / 255, in [0, 1]; the first frame has none.

    One minus the mean of the curve is VBench's temporal flickering of the clip. It counts motion as much as flicker.
    """
    check_frames(frames)
    return [None, *(mean_difference(a, b) / 255 for a, b in pairwise(frames))]


def temporal_flickering(frames: np.ndarray) -> float | None:
    """VBench temporal flickering (arXiv:2311.17982): 1 - mean |f[t+1] - f[t]| / 255, in [0, 1], higher is steadier.

    None for a clip of one frame, which has nothing to compare. Computed in exact integer sums; VBench adds up
    float32 means, so its printed value is within 1e-7 of this one.
    """
    curve = flicker_per_frame(frames)[1:]
    return 1.0 - float(np.mean(curve)) if curve else None


def sharpness_per_frame(frames: np.ndarray) -> list[float]:
    """Variance of the 3x3 Laplacian of luma (0..255) per frame, at least 0, higher is sharper; noise raises it too.

    Focus measure LAPV of Pech-Pacheco et al. (2000). Values of clips of different size are not comparable.
    """
    check_frames(frames)
    return [laplacian_variance(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)) for frame in frames]


def laplacian_variance(luma: np.ndarray) -> float:
    """Variance of the 3x3 Laplacian of (H, W) uint8 luma."""
    # 16-bit integers hold it exactly (up to 4 x 255), and their squares add up exactly: a third of the time of floats
    laplacian = cv2.Laplacian(luma, cv2.CV_16S)
    return max(cv2.norm(laplacian, cv2.NORM_L2SQR) / luma.size - cv2.mean(laplacian)[0] ** 2, 0.0)
