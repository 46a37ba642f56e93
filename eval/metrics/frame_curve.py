"""Metrics that are a mean over frames: one function from a window to a number a frame makes one."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from eval.metric import ClipFacts, Facts, MetricResult, Refused, Scorer, unscored
from eval.video.windows import Window

Curve = Sequence[float | None]
NO_PAIR = "the clip has one frame, and this metric compares frames; give a clip of two or more"


@dataclass(frozen=True)
class FrameMetric:
    """`measure` gives one number a frame of the window, None where there is nothing to measure.

    `parts` computes side results from the whole curve; `empty` is the reason when no frame has a number. `scorer`
    is the class that collects, for a metric that keeps more than the curve. Clips with a side under `least_side` are
    not scored, for the reason `too_small`.
    """

    facts: Facts
    measure: Callable[[Window], Iterable[float | None]] = lambda window: ()
    empty: str = "no frame of the clip can be measured"
    parts: Callable[[Curve], Mapping[str, float]] = lambda curve: {}
    scorer: "type[FrameScorer] | None" = None
    least_side: int = 0
    too_small: str = ""

    def missing(self) -> str:
        return ""

    def open(self, clip: ClipFacts) -> Scorer:
        if min(clip.width, clip.height) < self.least_side:
            return Refused(self.too_small)
        return (self.scorer or FrameScorer)(self, clip)


class FrameScorer:
    """Collects the curve; its mean is exact, so that it cannot depend on how the clip was cut into windows."""

    def __init__(self, metric: FrameMetric, clip: ClipFacts) -> None:
        self.metric, self.clip = metric, clip
        self.curve: list[float | None] = []

    def add(self, window: Window) -> None:
        self.curve.extend(None if value is None else float(value) for value in self.metric.measure(window))

    def result(self) -> MetricResult:
        value = mean(self.curve)
        if value is None:
            return unscored(self.metric.empty, self.curve)
        return MetricResult(value, tuple(self.curve), parts=dict(self.metric.parts(self.curve)))


def mean(curve: Curve) -> float | None:
    """Mean of the numbers in a curve, the same whatever their order; None when it has none."""
    values = [value for value in curve if value is not None]
    return math.fsum(values) / len(values) if values else None
