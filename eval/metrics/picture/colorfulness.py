"""Colourfulness of Hasler and Suesstrunk, at least 0; above 59 is called quite colourful, above 82 highly."""

import cv2
import numpy as np

from eval.metric import Facts, Resources
from eval.metrics.frame_curve import FrameMetric
from eval.video.windows import Window

OPPONENT = np.array([[1, -1, 0], [0.5, 0.5, -1]])

FACTS = Facts(
    name="colorfulness",
    title="Colourfulness",
    group="frame quality",
    kind="weight-free",
    higher_is_better=None,
    bounds=(0.0, None),
    says="How colourful people find a frame: spread and strength of its colour differences.",
    blind_to="Whether the colours are right.",
    paper="Hasler and Suesstrunk 2003, doi:10.1117/12.477378",
    cost=0.7,
    moved_by={"gray": -1},
    may_move_by=("colour_shift", "flatter"),
)


def measure(window: Window) -> list[float]:
    """sqrt(s_rg^2 + s_yb^2) + 0.3 sqrt(m_rg^2 + m_yb^2) with rg = R - G and yb = (R + G) / 2 - B."""
    return [colorfulness(*planes) for planes in window.planes]


def colorfulness(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> float:
    """Of one frame's planes (H, W) uint8, from sums over bytes: no array of differences is made."""
    means = np.array([cv2.mean(plane)[0] for plane in (red, green, blue)])
    squares = [cv2.norm(plane, cv2.NORM_L2SQR) / plane.size for plane in (red, green, blue)]
    # E[ab] = (E[a^2] + E[b^2] - E[(a - b)^2]) / 2
    products = np.diag(squares)
    for i, j, a, b in ((0, 1, red, green), (0, 2, red, blue), (1, 2, green, blue)):
        products[i, j] = products[j, i] = (squares[i] + squares[j] - cv2.norm(a, b, cv2.NORM_L2SQR) / a.size) / 2
    covariance = products - np.outer(means, means)
    variance = sum(axis @ covariance @ axis for axis in OPPONENT)
    return float(np.sqrt(max(variance, 0.0)) + 0.3 * np.linalg.norm(OPPONENT @ means))


def create(resources: Resources) -> FrameMetric:
    return FrameMetric(FACTS, measure)
