"""The shapes world: a procedural video world with captions (grammar, scenes, renderer, held-out split).

A prompt names one or two coloured shapes, a direction of motion for each, and a background:

    a red circle moving right on a black background
    a red circle moving right and a blue star moving up on a navy background

`sample_scene` draws what the prompt leaves open (place, size, speed, texture); `render` draws the frames.
The vocabulary and its colours are data, in `assets/shapes.json`.
"""

import json
import re
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

VOCABULARY = json.loads((Path(__file__).resolve().parents[2] / "assets" / "shapes.json").read_text())
COLORS: dict[str, list[int]] = VOCABULARY["colors"]
SHAPES: list[str] = VOCABULARY["shapes"]
DIRECTIONS: dict[str, list[int]] = VOCABULARY["directions"]
BACKGROUNDS: dict[str, list[int]] = VOCABULARY["backgrounds"]
SIZE: int = VOCABULARY["size"]
FPS: int = VOCABULARY["fps"]
FRAMES: int = VOCABULARY["frames"]

_OBJECT = rf"an? ({'|'.join(COLORS)}) ({'|'.join(SHAPES)}) moving ({'|'.join(DIRECTIONS)})"
_PROMPT = re.compile(rf"{_OBJECT}(?: and {_OBJECT})? on an? ({'|'.join(BACKGROUNDS)}) background")


@dataclass(frozen=True)
class Combination:
    """What a prompt says about one object."""

    color: str
    shape: str
    direction: str

    @property
    def held_out(self) -> bool:
        """True for the half of all combinations that no training clip ever shows.

        The split is by parity, so every pair (color-shape, color-direction, shape-direction) is seen in
        training and only the triple is new.
        """
        indices = (list(COLORS).index(self.color), SHAPES.index(self.shape), list(DIRECTIONS).index(self.direction))
        return sum(indices) % 2 == 1


@dataclass(frozen=True)
class Caption:
    """The meaning of a prompt inside the grammar."""

    objects: tuple[Combination, ...]
    background: str

    @property
    def held_out(self) -> bool:
        return any(thing.held_out for thing in self.objects)

    def __str__(self) -> str:
        things = " and ".join(f"a {o.color} {o.shape} moving {o.direction}" for o in self.objects)
        return f"{things} on a {self.background} background"


@dataclass(frozen=True)
class SceneObject:
    """One object: centre at frame 0 and radius in pixels (x right, y down), speed in pixels per frame."""

    kind: Combination
    x: float
    y: float
    radius: float
    speed: float

    def position(self, frame: np.ndarray | float) -> tuple[np.ndarray | float, np.ndarray | float]:
        """Centre (x, y) in pixels at `frame` (an index, or an array of them)."""
        dx, dy = DIRECTIONS[self.kind.direction]
        return self.x + dx * self.speed * frame, self.y + dy * self.speed * frame


@dataclass(frozen=True)
class Scene:
    """All that is needed to render a clip."""

    objects: tuple[SceneObject, ...]
    background: str
    texture: tuple[float, float, float, float]

    @property
    def caption(self) -> Caption:
        return Caption(tuple(o.kind for o in self.objects), self.background)


def parse_prompt(prompt: str) -> Caption | None:
    """The caption a prompt means, or None when it is outside the grammar."""
    match = _PROMPT.fullmatch(" ".join(prompt.lower().replace(".", " ").split()))
    if not match:
        return None
    *words, background = match.groups()
    things = [Combination(*words[i : i + 3]) for i in (0, 3) if words[i]]
    return Caption(tuple(things), background)


@cache
def known_words() -> frozenset[str]:
    """Every word of the grammar."""
    return frozenset(["a", "an", "and", "on", "moving", "background", *COLORS, *SHAPES, *DIRECTIONS, *BACKGROUNDS])


