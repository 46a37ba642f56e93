"""What differs between two clips to the eye: FLIP's difference picture, ColorVideoVDP's verdict whether one sees it.

Both know how large a pixel is to the eye: `pixels_per_degree` of visual angle. PSNR and SSIM, which do not, stand
beside them for those who compare with other work.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import cv2
import numpy as np

from eval.video.clip import check_frames

SCREEN = 37.8  # pixels a degree of a 24-inch full HD screen, looked at from 60 cm
SHOWN = 384  # pixels of the screen that a clip is wide on a page
LEAST_SIDE = 16
SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
SSIM_FLOORS = (0.01 * 255) ** 2, (0.03 * 255) ** 2
NO_DIFFERENCE = 0.1  # JOD
KNOWN_PAIRS = 256
# up to how many JOD the words hold: 1 JOD is seen by 75 of 100 viewers who must choose, half of whom guess right
WORDS = (
    (NO_DIFFERENCE, "no visible difference"),
    (0.5, "hardly visible"),
    (1.0, "visible when looked for"),
    (3.0, "clearly visible"),
    (np.inf, "obvious"),
)


def pixels_per_degree(clip_width: int, shown_width: float = SHOWN) -> float:
    """Pixels of a clip in a degree of visual angle, when it is shown `shown_width` pixels of the screen wide."""
    if not (clip_width > 0 and shown_width > 0):
        raise ValueError(f"widths of {clip_width} and {shown_width} pixels cannot be looked at; give numbers above 0")
    return SCREEN * clip_width / shown_width


def flip_maps(reference: np.ndarray, other: np.ndarray, *, shown_width: float = SHOWN) -> np.ndarray:
    """(T, H, W) float32 in [0, 1]: how different each pixel looks when the two frames are flipped in place.

    LDR-FLIP (Andersson et al., HPG 2020). Clips (T, H, W, 3) uint8 RGB of one size; the longer one's last frames are
    left out. Raises ValueError for clips that cannot be laid over each other.
    """
    from flip_evaluator import evaluate

    reference, other = _together(reference, other)
    viewing = {"ppd": pixels_per_degree(reference.shape[2], shown_width)}
    maps = [
        evaluate(*(np.float32(frame) / 255 for frame in pair), "LDR", applyMagma=False, parameters=dict(viewing))[0]
        for pair in zip(reference, other, strict=True)
    ]
    return np.stack(maps)[..., 0]


def flip_pictures(maps: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) uint8 RGB: maps in [0, 1] in FLIP's colours, black for the same, light for different."""
    levels = (np.asarray(maps).clip(0, 1) * 255).round().astype(np.uint8)
    return np.stack([cv2.applyColorMap(level, cv2.COLORMAP_MAGMA)[..., ::-1] for level in levels])


@dataclass(frozen=True)
class Visibility:
    """Would a person see the difference? `verdict` says it in words, or why it cannot be told, and then the rest is
    None.

    `jod`: just-objectionable differences, 10 for none. `viewers`: the share of viewers who would point at the other
    clip as the changed one if they had to choose, 0.5 for guessing. `visible`: more than a tenth of a JOD.
    """

    jod: float | None
    viewers: float | None
    visible: bool | None
    verdict: str


def visible_difference(
    reference: np.ndarray, other: np.ndarray, fps: float, *, shown_width: float = SHOWN
) -> Visibility:
    """ColorVideoVDP (Mantiuk et al., SIGGRAPH 2024) on two clips (T, H, W, 3) uint8 RGB that play at `fps`.

    The screen is a 24-inch full HD one of 200 cd/m2 in an office. Distances are told from `reference`; with the two
    exchanged they differ a little.
    """
    try:
        frames = max(len(reference), len(other))
        reference, other = _together(reference, other)
        if not fps > 0:
            raise ValueError(f"fps={fps} is not a frame rate; give a number above 0")
    except (ValueError, TypeError) as error:
        return Visibility(None, None, None, f"not measured: {error}")
    part = f" in the first {len(reference)} of {frames} frames" if len(reference) < frames else ""
    if np.array_equal(reference, other):
        return Visibility(10.0, 0.5, False, f"the same pixels{part}")
    jod = _known_jod(np.ascontiguousarray(reference), np.ascontiguousarray(other), fps, shown_width)
    lost = 10.0 - jod
    viewers = NormalDist().cdf(NormalDist().inv_cdf(0.75) * lost)
    words = next(words for most, words in WORDS if lost < most)
    share = f"{min(round(100 * viewers), 99)} of 100 viewers would tell which is which, guessing gives 50"
    return Visibility(jod, viewers, lost >= NO_DIFFERENCE, f"{words}{part} ({share})")


