"""Motion smoothness by optical flow: 1 - mean |odd frame - its neighbours, moved half way| / 255, higher is smoother.

The idea and the scale are VBench's, which interpolates with AMT; this one interpolates along DIS flow, and its numbers
are not VBench's.
"""

import numpy as np

from eval.metric import ClipFacts, Facts, Resources
from eval.metrics.frame_curve import FrameMetric, FrameScorer
from eval.video.flow import LEAST_SIDE, TOO_SMALL, flow, warp
from eval.video.windows import Window

FACTS = Facts(
    name="motion_smoothness_flow",
    title="Motion smoothness (flow)",
    group="temporal quality",
    kind="weight-free",
    higher_is_better=True,
    bounds=(0.0, 1.0),
    says="How well every second frame lies half way between its neighbours: jerks, ghosts and flicker lower it.",
    blind_to="Jerks slower than two frames; it is not VBench's number, which uses the AMT network.",
    paper="after VBench, arXiv:2311.17982, and Baker et al. 2011, doi:10.1007/s11263-010-0390-2",
    needs=("three frames",),
    cost=4.0,
    moved_by={"flicker": -1, "judder": -1},
    may_move_by=("noise", "jpeg", "morph"),
)
BORDER = 1 / 16  # of the shorter side: what enters the picture cannot be interpolated


def half_way(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The frame between two (h, w) luma frames under linear motion, (h, w) float32 (Baker et al. 2011)."""
    steps = flow(first, last)
    return (warp(first.astype(np.float32), -steps / 2) + warp(last.astype(np.float32), steps / 2)) / 2


class MotionSmoothness(FrameScorer):
    """As in VBench the even frames are given and the odd ones are judged; the curve has numbers at odd frames."""

    def __init__(self, metric: FrameMetric, clip: ClipFacts) -> None:
        super().__init__(metric, clip)
        self.recent: list[np.ndarray] = []

    def add(self, window: Window) -> None:
        for small in window.small:
            self.recent = [*self.recent[-2:], small]
            if len(self.curve) >= 2 and len(self.curve) % 2 == 0:
                self.curve[-1] = self._smoothness(*self.recent)
            self.curve.append(None)

    @staticmethod
    def _smoothness(first: np.ndarray, middle: np.ndarray, last: np.ndarray) -> float:
        cut = round(min(middle.shape) * BORDER)
        inside = np.s_[cut : middle.shape[0] - cut, cut : middle.shape[1] - cut]
        return 1.0 - float(np.abs(half_way(first, last) - middle)[inside].mean(dtype=float)) / 255


def create(resources: Resources) -> FrameMetric:
    empty = "the clip has fewer than three frames, and a frame is judged between two others; give a longer clip"
    return FrameMetric(FACTS, empty=empty, scorer=MotionSmoothness, least_side=LEAST_SIDE, too_small=TOO_SMALL)
