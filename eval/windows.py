"""Consecutive frames of a clip, with what several metrics need of them computed once."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import cv2
import numpy as np


@dataclass(frozen=True)
class Window:
    """`frames` (n, H, W, 3) uint8 RGB starting at frame `first` of the clip; `before` the frame just ahead of them."""

    frames: np.ndarray
    first: int
    before: np.ndarray | None

    @property
    def pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(previous, current) frames; the first frame of a clip is in no pair as current one."""
        return pairwise(self.frames if self.before is None else [self.before, *self.frames])

    @cached_property
    def luma(self) -> np.ndarray:
        """(n, H, W) uint8 luma, BT.601 as OpenCV weighs it."""
        return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in self.frames])


def windows(frames: np.ndarray, size: int = 16) -> Iterator[Window]:
    """A whole clip (T, H, W, 3) uint8 RGB in windows of `size` frames."""
    for first in range(0, len(frames), size):
        yield Window(frames[first : first + size], first, frames[first - 1] if first else None)
