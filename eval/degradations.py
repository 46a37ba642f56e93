"""Clips degraded on purpose from a known frame, to see which metric moves, which way, and when.

All of it is drawn by code from a fixed seed: a textured pan with a disc that moves across it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from eval.evaluator import Source, evaluate
from eval.metric import Metric

FRAMES = 32
BREAK = 16
HEIGHT, WIDTH = 160, 240
SPEED = 1.5  # pixels a frame
PROMPT = "a red ball rolling right over stone"
TURNOVER = 8  # frames in which a morphing ground becomes another one


def clean_clip(seed: int = 0) -> np.ndarray:
    """(32, 160, 240, 3) uint8 RGB: a coloured texture that pans, and a disc that crosses it."""
    return render(np.arange(FRAMES), seed)


def render(moments: np.ndarray, seed: int = 0) -> np.ndarray:
    """The clip at any moments, counted in frames; fractions of a pixel are interpolated."""
    texture = _texture(seed)
    return np.stack([_frame(texture, float(moment)) for moment in moments])


MEAN = np.float32([150, 110, 90])


def _texture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rough = rng.integers(0, 256, (HEIGHT + 32, WIDTH + 128, 3)).astype(np.float32)
    return MEAN + sum(w * _unit(cv2.GaussianBlur(rough, (0, 0), s)) for s, w in ((12, 34), (3, 20), (1.2, 18)))


def _unit(image: np.ndarray) -> np.ndarray:
    return (image - image.mean((0, 1))) / image.std((0, 1))


def _frame(texture: np.ndarray, moment: float) -> np.ndarray:
    shift = np.float32([[1, 0, -8 - SPEED * moment], [0, 1, -8]])
    frame = cv2.warpAffine(texture, shift, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    centre = (round((60 + 3 * moment) * 16), 80 * 16)
    cv2.circle(frame, centre, 22 * 16, (215, 60, 50), -1, cv2.LINE_AA, shift=4)
    return frame.clip(0, 255).round().astype(np.uint8)


Degrade = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Degradation:
    """`apply` gives a clip that is the clean one before `BREAK`. Metrics say in their facts which ones move them."""

    title: str
    apply: Degrade


def _each(change: Callable[[np.ndarray, int], np.ndarray]) -> Degrade:
    """Change every frame from `BREAK` on; `change` takes a float frame and its index."""

    def apply(clip: np.ndarray) -> np.ndarray:
        changed = [change(clip[t].astype(np.float32), t) for t in range(BREAK, len(clip))]
        return np.concatenate([clip[:BREAK], np.stack(changed).clip(0, 255).round().astype(np.uint8)])

    return apply


def _noise(frame: np.ndarray, t: int) -> np.ndarray:
    return frame + np.random.default_rng(t).normal(0, 6, frame.shape)


def _gray(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None]


def _jpeg(frame: np.ndarray, t: int) -> np.ndarray:
    packed = cv2.imencode(".jpg", frame.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 8])[1]
    return cv2.imdecode(packed, cv2.IMREAD_COLOR)


def _freeze(clip: np.ndarray) -> np.ndarray:
    return np.concatenate([clip[:BREAK], np.repeat(clip[BREAK - 1 : BREAK], len(clip) - BREAK, 0)])


def _judder(clip: np.ndarray) -> np.ndarray:
    """Every second frame is shown where it would be one frame and a half later."""
    late = np.arange(BREAK, len(clip))
    return np.concatenate([clip[:BREAK], render(late + 1.5 * (late % 2))])


def _morph(clip: np.ndarray) -> np.ndarray:
    """The ground turns into other ones of the same kind, with as much contrast all along."""
    grounds = [_texture(seed) - MEAN for seed in range(2 + (len(clip) - BREAK) // TURNOVER)]
    changed = []
    for t in range(BREAK, len(clip)):
        passed, part = divmod(t - BREAK + 1, TURNOVER)
        angle = np.pi / 2 * part / TURNOVER
        mixed = MEAN + np.cos(angle) * grounds[passed] + np.sin(angle) * grounds[passed + 1]
        changed.append(_frame(mixed.astype(np.float32), float(t)))
    return np.concatenate([clip[:BREAK], np.stack(changed)])


DEGRADATIONS: dict[str, Degradation] = {
    "blur": Degradation("Blur", _each(lambda f, t: cv2.GaussianBlur(f, (0, 0), 2))),
    "noise": Degradation("Noise", _each(_noise)),
    "flicker": Degradation("Flicker", _each(lambda f, t: f + (6 if t % 2 else -6))),
    "freeze": Degradation("Freeze", _freeze),
    "judder": Degradation("Judder", _judder),
    "gray": Degradation("Loss of colour", _each(lambda f, t: _gray(f) + 0.35 * (f - _gray(f)))),
    "colour_shift": Degradation("Colour shift", _each(lambda f, t: f + np.float32([45, 0, -45]))),
    "darker": Degradation("Darker", _each(lambda f, t: f - 35)),
    "flatter": Degradation("Less contrast", _each(lambda f, t: f.mean((0, 1)) + 0.5 * (f - f.mean((0, 1))))),
    "jpeg": Degradation("Compression", _each(_jpeg)),
    "morph": Degradation("Morphing ground", _morph),
}


@dataclass(frozen=True)
class Response:
    """How a curve changes: mean `change` from `BREAK` on, largest absolute change `before`, `first` frame that moves.

    A curve that compares a frame with the next one may move one frame earlier, and is given that frame.
    """

    change: float
    before: float
    first: int | None


def responses(metrics: Sequence[Metric], fps: float = 16.0) -> dict[str, dict[str, Response]]:
    """{degradation: {metric: response}}, of metrics with a curve: changes as a share of the metric's strongest
    response to any of them."""
    clean = clean_clip()
    clips = {"": clean} | {name: row.apply(clean) for name, row in DEGRADATIONS.items()}
    scores = evaluate([Source(name, frames=frames, fps=fps, prompt=PROMPT) for name, frames in clips.items()], metrics)
    curves = {s.id: {name: np.array(r.per_frame, float) for name, r in s.results.items()} for s in scores}
    found = {name: {m: _response(curves[name][m], curves[""][m]) for m in curves[""]} for name in DEGRADATIONS}
    strongest = {m: max(abs(row[m].change) for row in found.values()) or 1.0 for m in curves[""]}
    return {
        name: {m: Response(r.change / strongest[m], r.before, r.first) for m, r in row.items()}
        for name, row in found.items()
    }


def _response(curve: np.ndarray, clean: np.ndarray) -> Response:
    difference = np.nan_to_num(curve - clean)
    known = ~np.isnan(clean[BREAK:])
    moved = np.flatnonzero(np.abs(difference) > 0.05 * np.abs(difference).max())
    first = int(moved[0]) if len(moved) else None
    return Response(float(difference[BREAK:][known].mean()), float(np.abs(difference[: BREAK - 1]).max()), first)
