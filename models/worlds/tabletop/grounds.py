"""The grounds: stochastic textures drawn per clip on a torus of 256 x 256 pixels, so that the camera may pan forever.

Each is a function from a random generator to a `Ground`, which gives the picture under the camera at any time. Their
detail is a few pixels wide and more: what is finer would be lost in the autoencoder and say nothing about a model.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import cv2
import numpy as np
from scipy.spatial import cKDTree

PERIOD = 256
_MARGIN = 8


class Ground(Protocol):
    """What lies under the camera."""

    def view(self, x: float, y: float, frame: float, size: int) -> np.ndarray:
        """The picture (size, size, 3) float32 in 0..255 whose top left corner is at (x, y) pixels of the ground."""


class Still:
    """A ground that does not move; `picture` (256, 256, 3) float32 wraps round at its borders."""

    def __init__(self, picture: np.ndarray) -> None:
        self.picture = _wrapped(picture)

    def view(self, x: float, y: float, frame: float, size: int) -> np.ndarray:
        return _window(self.picture, x, y, size)


class Water:
    """A net of light on water: the zero lines of the sum of two fields that drift apart."""

    DEEP, BRIGHT = np.array((20, 78, 124), np.float32), np.array((140, 206, 224), np.float32)

    def __init__(self, rng: np.random.Generator) -> None:
        self.fields = [_wrapped(fractal(rng, (30, 14), 0.55)[..., None]) for _ in range(2)]
        angle, turn = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.4) * np.pi
        self.drifts = [0.45 * np.array([np.cos(a), np.sin(a)]) for a in (angle, angle + turn)]

    def view(self, x: float, y: float, frame: float, size: int) -> np.ndarray:
        shifted = [
            _window(field, x + drift[0] * frame, y + drift[1] * frame, size)
            for field, drift in zip(self.fields, self.drifts, strict=True)
        ]
        net = np.exp(-2.4 * np.abs(shifted[0] + shifted[1]) ** 1.5)[..., None]
        return self.DEEP + (self.BRIGHT - self.DEEP) * net


def draw_ground(kind: str, rng: np.random.Generator) -> Ground:
    """A ground of `kind` (a name of the grammar), drawn from `rng`."""
    return _GROUNDS[kind](rng)


def fractal(
    rng: np.random.Generator, scales: Sequence[float], persistence: float, stretch: tuple[int, int] = (1, 1)
) -> np.ndarray:
    """Smooth noise (256, 256) of unit variance on the torus: one octave per scale (pixels), each `persistence` times
    as strong as the one before. `stretch` makes it longer along (x, y)."""
    total, weight, power = np.zeros((PERIOD, PERIOD), np.float32), 1.0, 0.0
    for scale in scales:
        rows, columns = (max(round(PERIOD / (scale * s)), 2) for s in (stretch[1], stretch[0]))
        grid = rng.standard_normal((rows, columns)).astype(np.float32)
        layer = _resized(grid)
        total += weight * layer / layer.std()
        power += weight**2
        weight *= persistence
    return total / np.float32(np.sqrt(power))


def _resized(grid: np.ndarray) -> np.ndarray:
    """A grid enlarged to the whole torus, smooth across its borders too."""
    edge = 3
    wide = np.pad(grid, edge, mode="wrap")
    fy, fx = PERIOD / grid.shape[0], PERIOD / grid.shape[1]
    matrix = np.array([[fx, 0, -edge * fx], [0, fy, -edge * fy]], np.float64)
    return cv2.warpAffine(wide, matrix, (PERIOD, PERIOD), flags=cv2.INTER_CUBIC)


def _grass(rng: np.random.Generator) -> Still:
    field = fractal(rng, (44, 18), 0.7)
    picture = _mixed((50, 82, 34), (112, 148, 66), 0.5 + 0.22 * field)
    blades = _blades(rng, 900)
    return Still(_softened(picture * (1 + 0.42 * blades[..., None]), 0.6))


def _blades(rng: np.random.Generator, count: int) -> np.ndarray:
    """Tufts of short bent strokes, light and dark, (256, 256) in about -1..1, drawn wrapped round."""
    canvas = np.zeros((PERIOD, PERIOD), np.float32)
    roots = rng.uniform(0, PERIOD, (count, 2))
    leans, lengths = rng.normal(-np.pi / 2, 0.45, count), rng.uniform(7, 13, count)
    tones = rng.uniform(-1, 1, count)
    for (x, y), lean, length, tone in zip(roots, leans, lengths, tones, strict=True):
        tip = (x + length * np.cos(lean), y + length * np.sin(lean))
        for dx in (0, -PERIOD) if max(x, tip[0]) > PERIOD else (0, PERIOD) if min(x, tip[0]) < 0 else (0,):
            for dy in (0, PERIOD) if tip[1] < 0 else (0,):
                ends = [(round(4 * (px + dx)), round(4 * (py + dy))) for px, py in ((x, y), tip)]
                cv2.line(canvas, *ends, float(tone), 2, cv2.LINE_8, 2)
    return _softened(canvas, 0.8)


def _sand(rng: np.random.Generator) -> Still:
    y, x = np.mgrid[:PERIOD, :PERIOD].astype(np.float32)
    turns = round(rng.uniform(17, 24))
    lean = int(rng.integers(-6, 7))
    phase = 2 * np.pi / PERIOD * (turns * y + lean * x) + 1.5 * fractal(rng, (50, 26), 0.5)
    ripple = np.sin(phase) + 0.35 * np.sin(2 * phase + 0.8)
    return Still(_mixed((170, 134, 88), (232, 204, 154), 0.5 + 0.17 * fractal(rng, (64, 24), 0.5) + 0.19 * ripple))


def _wood(rng: np.random.Generator) -> Still:
    y, x = np.mgrid[:PERIOD, :PERIOD].astype(np.float32)
    board = 32
    row = np.floor(y / board)
    shift = rng.uniform(0, 2 * np.pi, PERIOD // board)[row.astype(int)]
    tone = rng.uniform(-0.16, 0.16, PERIOD // board)[row.astype(int)]
    bend = fractal(rng, (40, 18), 0.5, (4, 1))
    rings = np.sin(2 * np.pi / board * 3 * (y % board) + 2.2 * bend + shift)
    picture = _mixed((92, 60, 36), (176, 128, 82), 0.5 + tone + 0.1 * bend + 0.2 * rings)
    ends = rng.integers(0, PERIOD, PERIOD // board)[row.astype(int)]
    seam = (y % board < 2) | ((x - ends) % PERIOD < 2)
    return Still(_softened(picture * (1 - 0.6 * seam[..., None].astype(np.float32)), 0.7))


def _stone(rng: np.random.Generator) -> Still:
    side = 14
    cells = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2) + 0.5
    seeds = (cells + rng.uniform(-0.42, 0.42, cells.shape)) * (PERIOD / side) % PERIOD
    y, x = np.mgrid[:PERIOD, :PERIOD]
    distances, owners = cKDTree(seeds, boxsize=PERIOD).query(np.stack([x, y], -1).reshape(-1, 2), k=2)
    edge = (distances[:, 1] - distances[:, 0]).reshape(PERIOD, PERIOD)
    tone = rng.uniform(0.12, 0.95, len(seeds))[owners[:, 0]].reshape(PERIOD, PERIOD)
    picture = _mixed((84, 84, 90), (176, 172, 164), tone + 0.09 * fractal(rng, (14, 6), 0.6))
    return Still(_softened(picture * np.clip(0.36 + edge / 4.5, 0.36, 1)[..., None].astype(np.float32), 0.7))


def _night(rng: np.random.Generator) -> Still:
    haze = np.clip(0.5 + 0.42 * fractal(rng, (64, 30, 14), 0.55), 0, 1)
    picture = _mixed((10, 12, 34), (52, 40, 92), haze)
    stars = np.zeros((PERIOD, PERIOD), np.float32)
    places = rng.integers(0, PERIOD, (260, 2))
    stars[places[:, 0], places[:, 1]] = rng.uniform(0.25, 1, 260) ** 1.5
    glow = 900 * _softened(stars, 1.0) + 500 * _softened(stars, 1.7)
    tint = np.array((1.0, 0.97, 0.9), np.float32)
    return Still(np.minimum(picture + glow[..., None] * tint, 255))


def _mixed(dark: Sequence[float], light: Sequence[float], share: np.ndarray) -> np.ndarray:
    share = np.clip(share, 0, 1)[..., None].astype(np.float32)
    return np.array(dark, np.float32) * (1 - share) + np.array(light, np.float32) * share


def _softened(picture: np.ndarray, blur: float) -> np.ndarray:
    """Gaussian blur on the torus."""
    edge = ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), *[(0, 0)] * (picture.ndim - 2))
    wide = cv2.GaussianBlur(np.pad(picture.astype(np.float32), edge, mode="wrap"), (0, 0), blur)
    return wide[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def _wrapped(picture: np.ndarray) -> np.ndarray:
    """The torus with its start repeated behind its end, wide enough for any window."""
    return np.pad(picture.astype(np.float32), ((_MARGIN, PERIOD), (_MARGIN, PERIOD), (0, 0)), mode="wrap")


def _window(wrapped: np.ndarray, x: float, y: float, size: int) -> np.ndarray:
    """(size, size, 3) or (size, size) of a wrapped picture from (x, y) on, by Lanczos interpolation."""
    left, top = x % PERIOD, y % PERIOD
    column, row = int(left), int(top)
    part = wrapped[row : row + size + 2 * _MARGIN, column : column + size + 2 * _MARGIN]
    moved = cv2.sepFilter2D(part, cv2.CV_32F, _lanczos(left - column), _lanczos(top - row))
    return moved[_MARGIN : _MARGIN + size, _MARGIN : _MARGIN + size]


def _lanczos(fraction: float) -> np.ndarray:
    """The nine taps that shift a line by a fraction of a pixel: a sinc under the window of its middle lobe, 4 wide."""
    places = np.arange(-4, 5) - fraction
    taps = np.sinc(places) * np.sinc(places / 4) * (np.abs(places) < 4)
    return (taps / taps.sum()).astype(np.float32)


_GROUNDS: dict[str, Callable[[np.random.Generator], Ground]] = {
    "grass": _grass,
    "sand": _sand,
    "wood": _wood,
    "stone": _stone,
    "water": Water,
    "night sky": _night,
}
