"""Dynamic degree by optical flow: 1 for a clip that moves, 0 for one that does not; its curve is the speed.

The rule and the threshold are VBench's, which searches flow with RAFT; this one searches it with DIS, and its verdicts
are not VBench's.
"""

import math

import numpy as np

from eval.metric import ClipFacts, Facts, MetricResult, Resources
from eval.metrics.frame_curve import NO_PAIR, FrameMetric, FrameScorer, mean
from eval.video.flow import LEAST_SIDE, TOO_SMALL, unit_speed
from eval.video.windows import Window

FACTS = Facts(
    name="dynamic_degree_flow",
    title="Dynamic degree (flow)",
    group="motion",
    kind="weight-free",
    higher_is_better=None,
    bounds=(0.0, 1.0),
    says="Whether the clip moves: 1 when its fastest pixels are fast for a quarter of the time.",
    blind_to="What moves: a camera that turns is as dynamic as a dancer. It is not VBench's number, which uses RAFT.",
    paper="after VBench, arXiv:2311.17982",
    needs=("two frames",),
    cost=4.0,
    curve_unit="pixels in 1/8 s, at a shorter side of 256",
    moved_by={"freeze": -1},
    may_move_by=("judder", "jpeg", "morph"),
    version="2",
)
FASTEST = 0.05  # share of pixels whose mean speed is a frame's
THRESHOLD = 6.0  # pixels in 1/8 s at a shorter side of 256
ENOUGH = 4 / 16  # share of the time above the threshold
ROUNDING = 1e-9
SHORTEST = 0.001  # seconds: frames nearer to each other are not filmed apart


class DynamicDegree(FrameScorer):
    """Collects the speed of the fastest pixels. VBench skips frames to come to 8 a second; speed in time is the same
    without skipping, and every frame has one. Frames that are unevenly timed have their own times."""

    def __init__(self, metric: FrameMetric, clip: ClipFacts) -> None:
        super().__init__(metric, clip)
        self.last: tuple[float, ...] = ()  # time of the last frame, where frames are unevenly timed
        self.gaps: list[float] = []  # seconds

    def add(self, window: Window) -> None:
        gaps = [1 / self.clip.fps] * len(window.small_pairs)
        if window.times:
            gaps = np.maximum(np.diff((*self.last, *window.times)), SHORTEST).tolist()
            self.last = window.times[-1:]
        scale = unit_speed(self.clip.height, self.clip.width) / 8
        speeds = [fastest(steps) * scale / gap for steps, gap in zip(window.flows, gaps, strict=True)]
        self.curve.extend(window.after_first(speeds))
        self.gaps += gaps

    def result(self) -> MetricResult:
        result = super().result()
        if result.value is None:
            return result
        speeds = [speed for speed in self.curve if speed is not None]
        moving = [gap for speed, gap in zip(speeds, self.gaps, strict=True) if speed > THRESHOLD]
        enough = math.fsum(moving) >= ENOUGH * math.fsum(self.gaps) * (1 - ROUNDING)
        speed = np.average(speeds, weights=self.gaps) if self.last else mean(speeds)
        return MetricResult(float(enough), result.per_frame, parts={"speed": float(speed)})


def fastest(steps: np.ndarray) -> float:
    """Mean length of the longest 5 % of flow vectors (h, w, 2), in pixels."""
    # not cv2.magnitude, whose last digit depends on where in memory the arrays lie
    x, y = steps[..., 0], steps[..., 1]
    lengths = np.sqrt(x * x + y * y).ravel()
    count = max(1, int(FASTEST * len(lengths)))
    lengths.partition(len(lengths) - count)
    return float(lengths[-count:].mean(dtype=float))


def create(resources: Resources) -> FrameMetric:
    return FrameMetric(FACTS, empty=NO_PAIR, scorer=DynamicDegree, least_side=LEAST_SIDE, too_small=TOO_SMALL)
