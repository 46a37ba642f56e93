"""Reading a clip of coloured things on a plain ground: what is there in each frame, and which is which over time.

Classical vision only. The ground is a plane per colour channel; a shadow is the ground made darker; what is
neither is foreground. A thing's edge is where it covers half a pixel, found at a fraction of a pixel by enlarging.
"""

from dataclasses import dataclass, field, replace
from itertools import product

import cv2
import numpy as np

from eval.shapes.outlines import ZOOM, Outline, read_outline

SIDE = 64
# distance in RGB from ground and shadow; the faintest thing (blue or green on gray) is about 90 away
FAINT = 32.0
CLEAR = 55.0
SHADOW = (0.45, 1.25)
SMALLEST_AREA = 30.0


@dataclass(frozen=True)
class Blob:
    """One thing in one frame: mean colour of its inside (RGB, 0..255), how even it is, and its outline."""

    color: np.ndarray
    outline: Outline
    cut_off: bool


@dataclass(frozen=True)
class Reading:
    """What is seen: `ground` (T, 3) RGB per frame, `blobs` one list per frame."""

    ground: np.ndarray
    blobs: list[list[Blob]]


@dataclass
class Track:
    """One thing over time: frame index to blob."""

    blobs: dict[int, Blob] = field(default_factory=dict)

    @property
    def last(self) -> int:
        return max(self.blobs)

    def predict(self, frame: int) -> np.ndarray:
        """Where the thing should be at `frame`, from its last few places."""
        times = sorted(self.blobs)[-6:]
        places = np.array([(self.blobs[t].outline.x, self.blobs[t].outline.y) for t in times])
        pace = (places[-1] - places[0]) / max(times[-1] - times[0], 1)
        return places[-1] + pace * (frame - times[-1])


def read_scene(frames: np.ndarray) -> Reading:
    """Ground colour and things of every frame of a clip (T, H, W, 3) uint8 RGB; larger frames are reduced to 64."""
    frames = _reduce(frames)
    soft = np.stack([cv2.GaussianBlur(f, (0, 0), 0.6) for f in frames]).astype(np.float32)
    ground, plane = _ground(soft)
    away = _away_from_ground(soft, plane)
    blobs = [_blobs(*frame) for frame in zip(soft, plane, away, strict=True)]
    return Reading(ground, blobs)


def _reduce(frames: np.ndarray) -> np.ndarray:
    scale = SIDE / min(frames.shape[1:3])
    if scale == 1:
        return frames
    size = (round(frames.shape[2] * scale), round(frames.shape[1] * scale))
    return np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames])


