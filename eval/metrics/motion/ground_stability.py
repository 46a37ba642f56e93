"""How much of the ground's detail is still there after a quarter of a second of camera motion, higher is steadier."""

from collections import deque

import numpy as np

from eval.metric import ClipFacts, Facts, MetricResult, Resources, unscored
from eval.metrics.frame_curve import FrameMetric, FrameScorer
from eval.video.flow import LEAST_SIDE, TOO_SMALL
from eval.video.ground import frames_back, ground_agreement
from eval.video.windows import Window

FACTS = Facts(
    name="ground_stability",
    title="Ground stability",
    group="temporal quality",
    kind="weight-free",
    higher_is_better=True,
    bounds=(-1.0, 1.0),
    says="Whether the ground stays itself under a moving camera: the correlation of its detail a quarter of a second "
    "apart, laid over each other along the camera's motion. 1 stays, 0 is drawn afresh.",
    blind_to="Blur, colour, objects on less than half of the picture. Water that really moves lowers it: compare with "
    "real clips of the same ground.",
    paper="camera motion by RANSAC, doi:10.1145/358669.358692, on DIS flow",
    needs=("a quarter of a second", "a ground with detail"),
    cost=5.0,
    moved_by={"morph": -1},
    may_move_by=("jpeg",),
)
TOO_SHORT = (
    "the clip is shorter than a quarter of a second, and frames that far apart are compared; give one that is longer"
)
FLAT = "the frames are too flat: none has four blocks of pixels with detail that could stay or change"


class GroundStability(FrameScorer):
    """Each frame against the one a quarter of a second before it."""

    def __init__(self, metric: FrameMetric, clip: ClipFacts) -> None:
        super().__init__(metric, clip)
        self.recent: deque[np.ndarray] = deque(maxlen=frames_back(clip.fps))

    def add(self, window: Window) -> None:
        for small in window.small:
            full = len(self.recent) == self.recent.maxlen
            self.curve.append(ground_agreement(self.recent[0], small) if full else None)
            self.recent.append(small)

    def result(self) -> MetricResult:
        if len(self.curve) <= (self.recent.maxlen or 0):
            return unscored(TOO_SHORT, self.curve)
        return super().result()


def create(resources: Resources) -> FrameMetric:
    return FrameMetric(FACTS, empty=FLAT, scorer=GroundStability, least_side=LEAST_SIDE, too_small=TOO_SMALL)
