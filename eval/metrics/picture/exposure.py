"""Mean luma / 255, in [0, 1]: the shares at black (up to 2) and at white (from 253) beside it."""

from dataclasses import replace

import numpy as np

from eval.metric import ClipFacts, Facts, MetricResult, Resources
from eval.metrics.frame_curve import FrameMetric, FrameScorer
from eval.video.windows import Window

BLACK, WHITE = 2, 253

FACTS = Facts(
    name="exposure",
    title="Exposure",
    group="frame quality",
    kind="weight-free",
    higher_is_better=None,
    bounds=(0.0, 1.0),
    says="Mean brightness of a frame; its parts tell the shares that are cut off at black and at white.",
    blind_to="What the scene should look like: night is dark.",
    paper="Mean luma, BT.601",
    cost=0.4,
    moved_by={"darker": -1},
    may_move_by=("colour_shift",),
)


def measure(window: Window) -> np.ndarray:
    """Mean luma as a share of the range."""
    return window.mean_luma / 255


class Exposure(FrameScorer):
    """Counts clipped pixels beside the curve."""

    def __init__(self, metric: FrameMetric, clip: ClipFacts) -> None:
        super().__init__(metric, clip)
        self.counts = np.zeros(256)

    def add(self, window: Window) -> None:
        super().add(window)
        self.counts += window.histograms.sum(0)

    def result(self) -> MetricResult:
        shares = self.counts / self.counts.sum()
        parts = {"black_share": float(shares[: BLACK + 1].sum()), "white_share": float(shares[WHITE:].sum())}
        return replace(super().result(), parts=parts)


def create(resources: Resources) -> FrameMetric:
    return FrameMetric(FACTS, measure, scorer=Exposure)