def _ground(soft: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ground colour per frame (T, 3), and the ground with its slow change over the picture (T, H, W, 3)."""
    count, height, width, _ = soft.shape
    ring = np.ones((height, width), bool)
    ring[3:-3, 3:-3] = False
    color = np.median(soft[:, ring], axis=1)
    # the tilt is the light of the room and does not move: some frames tell it
    some = slice(None, None, max(count // 12, 1))
    flat = np.broadcast_to(color[some, None, None], soft[some].shape)
    weight = (_away_from_ground(soft[some], flat) < FAINT)[..., None].astype(np.float32)
    residual = ((soft[some] - flat) * weight).sum(0) / np.maximum(weight.sum(0), 1)
    weight = weight.mean(0)
    y, x = np.mgrid[:height, :width].astype(np.float32) / SIDE - 0.5
    design = np.stack([np.ones_like(x), x, y], -1).reshape(-1, 3)
    w = weight.reshape(-1, 1)
    slope = np.linalg.lstsq(design.T @ (w * design) + 1e-6 * np.eye(3), (w * design).T @ residual.reshape(-1, 3))[0]
    tilt = (design @ slope).reshape(height, width, 3).astype(np.float32)
    return color + slope[0], color[:, None, None] + tilt


def _away_from_ground(soft: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """Distance in RGB of every pixel from the ground in any light from shadow to slightly brighter; (T, H, W)."""
    own = np.einsum("...c,...c", plane, plane)
    shared = np.einsum("...c,...c", soft, plane)
    light = np.clip(shared / np.maximum(own, 1.0), *SHADOW)
    # |soft - light * plane|^2, written out to stay in two dimensions
    square = np.einsum("...c,...c", soft, soft) + light * (light * own - 2 * shared)
    return np.sqrt(np.maximum(square, 0))


def _blobs(frame: np.ndarray, plane: np.ndarray, away: np.ndarray) -> list[Blob]:
    found = (away > FAINT).astype(np.uint8)
    number, labels, stats, _ = cv2.connectedComponentsWithStats(found, connectivity=8)
    blobs = []
    for index in range(1, number):
        left, top, width, height, area = stats[index]
        if area < SMALLEST_AREA:
            continue
        window = (
            slice(max(top - 3, 0), min(top + height + 3, len(frame))),
            slice(max(left - 3, 0), min(left + width + 3, frame.shape[1])),
        )
        inside = labels[window] == index
        if away[window][inside].max() >= CLEAR:
            blobs += _things(frame[window], plane[window], inside, window, frame.shape[:2])
    return blobs


def _things(
    frame: np.ndarray, plane: np.ndarray, inside: np.ndarray, window: tuple[slice, slice], size: tuple[int, int]
) -> list[Blob]:
    """The things of one connected region: one per colour and per piece."""
    colors = _inner_colors(frame, inside)
    ground = plane[inside].mean(0)
    covers, misfits = zip(*(_cover(frame, ground, c) for c in colors), strict=True)
    best = np.argmin(misfits, axis=0)
    near = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8))
    blobs = []
    for index, (color, cover) in enumerate(zip(colors, covers, strict=True)):
        big = cv2.resize(cover * (near * (best == index)), None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)
        number, labels, stats, _ = cv2.connectedComponentsWithStats((big >= 0.5).astype(np.uint8), connectivity=4)
        for piece in range(1, number):
            if stats[piece, cv2.CC_STAT_AREA] >= SMALLEST_AREA * ZOOM * ZOOM:
                blobs.append(_blob(color, labels == piece, stats[piece], window, size))
    return blobs


def _inner_colors(frame: np.ndarray, inside: np.ndarray) -> list[np.ndarray]:
    """The distinct colours (RGB) in the inside of a region, the most frequent first; at most three."""
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3)
    core = frame[depth >= min(3.0, 0.75 * depth.max())]
    # a few dozen pixels are enough to know the colours
    core = core[:: max(len(core) // 40, 1)]
    middle = np.median(core, axis=0)
    if np.abs(core - middle).max() < 45.0:
        return [middle]
    colors = []
    wanted = max(0.2 * len(core), 3)
    while len(core) >= wanted and len(colors) < 3:
        # the mode: the pixel with the most others near it
        own = np.einsum("ic,ic->i", core, core)
        near = own[:, None] + own - 2 * core @ core.T < 60.0**2
        group = near[near.sum(1).argmax()]
        if group.sum() < wanted and colors:
            break
        colors.append(np.median(core[group], axis=0))
        core = core[~group]
    return colors or [np.median(frame[inside], axis=0)]


def _cover(frame: np.ndarray, ground: np.ndarray, color: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much of each pixel the colour covers (0..1 and a little above), and what that leaves unexplained.

    The pixel is ground + cover * (color - ground) - shade * ground with cover, shade >= 0: least squares.
    """
    u, v, rest = color - ground, -ground, frame - ground
    uu, vv, uv = float(u @ u), float(v @ v) + 1e-3, float(u @ v)
    ru, rv = np.einsum("hwc,kc->khw", rest, np.stack([u, v]))
    det = max(uu * vv - uv * uv, 1e-3)
    cover, shade = (ru * vv - rv * uv) / det, (rv * uu - ru * uv) / det
    cover = np.where(shade < 0, ru / uu, cover)
    # a thing in its own shade stays itself: more than half of the ground's light is never taken
    cover = np.where(shade > 0.55, (ru - 0.55 * uv) / uu, cover).clip(0, 1.5)
    shade = ((rv - cover * uv) / vv).clip(0, 0.55)
    misfit = rest - cover[..., None] * u - shade[..., None] * v
    return cover.astype(np.float32), (misfit * misfit).sum(-1).astype(np.float32)


def _blob(
    color: np.ndarray, mask: np.ndarray, box: np.ndarray, window: tuple[slice, slice], size: tuple[int, int]
) -> Blob:
    """A blob from its enlarged mask in a window of the frame; `box` is its (left, top, width, height, area)."""
    left, top, width, height, _ = box
    outline = read_outline(mask[top : top + height, left : left + width].astype(np.uint8))
    place = (outline.x + window[1].start + left / ZOOM, outline.y + window[0].start + top / ZOOM)
    sides = (
        (window[0].start == 0, mask[0]),
        (window[0].stop == size[0], mask[-1]),
        (window[1].start == 0, mask[:, 0]),
        (window[1].stop == size[1], mask[:, -1]),
    )
    cut_off = any(outermost and line.sum() >= 3 * ZOOM for outermost, line in sides)
    return Blob(color, replace(outline, x=place[0], y=place[1]), cut_off)


def follow(reading: Reading) -> list[Track]:
    """Link the blobs of neighbouring frames into tracks by place and colour; the longest first."""
    tracks: list[Track] = []
    for frame, blobs in enumerate(reading.blobs):
        free, open_tracks = set(range(len(blobs))), [t for t in tracks if frame - t.last <= 6]
        pairs = product(range(len(open_tracks)), range(len(blobs)))
        costs = sorted((_step_cost(open_tracks[i], blobs[j], frame), i, j) for i, j in pairs)
        taken = set()
        for cost, i, j in costs:
            if cost < 12.0 and i not in taken and j in free:
                open_tracks[i].blobs[frame] = blobs[j]
                taken.add(i)
                free.remove(j)
        tracks += [Track({frame: blobs[j]}) for j in sorted(free)]
    return sorted(tracks, key=lambda t: -len(t.blobs))


def _step_cost(track: Track, blob: Blob, frame: int) -> float:
    place = np.array([blob.outline.x, blob.outline.y])
    change = float(np.abs(track.blobs[track.last].color - blob.color).max())
    return float(np.hypot(*(track.predict(frame) - place))) + min(change / 20.0, 6.0)
