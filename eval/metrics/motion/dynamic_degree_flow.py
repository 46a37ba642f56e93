"""Dynamic degree by optical flow: 1 for a clip that moves, 0 for one that does not; its curve is the speed.

The rule and the threshold are VBench's, which searches flow with RAFT; this one searches it with DIS, and its verdicts
are not VBench's.
"""

import numpy as np

from eval.metric import Facts, MetricResult, Resources
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
)
FASTEST = 0.05  # share of pixels whose mean speed is a frame's
THRESHOLD = 6.0  # pixels in 1/8 s at a shorter side of 256
ENOUGH = 4 / 16  # share of frames above the threshold


class DynamicDegree(FrameScorer):
    """Collects the speed of the fastest pixels. VBench skips frames to come to 8 a second; speed in time is the same
    without skipping, and every frame has one."""

    def add(self, window: Window) -> None:
        scale = unit_speed(self.clip.height, self.clip.width) * self.clip.fps / 8
        self.curve.extend(window.after_first([fastest(steps) * scale for steps in window.flows]))

    def result(self) -> MetricResult:
        result = super().result()
        if result.value is None:
            return result
        speeds = [speed for speed in self.curve if speed is not None]
        moving = sum(speed > THRESHOLD for speed in speeds) >= ENOUGH * len(speeds)
        return MetricResult(float(moving), result.per_frame, parts={"speed": mean(speeds)})


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
