"""The oracles' metrics, which judge a clip of a procedural world against its own prompt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eval.metric import ClipFacts, Facts, Metric, MetricResult, Resources, Scorer, unscored
from eval.shapes.oracle import Verdict, judge, parse
from eval.tabletop import oracle as tabletop
from eval.video.windows import Window

LARGEST = 256 * 2**20  # bytes of frames; the oracle looks at a clip as a whole, so that it cannot stream
JUDGE = "an oracle that reads the scene and compares it with the prompt"


@dataclass(frozen=True)
class OracleMetric:
    """One number of the oracle's verdict; `read` gives its value, its curve, and named side results."""

    facts: Facts
    read: Callable[[Verdict], MetricResult]

    def missing(self) -> str:
        return ""

    def open(self, clip: ClipFacts) -> Scorer:
        return OracleScorer(self.read, clip.prompt)


@dataclass(frozen=True)
class TabletopMetric:
    """Whether a clip of the tabletop world shows its prompt."""

    facts: Facts

    def missing(self) -> str:
        return ""

    def open(self, clip: ClipFacts) -> Scorer:
        return OracleScorer(_tabletop_right, clip.prompt, "tabletop world", tabletop.parse, tabletop.judge)


@dataclass
class OracleScorer:
    """Keeps the frames of a clip whose prompt the oracle understands, and judges them at the end."""

    read: Callable[..., MetricResult]
    prompt: str
    world: str = "shapes world"
    parse: Callable[[str], object] = parse
    judge: Callable[[np.ndarray, str], Verdict | tabletop.Verdict] = judge
    windows: list[np.ndarray] = field(default_factory=list)
    size: int = 0

    def add(self, window: Window) -> None:
        self.size += window.frames.nbytes
        if self.parse(self.prompt) is None or self.size > LARGEST:
            self.windows.clear()
        else:
            self.windows.append(window.frames)

    def result(self) -> MetricResult:
        if not self.prompt.strip():
            return unscored("the clip has no prompt, and the oracle judges a clip against its prompt; give one")
        if self.parse(self.prompt) is None:
            return unscored(f"the prompt is outside the grammar of the {self.world}")
        if not self.windows:
            return unscored(f"the clip is over {LARGEST // 2**20} MB of frames; the oracle judges short clips")
        verdict = self.judge(np.concatenate(self.windows), self.prompt)
        return unscored(verdict.reason) if verdict.all_right is None else self.read(verdict)


def _right(verdict: Verdict) -> MetricResult:
    parts = {"background": verdict.background_ok, "count": verdict.count_ok}
    for name in ("color", "shape", "direction"):
        parts[name] = all(getattr(thing, f"{name}_ok") for thing in verdict.things)
    shown = {name: float(bool(value)) for name, value in parts.items()}
    return MetricResult(float(verdict.all_right), tuple(verdict.curves["right"]), parts=shown)


def _tabletop_right(verdict: tabletop.Verdict) -> MetricResult:
    parts = {"ground": verdict.ground_ok, "count": verdict.count_ok, "sharp": verdict.sharp_ok}
    for name in ("color", "solid", "direction"):
        parts[name] = all(getattr(thing, f"{name}_ok") for thing in verdict.things)
    shown = {name: float(bool(value)) for name, value in parts.items()}
    return MetricResult(float(verdict.all_right), tuple(verdict.curves["right"]), parts=shown)


def _error(name: str) -> Callable[[Verdict], MetricResult]:
    """The mean over the things of a prompt, frame by frame and over the clip."""

    def read(verdict: Verdict) -> MetricResult:
        curves = [verdict.curves[f"{i}/{name}"] for i in range(len(verdict.things))]
        curve = [_mean(values) for values in zip(*curves, strict=True)]
        value = _mean(curve)
        if value is None:
            return unscored("nothing of what the prompt asks for can be seen", curve)
        return MetricResult(value, tuple(curve))

    return read


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _facts(name: str, title: str, **more: Any) -> Facts:
    common: dict[str, Any] = {"group": "text alignment", "kind": "weight-free", "judge": JUDGE, "world": "shapes"}
    needs = ("a prompt of the shapes world", "six frames")
    return Facts(name=name, title=f"Shapes-world oracle: {title}", needs=needs, paper="", cost=8.0, **common, **more)


def create_right(resources: Resources) -> Metric:
    return OracleMetric(
        _facts(
            "oracle_right",
            "as asked",
            higher_is_better=True,
            bounds=(0.0, 1.0),
            says="1 when number, colours, shapes, directions and background are all as the prompt says. "
            "The curve leaves direction out, which no single frame shows.",
            blind_to="How the clip looks otherwise; a few bad frames are forgiven.",
        ),
        _right,
    )


def create_shape_error(resources: Resources) -> Metric:
    return OracleMetric(
        _facts(
            "oracle_shape_error",
            "shape error",
            higher_is_better=False,
            bounds=(0.0, None),
            says="Distance of the outlines seen from the shapes asked for; an exact shape is below 0.05.",
            blind_to="Colour, motion and background.",
            unit="outline distance",
        ),
        _error("shape_error"),
    )


def create_color_error(resources: Resources) -> Metric:
    return OracleMetric(
        _facts(
            "oracle_color_error",
            "colour error",
            higher_is_better=False,
            bounds=(0.0, None),
            says="Distance of the colours seen from the colours asked for, in Lab with lightness at half weight.",
            blind_to="Shape, motion and background.",
            unit="Lab distance",
        ),
        _error("color_error"),
    )


def create_tabletop_right(resources: Resources) -> Metric:
    return TabletopMetric(
        Facts(
            name="tabletop_right",
            version="2",
            title="Tabletop oracle: as asked",
            group="text alignment",
            kind="weight-free",
            judge=JUDGE,
            higher_is_better=True,
            bounds=(0.0, 1.0),
            says="1 when number, colours, solids, directions and ground are all as the prompt says and nothing "
            "is blurred. The curve leaves direction out, which no single frame shows.",
            blind_to="How the clip looks otherwise; a few bad frames are forgiven.",
            paper="",
            needs=("a prompt of the tabletop world", "six frames"),
            world="tabletop",
            cost=2.0,
        )
    )
