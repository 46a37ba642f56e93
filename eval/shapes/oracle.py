"""The oracle of the shapes world: does a clip show what its prompt says?

It looks at pixels only (`eval.shapes.scene_reading`, `eval.shapes.outlines`) and judges as a strict person would: the
right number of things, each of the right colour and shape from beginning to end, each moving the right way, on the
right background. A few bad frames are forgiven, a bad third of a second is not.
"""

import json
import re
from dataclasses import asdict, dataclass
from functools import cache
from itertools import permutations
from pathlib import Path

import cv2
import numpy as np

from eval.shapes.outlines import shape_distances
from eval.shapes.scene_reading import Track, follow, read_scene
from eval.video.clip import check_frames

VOCABULARY = json.loads((Path(__file__).resolve().parents[2] / "assets" / "shapes.json").read_text())
WINDOW = 8
SHORTEST = 6
# a thing crosses about half of the picture in 49 frames; under 8 of 64 pixels it is not said to move
SLOWEST = 8.0 / 48
# Lab distances with lightness at half weight: beyond this nobody would use the word
FAR_COLOR = 32.0
FAR_GROUND = 20.0
# outline distance: an exact shape is within 0.05, the nearest pair (circle and square) is 0.09 apart
FAR_SHAPE = 0.14


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
    """Judge a clip (T, H, W, 3) uint8 RGB against its prompt; takes tens of milliseconds for 49 frames of 64 x 64."""
    check_frames(frames)
    asked = parse(prompt)
    if asked is None:
        return Verdict(None, f"the prompt {prompt!r} is outside the grammar of the shapes world")
    if len(frames) < SHORTEST:
        return Verdict(None, f"{len(frames)} frames are too few to see a motion; the oracle needs {SHORTEST}")
    reading = read_scene(frames)
    tracks = follow(reading)[: len(asked.things) + 2]
    looks = _match([_look(track, len(frames)) for track in tracks], asked.things)
    grounds = _nearest(reading.ground, "backgrounds", FAR_GROUND)[0]
    counts = [len(blobs) for blobs in reading.blobs]
    whole = all(_lasts([t in look.times for t in range(len(frames))]) for look in looks)
    count_ok = whole and _lasts([c == len(asked.things) for c in counts])
    things = tuple(_verdict(thing, look) for thing, look in zip(asked.things, looks, strict=True))
    background_ok = _lasts([g == asked.background for g in grounds])
    reason = _reason(asked, things, counts, count_ok, grounds, background_ok)
    return Verdict(not reason, reason, background_ok, count_ok, things, _curves(asked, looks, counts, grounds))


@dataclass(frozen=True)
class Look:
    """A track in words and numbers, one entry per frame in `times`; shape None where the frame's edge cuts it."""

    times: list[int]
    places: np.ndarray
    radii: list[float]
    colors: list[str]
    shapes: list[str | None]
    color_distance: dict[str, np.ndarray]
    shape_distance: dict[str, np.ndarray]
    direction: str


NOTHING = Look([], np.zeros((0, 2)), [], [], [], {}, {}, "unclear")


def _look(track: Track, count: int) -> Look:
    times = sorted(track.blobs)
    blobs = [track.blobs[t] for t in times]
    outlines = [b.outline for b in blobs]
    places = np.array([(o.x, o.y) for o in outlines])
    radii = [o.radius for o in outlines]
    colors, color_distance = _nearest(np.array([b.color for b in blobs]), "colors", FAR_COLOR)
    shape_distance = shape_distances(_calm([o.profile for o in outlines]), float(np.median(radii)))
    shapes = _words(shape_distance, FAR_SHAPE)
    shapes = [None if blob.cut_off else shape for blob, shape in zip(blobs, shapes, strict=True)]
    # a thing seen for less than half of the clip has no path to speak of
    direction = _direction(np.array(times), places) if 2 * len(times) >= count else "unclear"
    return Look(times, places, radii, colors, shapes, color_distance, shape_distance, direction)


def _calm(profiles: list[np.ndarray]) -> np.ndarray:
    """Profiles averaged over five frames: noise on the edge goes, the outline stays."""
    padded = np.pad(np.array(profiles), ((2, 2), (0, 0)), mode="edge")
    return sum(padded[i : i + len(profiles)] for i in range(5)) / 5


