"""Consecutive frames of a clip, with what several metrics need of them computed once, made a little ahead of use."""

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import cv2
import numpy as np

from eval.video.flow import flow, small_luma
from eval.video.frame_metrics import mean_difference

LEVELS = np.arange(256.0)
WINDOWS_AHEAD = 2  # the decoder may be this far ahead of the metrics


@dataclass(frozen=True)
class Window:
    """`frames` (n, H, W, 3) uint8 RGB starting at frame `first` of the clip; `before` the frame just ahead of them.

    `times`: seconds at which each frame is shown where they are uneven, else empty.
    """

    frames: np.ndarray
    first: int
    before: np.ndarray | None
    times: tuple[float, ...] = ()

    @property
    def pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(previous, current) frames; the first frame of a clip is in no pair as current one."""
        return pairwise(self.frames if self.before is None else [self.before, *self.frames])

    @cached_property
    def differences(self) -> list[float | None]:
        """Mean absolute difference of each frame to the one before in levels, 0 to 255; None for a clip's first."""
        return self.after_first([mean_difference(a, b) for a, b in self.pairs])

    @cached_property
    def luma(self) -> np.ndarray:
        """(n, H, W) uint8 luma, BT.601 as OpenCV weighs it."""
        luma = np.empty(self.frames.shape[:3], np.uint8)
        for frame, out in zip(self.frames, luma, strict=True):
            cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY, dst=out)
        return luma

    @cached_property
    def histograms(self) -> np.ndarray:
        """(n, 256) pixels of each luma level."""
        return np.stack([cv2.calcHist([luma], [0], None, [256], [0, 256]).ravel() for luma in self.luma]).astype(float)

    @cached_property
    def mean_luma(self) -> np.ndarray:
        """(n,) mean luma in levels, 0 to 255."""
        return self.histograms @ LEVELS / self.histograms.sum(1)

    @cached_property
    def planes(self) -> np.ndarray:
        """(n, 3, H, W) uint8: red, green and blue apart."""
        planes = np.empty((len(self.frames), 3, *self.frames.shape[1:3]), np.uint8)
        for frame, out in zip(self.frames, planes, strict=True):
            cv2.split(frame, list(out))
        return planes

    @cached_property
    def small(self) -> list[np.ndarray]:
        """Luma (h, w) uint8 of each frame at the working size of optical flow."""
        return [small_luma(frame) for frame in self.frames]

    @cached_property
    def small_pairs(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """`pairs` at the working size of optical flow."""
        return list(pairwise(self.small if self.before is None else [small_luma(self.before), *self.small]))

    @cached_property
    def flows(self) -> list[np.ndarray]:
        """Flow (h, w, 2) from the previous frame to the current one, for each of `small_pairs`."""
        return [flow(previous, current) for previous, current in self.small_pairs]

    @cached_property
    def flows_back(self) -> list[np.ndarray]:
        """Coarse flow (h, w, 2) from the current frame to the previous one: enough to tell what is seen in both."""
        return [flow(current, previous, coarse=True) for previous, current in self.small_pairs]

    def after_first(self, values: list[float]) -> list[float | None]:
        """Values of `pairs` as values of frames: a clip's first frame has none."""
        return values if self.before is not None else [None, *values]


def windows(frames: np.ndarray, size: int = 16) -> Iterator[Window]:
    """A whole clip (T, H, W, 3) uint8 RGB in windows of `size` frames."""
    for first in range(0, len(frames), size):
        yield Window(frames[first : first + size], first, frames[first - 1] if first else None)


def made_ahead(items: Generator[Window], name: str) -> Iterator[Window]:
    """The same items, made in a thread of its own a little ahead of their use; what it raises is raised here."""
    made: queue.Queue = queue.Queue(WINDOWS_AHEAD)
    stop = threading.Event()

    def put(item: object) -> None:
        while not stop.is_set():
            try:
                return made.put(item, timeout=0.1)
            except queue.Full:
                continue

    def make() -> None:
        try:
            with closing(items):
                for item in items:
                    put(item)
                    if stop.is_set():
                        return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=make, name=name, daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
