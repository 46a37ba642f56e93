"""When the frames of a video are shown: evenly or not, and whether they end before the file says."""

from collections.abc import Sequence

import av
import numpy as np

MOST_RATE = 60  # frames a second; what is unevenly timed is shown at an even rate up to it
UNEVEN = 0.1  # a gap between frames may differ from the usual one by this share of it


def told_early_end(container: av.container.InputContainer, stream: av.VideoStream, stamps: list[int | None]) -> str:
    """What to tell of a file without sound whose frames end well before the time that its header tells."""
    if "matroska" not in container.format.name or len(container.streams) > 1 or not container.duration:
        return ""
    if len(stamps) < 3 or None in stamps:
        return ""
    ticks = np.sort(np.array(stamps))
    ends = float(ticks[-1] + np.median(np.diff(ticks))) * float(stream.time_base or 0)
    says = container.duration / av.time_base
    late = says - ends > 0.5 + 0.02 * says
    return f"the file is cut short: it says {says:.2f} seconds and its frames end after {ends:.2f}" if late else ""


def uneven_times(stamps: list[int | None], base: float) -> tuple[float, ...]:
    """Seconds of each frame from the first, or () when they are evenly spaced or not known."""
    if len(stamps) < 3 or None in stamps or not base:
        return ()
    ticks = np.sort(np.array(stamps))
    gaps = np.diff(ticks)
    usual = np.median(gaps)
    if not gaps.all():
        return ()
    # a tick more or less is rounding: WebM counts milliseconds
    if np.abs(gaps - usual).max() <= max(UNEVEN * usual, 1):
        return ()
    return tuple(float(t) for t in (ticks - ticks[0]) * base)


def evenly(times: Sequence[float]) -> tuple[float, list[int]]:
    """A rate, and the frame that is on screen at each of its ticks, for frames at uneven `times` (seconds).

    The rate is that of the closest frames, at most `MOST_RATE`; the last frame stays as long as the one before it.
    """
    gaps = np.diff(times)
    rate = min(1 / float(np.quantile(gaps, 0.1)), MOST_RATE)
    ticks = np.arange(max(1, round((2 * times[-1] - times[-2]) * rate))) / rate
    return rate, [int(k) for k in np.searchsorted(times, ticks + 1e-6, "right") - 1]
