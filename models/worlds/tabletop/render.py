"""Draws scenes of the tabletop world: ground under a panning camera, soft shadows, shaded solids."""

import cv2
import numpy as np

from models.worlds.tabletop.grammar import COLORS, FRAMES, SIZE
from models.worlds.tabletop.grounds import draw_ground
from models.worlds.tabletop.scene import Scene, SceneObject
from models.worlds.tabletop.solids import ELEVATION, HEIGHTS, UP, VIEW, Rays, meet

_FINE = 2  # rays a pixel along each side
AMBIENT, DIFFUSE, SHADE = 0.36, 0.74, 0.52
# strength and exponent of the highlight
GLOSS = {"ball": (0.8, 34), "cylinder": (0.45, 26), "cone": (0.4, 22), "cube": (0.0, 1)}


def render(scene: Scene, frames: int = FRAMES, *, start: int = 0) -> np.ndarray:
    """Draw frames `start .. start+frames-1` of a scene; returns (T, 128, 128, 3) uint8 RGB."""
    return render_with_covers(scene, frames, start=start)[0]


def render_with_covers(scene: Scene, frames: int = FRAMES, *, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """As `render`, and what share of each pixel is seen to be of each solid, (N, T, 128, 128) float32 in 0..1."""
    times = np.arange(start, start + frames)
    ground = draw_ground(scene.ground, np.random.default_rng(scene.texture))
    (x, y), (dx, dy) = scene.camera, scene.pan
    image = np.stack([ground.view(x + dx * t, y + dy * t, t, SIZE) for t in times])
    covers = np.zeros((len(scene.objects), *image.shape[:3]), np.float32)
    views = [_Views(thing, times, image.shape[1:3]) for thing in scene.objects]
    for thing, view in zip(scene.objects, views, strict=True):
        for t, shadow in enumerate(_shadows(thing, view, scene.light)):
            target, source = view.overlap(t)
            image[t][target] *= 1 - SHADE * shadow[source][..., None]
    for index in sorted(range(len(views)), key=lambda index: scene.objects[index].y):  # those further away first
        view = views[index]
        colors, cover = _solids(scene.objects[index], view, scene.light)
        for t in range(frames):
            target, source = view.overlap(t)
            part = image[t][target]
            part *= 1 - cover[t][source][..., None]
            part += colors[t][source]
            covers[:, t, *target] *= 1 - cover[t][source]
            covers[index, t, *target] += cover[t][source]
    return (image + 0.5).clip(0, 255).astype(np.uint8), covers


class _Views:
    """The square windows of pixels around an object in each frame. `x`, `y` (T, 1, 1): its middle in its window."""

    def __init__(self, thing: SceneObject, times: np.ndarray, size: tuple[int, int]) -> None:
        cx, cy = (np.broadcast_to(c, times.shape).astype(np.float32) for c in thing.position(times))
        self.half = int(np.ceil(2.7 * thing.size))
        self.left, self.top = (np.floor(c).astype(int) - self.half for c in (cx, cy))
        self.x, self.y = (c[:, None, None] for c in (cx - self.left, cy - self.top))
        self.yaw = (thing.yaw + thing.spin * times).astype(np.float32)[:, None, None]
        self.size = size

    def overlap(self, t: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The window of frame `t` in the picture, and the part of the window that lies in it."""
        side = 2 * self.half
        spans = []
        for start, limit in zip((self.top[t], self.left[t]), self.size, strict=True):
            low, high = max(start, 0), min(start + side, limit)
            spans.append((slice(low, high), slice(low - start, high - start)))
        (rows, inner_rows), (columns, inner_columns) = spans
        return (rows, columns), (inner_rows, inner_columns)


def _offsets(view: _Views, fine: int, half: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel places relative to the object's middle, x (T, 1, n) and y (T, n, 1), for the central 2*half pixels."""
    places = (np.arange(2 * half * fine, dtype=np.float32) + 0.5) / fine + view.half - half
    return places[None, None, :] - view.x, places[None, :, None] - view.y


def _shadows(thing: SceneObject, view: _Views, light: tuple[float, float, float]) -> np.ndarray:
    """How much of each pixel lies in shadow (T, W, W), for ground all around."""
    x, y = _offsets(view, 1, view.half)
    height = HEIGHTS[thing.kind.solid] * thing.size
    # the middle is seen half the height above where the solid stands
    away = -(y - height / 2 * np.cos(ELEVATION)) / np.sin(ELEVATION)
    x, away = np.broadcast_arrays(x, away)
    rays = Rays(x, away, np.zeros_like(x), light)
    shadow = np.isfinite(meet(thing.kind.solid, rays, thing.size, view.yaw).distance).astype(np.float32)
    return np.stack([cv2.GaussianBlur(s, (0, 0), 0.11 * thing.size) for s in shadow])


def _solids(thing: SceneObject, view: _Views, light: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """The solid's colour times its cover (T, W, W, 3) and its cover (T, W, W) in each window."""
    half = int(np.ceil(1.75 * thing.size))
    x, y = _offsets(view, _FINE, half)
    height = HEIGHTS[thing.kind.solid] * thing.size
    # a point of the picture plane through the solid's middle: x right, -y up
    rays = Rays(
        np.broadcast_to(x, np.broadcast_shapes(x.shape, y.shape)),
        np.broadcast_to(-y * UP[1], np.broadcast_shapes(x.shape, y.shape)),
        np.broadcast_to(height / 2 - y * UP[2], np.broadcast_shapes(x.shape, y.shape)),
        tuple(VIEW),
    )
    meeting = meet(thing.kind.solid, rays, thing.size, view.yaw)
    hit = np.isfinite(meeting.distance)
    facing = np.clip(sum(n * s for n, s in zip(meeting.normal, light, strict=True)), 0, 1)
    strength, exponent = GLOSS[thing.kind.solid]
    halfway = np.array(light) - VIEW
    halfway = (halfway / np.linalg.norm(halfway)).astype(np.float32)
    shine = np.clip(sum(n * s for n, s in zip(meeting.normal, halfway, strict=True)), 0, 1) ** exponent
    base = np.asarray(COLORS[thing.kind.color], np.float32)
    paint = base * (AMBIENT + DIFFUSE * facing)[..., None] + 255 * strength * (shine * (facing > 0))[..., None]
    paint = np.where(hit[..., None], np.minimum(paint, 255), 0).astype(np.float32)
    inner = view.half - half
    pad = ((0, 0), (inner, inner), (inner, inner))
    cover = np.pad(_shrunk(hit.astype(np.float32)), pad)
    return np.pad(_shrunk(paint), (*pad, (0, 0))), cover


def _shrunk(fine: np.ndarray) -> np.ndarray:
    """The mean of every pixel's rays."""
    corners = [fine[:, i::_FINE, j::_FINE] for i in range(_FINE) for j in range(_FINE)]
    return sum(corners[1:], corners[0]) / len(corners)
