"""How often the tabletop oracle is right: about rendered clips, whose truth is known, and about clips made wrong.

Clips are drawn, judged and forgotten one by one. The oracle sees pixels and the prompt, never the scene.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import process_time
from typing import Any

import cv2
import numpy as np

from eval.statistics.intervals import wilson
from eval.tabletop.oracle import Verdict, judge
from models.networks.codec import Codec
from models.worlds.tabletop.grammar import COLORS, DIRECTIONS, GROUNDS, SOLIDS, Caption, sample_caption
from models.worlds.tabletop.render import render
from models.worlds.tabletop.scene import Scene, sample_scene

WORDS = {"color": list(COLORS), "solid": list(SOLIDS), "direction": list(DIRECTIONS), "ground": list(GROUNDS)}
ATTRIBUTES = (*WORDS, "count", "sharp")
OPPOSITES = {"left": "right", "right": "left", "up": "down", "down": "up"}


@dataclass(frozen=True)
class Drawn:
    """A clip (T, H, W, 3) uint8 RGB of a scene, a generator for what is drawn about it, and what renders it so."""

    scene: Scene
    frames: np.ndarray
    rng: np.random.Generator
    show: Callable[[Scene], np.ndarray]

    @property
    def prompt(self) -> str:
        return str(self.scene.caption)


@dataclass
class Tally:
    """Counts over judged clips: `right` verdicts; `attributes`: what was right, by attribute; `pairs` (asked, seen)
    by attribute; `reasons` of refused clips; processor seconds of the oracle."""

    clips: int = 0
    right: int = 0
    attributes: dict[str, list[bool]] = field(default_factory=lambda: {name: [] for name in ATTRIBUTES})
    pairs: dict[str, Counter] = field(default_factory=lambda: {name: Counter() for name in WORDS})
    reasons: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, prompt: str, verdict: Verdict, seconds: float) -> None:
        self.clips += 1
        self.right += verdict.all_right is True
        self.seconds += seconds
        if verdict.reason:
            self.reasons.append(f"{prompt}: {verdict.reason}")
        for thing in verdict.things:
            for name in ("color", "solid", "direction"):
                asked, seen = getattr(thing.asked, name), thing.seen and getattr(thing.seen, name)
                self._add(name, asked, seen or "nothing", getattr(thing, f"{name}_ok"))
        ground = prompt.rpartition(" over ")[2]
        self._add("ground", ground, verdict.ground_seen, bool(verdict.ground_ok))
        self.attributes["count"].append(bool(verdict.count_ok))
        self.attributes["sharp"].append(bool(verdict.sharp_ok))

    def _add(self, name: str, asked: str, seen: str, right: bool) -> None:
        self.attributes[name].append(right)
        self.pairs[name][asked, "changes" if seen == asked and not right else seen] += 1

    def rows(self) -> list[dict[str, Any]]:
        """Whole clips first, then attribute by attribute: `n`, `right`, and the rate with its Wilson 95 % interval."""
        counts = {"all": (self.right, self.clips)}
        counts |= {name: (sum(values), len(values)) for name, values in self.attributes.items()}
        return [{"attribute": name, **rate_row(*count)} for name, count in counts.items() if count[1]]

    def confusion(self, name: str) -> tuple[list[str], list[list[int]]]:
        """Columns (words seen) and one row of counts for each word asked."""
        words, pairs = WORDS[name], self.pairs[name]
        columns = [*words, *sorted({seen for _, seen in pairs} - set(words))]
        return columns, [[pairs[asked, seen] for seen in columns] for asked in words]


def rate_row(right: int, n: int) -> dict[str, Any]:
    rate = wilson(right, n)
    return {"n": n, "right": right, "rate": rate.value, "low": rate.low, "high": rate.high}


def draw_clips(
    count: int, objects: int, seed: int, codec: Codec | None = None, frames: int | None = None
) -> Iterator[Drawn]:
    """Rendered clips with random captions, every second one held out; given back by `codec` where there is one."""

    def show(scene: Scene) -> np.ndarray:
        clip = render(scene, frames) if frames else render(scene)
        return codec.decode(codec.encode(clip)) if codec else clip

    for index in range(count):
        rng = np.random.default_rng((seed, objects, index))
        scene = sample_scene(sample_caption(rng, held_out=bool(index % 2), objects=objects), rng)
        yield Drawn(scene, show(scene), rng, show)


def timed_judge(frames: np.ndarray, prompt: str) -> tuple[Verdict, float]:
    """The oracle's verdict and its processor seconds."""
    start = process_time()
    verdict = judge(frames, prompt)
    return verdict, process_time() - start


