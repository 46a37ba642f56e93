"""How much detail of which size a frame holds: power of luma by octaves of spatial frequency, beside real clips.

Octave 0 is the finest, 1/4 to 1/2 cycles a pixel (details of 2 to 4 pixels); each next one is twice as coarse.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from eval.statistics.resampling import Resampled, resample

OCTAVES = 5
LEAST_SIDE = 16
LARGEST = 256
ROUNDING = 1 / 12  # power of rounding to whole levels: below it there is nothing to see
TOO_SMALL = f"frames are smaller than {LEAST_SIDE} pixels a side, too small for a spectrum; give larger ones"
MIXED = ""


def octave_spectrum(frames: np.ndarray) -> np.ndarray:
    """(N, K) power of each octave in dB (10 log10 of squared levels a frequency), of frames (N, H, W, 3) uint8 RGB.

    K is 5, or fewer for frames under 64 pixels. The largest centred square of at most 256 pixels is looked at, under a
    Hann window. Raises ValueError for frames under 16 pixels a side.
    """
    side = min(*frames.shape[1:3], LARGEST)
    if side < LEAST_SIDE:
        raise ValueError(TOO_SMALL)
    window, rings = _window(side), _rings(side)
    top, left = (frames.shape[1] - side) // 2, (frames.shape[2] - side) // 2
    square = np.ascontiguousarray(frames[:, top : top + side, left : left + side])
    return np.stack([_octaves(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), window, rings) for frame in square])


def _octaves(luma: np.ndarray, window: np.ndarray, rings: np.ndarray) -> np.ndarray:
    detrended = (luma - np.average(luma, weights=window)) * window
    power = np.abs(np.fft.rfft2(detrended)) ** 2 / (window**2).sum()
    means = np.bincount(rings.ravel(), power.ravel())[1:] / np.bincount(rings.ravel())[1:]
    return 10 * np.log10(means + ROUNDING)


@lru_cache(maxsize=8)
def _window(side: int) -> np.ndarray:
    line = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
    return np.outer(line, line)


@lru_cache(maxsize=8)
def _rings(side: int) -> np.ndarray:
    """(side, side // 2 + 1) octave of each frequency, counted from 1; 0 for those too coarse or too fine."""
    cycles = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    octaves = min(OCTAVES, int(np.log2(side)) - 1)
    ring = np.ceil(-np.log2(2 * cycles.clip(1e-9)) + 1e-9).astype(int)
    return np.where((ring >= 1) & (ring <= octaves), ring, 0)


def ground_of(caption: str) -> str:
    """What follows the last " over " of a caption, such as "night sky"; "" where there is none."""
    return (
        " ".join(caption.lower().replace(".", " ").split()).rpartition(" over ")[2] if " over " in caption else MIXED
    )


@dataclass(frozen=True)
class SpectrumReference:
    """Mean octave spectrum of real clips by ground (K,) in dB, and the number of clips behind each.

    `grounds` may hold the ground "", which stands for any clip.
    """

    grounds: Mapping[str, np.ndarray]
    clips: Mapping[str, int]

    def ground(self, caption: str) -> str | None:
        """The ground of this reference that a caption names, None where it names none."""
        return next((name for name in (ground_of(caption), MIXED) if name in self.grounds), None)

    def distance(self, spectra: np.ndarray, ground: str) -> np.ndarray:
        """(...,) root mean square over octaves of the difference in dB, of spectra (..., K)."""
        real = self.grounds[ground]
        octaves = min(spectra.shape[-1], len(real))
        return np.sqrt(np.square(spectra[..., :octaves] - real[:octaves]).mean(-1))

    def write(self, path: Path) -> None:
        rows = {g: {"decibels": np.round(v, 3).tolist(), "clips": self.clips[g]} for g, v in self.grounds.items()}
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "SpectrumReference":
        """Raises ValueError for a file that `write` did not make."""
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
            grounds = {ground: np.asarray(row["decibels"], float) for ground, row in rows.items()}
            return cls(grounds, {ground: int(row["clips"]) for ground, row in rows.items()})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path.name} is no spectrum reference ({type(error).__name__}); make it anew") from error


def spectrum_reference(spectra: Sequence[np.ndarray], captions: Sequence[str]) -> SpectrumReference:
    """The reference from real clips' spectra, each (T, K), with their captions."""
    groups: dict[str, list[np.ndarray]] = defaultdict(list)
    for spectrum, caption in zip(spectra, captions, strict=True):
        groups[ground_of(caption)].append(np.mean(spectrum, 0))
    means = {ground: np.mean(rows, 0) for ground, rows in sorted(groups.items())}
    return SpectrumReference(means, {ground: len(groups[ground]) for ground in means})


def spectrum_over_time(
    reference: np.ndarray,
    other: np.ndarray,
    captions: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Resampled]:
    """Distance in dB between the mean spectra (N, P, K) of two sets at each position, then over all positions.

    Row i of both is the same caption. It is the root mean square, over grounds and octaves, of the mean difference of
    clips of one ground; what chance alone adds to the square is taken off, so that two real sets are 0 on average
    before the root.
    """
    difference = np.asarray(other, float) - np.asarray(reference, float)
    if difference.ndim != 3 or len(difference) != len(captions):
        raise ValueError(f"{len(captions)} captions for spectra {difference.shape}; give (N, P, K) with N each")
    _, grounds, counts = np.unique([ground_of(c) for c in captions], return_inverse=True, return_counts=True)
    if not len(counts) or counts.max() < 3:
        raise ValueError(f"{len(captions)} clips hold no ground three times; give at least three clips of one ground")

    def measure(rows: np.ndarray) -> np.ndarray:
        squares = [_unbiased_square(difference[rows[grounds[rows] == g]]) for g in range(len(counts))]
        squares = np.mean([s for s in squares if s is not None], 0)
        return np.sqrt(np.append(squares, squares.mean()).clip(0))

    return resample(measure, len(difference), resamples=resamples, seed=seed)


def _unbiased_square(differences: np.ndarray) -> np.ndarray | None:
    """(P,) mean over octaves of the squared mean difference of clips (n, P, K); None for fewer than two clips."""
    n = len(differences)
    if n < 2:
        return None
    return (differences.mean(0) ** 2 - differences.var(0, ddof=1) / n).mean(-1)


def energy_shares(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(K,) energy of each octave in `other` (N, P, K) dB as a share of `reference`'s, 1 for the same; finest first."""
    return np.array(10 ** ((np.mean(other, (0, 1)) - np.mean(reference, (0, 1))) / 10))