def _match(looks: list[Look], things: tuple[Thing, ...]) -> list[Look]:
    """One track per thing asked for, so that as much as possible is right; `NOTHING` for a missing thing."""
    known = looks + [NOTHING] * len(things)
    longest = max(1, *(len(look.times) for look in known))

    def agreement(order: tuple[Look, ...]) -> float:
        verdicts = [_verdict(thing, look) for thing, look in zip(things, order, strict=True)]
        right = sum(v.color_ok + v.shape_ok + v.direction_ok for v in verdicts)
        # a thing that is there all the time, though wrong, is meant before a speck that happens to fit
        return right + 4 * sum(len(look.times) for look in order) / longest

    best = max(permutations(known, len(things)), key=agreement)
    return list(best)


def _verdict(thing: Thing, look: Look) -> ThingVerdict:
    if len(look.times) < SHORTEST:
        return ThingVerdict(thing, False, False, False)
    seen = Thing(_most(look.colors), _most(look.shapes), look.direction)
    right = (_agrees(look.colors, thing.color), _agrees(look.shapes, thing.shape), look.direction == thing.direction)
    return ThingVerdict(thing, *right, seen)


def _direction(times: np.ndarray, places: np.ndarray) -> str:
    """The word for a path: `still`, `unclear` (slanted, there and back, or mostly standing), or a direction."""
    if len(times) < SHORTEST:
        return "unclear"
    pace = np.polyfit(times, places, 1)[0]
    if np.hypot(*pace) < SLOWEST:
        return "still"
    words = VOCABULARY["directions"]
    word = max(words, key=lambda w: float(pace @ words[w]))
    forward = float(pace @ words[word])
    # beyond 30 degrees it is neither this direction nor the next
    if float(np.hypot(*pace)) * np.cos(np.radians(30)) > forward:
        return "unclear"
    along = places @ np.array(words[word], float)
    thirds = np.diff(np.interp(np.linspace(times[0], times[-1], 4), times, along))
    moving = thirds > SLOWEST * (times[-1] - times[0]) / 3
    return word if moving.sum() >= 2 and thirds.min() > -2.0 else "unclear"


def _nearest(colors: np.ndarray, table: str, limit: float) -> tuple[list[str], dict[str, np.ndarray]]:
    """The word of a table nearest to each RGB colour (N, 3), and the distances to every word, each (N,)."""
    seen = _lab(colors)
    difference = {word: (seen - lab) * (0.5, 1.0, 1.0) for word, lab in _palette(table).items()}
    distance = {word: np.sqrt((d * d).sum(-1)) for word, d in difference.items()}
    return _words(distance, limit), distance


def _words(distance: dict[str, np.ndarray], limit: float) -> list[str]:
    """The word of least distance for each entry; `unclear` where none is within `limit`."""
    words, table = list(distance), np.stack(list(distance.values()))
    pairs = zip(table.argmin(0), table.min(0), strict=True)
    return [words[index] if least < limit else "unclear" for index, least in pairs]


@cache
def _palette(table: str) -> dict[str, np.ndarray]:
    return dict(zip(VOCABULARY[table], _lab(np.array(list(VOCABULARY[table].values()))), strict=True))


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
    return bool(values.mean() >= 0.8 and runs.min() >= 0.5 - 1e-9)


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
        got = "changes" if _most(grounds) == asked.background else f"{_most(grounds)} seen"
        wrong.append(f"background: {asked.background} asked, {got}")
    return "; ".join(wrong)


def _curves(asked: Prompt, looks: list[Look], counts: list[int], grounds: list[str]) -> dict:
    number = len(asked.things)
    right = np.array([c == number and g == asked.background for c, g in zip(counts, grounds, strict=True)])
    curves: dict[str, list[float | None]] = {"things": [float(c) for c in counts]}
    for index, (thing, look) in enumerate(zip(asked.things, looks, strict=True)):
        pairs = zip(look.times, look.colors, look.shapes, strict=True)
        good = {t for t, color, shape in pairs if color == thing.color and shape in (thing.shape, None)}
        right &= [t in good for t in range(len(counts))]
        measures = {
            "x": look.places[:, 0],
            "y": look.places[:, 1],
            "radius": look.radii,
            "color_error": look.color_distance.get(thing.color, ()),
            "shape_error": look.shape_distance.get(thing.shape, ()),
        }
        for name, values in measures.items():
            at = dict(zip(look.times, values, strict=True))
            curves[f"{index}/{name}"] = [float(at[t]) if t in at else None for t in range(len(counts))]
    return curves | {"right": right.astype(float).tolist()}
