"""Telling circle, square, triangle and star apart by the outline seen from the centroid.

An outline is a profile: the distance from the centroid to the edge at `ANGLES` directions, divided by the radius
of the disc of equal area. It does not depend on place or size. Profiles are compared with those of drawn
templates of the same size at several softnesses, so a blurred star is compared with a blurred star.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

ANGLES = 64
ZOOM = 3
SOFTNESS = (0.4, 0.8, 1.2)
# up to +-11 degrees: a tilted square is still called a square, a diamond is not
TURNS = (-2, -1, 0, 1, 2)


@dataclass(frozen=True)
class Outline:
    """One outline: centroid and radius of the disc of equal area in frame pixels, and its profile (ANGLES,)."""

    x: float
    y: float
    radius: float
    profile: np.ndarray


def read_outline(cover: np.ndarray) -> Outline:
    """Outline of a binary image (H, W) uint8 0/1 drawn at `ZOOM` times the frame."""
    moments = cv2.moments(cover, binaryImage=True)
    x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    radius = float(np.sqrt(moments["m00"] / np.pi))
    # an equilateral triangle reaches 1.56 radii, a star up to 1.9
    reach = 2.2 * radius
    samples = round(reach)
    flags = cv2.INTER_LINEAR | cv2.WARP_FILL_OUTLIERS
    polar = cv2.warpPolar(cover * np.float32(1), (samples, ANGLES), (x, y), reach, flags)
    # pixel centres: zoomed pixel i lies at (i + 0.5) / ZOOM - 0.5 of the frame
    return Outline((x + 0.5) / ZOOM - 0.5, (y + 0.5) / ZOOM - 0.5, radius / ZOOM, polar.mean(1) * 2.2)


def shape_distances(profiles: np.ndarray, radius: float) -> dict[str, np.ndarray]:
    """How far profiles (N, ANGLES) of things of about `radius` frame pixels are from each shape's; each (N,).

    Root mean square, 0 is equal; over 0.2 for a star and a disc, 0.09 for a square and a disc.
    """
    tables = _templates(int(np.clip(round(radius), 4, 14)))
    return {shape: _rms(profiles[:, None] - table).min(1) for shape, table in tables.items()}


def _rms(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("...a,...a", values, values) / values.shape[-1])


@cache
def _templates(radius: int) -> dict[str, np.ndarray]:
    """Profiles (softness x turns, ANGLES) of every shape whose equal disc has `radius` pixels."""
    tables = {}
    for shape, polygon in POLYGONS.items():
        profiles = [read_outline(_draw(polygon, radius, softness)).profile for softness in SOFTNESS]
        tables[shape] = np.array([np.roll(p, turn) for p in profiles for turn in TURNS], np.float32)
    return tables


def _draw(polygon: np.ndarray, radius: int, softness: float) -> np.ndarray:
    x, y = polygon.T
    area = 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
    size = round(5 * radius) * ZOOM
    points = polygon * (radius * np.sqrt(np.pi / area) * ZOOM) + size / 2
    canvas = np.zeros((size, size), np.uint8)
    # 4 fractional bits keep the corners where they belong
    cv2.fillPoly(canvas, [np.round(points * 16).astype(np.int32)], 255, shift=4)
    return (cv2.GaussianBlur(canvas, (0, 0), softness * ZOOM) >= 128).astype(np.uint8)


def _regular(corners: int, reach: tuple[float, ...] = (1.0,), start: float = 90.0) -> np.ndarray:
    """Corners on circles of the given radii in turn, the first at `start` degrees, y downwards; (N, 2)."""
    angles = np.radians(start + 360.0 * np.arange(corners) / corners)
    radii = np.resize(reach, corners)
    return np.stack([radii * np.cos(angles), -radii * np.sin(angles)], -1)


POLYGONS = {
    "circle": _regular(72),
    "square": _regular(4, start=45.0),
    "triangle": _regular(3),
    "star": _regular(10, (1.0, 0.42)),
}
