"""VBench temporal flickering: 1 - mean |f[t] - f[t-1]| / 255, in [0, 1], higher is steadier."""

from eval.metric import Facts, Resources
from eval.metrics.frame_curve import NO_PAIR, FrameMetric
from eval.video.windows import Window

FACTS = Facts(
    name="temporal_flickering",
    title="Temporal flickering",
    group="temporal quality",
    kind="vbench",
    higher_is_better=True,
    bounds=(0.0, 1.0),
    says="How little neighbouring frames differ, pixel by pixel.",
    blind_to="Motion counts as flicker, so a clip that stands still scores best; VBench keeps it to still scenes.",
    paper="VBench, arXiv:2311.17982",
    needs=("two frames",),
    cost=0.2,
    moved_by={"freeze": 1},
    may_move_by=("blur", "noise", "flicker", "judder", "gray", "flatter", "jpeg", "morph"),
)


def measure(window: Window) -> list[float | None]:
    """One minus the difference to the previous frame as a share of the range; none for a clip's first frame."""
    return [None if difference is None else 1.0 - difference / 255 for difference in window.differences]


def create(resources: Resources) -> FrameMetric:
    return FrameMetric(FACTS, measure, empty=NO_PAIR)
