"""The oracle of the shapes world: does a clip show what its prompt says?

It looks at pixels only (`eval.scene_reading`, `eval.shape_outlines`) and judges as a strict person would: the right
number of things, each of the right colour and shape from beginning to end, each moving the right way, on the right
background. A few bad frames are forgiven, a bad third of a second is not.
"""

import json
import re
from dataclasses import asdict, dataclass
from functools import cache
from itertools import permutations
from pathlib import Path

import cv2
import numpy as np

from eval.clip import check_frames
from eval.scene_reading import Blob, Track, follow, read_scene

VOCABULARY = json.loads((Path(__file__).resolve().parents[1] / "assets" / "shapes.json").read_text())
WINDOW = 8
SHORTEST = 6
# a thing crosses about half of the picture in 49 frames; under 8 of 64 pixels it is not said to move
SLOWEST = 8.0 / 48
# Lab distances with lightness at half weight: beyond this nobody would use the word
FAR_COLOR = 32.0
FAR_GROUND = 20.0
# outline distance: an exact shape is within 0.05, the nearest pair (circle and square) is 0.09 apart
FAR_SHAPE = 0.12


@dataclass(frozen=True)
class Thing:
    """What a prompt says about one object."""

    color: str
    shape: str
    direction: str


@dataclass(frozen=True)
class Prompt:
    """A prompt of the grammar."""

    things: tuple[Thing, ...]
    background: str


@dataclass(frozen=True)
class ThingVerdict:
    """One object of the prompt: what was asked and what was seen, each None where nothing could be seen."""

    asked: Thing
    color_ok: bool
    shape_ok: bool
    direction_ok: bool
    seen: Thing | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether a clip shows its prompt. `all_right` None: not judged, `reason` says why; True: `reason` is empty.

    `curves` maps a name to one value per frame (None where there is nothing to measure): `things` the number seen;
    `right` 1 where number, background, colours and shapes are all right; and per object i `i/x`, `i/y` the centroid
    and `i/radius` (frame pixels at 64 per side), `i/color_error` (Lab distance to the colour asked for) and
    `i/shape_error` (outline distance to the shape asked for).
    """

    all_right: bool | None
    reason: str = ""
    background_ok: bool | None = None
    count_ok: bool | None = None
    things: tuple[ThingVerdict, ...] = ()
    curves: dict[str, list[float | None]] | None = None

    def to_dict(self) -> dict:
        """Plain data for JSON."""
        return asdict(self)


def parse(prompt: str) -> Prompt | None:
    """The meaning of `a red circle moving right [and ...] on a black background`; None outside the grammar."""
    grammar = _grammar()
    match = grammar["scene"].fullmatch(" ".join(prompt.lower().replace(".", " ").split()))
    if not match:
        return None
    parts = [grammar["thing"].fullmatch(part) for part in match["things"].split(" and ")]
    return Prompt(tuple(Thing(*p.groups()) for p in parts), match["background"]) if all(parts) else None


@cache
def _grammar() -> dict[str, re.Pattern]:
    color, shape, direction, background = (
        "|".join(map(re.escape, VOCABULARY[key])) for key in ("colors", "shapes", "directions", "backgrounds")
    )
    return {
        "scene": re.compile(rf"(?P<things>.+) on an? (?P<background>{background}) background"),
        "thing": re.compile(rf"an? ({color}) ({shape}) moving ({direction})"),
    }


def judge(frames: np.ndarray, prompt: str) -> Verdict:
    """Judge a clip (T, H, W, 3) uint8 RGB against its prompt; takes some 50 ms for 49 frames of 64 x 64."""
    check_frames(frames)
    asked = parse(prompt)
    if asked is None:
        return Verdict(None, f"the prompt {prompt!r} is outside the grammar of the shapes world")
    if len(frames) < SHORTEST:
        return Verdict(None, f"{len(frames)} frames are too few to see a motion; the oracle needs {SHORTEST}")
    reading = read_scene(frames)
    tracks = _match(follow(reading), asked.things, len(frames))
    grounds = [_nearest(g, "backgrounds", FAR_GROUND)[0] for g in reading.ground]
    counts = [len(blobs) for blobs in reading.blobs]
    count_ok = _lasts([c == len(asked.things) for c in counts]) and all(
        _lasts([t in track.blobs for t in range(len(frames))]) for track in tracks
    )
    things = tuple(_verdict(thing, track, len(frames)) for thing, track in zip(asked.things, tracks, strict=True))
    background_ok = _lasts([g == asked.background for g in grounds])
    reason = _reason(asked, things, counts, count_ok, grounds, background_ok)
    curves = _curves(asked, tracks, counts, grounds)
    return Verdict(not reason, reason, background_ok, count_ok, things, curves)


def _match(tracks: list[Track], things: tuple[Thing, ...], count: int) -> list[Track]:
    """One track per thing asked for, so that as much as possible is right; an empty track for a missing thing."""
    known = (tracks + [Track()] * len(things))[: len(things) + 2]

    def agreement(order: tuple[Track, ...]) -> float:
        verdicts = [_verdict(thing, track, count) for thing, track in zip(things, order, strict=True)]
        right = sum(v.color_ok + v.shape_ok + v.direction_ok for v in verdicts)
        return right + 2 * sum(len(t.blobs) for t in order) / count

    return list(max(permutations(known, len(things)), key=agreement))


def _verdict(thing: Thing, track: Track, count: int) -> ThingVerdict:
    if len(track.blobs) < SHORTEST:
        return ThingVerdict(thing, False, False, False)
    blobs = [track.blobs.get(t) for t in range(count)]
    colors = [_nearest(b.color, "colors", FAR_COLOR)[0] if b else None for b in blobs]
    shapes = [_shape(b) if b else None for b in blobs]
    direction = _direction(track)
    seen = Thing(_most(colors), _most(shapes), direction)
    return ThingVerdict(
        thing, _agrees(colors, thing.color), _agrees(shapes, thing.shape), direction == thing.direction, seen
    )


def _shape(blob: Blob) -> str | None:
    """The word for an outline: `unclear` when no shape is near, None when the frame's edge cuts it."""
    if blob.cut_off:
        return None
    shape = blob.outline.shape
    return shape if blob.outline.distance[shape] < FAR_SHAPE else "unclear"


