"""Flicker of the whole picture's brightness: mean |y[t+1] - 2 y[t] + y[t-1]| / 2 of mean luma in levels."""

from eval.metric import Facts, MetricResult, Resources, unscored
from eval.metrics.frame_curve import FrameMetric, FrameScorer
from eval.video.windows import Window

FACTS = Facts(
    name="luma_flicker",
    title="Brightness flicker",
    group="temporal quality",
    kind="weight-free",
    higher_is_better=False,
    bounds=(0.0, 255.0),
    says="Pumping of the whole picture's brightness; steady fades and motion do not count.",
    blind_to="Flicker that leaves the mean brightness as it is, such as noise.",
    paper="after Bonneel et al. 2015, doi:10.1145/2816795.2818107",
    unit="levels",
    needs=("three frames",),
    cost=0.4,
    moved_by={"flicker": 1},
    may_move_by=("morph",),
)


def measure(window: Window) -> list[float]:
    """Mean luma; what flickers is known when the next frame is."""
    return list(window.mean_luma)


class LumaFlicker(FrameScorer):
    """Bends the curve of mean luma: each frame against the mean of its neighbours."""

    def result(self) -> MetricResult:
        y = self.curve
        if len(y) < 3:
            return unscored(self.metric.empty, [None] * len(y))
        self.curve = [None, *(abs(y[t + 1] - 2 * y[t] + y[t - 1]) / 2 for t in range(1, len(y) - 1)), None]
        return super().result()


def create(resources: Resources) -> FrameMetric:
    empty = "the clip has fewer than three frames, and a flicker is a frame unlike both neighbours; give a longer clip"
    return FrameMetric(FACTS, measure, empty=empty, scorer=LumaFlicker)
