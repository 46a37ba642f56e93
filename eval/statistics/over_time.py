"""How a curve changes over a clip: windowed means, slopes, drift and motion collapse. Seconds, not frames.

A curve has one entry a frame, None where there is nothing to measure; `seconds` is each frame's time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Curve = Sequence[float | None]
MOST_POINTS = 400  # a slope looks at all pairs of points


@dataclass(frozen=True)
class Windowed:
    """Sliding windows: centre in seconds, mean, and the 10th and 90th percentile of the frames inside."""

    seconds: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Slope:
    """Change per second with its interval; `n` counts the points behind it."""

    value: float
    low: float
    high: float
    n: int


def frame_seconds(frames: int, fps: float, times: Sequence[float] = ()) -> np.ndarray:
    """(frames,) the second at which each frame is shown; `times` where frames are not evenly spaced."""
    return np.asarray(times, float)[:frames] if len(times) >= frames > 0 else np.arange(frames) / fps


def windowed(curve: Curve, seconds: Sequence[float], width: float = 1.0, step: float | None = None) -> Windowed:
    """Means over windows of `width` seconds, one every `step` (a quarter of the width), each wholly inside the clip.

    A clip shorter than the width is one window; a window without numbers is left out.
    """
    if not width > 0:
        raise ValueError(f"width={width} is no window; give seconds above 0")
    times, values = _known(curve, seconds)
    if not len(values):
        return Windowed((), (), (), ())
    step = step or width / 4
    first, end = float(seconds[0]), float(seconds[-1]) + _gap(seconds)
    starts = first + step * np.arange(max(0, int((end - first - width) / step + 1e-9)) + 1)
    rows = []
    for start in starts:
        inside = values[slice(*np.searchsorted(times, (start - 1e-9, start + width - 1e-9)))]
        if len(inside):
            centre = min(start + width / 2, (start + end) / 2)
            rows.append((float(centre), float(inside.mean()), *map(float, np.quantile(inside, (0.1, 0.9)))))
    return Windowed(*(tuple(column) for column in zip(*rows, strict=True)))


def theil_sen(curve: Curve, seconds: Sequence[float], *, confidence: float = 0.95) -> Slope | None:
    """Median of the slopes of all pairs of points (Theil 1950), with Sen's rank interval (1968); None under 3 points.

    Long curves are first averaged into 400 stretches. The interval takes points for independent; neighbouring
    frames are not, so that on raw curves it is narrower than the truth: give it means of whole windows.
    """
    times, values = _thinned(*_known(curve, seconds))
    n = len(values)
    if n < 3:
        return None
    from scipy.stats import theilslopes

    found = theilslopes(values, times, confidence)
    return Slope(float(found.slope), float(found.low_slope), float(found.high_slope), n)


def slope_of_windows(curve: Curve, seconds: Sequence[float], width: float = 0.5) -> Slope | None:
    """Theil-Sen slope of means over windows that do not overlap, so that its interval holds."""
    means = windowed(curve, seconds, width, step=width)
    return theil_sen(means.mean, means.seconds)


def first_to_last(curve: Curve, share: float = 0.25) -> tuple[float, float] | None:
    """(difference, relative change or nan) of the mean over the last `share` of a clip against its first share."""
    parts = _part(curve, 0, share), _part(curve, 1 - share, 1)
    if None in parts:
        return None
    start, end = parts
    return end - start, (end / start - 1 if start else float("nan"))


def drift_score(curve: Curve, segments: int = 5) -> float | None:
    """Spread over time of AAD-1 (arXiv:2606.03972): standard deviation of the means of equal stretches of a clip.

    In the metric's own unit; 0 is a clip that stays as it is. None when a stretch has no number.
    """
    if segments < 2:
        raise ValueError(f"segments={segments} have no spread; give two or more")
    means = [_part(curve, k / segments, (k + 1) / segments) for k in range(segments)]
    return None if None in means else float(np.std(means))


def motion_collapse(speed: Curve) -> float | None:
    """1 - (speed in the last third / speed in the first third), in [0, 1]: 1 for a clip that comes to a stop.

    0 when it keeps its speed or gains; None for a clip that did not move in the first place.
    """
    start, end = _part(speed, 0, 1 / 3), _part(speed, 2 / 3, 1)
    return None if end is None or not start else float(1 - np.clip(end / start, 0, 1))


def _part(curve: Curve, start: float, end: float) -> float | None:
    # the edges are rounded alike for neighbours, so that every frame is in one stretch
    values = [v for v in curve[round(start * len(curve)) : round(end * len(curve))] if v is not None]
    return float(np.mean(values)) if values else None


def _known(curve: Curve, seconds: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    if len(curve) != len(seconds):
        raise ValueError(f"{len(curve)} values at {len(seconds)} times; give one time for each frame")
    known = [(t, v) for t, v in zip(seconds, curve, strict=True) if v is not None]
    times, values = np.array(known, float).reshape(-1, 2).T
    return times, values


def _gap(seconds: Sequence[float]) -> float:
    return (float(seconds[-1]) - float(seconds[0])) / (len(seconds) - 1) if len(seconds) > 1 else 0.0


def _thinned(times: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(values) <= MOST_POINTS:
        return times, values
    stretches = np.array_split(np.arange(len(values)), MOST_POINTS)
    return tuple(np.array([each[part].mean() for part in stretches]) for each in (times, values))
