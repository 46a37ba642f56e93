"""When the frames of a video are shown: evenly or not."""

from collections import defaultdict, deque
from collections.abc import Sequence

import numpy as np

MOST_RATE = 60  # frames a second; what is unevenly timed is shown at an even rate up to it
APART = "ms apart"
ROUNDED = 0.01  # seconds: a tick more or less is rounding where ticks are no longer
UNEVEN = 0.1  # a gap between frames may differ from the usual one by this share of it


def uneven_times(stamps: Sequence[int | None], base: float) -> tuple[float, ...]:
    """Seconds of each frame from the first, or () when they are evenly spaced or not known.

    Frames of one time stamp are spread evenly up to the next one, or over all of it where that leaves no gap.
    """
    ticks = _spread(stamps) if base else np.zeros(0)
    if len(ticks) < 3 or not _uneven(np.diff(ticks), base):
        return ()
    return tuple(float(t) for t in (ticks - ticks[0]) * base)


def own_rate(stamps: Sequence[int | None], base: float, told: float) -> float | None:
    """Frames a second by their mean distance in time, or None where it is not known or within a hundredth, or the
    rounding of ticks, of the rate that is `told`."""
    ticks = _spread(stamps) if base else np.zeros(0)
    if len(ticks) < 2:
        return None
    span = float(ticks[-1] - ticks[0])
    own = (len(ticks) - 1) / (span * base)
    return own if abs(own / told - 1) > max(0.01, 2 / span) else None


def _spread(stamps: Sequence[int | None]) -> np.ndarray:
    """Ticks of each frame in order, those of one stamp spread up to the next; empty where they are not known."""
    known = [stamp for stamp in stamps if stamp is not None]
    own, counts = np.unique(known, return_counts=True)
    if len(known) < len(stamps) or len(own) < 2:
        return np.zeros(0)
    gaps = np.diff(own)
    usual = np.median(gaps)
    if counts.max() > 1 and abs((own[-1] - own[0]) - usual * (len(known) - 1)) <= max(UNEVEN * usual, 1):
        # a stamp went to the frame before: MPEG's parser does that where a packet holds two frames
        return np.linspace(own[0], own[-1], len(known))
    room = np.append(gaps, usual)
    return np.concatenate([t + gap * np.arange(n) / n for t, gap, n in zip(own, room, counts, strict=True)])


def _uneven(gaps: np.ndarray, base: float) -> bool:
    """Whether gaps between frames differ by more than rounding: GIF counts in hundredths of a second, WebM in
    thousandths."""
    usual = np.median(gaps)
    return bool(np.abs(gaps - usual).max() > max(UNEVEN * usual, min(1.0, ROUNDED / base) + 1e-9))


class TimesOfFrames:
    """Looks up the seconds of decoded frames, of which some may be lost, among the `times` of all `stamps`."""

    def __init__(self, stamps: Sequence[int | None], times: Sequence[float], base: float) -> None:
        self.base = base
        self.times: dict[int | None, deque[float]] = defaultdict(deque)
        order = sorted(range(len(times)), key=lambda index: stamps[index] or 0)
        for index, seconds in zip(order, times, strict=True):
            self.times[stamps[index]].append(seconds)
        self.first = stamps[order[0]] if order else 0

    def of(self, stamp: int | None, before: float) -> float:
        """Seconds of a frame, which comes after one at `before`."""
        if self.times[stamp]:
            return self.times[stamp].popleft()
        told = 0.0 if stamp is None else (stamp - (self.first or 0)) * self.base
        return max(told, before + self.base)


def told_repeats(stamps: Sequence[int | None]) -> str:
    """What to tell of frames that have the time stamp of another one; empty for none."""
    known = [stamp for stamp in stamps if stamp is not None]
    repeated = len(known) - len(set(known))
    if not repeated:
        return ""
    if len(set(known)) == 1:
        return f"all {len(known)} frames have one time stamp; frames are taken to be evenly spaced"
    have = "frame has" if repeated == 1 else "frames have"
    return f"{repeated} {have} the time stamp of another; those are spread evenly up to the next time stamp"


def told_gaps(times: Sequence[float], fps: float) -> str:
    """What to tell of frames at uneven `times`; empty for none."""
    if not times:
        return ""
    gaps = np.diff(times) * 1000
    measured = f"speed and steadiness are measured by these times, VBench's dimensions by {fps:.4g} frames a second"
    return f"frames are {gaps.min():.0f} to {gaps.max():.0f} {APART}; {measured}"


def evenly(times: Sequence[float]) -> tuple[float, list[int]]:
    """A rate, and the frame that is on screen at each of its ticks, for frames at uneven `times` (seconds).

    The rate is that of the closest frames, at most `MOST_RATE`; the last frame stays as long as the one before it.
    """
    gaps = np.diff(times)
    rate = min(1 / float(np.quantile(gaps, 0.1)), MOST_RATE)
    ticks = np.arange(max(1, round((2 * times[-1] - times[-2]) * rate))) / rate
    return rate, [int(k) for k in np.searchsorted(times, ticks + 1e-6, "right") - 1]
