"""The oracle of the tabletop world: does a clip show what its prompt says?

It judges as a strict person would: the right number of solids, each of the right colour and kind from beginning to
end, each moving the right way before it turns at a border, on the right ground, none of it blurred. A few bad frames
are forgiven, a bad third of a second is not.
"""

from dataclasses import asdict, dataclass, replace
from itertools import permutations

import numpy as np

from eval.tabletop.prompt import COLORS, DIRECTIONS, GROUNDS, SOLIDS, Prompt, Thing, parse
from eval.tabletop.reading import PATCH, Track, follow, read, tables
from eval.video.clip import check_frames

WINDOW = 8
SHORTEST = 6
TURN = 32  # frames for which a solid keeps its direction
SLOWEST = 0.25  # pixels a frame
STRAIGHT = np.cos(np.radians(30))
LEAST_LIKELY = -10.5  # mean log likelihood of a ground under which it is not that ground
VAGUE = -9.5  # mean log likelihood of a colour under which nobody would use the word,
FAINT = -11.0  # unless it is above this one and
DISTINCT = 2.5  # so much likelier than the next


@dataclass(frozen=True)
class ThingVerdict:
    """One solid of the prompt: what was asked, which words are right, and what was seen (None: nothing)."""

    asked: Thing
    color_ok: bool
    solid_ok: bool
    direction_ok: bool
    seen: Thing | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether a clip shows its prompt. `all_right` None: not judged, `reason` says why; True: `reason` is empty.

    `curves` holds one value per frame: `things` the number of solids seen; `right` 1 where number, ground, colours and
    kinds are all right; direction has no curve, since no single frame shows it.
    """

    all_right: bool | None
    reason: str = ""
    ground_ok: bool | None = None
    count_ok: bool | None = None
    sharp_ok: bool | None = None
    things: tuple[ThingVerdict, ...] = ()
    ground_seen: str = ""
    curves: dict[str, list[float]] | None = None

    def to_dict(self) -> dict:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Look:
    """A solid followed over time in words: one colour and one kind per frame in `times`, and a direction."""

    times: list[int]
    colors: list[str]
    solids: list[str]
    direction: str


@dataclass(frozen=True)
class Sight:
    """A clip in words: ground per frame, solids seen for long enough, their number per frame, share of full detail."""

    grounds: list[str]
    looks: list[Look]
    counts: list[int]
    sharp: list[bool]


NOTHING = Look([], [], [], "unclear")


def look_at(frames: np.ndarray) -> Sight:
    """A clip (T, H, W, 3) uint8 RGB in words, whatever its prompt."""
    check_frames(frames)
    reading = read(frames)
    usual = int(reading.grounds.mean(0).argmax())
    sharp = (reading.sharpness >= tables()["least_sharpness"][usual]).tolist()
    grounds = [GROUNDS[row.argmax()] if row.max() > LEAST_LIKELY else "unclear" for row in reading.grounds]
    tracks = [track for track in follow(reading.blobs) if len(track.blobs) >= SHORTEST]
    counts = [sum(t in track.blobs for track in tracks) for t in range(len(frames))]
    return Sight(grounds, [_look(track) for track in tracks], counts, sharp)


def judge(frames: np.ndarray, prompt: str) -> Verdict:
    """Judge a clip (T, H, W, 3) uint8 RGB against its prompt."""
    check_frames(frames)
    asked = parse(prompt)
    if asked is None:
        return Verdict(None, f"the prompt {prompt!r} is outside the grammar of the tabletop world")
    if len(frames) < SHORTEST:
        return Verdict(None, f"{len(frames)} frames are too few to see a motion; the oracle needs {SHORTEST}")
    sight = look_at(frames)
    number = len(asked.things)
    looks = _match(sight.looks[: number + 2], asked.things)
    things = tuple(_verdict(thing, look) for thing, look in zip(asked.things, looks, strict=True))
    whole = all(_lasts([t in look.times for t in range(len(frames))]) for look in looks)
    count_ok = whole and _lasts([count == number for count in sight.counts])
    ground_ok = _lasts([ground == asked.ground for ground in sight.grounds])
    sharp_ok = _lasts(sight.sharp)
    reason = _reason(asked, sight, things, count_ok, ground_ok, sharp_ok)
    curves = {"things": [float(c) for c in sight.counts], "right": _right(asked, sight, looks)}
    return Verdict(not reason, reason, ground_ok, count_ok, sharp_ok, things, _most(sight.grounds), curves)


def judge_windows(frames: np.ndarray, prompt: str, width: int) -> list[Verdict]:
    """Verdicts on a long clip (T, H, W, 3) uint8 RGB, `width` frames after `width` frames; a rest too short to see a
    motion is left out.

    Directions count in the first window alone, since later things may have turned at a border: behind it, `all_right`
    and `reason` are about number, ground, colours, kinds and sharpness.
    """
    starts = [start for start in range(0, len(frames), width) if not start or len(frames) - start >= SHORTEST]
    verdicts = [judge(frames[start : start + width], prompt) for start in starts]
    return verdicts[:1] + [_without_direction(verdict) for verdict in verdicts[1:]]


def _without_direction(verdict: Verdict) -> Verdict:
    if verdict.all_right is None:
        return verdict
    reasons = [why for why in verdict.reason.split("; ") if why and not why.startswith("direction:")]
    return replace(verdict, all_right=not reasons, reason="; ".join(reasons))


def _look(track: Track) -> Look:
    times = sorted(track.blobs)
    blobs = [track.blobs[t] for t in times]
    colors = np.array([blob.colors / blob.area for blob in blobs])
    patches = np.array([blob.patch for blob in blobs])
    padded = np.pad(patches, ((2, 2), (0, 0)), mode="edge")
    calm = sum(padded[i : i + len(patches)] for i in range(5)) / 5
    fitted = tables()
    kinds = (calm @ fitted["solid_weights"].T + fitted["solid_offsets"]).argmax(1)
    off = np.abs(calm - fitted["solid_means"][kinds])[:, : PATCH**2 // 2].mean(1)
    words = [_color(row) for row in colors]
    solids = [SOLIDS[k] if o <= fitted["farthest_outline"] else "unclear" for k, o in zip(kinds, off, strict=True)]
    return Look(times, words, solids, _direction(times, np.array([(blob.x, blob.y) for blob in blobs])))


def _color(likely: np.ndarray) -> str:
    """The word for a colour by the log likelihood (8,) of each; off shades keep the word that fits far better."""
    second, best = np.sort(likely)[-2:]
    clear = best > VAGUE or (best > FAINT and best - second > DISTINCT)
    return COLORS[likely.argmax()] if clear else "unclear"


def _direction(times: list[int], places: np.ndarray) -> str:
    """The way a solid goes before it may turn: a word, `still`, or `unclear`."""
    early = np.array(times) < TURN
    if early.sum() < SHORTEST:
        return "unclear"
    pace = np.polyfit(np.array(times)[early], places[early], 1)[0]
    if np.hypot(*pace) < SLOWEST:
        return "still"
    word = max(DIRECTIONS, key=lambda w: float(pace @ DIRECTIONS[w]))
    return word if pace @ DIRECTIONS[word] >= STRAIGHT * np.hypot(*pace) else "unclear"


def _match(looks: list[Look], things: tuple[Thing, ...]) -> list[Look]:
    """One look for each solid asked for, so that as much as possible is right; `NOTHING` for one that is missing."""
    known = looks + [NOTHING] * len(things)
    longest = max(1, *(len(look.times) for look in known))

    def agreement(order: tuple[Look, ...]) -> float:
        verdicts = [_verdict(thing, look) for thing, look in zip(things, order, strict=True)]
        right = sum(v.color_ok + v.solid_ok + v.direction_ok for v in verdicts)
        return right + 4 * sum(len(look.times) for look in order) / longest

    best = max(permutations(known, len(things)), key=agreement)
    return list(best)


def _verdict(thing: Thing, look: Look) -> ThingVerdict:
    if not look.times:
        return ThingVerdict(thing, False, False, False)
    seen = Thing(_most(look.colors), _most(look.solids), look.direction)
    color_ok = _lasts([word == thing.color for word in look.colors])
    solid_ok = _lasts([word == thing.solid for word in look.solids])
    return ThingVerdict(thing, color_ok, solid_ok, look.direction == thing.direction, seen)


def _lasts(right: list[bool]) -> bool:
    """Right nearly all the time: in at least 80 % of the frames and in half of every run of `WINDOW` frames."""
    values = np.asarray(right, float)
    width = min(WINDOW, len(values))
    runs = np.convolve(values, np.ones(width) / width, "valid")
    return bool(values.mean() >= 0.8 and runs.min() >= 0.5 - 1e-9)


def _most(words: list[str]) -> str:
    return max(set(words), key=words.count) if words else "unclear"


def _reason(asked: Prompt, sight: Sight, things: tuple, count_ok: bool, ground_ok: bool, sharp_ok: bool) -> str:
    """What is wrong, in words; empty when nothing is."""
    wrong = []
    if not count_ok:
        usual = max(set(sight.counts), key=sight.counts.count)
        seen = f"{usual} seen" if usual != len(asked.things) else "not all the time"
        wrong.append(f"number of solids: {len(asked.things)} asked, {seen}")
    for verdict in things:
        for name in ("color", "solid", "direction"):
            if not getattr(verdict, f"{name}_ok"):
                want, got = getattr(verdict.asked, name), verdict.seen and getattr(verdict.seen, name)
                got = "changes" if got == want else f"{got or 'nothing'} seen"
                wrong.append(f"{name}: {want} asked, {got}")
    if not ground_ok:
        got = _most(sight.grounds)
        wrong.append(f"ground: {asked.ground} asked, {'changes' if got == asked.ground else f'{got} seen'}")
    if not sharp_ok:
        wrong.append("the picture is blurred")
    return "; ".join(wrong)


def _right(asked: Prompt, sight: Sight, looks: list[Look]) -> list[float]:
    number = len(asked.things)
    right = [c == number and g == asked.ground for c, g in zip(sight.counts, sight.grounds, strict=True)]
    for thing, look in zip(asked.things, looks, strict=True):
        seen = zip(look.times, look.colors, look.solids, strict=True)
        good = {t for t, color, solid in seen if (color, solid) == (thing.color, thing.solid)}
        right = [was and t in good for t, was in enumerate(right)]
    return [float(value) for value in right]
