"""Mean HSV saturation (max - min) / max, in [0, 1], and its drift: last quarter of the frames / first quarter - 1."""

import cv2
import numpy as np

from eval.metric import Facts, Resources
from eval.metrics.frame_curve import Curve, FrameMetric, mean
from eval.video.windows import Window

FACTS = Facts(
    name="saturation",
    title="Saturation",
    group="frame quality",
    kind="weight-free",
    higher_is_better=None,
    bounds=(0.0, 1.0),
    says="Strength of colour; its drift tells how much stronger or weaker the end is than the start.",
    blind_to="Dark pixels with a trace of colour count as saturated; whether the colours are right.",
    paper="HSV, Smith 1978, doi:10.1145/800248.807361",
    cost=1.0,
    moved_by={"gray": -1, "colour_shift": 1},
    may_move_by=("darker", "flatter"),
)


def measure(window: Window) -> list[float]:
    """Mean saturation, black counted as 0; each pixel is rounded to 1/255."""
    return [saturation(*planes) for planes in window.planes]


def saturation(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> float:
    """Of one frame's planes (H, W) uint8."""
    high = cv2.max(cv2.max(red, green), blue)
    spread = cv2.subtract(high, cv2.min(cv2.min(red, green), blue))
    return cv2.mean(cv2.divide(spread, high, scale=255))[0] / 255


def drift(curve: Curve) -> dict[str, float]:
    """Change from the first quarter to the last as a share of the first; nothing for clips under four frames."""
    quarter = len(curve) // 4
    start, end = mean(curve[:quarter]), mean(curve[len(curve) - quarter :])
    return {"drift": end / start - 1} if start else {}


def create(resources: Resources) -> FrameMetric:
    return FrameMetric(FACTS, measure, parts=drift)