_JODS: dict[tuple[Any, ...], float] = {}  # the last KNOWN_PAIRS values


def _known_jod(reference: np.ndarray, other: np.ndarray, fps: float, shown_width: float) -> float:
    """Seconds of work, and every visitor who opens a comparison asks for the same."""
    key = (*(hashlib.sha256(frames).digest() for frames in (reference, other)), reference.shape, fps, shown_width)
    known = _JODS.get(key)
    if known is None:
        metric = _vdp(round(pixels_per_degree(reference.shape[2], shown_width), 3), reference.shape[1:3])
        found = metric.predict(other, reference, dim_order="FHWC", frames_per_second=fps)[0]
        known = _JODS[key] = min(float(found), 10.0)
        for old in list(_JODS)[:-KNOWN_PAIRS]:
            _JODS.pop(old, None)
    return known


def frame_psnr(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(T,) peak signal-to-noise ratio of each frame in dB, infinite where the pixels are the same.

    Clips (T, H, W, 3) uint8 RGB as `flip_maps` takes them, all three channels alike.
    """
    reference, other = _together(reference, other)
    pairs = zip(reference, other, strict=True)
    squares = np.array([np.square(np.float64(a) - b).mean() for a, b in pairs])
    with np.errstate(divide="ignore"):
        return 10 * np.log10(255**2 / squares)


def frame_ssim(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(T,) structural similarity of each frame's grey picture, at most 1, which is for the same pixels.

    Wang et al., IEEE TIP 2004: a Gaussian window of 11 pixels, and the mean over where it lies wholly inside.
    """
    reference, other = _together(reference, other)
    return np.array([_ssim(*map(_grey, pair)) for pair in zip(reference, other, strict=True)])


def _grey(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float64)


def _ssim(a: np.ndarray, b: np.ndarray) -> float:
    def local(picture: np.ndarray) -> np.ndarray:
        margin = SSIM_WINDOW // 2
        blurred = cv2.GaussianBlur(picture, (SSIM_WINDOW, SSIM_WINDOW), SSIM_SIGMA)
        return blurred[margin:-margin, margin:-margin]

    mean_a, mean_b = local(a), local(b)
    variances = local(a * a) - mean_a**2 + local(b * b) - mean_b**2
    covariance = local(a * b) - mean_a * mean_b
    light, structure = SSIM_FLOORS
    likeness = (2 * mean_a * mean_b + light) * (2 * covariance + structure)
    return float((likeness / ((mean_a**2 + mean_b**2 + light) * (variances + structure))).mean())


def _together(reference: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both clips over the frames that both have."""
    for frames in (reference, other):
        check_frames(frames)
    sizes = [f"{frames.shape[2]}x{frames.shape[1]}" for frames in (reference, other)]
    if sizes[0] != sizes[1]:
        raise ValueError(f"the clips have different sizes, {sizes[0]} and {sizes[1]}")
    if min(reference.shape[1:3]) < LEAST_SIDE:
        raise ValueError(f"clips of {sizes[0]} pixels are too small to judge; give {LEAST_SIDE} a side or more")
    frames = min(len(reference), len(other))
    return reference[:frames], other[:frames]


@lru_cache(maxsize=4)
def _vdp(degree: float, size: tuple[int, int]) -> Any:
    import pycvvdp
    import torch

    geometry = pycvvdp.vvdp_display_geometry(size[::-1], ppd=degree)
    return pycvvdp.cvvdp("standard_fhd", display_geometry=geometry, quiet=True, device=torch.device("cpu"))
