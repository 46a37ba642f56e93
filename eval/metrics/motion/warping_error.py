"""What is left of the difference between neighbouring frames once motion is taken out, in levels, lower is better."""

import numpy as np

from eval.metric import ClipFacts, Facts, MetricResult, Resources
from eval.metrics.frame_curve import NO_PAIR, FrameMetric, FrameScorer, mean
from eval.video.flow import LEAST_SIDE, TOO_SMALL, pixels, read, seen_in_both
from eval.video.windows import Window

FACTS = Facts(
    name="warping_error",
    title="Warping error",
    group="temporal quality",
    kind="weight-free",
    higher_is_better=False,
    bounds=(0.0, 255.0),
    says="Flicker and morphing: how far a frame, moved along its optical flow, is from the next one.",
    blind_to="What appears or is covered up; changes of colour alone; flow in flat areas.",
    paper="Lai et al., ECCV 2018, arXiv:1808.00449; EvalCrafter, arXiv:2310.11440",
    unit="levels",
    needs=("two frames",),
    cost=8.0,
    moved_by={"noise": 1, "flicker": 1, "morph": 1},
    may_move_by=("judder", "jpeg"),
)


EVERY = 2  # pixels in both directions that are looked at: a quarter of them gives the same mean


class WarpingError(FrameScorer):
    """Mean over pixels seen in both frames of |I[t-1] - W(I[t])| in luma; `coverage` is the share of such pixels."""

    def __init__(self, metric: FrameMetric, clip: ClipFacts) -> None:
        super().__init__(metric, clip)
        self.coverage: list[float] = []

    def add(self, window: Window) -> None:
        pairs = zip(window.small_pairs, window.flows, window.flows_back, strict=True)
        self.curve.extend(window.after_first([self._error(*pair, forward, back) for pair, forward, back in pairs]))

    def _error(self, previous: np.ndarray, current: np.ndarray, forward: np.ndarray, back: np.ndarray) -> float | None:
        steps = np.ascontiguousarray(forward[::EVERY, ::EVERY])
        target = pixels(*previous.shape, EVERY) + steps
        seen = seen_in_both(target, steps, back)
        self.coverage.append(float(seen.mean()))
        # float: bytes would round each pixel of the warped frame
        error = np.abs(read(current.astype(np.float32), target) - previous[::EVERY, ::EVERY])
        return float(error[seen].mean(dtype=float)) if seen.any() else None

    def result(self) -> MetricResult:
        result = super().result()
        result.parts.update({"coverage": mean(self.coverage)} if self.coverage else {})
        return result


def create(resources: Resources) -> FrameMetric:
    return FrameMetric(FACTS, empty=NO_PAIR, scorer=WarpingError, least_side=LEAST_SIDE, too_small=TOO_SMALL)
