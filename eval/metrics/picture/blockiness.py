"""Mean absolute step of luma across the 8-pixel grid / elsewhere, both plus one level; 1 is none, lower is better."""

from collections.abc import Iterator

import cv2
import numpy as np

from eval.metric import Facts, Resources
from eval.metrics.frame_curve import FrameMetric
from eval.video.windows import Window

BLOCK = 8

FACTS = Facts(
    name="blockiness",
    title="Blockiness",
    group="frame quality",
    kind="weight-free",
    higher_is_better=False,
    bounds=(0.0, 256.0),
    says="Steps at the edges of 8 x 8 blocks, against steps elsewhere: the trace of strong compression.",
    blind_to="Blocks of other sizes, or of a video that was scaled after compression.",
    paper="Wang, Sheikh and Bovik 2002, doi:10.1109/ICIP.2002.1038064",
    cost=0.6,
    moved_by={"jpeg": 1},
)


def measure(window: Window) -> Iterator[float | None]:
    """One ratio a frame; None for frames that no grid line crosses."""
    return map(blockiness, window.luma)


def blockiness(luma: np.ndarray) -> float | None:
    """(H, W) uint8 luma. One level is added above and below, so that flat pictures have no 0 / 0."""
    across = cv2.reduce(cv2.absdiff(luma[:, 1:], luma[:, :-1]), 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
    down = cv2.reduce(cv2.absdiff(luma[1:], luma[:-1]), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
    height, width = luma.shape
    grid = (*_on_and_off(across, height), *_on_and_off(down, width))
    on, off = np.sum(grid[0::2], axis=0), np.sum(grid[1::2], axis=0)
    return float((1 + on[0] / on[1]) / (1 + off[0] / off[1])) if on[1] else None


def _on_and_off(steps: np.ndarray, length: int) -> tuple[tuple[float, int], tuple[float, int]]:
    """(sum of steps, number of steps) on the grid and off it; entry i lies between pixel i and i + 1."""
    on = np.arange(1, len(steps) + 1) % BLOCK == 0
    return (float(steps[on].sum()), int(on.sum()) * length), (float(steps[~on].sum()), int((~on).sum()) * length)


def create(resources: Resources) -> FrameMetric:
    return FrameMetric(FACTS, measure)