def unknown_words(prompt: str) -> list[str]:
    """Words of `prompt` that the shapes world does not know, in order, each once."""
    words = re.findall(r"[^\W_]+", prompt.lower())
    return [w for w in dict.fromkeys(words) if w not in known_words()]


def all_combinations() -> list[Combination]:
    return [Combination(*words) for words in product(COLORS, SHAPES, DIRECTIONS)]


def sample_caption(rng: np.random.Generator, *, held_out: bool, objects: int = 1) -> Caption:
    """A random caption of the training split, or with every object from the held-out split."""
    pool = [c for c in all_combinations() if c.held_out == held_out]
    chosen = tuple(pool[rng.integers(len(pool))] for _ in range(objects))
    return Caption(chosen, str(rng.choice(list(BACKGROUNDS))))


def sample_scene(caption: Caption, rng: np.random.Generator, *, frames: int = FRAMES) -> Scene:
    """Draw places, sizes and speeds for `caption` so that everything stays in view and apart for `frames` frames."""
    single = len(caption.objects) == 1
    while True:
        things = tuple(
            _sample_object(kind, rng, frames, (9.5, 12.0) if single else (7.0, 8.5)) for kind in caption.objects
        )
        if single or _stay_apart(*things, frames=frames):
            return Scene(things, caption.background, tuple(rng.uniform(0, 2 * np.pi, 4)))


def _sample_object(
    kind: Combination, rng: np.random.Generator, frames: int, radii: tuple[float, float]
) -> SceneObject:
    radius = rng.uniform(*radii)
    travel = rng.uniform(24.0, 32.0)
    low, high = radius + 1.0, SIZE - 1.0 - radius
    dx, dy = DIRECTIONS[kind.direction]
    x, y = rng.uniform(low, high, 2)
    start = rng.uniform(low, high - travel)
    if dx:
        x = start if dx > 0 else SIZE - start
    else:
        y = start if dy > 0 else SIZE - start
    return SceneObject(kind, float(x), float(y), float(radius), float(travel / (FRAMES - 1)))


def _stay_apart(a: SceneObject, b: SceneObject, *, frames: int) -> bool:
    t = np.arange(frames)
    (ax, ay), (bx, by) = a.position(t), b.position(t)
    return bool((np.hypot(ax - bx, ay - by) > a.radius + b.radius + 2.0).all())


def still(scene: Scene) -> Scene:
    """The same scene without motion."""
    return replace(scene, objects=tuple(replace(o, speed=0.0) for o in scene.objects))


def render(scene: Scene, frames: int = FRAMES, *, start: int = 0) -> np.ndarray:
    """Draw frames `start .. start+frames-1` of a scene; returns (T, 64, 64, 3) uint8 RGB."""
    x = np.arange(SIZE, dtype=np.float32)[None, :]
    y = np.arange(SIZE, dtype=np.float32)[:, None]
    # objects are drawn in square windows that follow them; the margin lets a window hang over the edge
    margin = 24
    image = np.zeros((frames, SIZE + 2 * margin, SIZE + 2 * margin, 3), np.float32)
    image[:, margin:-margin, margin:-margin] = _background(scene, x, y)
    views = [_window_views(thing, image, margin, start) for thing in scene.objects]
    for thing, (windows, dx, dy) in zip(scene.objects, views, strict=True):
        shadow = 1 - 0.4 * np.clip(0.5 - _distance(thing.kind.shape, dx - 1.5, dy - 2.5, thing.radius) / 5, 0, 1)
        for window, shade in zip(windows, shadow, strict=True):
            window *= shade[..., None]
    for thing, (windows, dx, dy) in zip(scene.objects, views, strict=True):
        # 1.5 pixels of softness: an anti-aliased edge that moves smoothly at fractions of a pixel
        cover = np.clip(0.5 - _distance(thing.kind.shape, dx, dy, thing.radius) / 1.5, 0, 1)[..., None]
        light = 0.94 - 0.14 * np.clip((dx + 1.4 * dy) / (1.7 * thing.radius), -1, 1)
        color = np.minimum(np.asarray(COLORS[thing.kind.color], np.float32) * light[..., None], 255) * cover
        for window, over, paint in zip(windows, cover, color, strict=True):
            window *= 1 - over
            window += paint
    return (image[:, margin:-margin, margin:-margin] + 0.5).clip(0, 255).astype(np.uint8)


