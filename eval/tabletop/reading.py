"""Reading a clip of the tabletop world: its ground, and the solids of each frame, followed over time.

Two tables of colour frequencies, one per ground and one per colour of a solid, tell how likely each pixel is to be
ground or solid; shadows count as ground, since they were counted with it. What holds together and is likelier solid is
a blob. Its kind is told from its outline and its shading by linear discriminants. All tables are data, fitted to
rendered clips and to their reconstructions by `python -m workbench lab oracle-fit`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import cv2
import numpy as np

from eval.tabletop.prompt import ASSETS

SIDE = 128
LEVELS = 32  # of each colour channel in the tables
PATCH = 16
TABLES = ASSETS / "tabletop-oracle.npz"
SMALLEST_AREA = 110.0
CERTAIN = 0.4  # mean log odds of solid against ground in a pixel's neighbourhood
FARTHEST = 12.0  # pixels that a solid may leap between two frames
MEMORY = 8  # frames for which a solid that is not seen is still expected


@dataclass(frozen=True)
class Blob:
    """One solid in one frame: middle in pixels at 128 a side, area in pixels, log odds of each colour summed over
    its pixels, and features of outline and shading."""

    x: float
    y: float
    area: float
    colors: np.ndarray
    patch: np.ndarray


@dataclass
class Track:
    """One solid over time: frame index to blob."""

    blobs: dict[int, Blob] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """`grounds` (T, 6): mean log likelihood of each ground; `sharpness` (T,): the detail of each frame, the standard
    deviation of its Laplacian; `blobs`: one list per frame."""

    grounds: np.ndarray
    sharpness: np.ndarray
    blobs: list[list[Blob]]


@cache
def tables() -> dict[str, np.ndarray]:
    """The fitted tables: those of `color_tables`, and what `eval.tabletop.oracle` needs to name solids."""
    with np.load(TABLES) as file:
        found = dict(file)
    return found | color_tables(found)


def color_tables(coded: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`grounds` (6, 32768) and `colors` (8, 32768): natural log frequencies of colours; `odds` (6, 32768): log odds of
    any solid against each ground. `coded` holds the first two as they are kept, -16 times themselves in uint8."""
    grounds, colors = (-coded[name].astype(np.float32) / 16 for name in ("grounds", "colors"))
    likely = np.log(np.exp(colors).mean(0))
    return {"grounds": grounds, "colors": colors, "odds": np.clip(likely - grounds, -5, 5).astype(np.float32)}


def read(frames: np.ndarray, found: Mapping[str, np.ndarray] | None = None) -> Reading:
    """What is seen in a clip (T, H, W, 3) uint8 RGB by the colour tables `found`, those that ship unless others are
    given. Other sizes are resampled to 128 pixels a side."""
    found = found or tables()
    if frames.shape[1:3] != (SIDE, SIDE):
        frames = np.stack([cv2.resize(f, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for f in frames])
    codes = color_codes(frames)
    sparse = codes[:, ::3, ::3].reshape(len(codes), -1)
    grounds = np.stack([np.maximum(table[sparse], -14).mean(1) for table in found["grounds"]], 1)
    odds = found["odds"][int(grounds.mean(0).argmax())][codes]
    grays = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY).astype(np.float32) for f in frames]
    sharpness = np.array([cv2.Laplacian(gray, cv2.CV_32F).std() for gray in grays])
    blobs = [_blobs(*frame, found["colors"]) for frame in zip(codes, odds, grays, strict=True)]
    return Reading(grounds, sharpness, blobs)


def color_codes(frames: np.ndarray) -> np.ndarray:
    """The place of every pixel's colour in the tables, (T, H, W) int32."""
    r, g, b = (frames[..., i].astype(np.int32) >> 3 for i in range(3))
    return (r << 10) | (g << 5) | b


def _blobs(codes: np.ndarray, odds: np.ndarray, gray: np.ndarray, likely: np.ndarray) -> list[Blob]:
    mask = (cv2.GaussianBlur(odds, (0, 0), 1.3) > CERTAIN).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
    number, labels, stats, middles = cv2.connectedComponentsWithStats(mask, connectivity=4)
    found = []
    for index in range(1, number):
        left, top, width, height, area = stats[index]
        if area < SMALLEST_AREA:
            continue
        window = slice(top, top + height), slice(left, left + width)
        own = (labels[window] == index).astype(np.uint8)
        outlines, _ = cv2.findContours(own, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        own = cv2.drawContours(own, outlines, -1, 1, cv2.FILLED)
        inside = codes[window][own > 0]
        colors = np.maximum(likely[:, inside], -14).sum(1)
        x, y = middles[index]
        whole = np.zeros(gray.shape, np.float32)
        whole[window] = own
        found.append(Blob(float(x), float(y), float(own.sum()), colors, _patch(whole, gray, x, y)))
    return found


def _patch(mask: np.ndarray, gray: np.ndarray, x: float, y: float) -> np.ndarray:
    """Outline and shading about the middle, scaled to one area, the same for light from the left and the right."""
    scale = PATCH / (1.7 * np.sqrt(mask.sum()))
    middle = (PATCH - 1) / 2
    matrix = np.array([[scale, 0, middle - scale * x], [0, scale, middle - scale * y]])
    shade = mask * (gray / max(float((gray * mask).sum() / mask.sum()), 1.0) - 1)
    layers = [cv2.warpAffine(cv2.GaussianBlur(p, (0, 0), 0.9), matrix, (PATCH, PATCH)) for p in (mask, shade)]
    half = PATCH // 2
    mirrored = [layer[:, ::-1] for layer in layers]
    parts = [(a + b)[:, :half] / 2 for a, b in zip(layers, mirrored, strict=True)]
    parts += [np.abs(a - b)[:, :half] / 2 for a, b in zip(layers, mirrored, strict=True)]
    return np.stack(parts).ravel()


def follow(blobs: list[list[Blob]]) -> list[Track]:
    """Blobs joined over time, the longest track first; each blob goes to the nearest solid it may be."""
    tracks: list[Track] = []
    for t, seen in enumerate(blobs):
        pairs = []
        for i, track in enumerate(tracks):
            last = max(track.blobs)
            if t - last <= MEMORY:
                old = track.blobs[last]
                pairs += [(float(np.hypot(b.x - old.x, b.y - old.y)), i, j) for j, b in enumerate(seen)]
        taken, given = set(), set()
        for distance, i, j in sorted(pairs):
            if distance <= FARTHEST and i not in taken and j not in given:
                tracks[i].blobs[t] = seen[j]
                taken.add(i)
                given.add(j)
        tracks += [Track({t: blob}) for j, blob in enumerate(seen) if j not in given]
    return sorted(tracks, key=lambda track: -len(track.blobs))