# what must not pass: each gives a clip and a prompt that it does not show


def _whole_blurred(drawn: Drawn) -> tuple[np.ndarray, str]:
    return blurred(drawn.frames, 2), drawn.prompt


def _solids_blurred(sigma: float) -> Callable[[Drawn], tuple[np.ndarray, str]]:
    """The solids and their shadows are blurred, the ground around them is not."""

    def softened(drawn: Drawn) -> tuple[np.ndarray, str]:
        away = np.abs(drawn.frames.astype(int) - _bare(drawn)).max(-1) > 6
        around = np.stack([cv2.dilate(mask.astype(np.uint8), np.ones((7, 7))) for mask in away]) > 0
        return np.where(around[..., None], blurred(drawn.frames, sigma), drawn.frames), drawn.prompt

    return softened


def _half_faded(drawn: Drawn) -> tuple[np.ndarray, str]:
    return ((drawn.frames.astype(np.uint16) + _bare(drawn)) // 2).astype(np.uint8), drawn.prompt


def _absent(drawn: Drawn) -> tuple[np.ndarray, str]:
    return _bare(drawn), drawn.prompt


def _gone_for_half_a_second(drawn: Drawn) -> tuple[np.ndarray, str]:
    first = int(drawn.rng.integers(4, len(drawn.frames) - 10))
    frames = drawn.frames.copy()
    frames[first : first + 6] = _bare(drawn)[first : first + 6]
    return frames, drawn.prompt


def _one_too_few(drawn: Drawn) -> tuple[np.ndarray, str]:
    """A solid more is asked for than is shown; the words of the others are right."""
    things, extra = drawn.scene.objects, _another(drawn)
    if len(things) == 1:
        return drawn.frames, str(Caption((things[0].kind, extra), drawn.scene.ground))
    return drawn.show(replace(drawn.scene, objects=things[:1])), drawn.prompt


def _one_too_many(drawn: Drawn) -> tuple[np.ndarray, str] | None:
    """Two solids are shown and one is asked for."""
    things = drawn.scene.objects
    if len(things) == 1:
        return None
    return drawn.frames, str(Caption((things[0].kind,), drawn.scene.ground))


def _standing(drawn: Drawn) -> tuple[np.ndarray, str]:
    return np.repeat(drawn.frames[:1], len(drawn.frames), 0), drawn.prompt


def _solid_stands(drawn: Drawn) -> tuple[np.ndarray, str]:
    """The ground moves on, the solid does not."""
    still = tuple(replace(thing, speed=0.0) for thing in drawn.scene.objects)
    return drawn.show(replace(drawn.scene, objects=still)), drawn.prompt


def _other_way(drawn: Drawn) -> tuple[np.ndarray, str]:
    return drawn.frames, _prompt_with(drawn, direction=OPPOSITES[drawn.scene.objects[0].kind.direction])


def _other_word(name: str) -> Callable[[Drawn], tuple[np.ndarray, str]]:
    """The prompt asks for another word than the clip shows."""

    def changed(drawn: Drawn) -> tuple[np.ndarray, str]:
        return drawn.frames, _prompt_with(drawn, **{name: _other(drawn, name)})

    return changed


def _turns_into(name: str) -> Callable[[Drawn], tuple[np.ndarray, str]]:
    """Half-way the clip shows another word."""

    def spliced(drawn: Drawn) -> tuple[np.ndarray, str]:
        thing = drawn.scene.objects[0]
        if name == "ground":
            later = replace(drawn.scene, ground=_other(drawn, name))
        else:
            changed = replace(thing, kind=replace(thing.kind, **{name: _other(drawn, name)}))
            later = replace(drawn.scene, objects=(changed, *drawn.scene.objects[1:]))
        half = len(drawn.frames) // 2
        return np.concatenate([drawn.frames[:half], drawn.show(later)[half:]]), drawn.prompt

    return spliced


def _bare(drawn: Drawn) -> np.ndarray:
    return drawn.show(replace(drawn.scene, objects=()))


def _other(drawn: Drawn, name: str) -> str:
    shown = drawn.scene.ground if name == "ground" else getattr(drawn.scene.objects[0].kind, name)
    taken = {shown} | ({thing.kind.color for thing in drawn.scene.objects} if name == "color" else set())
    return str(drawn.rng.choice([word for word in WORDS[name] if word not in taken]))


def _another(drawn: Drawn) -> Any:
    kind = drawn.scene.objects[0].kind
    return replace(kind, color=_other(drawn, "color"), solid=_other(drawn, "solid"))


def _prompt_with(drawn: Drawn, **words: str) -> str:
    kinds = [thing.kind for thing in drawn.scene.objects]
    if "ground" in words:
        return str(Caption(tuple(kinds), words["ground"]))
    return str(Caption((replace(kinds[0], **words), *kinds[1:]), drawn.scene.ground))


def blurred(frames: np.ndarray, sigma: float) -> np.ndarray:
    """Every frame under a Gaussian of `sigma` pixels."""
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])


