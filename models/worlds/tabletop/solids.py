"""The solids, drawn by casting parallel rays: ball, cube, cylinder, cone, standing on the plane z = 0.

Coordinates are x right, y away from the viewer, z up, in pixels, with the origin where the solid stands. The viewer
looks down at `ELEVATION`; a picture's vertical axis therefore shows y times its sine and z times its cosine.
Every solid is one function: where rays meet it first and which way its surface faces there. The same function with the
direction of the light tells which points of the ground lie in shadow.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

ELEVATION = np.deg2rad(46.0)
UP = np.array([0.0, np.sin(ELEVATION), np.cos(ELEVATION)], np.float32)
VIEW = np.array([0.0, np.cos(ELEVATION), -np.sin(ELEVATION)], np.float32)
NEVER = np.float32(np.inf)

# heights and radii in units of a solid's size
HEIGHTS = {"ball": 2.0, "cube": 1.55, "cylinder": 1.9, "cone": 2.35}
CYLINDER_RADIUS = 0.82
CONE_RADIUS = 1.05


@dataclass(frozen=True)
class Rays:
    """Parallel rays: origins `x`, `y`, `z` and one `direction`, whose parts may differ by frame (broadcastable)."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    direction: tuple[np.ndarray | float, np.ndarray | float, np.ndarray | float]


@dataclass(frozen=True)
class Meeting:
    """Where rays first meet a solid: distance along the ray (inf where they miss) and the outward unit normal."""

    distance: np.ndarray
    normal: tuple[np.ndarray, np.ndarray, np.ndarray]


def meet(solid: str, rays: Rays, size: float, yaw: np.ndarray | float) -> Meeting:
    """Where `rays` meet a solid of `size` pixels (about half its width) turned by `yaw` radians about its axis."""
    return _SOLIDS[solid](rays, size, yaw)


def _ball(rays: Rays, size: float, yaw: np.ndarray | float) -> Meeting:
    dx, dy, dz = rays.direction
    z = rays.z - size
    middle = rays.x * dx + rays.y * dy + z * dz
    reach = middle * middle - (rays.x**2 + rays.y**2 + z**2 - size**2)
    distance = np.where(reach > 0, -middle - np.sqrt(np.maximum(reach, 0)), NEVER)
    s = np.where(reach > 0, distance, 0)
    return Meeting(distance, ((rays.x + s * dx) / size, (rays.y + s * dy) / size, (z + s * dz) / size))


def _cylinder(rays: Rays, size: float, yaw: np.ndarray | float) -> Meeting:
    radius, height = np.float32(CYLINDER_RADIUS * size), np.float32(HEIGHTS["cylinder"] * size)
    dx, dy, dz = rays.direction
    side = _first_root(
        dx * dx + dy * dy, rays.x * dx + rays.y * dy, rays.x**2 + rays.y**2 - radius**2, rays.z, dz, height
    )
    top = (height - rays.z) / dz
    on_top = (rays.x + top * dx) ** 2 + (rays.y + top * dy) ** 2 <= radius**2
    top = np.where(on_top, top, NEVER)
    distance = np.minimum(side, top)
    s = np.where(np.isfinite(side), side, 0)
    flat = top <= side
    return Meeting(
        distance,
        (
            np.where(flat, 0, (rays.x + s * dx) / radius),
            np.where(flat, 0, (rays.y + s * dy) / radius),
            flat.astype(np.float32),
        ),
    )


def _cone(rays: Rays, size: float, yaw: np.ndarray | float) -> Meeting:
    radius, height = np.float32(CONE_RADIUS * size), np.float32(HEIGHTS["cone"] * size)
    slope = radius / height
    dx, dy, dz = rays.direction
    below = height - rays.z  # how far below the tip an origin lies
    side = _first_root(
        dx * dx + dy * dy - (slope * dz) ** 2,
        rays.x * dx + rays.y * dy + slope**2 * below * dz,
        rays.x**2 + rays.y**2 - (slope * below) ** 2,
        rays.z,
        dz,
        height,
    )
    s = np.where(np.isfinite(side), side, 0)
    x, y = rays.x + s * dx, rays.y + s * dy
    around = np.maximum(np.hypot(x, y), 1e-3)
    lean = 1 / np.sqrt(1 + slope**2)
    return Meeting(side, (x / around * lean, y / around * lean, np.full_like(x, slope * lean)))


def _first_root(
    a: np.ndarray | float,
    b: np.ndarray,
    c: np.ndarray,
    z: np.ndarray,
    dz: np.ndarray | float,
    height: float,
) -> np.ndarray:
    """Smallest s with a s^2 + 2 b s + c = 0 and 0 <= z + s dz <= height; inf where there is none."""
    reach = b * b - a * c
    root = np.sqrt(np.maximum(reach, 0))
    first = NEVER
    for sign in (-1, 1):
        s = (-b + sign * root) / a
        h = z + s * dz
        first = np.minimum(first, np.where((reach > 0) & (h >= 0) & (h <= height), s, NEVER))
    return first


def _cube(rays: Rays, size: float, yaw: np.ndarray | float) -> Meeting:
    half = np.float32(HEIGHTS["cube"] * size / 2)
    cos, sin = np.cos(yaw), np.sin(yaw)
    dx, dy, dz = rays.direction
    origin = (cos * rays.x + sin * rays.y, -sin * rays.x + cos * rays.y, rays.z - half)
    direction = (cos * dx + sin * dy, -sin * dx + cos * dy, dz)
    enter, leave = -NEVER, NEVER
    face = np.zeros(np.broadcast_shapes(rays.x.shape, rays.y.shape, np.shape(yaw)), np.int8)
    for axis, (o, d) in enumerate(zip(origin, direction, strict=True)):
        d = np.where(np.abs(d) < 1e-6, np.float32(1e-6), d)
        near, far = (-np.sign(d) * half - o) / d, (np.sign(d) * half - o) / d
        face = np.where(near > enter, axis, face)
        enter, leave = np.maximum(enter, near), np.minimum(leave, far)
    nx, ny = (np.where(face == axis, -np.sign(direction[axis]), 0) for axis in (0, 1))
    nz = np.where(face == 2, -np.sign(dz), 0)
    return Meeting(np.where(enter < leave, enter, NEVER), (cos * nx - sin * ny, sin * nx + cos * ny, nz))


_SOLIDS: dict[str, Callable[[Rays, float, np.ndarray | float], Meeting]] = {
    "ball": _ball,
    "cube": _cube,
    "cylinder": _cylinder,
    "cone": _cone,
}
