"""RMS contrast: standard deviation of luma / 255, in [0, 0.5]."""

import numpy as np

from eval.metric import Facts, Resources
from eval.metrics.frame_curve import FrameMetric
from eval.video.windows import LEVELS, Window

FACTS = Facts(
    name="contrast",
    title="Contrast",
    group="frame quality",
    kind="weight-free",
    higher_is_better=None,
    bounds=(0.0, 0.5),
    says="Spread of brightness within a frame.",
    blind_to="Where the spread comes from: a flat picture with noise has contrast.",
    paper="Peli 1990, doi:10.1364/JOSAA.7.002032",
    cost=0.4,
    moved_by={"flatter": -1},
    may_move_by=("blur",),
)


def measure(window: Window) -> np.ndarray:
    """Standard deviation of luma as a share of the range."""
    counts = window.histograms
    variance = ((LEVELS - window.mean_luma[:, None]) ** 2 * counts).sum(1) / counts.sum(1)
    return np.sqrt(variance) / 255


def create(resources: Resources) -> FrameMetric:
    return FrameMetric(FACTS, measure)
