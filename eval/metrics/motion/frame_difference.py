"""Mean absolute difference of neighbouring frames in levels, 0 to 255; neither good nor bad."""

from eval.metric import Facts, Resources
from eval.metrics.frame_curve import NO_PAIR, FrameMetric
from eval.video.windows import Window

FACTS = Facts(
    name="frame_difference",
    title="Frame difference",
    group="motion",
    kind="weight-free",
    higher_is_better=None,
    bounds=(0.0, 255.0),
    says="How much neighbouring frames differ, motion and flicker together.",
    blind_to="It does not say why frames differ, nor whether that is good.",
    paper="ITU-T P.910, in the manner of its temporal information",
    unit="levels",
    needs=("two frames",),
    cost=0.2,
    moved_by={"freeze": -1},
    may_move_by=("blur", "noise", "flicker", "judder", "gray", "flatter", "jpeg", "morph"),
)


def measure(window: Window) -> list[float | None]:
    """Levels to the previous frame; none for a clip's first frame."""
    return window.differences


def create(resources: Resources) -> FrameMetric:
    return FrameMetric(FACTS, measure, empty=NO_PAIR)
