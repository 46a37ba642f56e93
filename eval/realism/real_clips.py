"""How real the clips of systems look beside real ones: the rows of a table, each with its interval over captions.

A clip is measured once, into some 1,500 numbers, and may then be forgotten; sets are compared by those. Row i of every
set is the same caption, and of every system the same seed, so that differences between systems are paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.realism.efficientnet import POSITIONS, frame_features, frame_positions
from eval.realism.set_distance import frechet_over_time, kernel_over_time
from eval.realism.texture_spectrum import LEAST_SIDE, TOO_SMALL, octave_spectrum, spectrum_over_time
from eval.statistics.intervals import Interval
from eval.statistics.resampling import Resampled
from eval.statistics.two_sample import clip_vectors, two_sample_accuracy
from eval.video.clip import check_frames

FRECHET, KERNEL, SPECTRUM, ACCURACY = "frechet", "kernel_distance", "spectrum_distance", "two_sample_accuracy"
TITLES = {
    FRECHET: "Fréchet distance (EfficientNet)",
    KERNEL: "Kernel distance (EfficientNet), x 1000",
    SPECTRUM: "Texture spectrum distance, dB",
    ACCURACY: "Two-sample accuracy",
}
BOUNDS = {FRECHET: (0.0, np.inf), KERNEL: (-np.inf, np.inf), SPECTRUM: (0.0, np.inf), ACCURACY: (0.0, 1.0)}
LEAST_CLIPS = 10


@dataclass(frozen=True)
class ClipMeasures:
    """What is kept of a clip: `features` (P, 112) and octave `spectra` (P, K) of its frames at `positions` (P,)."""

    caption: str
    features: np.ndarray
    spectra: np.ndarray
    positions: tuple[int, ...]

    def to_values(self) -> dict:
        """Plain lists for a line of JSON."""
        rounded = {"features": np.round(self.features, 5).tolist(), "spectra": np.round(self.spectra, 3).tolist()}
        return {"caption": self.caption, "positions": list(self.positions), **rounded}

    @classmethod
    def from_values(cls, values: Mapping) -> "ClipMeasures":
        """What `to_values` gave."""
        features, spectra = (np.array(values[name], np.float32) for name in ("features", "spectra"))
        return cls(values["caption"], features, spectra, tuple(values["positions"]))


def measure_clip(frames: np.ndarray, caption: str, count: int = POSITIONS) -> ClipMeasures:
    """Measure a clip (T, H, W, 3) uint8 RGB of at least 16 pixels a side at `count` frames spread over its time."""
    check_frames(frames)
    if min(frames.shape[1:3]) < LEAST_SIDE:
        raise ValueError(TOO_SMALL)
    positions = frame_positions(len(frames), count)
    chosen = frames[positions]
    spectra = octave_spectrum(chosen).astype(np.float32)
    return ClipMeasures(caption, frame_features(chosen), spectra, tuple(map(int, positions)))


@dataclass(frozen=True)
class Row:
    """One number of the table with its 95 % interval; `n` captions."""

    system: str
    metric: str
    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Comparison:
    """A system's set against the reference: each metric over all time, and curves over `positions` by metric."""

    system: str
    totals: Mapping[str, Resampled]
    curves: Mapping[str, tuple[Interval, ...]]
    positions: tuple[int, ...]

    def rows(self) -> list[Row]:
        return [_row(self.system, metric, total) for metric, total in self.totals.items()]


def compare_to_real(
    reference: Sequence[ClipMeasures],
    systems: Mapping[str, Sequence[ClipMeasures]],
    *,
    resamples: int = 200,
    seed: int = 0,
) -> list[Comparison]:
    """Every system against real clips of the same captions, in the order given.

    Give a second draw of real clips as a system of its own: its Fréchet distance is what chance alone makes at this
    number of clips. Raises ValueError where captions, lengths or counts do not match.
    """
    return [_compare(reference, name, clips, resamples, seed) for name, clips in systems.items()]


def difference_rows(first: Comparison, second: Comparison) -> list[Row]:
    """First minus second, paired over captions; the interval leaves out 0 where the two differ by more than chance."""
    name = f"{first.system} - {second.system}"
    return [_row(name, metric, first.totals[metric] - second.totals[metric], bounded=False) for metric in first.totals]


def mean_row(system: str, metric: str, interval: Interval) -> Row:
    """Another measure of the same clips, such as the oracle's rate, as a row of the table."""
    return Row(system, metric, interval.value, interval.low, interval.high, interval.n)


def _compare(
    reference: Sequence[ClipMeasures], name: str, clips: Sequence[ClipMeasures], resamples: int, seed: int
) -> Comparison:
    _check(reference, name, clips)
    captions = [clip.caption for clip in clips]
    real, made = (np.stack([clip.features for clip in group]).astype(float) for group in (reference, clips))
    spectra, others = (np.stack([clip.spectra for clip in group]) for group in (reference, clips))
    draw: dict[str, Any] = {"resamples": resamples, "seed": seed}
    over_time = {
        FRECHET: frechet_over_time(real, made, **draw),
        KERNEL: [_times(1000, each) for each in kernel_over_time(real, made, **draw)],
        SPECTRUM: spectrum_over_time(spectra, others, captions, **draw),
    }
    totals = {metric: found[-1] for metric, found in over_time.items()}
    totals[ACCURACY] = two_sample_accuracy(clip_vectors(real), clip_vectors(made), **draw)
    curves = {metric: tuple(_interval(metric, each) for each in found[:-1]) for metric, found in over_time.items()}
    return Comparison(name, totals, curves, clips[0].positions)


def _check(reference: Sequence[ClipMeasures], name: str, clips: Sequence[ClipMeasures]) -> None:
    if len(clips) != len(reference) or len(clips) < LEAST_CLIPS:
        counts = f"{len(clips)} clips beside {len(reference)} real ones"
        raise ValueError(f"{name}: {counts} cannot be compared; give one of each per caption, {LEAST_CLIPS} or more")
    for real, clip in zip(reference, clips, strict=True):
        if real.caption != clip.caption:
            raise ValueError(f"{name}: {clip.caption!r} stands beside {real.caption!r}; give equal captions")
        if real.positions != clip.positions or real.spectra.shape != clip.spectra.shape:
            raise ValueError(f"{name}: clips differ from real ones in length or size; give the same frames and pixels")


def _interval(metric: str, found: Resampled) -> Interval:
    low, high = BOUNDS[metric]
    return found.interval(least=low, most=high)


def _row(system: str, metric: str, found: Resampled, *, bounded: bool = True) -> Row:
    return mean_row(system, metric, _interval(metric, found) if bounded else found.interval())


def _times(factor: float, found: Resampled) -> Resampled:
    return Resampled(factor * found.value, factor * found.draws, found.n)