def _direction(track: Track) -> str:
    """The word for a path: `still`, `unclear` (slanted, there and back, or mostly standing), or a direction."""
    times = np.array(sorted(track.blobs))
    places = np.array([(track.blobs[t].outline.x, track.blobs[t].outline.y) for t in times])
    span = times[-1] - times[0]
    pace = np.polyfit(times, places, 1)[0]
    if np.hypot(*pace) < SLOWEST:
        return "still"
    words = VOCABULARY["directions"]
    word = max(words, key=lambda w: float(pace @ words[w]))
    along = places @ np.array(words[word], float)
    aside = abs(float(pace @ np.array(words[word][::-1], float)))
    # beyond 30 degrees it is neither
    if aside > 0.58 * float(pace @ words[word]):
        return "unclear"
    thirds = np.diff(np.interp(np.linspace(times[0], times[-1], 4), times, along))
    moving = thirds > SLOWEST * span / 3
    return word if moving.sum() >= 2 and thirds.min() > -2.0 else "unclear"


def _nearest(color: np.ndarray, table: str, limit: float) -> tuple[str, dict[str, float]]:
    """The word of a table nearest to an RGB colour (`unclear` beyond `limit`), and the distance to every word."""
    words, palette = _palette(table)
    difference = (palette - _lab(color[None])) * (0.5, 1.0, 1.0)
    distance = dict(zip(words, np.sqrt((difference**2).sum(-1)).tolist(), strict=True))
    word = min(distance, key=distance.get)
    return (word if distance[word] < limit else "unclear"), distance


@cache
def _palette(table: str) -> tuple[tuple[str, ...], np.ndarray]:
    return tuple(VOCABULARY[table]), _lab(np.array(list(VOCABULARY[table].values()), np.float32))


def _lab(colors: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of (N, 3) RGB in 0..255."""
    return cv2.cvtColor((np.float32(colors) / 255)[None], cv2.COLOR_RGB2LAB)[0]


def _agrees(words: list[str | None], wanted: str) -> bool:
    known = [word == wanted for word in words if word is not None]
    return len(known) >= SHORTEST and _lasts(known)


def _lasts(right: list[bool]) -> bool:
    """Right nearly all the time: in at least 80 % of the frames and in half of every run of `WINDOW` frames."""
    values = np.asarray(right, float)
    width = min(WINDOW, len(values))
    runs = np.convolve(values, np.ones(width) / width, "valid")
    return bool(values.mean() >= 0.8 and runs.min() >= 0.5)


def _most(words: list[str | None]) -> str:
    known = [word for word in words if word]
    return max(set(known), key=known.count) if known else "unclear"


def _reason(asked, things, counts, count_ok, grounds, background_ok) -> str:
    """What is wrong, in words; empty when nothing is."""
    wrong = []
    if not count_ok:
        usual = max(set(counts), key=counts.count)
        seen = f"{usual} seen" if usual != len(asked.things) else "not all the time"
        wrong.append(f"number of things: {len(asked.things)} asked, {seen}")
    for verdict in things:
        for name in ("color", "shape", "direction"):
            if not getattr(verdict, f"{name}_ok"):
                want, got = getattr(verdict.asked, name), verdict.seen and getattr(verdict.seen, name)
                got = "changes" if got == want else f"{got or 'nothing'} seen"
                wrong.append(f"{name}: {want} asked, {got}")
    if not background_ok:
        got = _most(grounds)
        wrong.append(f"background: {asked.background} asked, {'changes' if got == asked.background else got + ' seen'}")
    return "; ".join(wrong)


def _curves(asked: Prompt, tracks: list[Track], counts: list[int], grounds: list[str]) -> dict:
    frames = range(len(counts))
    curves: dict[str, list[float | None]] = {"things": [float(c) for c in counts]}
    right = [c == len(tracks) and g == asked.background for c, g in zip(counts, grounds, strict=True)]
    for index, (thing, track) in enumerate(zip(asked.things, tracks, strict=True)):
        measured = {t: _measure(blob, thing) for t, blob in track.blobs.items()}
        for name in ("x", "y", "radius", "color_error", "shape_error"):
            curves[f"{index}/{name}"] = [measured[t][name] if t in measured else None for t in frames]
        right = [r and t in measured and measured[t]["right"] for t, r in enumerate(right)]
    return curves | {"right": [float(r) for r in right]}


def _measure(blob: Blob, thing: Thing) -> dict[str, float]:
    color, distance = _nearest(blob.color, "colors", FAR_COLOR)
    return {
        "x": blob.outline.x,
        "y": blob.outline.y,
        "radius": blob.outline.radius,
        "color_error": distance[thing.color],
        "shape_error": blob.outline.distance[thing.shape],
        "right": color == thing.color and _shape(blob) in (thing.shape, None),
    }