WRONG: dict[str, Callable[[Drawn], tuple[np.ndarray, str] | None]] = {
    "the whole picture blurred, 2 px": _whole_blurred,
    "the solids blurred, 2 px": _solids_blurred(2),
    "the solids blurred, 4 px": _solids_blurred(4),
    "the solids half faded": _half_faded,
    "the solids absent": _absent,
    "the solids gone for half a second": _gone_for_half_a_second,
    "one solid too few": _one_too_few,
    "one solid too many": _one_too_many,
    "one frame, repeated": _standing,
    "the solids stand, the ground moves": _solid_stands,
    "the opposite direction asked": _other_way,
    **{f"another {name} asked": _other_word(name) for name in WORDS},
    **{f"another {name} from half-way on": _turns_into(name) for name in ("color", "solid", "ground")},
}
"""What is wrong, and how it is made; None where it cannot be made of the clip."""


@dataclass(frozen=True)
class Quality:
    """`tally` of clips as they are; `passed` (passed, tried) of each kind of wrong clip; `misses`: wrong clips that
    passed, in words."""

    tally: Tally
    passed: dict[str, tuple[int, int]]
    misses: list[str]


def measure_oracle(clips: Iterable[Drawn], wrong: Sequence[str] = tuple(WRONG)) -> Quality:
    """Judge each clip by its own prompt, and each kind of `wrong` made of it."""
    tally, passed, misses = Tally(), {name: [0, 0] for name in wrong}, []
    for drawn in clips:
        tally.add(drawn.prompt, *timed_judge(drawn.frames, drawn.prompt))
        for name in wrong:
            if (made := WRONG[name](drawn)) is None:
                continue
            fooled = judge(*made).all_right is True
            passed[name][0] += fooled
            passed[name][1] += 1
            if fooled:
                misses.append(f"{name}: {drawn.prompt}" + (f", asked {made[1]}" if made[1] != drawn.prompt else ""))
    return Quality(tally, {name: tuple(count) for name, count in passed.items() if count[1]}, misses)
