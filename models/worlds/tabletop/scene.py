"""Scenes of the tabletop world: what a caption leaves open, drawn at random, and how things move.

A thing keeps its direction until it reaches a border of the picture, where it turns round; a scene may therefore be
shown for any time. In a clip of usual length most things turn late or not at all, so that they move as the caption
says for most of it.
"""

from dataclasses import dataclass, replace

import numpy as np

from models.worlds.tabletop.grammar import DIRECTIONS, FRAMES, SIZE, Caption, Combination, sample_caption

TWO_OBJECTS = 0.25
TURNING = 0.25
ONE_SIZE, TWO_SIZES = (18.0, 24.0), (13.5, 16.5)
SPEED = (0.75, 1.15)
PAN = (0.2, 0.65)


@dataclass(frozen=True)
class SceneObject:
    """One solid: where its middle is at frame 0, in pixels (x right, y down); its size (about half its width) in
    pixels; its speed in pixels a frame; its turn about its own axis at frame 0 and per frame, in radians."""

    kind: Combination
    x: float
    y: float
    size: float
    speed: float
    yaw: float = 0.0
    spin: float = 0.0

    @property
    def reach(self) -> float:
        """How near to a border its middle may come, in pixels."""
        return 1.35 * self.size + 2

    def position(self, frame: np.ndarray | float) -> tuple[np.ndarray | float, np.ndarray | float]:
        """Middle (x, y) in pixels at `frame` (an index, or an array of them); it turns round at the borders."""
        dx, dy = DIRECTIONS[self.kind.direction]
        low, high = self.reach, SIZE - self.reach
        x = _folded(self.x + dx * self.speed * np.asarray(frame), low, high) if dx else self.x + 0 * np.asarray(frame)
        y = _folded(self.y + dy * self.speed * np.asarray(frame), low, high) if dy else self.y + 0 * np.asarray(frame)
        return x, y


@dataclass(frozen=True)
class Scene:
    """All that is needed to render a clip. `light` is the unit vector towards the light (x right, y away, z up);
    `camera` the place of the ground at the top left corner at frame 0 and `pan` its motion, in pixels (a frame);
    `texture` seeds the ground."""

    objects: tuple[SceneObject, ...]
    ground: str
    light: tuple[float, float, float]
    camera: tuple[float, float]
    pan: tuple[float, float]
    texture: int

    @property
    def caption(self) -> Caption:
        return Caption(tuple(o.kind for o in self.objects), self.ground)


def _folded(place: np.ndarray, low: float, high: float) -> np.ndarray:
    """A place on a straight line, reflected between two walls."""
    span = high - low
    phase = np.mod(place - low, 2 * span)
    return low + np.where(phase > span, 2 * span - phase, phase)


def random_scene(rng: np.random.Generator) -> Scene:
    """A training scene: seen combinations only, one in four with two objects."""
    return sample_scene(sample_caption(rng, held_out=False, objects=2 if rng.random() < TWO_OBJECTS else 1), rng)


def sample_scene(caption: Caption, rng: np.random.Generator) -> Scene:
    """Draw places, sizes, speeds, light, pan and texture for `caption`; things stay apart for a clip of usual
    length."""
    sizes = ONE_SIZE if len(caption.objects) == 1 else TWO_SIZES
    while True:
        things = tuple(_sample_object(kind, rng, sizes) for kind in caption.objects)
        if len(things) == 1 or _stay_apart(*things):
            break
    angle, pace = rng.uniform(0, 2 * np.pi), rng.uniform(*PAN)
    return Scene(
        things,
        caption.ground,
        _sample_light(rng),
        tuple(rng.uniform(0, SIZE, 2)),
        (pace * np.cos(angle), pace * np.sin(angle)),
        int(rng.integers(2**31)),
    )


def _sample_light(rng: np.random.Generator) -> tuple[float, float, float]:
    """From the left or the right, a little before or behind the viewer's line, half-way up."""
    side = rng.choice((-1, 1)) * np.deg2rad(rng.uniform(45, 115))
    height = np.deg2rad(rng.uniform(38, 58))
    return float(np.sin(side) * np.cos(height)), float(-np.cos(side) * np.cos(height)), float(np.sin(height))


def _sample_object(kind: Combination, rng: np.random.Generator, sizes: tuple[float, float]) -> SceneObject:
    thing = SceneObject(
        kind,
        0.0,
        0.0,
        float(rng.uniform(*sizes)),
        float(rng.uniform(*SPEED)),
        float(rng.uniform(0, 2 * np.pi)),
        float(rng.choice((-1, 1)) * rng.uniform(0.015, 0.05)),
    )
    low, high = thing.reach, SIZE - thing.reach
    # how far it goes before it meets the border: beyond the clip's end, or to its last third
    free = thing.speed * (rng.uniform(0.66, 0.95) if rng.random() < TURNING else 1.0) * (FRAMES - 1)
    along = high - free if free < thing.speed * (FRAMES - 1) else rng.uniform(low, max(high - free, low + 1e-6))
    x, y = rng.uniform(low, high, 2)
    dx, dy = DIRECTIONS[kind.direction]
    if dx:
        x = along if dx > 0 else SIZE - along
    else:
        y = along if dy > 0 else SIZE - along
    return replace(thing, x=float(np.clip(x, low, high)), y=float(np.clip(y, low, high)))


def _stay_apart(a: SceneObject, b: SceneObject) -> bool:
    t = np.arange(FRAMES)
    (ax, ay), (bx, by) = a.position(t), b.position(t)
    return bool((np.hypot(ax - bx, ay - by) > 1.25 * (a.size + b.size)).all())
