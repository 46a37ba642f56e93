"""How much of the ground's detail is still there after a quarter of a second of camera motion, higher is steadier."""

from collections import deque

import numpy as np

from eval.metric import ClipFacts, Facts, MetricResult, Resources, unscored
from eval.metrics.frame_curve import FrameMetric, FrameScorer
from eval.video.flow import LEAST_SIDE, TOO_SMALL
from eval.video.ground import SPAN, frames_back, ground_agreement
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
    version="2",
)
TOO_SHORT = (
    "the clip is shorter than a quarter of a second, and frames that far apart are compared; give one that is longer"
)
FLAT = "the frames are too flat: none has four blocks of pixels with detail that could stay or change"


class GroundStability(FrameScorer):
    """Each frame against the one a quarter of a second before it, or the nearest where frames are unevenly timed."""

    def __init__(self, metric: FrameMetric, clip: ClipFacts) -> None:
        super().__init__(metric, clip)
        self.back = frames_back(clip.fps)
        self.recent: deque[tuple[float, np.ndarray]] = deque()  # (seconds, luma)
        self.compared = False

    def add(self, window: Window) -> None:
        for index, small in enumerate(window.small):
            earlier = self._timed(window.times[index]) if window.times else self._counted()
            self.curve.append(None if earlier is None else ground_agreement(earlier, small))
            self.compared |= earlier is not None
            self.recent.append((window.times[index] if window.times else 0.0, small))

    def _counted(self) -> np.ndarray | None:
        if len(self.recent) < self.back:
            return None
        return self.recent.popleft()[1]

    def _timed(self, seconds: float) -> np.ndarray | None:
        """The frame nearest to a quarter of a second before; None while the clip is younger by more than half of the
        gap after its first frame, the half to which evenly timed frames are rounded."""
        wanted = seconds - SPAN
        # the later frame is as near: what is earlier than it is not needed again
        while len(self.recent) > 1 and abs(self.recent[1][0] - wanted) <= abs(self.recent[0][0] - wanted):
            self.recent.popleft()
        if not self.recent:
            return None
        (nearest, luma), *later = self.recent
        after = later[0][0] if later else seconds
        young = len(self.recent) == len(self.curve) and wanted < nearest - (after - nearest) / 2
        return None if young else luma

    def result(self) -> MetricResult:
        if not self.compared:
            return unscored(TOO_SHORT, self.curve)
        return super().result()


def create(resources: Resources) -> FrameMetric:
    return FrameMetric(FACTS, empty=FLAT, scorer=GroundStability, least_side=LEAST_SIDE, too_small=TOO_SMALL)