def _window_views(
    thing: SceneObject, image: np.ndarray, margin: int, start: int
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Views into the padded image around an object in each frame, and each pixel's offset from its centre (T, W,
    W)."""
    reach = int(np.ceil(1.15 * thing.radius + 7))
    times = np.arange(start, start + len(image))
    cx, cy = (np.broadcast_to(c, times.shape) for c in thing.position(times))
    left, top = (np.clip(np.round(c).astype(int) + margin, reach, SIZE + 2 * margin - reach) - reach for c in (cx, cy))
    span = np.arange(2 * reach, dtype=np.float32)
    dx = (span[None, None, :] + (left - margin - cx).astype(np.float32)[:, None, None]).repeat(2 * reach, 1)
    dy = (span[None, :, None] + (top - margin - cy).astype(np.float32)[:, None, None]).repeat(2 * reach, 2)
    side = 2 * reach
    return [image[i, t : t + side, u : u + side] for i, (t, u) in enumerate(zip(top, left, strict=True))], dx, dy


def _background(scene: Scene, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A flat colour with a soft light from above and a faint weave; (H, W, 3) float32."""
    a, b, c, d = scene.texture
    fall_off = 1.08 - 0.16 * (y / SIZE)
    weave = 2.0 * np.sin(0.45 * x + 0.2 * np.sin(a) * y + b) * np.sin(0.45 * y + 0.2 * np.sin(c) * x + d)
    base = np.asarray(BACKGROUNDS[scene.background], np.float32)
    return base * fall_off[..., None] + weave[..., None]


def _distance(shape: str, dx: np.ndarray, dy: np.ndarray, radius: float) -> np.ndarray:
    """Signed distance in pixels to the outline of a shape of circumscribed size `radius` (negative inside)."""
    if shape == "circle":
        return np.hypot(dx, dy) - 0.92 * radius
    if shape == "square":
        return np.maximum(np.abs(dx), np.abs(dy)) - 0.82 * radius
    corners = _corners(shape, radius)
    return _polygon_distance(dx, dy, corners)


def _corners(shape: str, radius: float) -> np.ndarray:
    if shape == "triangle":
        angles = np.pi / 2 + np.arange(3) * 2 * np.pi / 3
        # the centroid of an upright triangle lies low; 0.12 shifts the drawing to the middle of its box
        return np.stack([1.12 * radius * np.cos(angles), -1.12 * radius * np.sin(angles) + 0.12 * radius], -1)
    angles = np.pi / 2 + np.arange(10) * np.pi / 5
    reach = np.where(np.arange(10) % 2 == 0, 1.1, 0.46) * radius
    return np.stack([reach * np.cos(angles), -reach * np.sin(angles)], -1)


def _polygon_distance(dx: np.ndarray, dy: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Signed distance to a simple polygon: nearest edge, sign by the even-odd rule."""
    nearest = np.full(dx.shape, np.inf, np.float32)
    inside = np.zeros(dx.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, 0), strict=True):
        ex, ey = np.float32(bx - ax), np.float32(by - ay)
        px, py = dx - np.float32(ax), dy - np.float32(ay)
        along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0, 1)
        nearest = np.minimum(nearest, (px - ex * along) ** 2 + (py - ey * along) ** 2)
        crosses = (dy < ay) != (dy < by)
        inside ^= crosses & (px * (by - ay) - py * ex < 0) if by > ay else crosses & (px * (by - ay) - py * ex > 0)
    return np.where(inside, -1, 1) * np.sqrt(nearest)
