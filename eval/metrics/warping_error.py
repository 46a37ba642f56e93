"""What is left of the difference between neighbouring frames once motion is taken out, in levels, lower is better."""

import numpy as np

from eval.flow import LEAST_SIDE, TOO_SMALL, seen_in_both, warp
from eval.frame_curve import NO_PAIR, FrameMetric, FrameScorer, mean
from eval.metric import ClipFacts, Facts, MetricResult, Resources
from eval.windows import Window

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
)


class WarpingError(FrameScorer):
    """Mean over pixels seen in both frames of |I[t-1] - W(I[t])| in luma; `coverage` is the share of such pixels."""

    def __init__(self, metric: FrameMetric, clip: ClipFacts) -> None:
        super().__init__(metric, clip)
        self.coverage: list[float] = []

    def add(self, window: Window) -> None:
        errors = []
        for (previous, current), forward, back in zip(
            window.small_pairs, window.flows, window.flows_back, strict=True
        ):
            seen = seen_in_both(forward, back)
            self.coverage.append(float(seen.mean()))
            # float: bytes would round each pixel of the warped frame
            error = np.abs(warp(current.astype(np.float32), forward) - previous)
            errors.append(float(error[seen].mean(dtype=float)) if seen.any() else None)
        self.curve.extend(window.after_first(errors))

    def result(self) -> MetricResult:
        result = super().result()
        result.parts.update({"coverage": mean(self.coverage)} if self.coverage else {})
        return result


def create(resources: Resources) -> FrameMetric:
    return FrameMetric(FACTS, empty=NO_PAIR, scorer=WarpingError, least_side=LEAST_SIDE, too_small=TOO_SMALL)
