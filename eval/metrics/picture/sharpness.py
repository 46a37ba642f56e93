"""Variance of the 3x3 Laplacian of luma (0..255), at least 0; more is sharper, or noisier."""

from eval.metric import Facts, Resources
from eval.metrics.frame_curve import FrameMetric
from eval.video.frame_metrics import laplacian_variance
from eval.video.windows import Window

FACTS = Facts(
    name="sharpness",
    title="Sharpness",
    group="frame quality",
    kind="weight-free",
    higher_is_better=None,
    bounds=(0.0, None),
    says="Fine detail: strength of edges in a frame.",
    blind_to="Noise and block edges count as detail; clips of different size cannot be compared.",
    paper="Pech-Pacheco et al. 2000, doi:10.1109/ICPR.2000.903548",
    unit="levels²",
    cost=0.8,
    moved_by={"blur": -1, "noise": 1, "flatter": -1},
    may_move_by=("jpeg",),
)


def measure(window: Window) -> list[float]:
    """Variance of the Laplacian; integers up to the sums, so no rounding depends on the machine."""
    return [laplacian_variance(luma) for luma in window.luma]


def create(resources: Resources) -> FrameMetric:
    return FrameMetric(FACTS, measure)
