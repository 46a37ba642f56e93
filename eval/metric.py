"""What a metric is: facts about itself, and a scorer that takes one clip window by window.

A metric is one file in `eval/metrics/` and one row in `METRICS` there. It never sees a whole video: clips stream
past in windows of consecutive frames, so a two-hour file needs no more memory than a short one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from eval.video.windows import Window


@dataclass(frozen=True)
class Facts:
    """What a metric says about itself; pages, charts and tables read it and know no metric by name.

    `kind`: "vbench" computes a VBench dimension exactly, "weight-free" needs no network, "trained here" uses a
    network of this repository, "published weights" one that others trained, by no benchmark's rules.
    `higher_is_better` None: a description, neither good nor bad. `bounds` holds the lowest and highest possible value,
    None where there is no limit. `needs` names, in words, what a clip must have.
    """

    name: str
    title: str
    group: str
    kind: str
    higher_is_better: bool | None
    bounds: tuple[float | None, float | None]
    says: str
    blind_to: str
    paper: str
    unit: str = ""
    needs: tuple[str, ...] = ()
    world: str = ""
    """The world of clips that it knows; "" when it judges any."""
    cost: float = 1.0
    """Rough milliseconds per 832x480 frame on one CPU core."""
    curve_unit: str = ""
    """What the curve holds, where it is not the value's own unit."""
    version: str = "1"
    """Changes when the same clip would get another number: a new formula, other weights."""
    judge: str = ""
    """Who gives the number, where it is not what `kind` says."""
    moved_by: Mapping[str, int] = field(default_factory=dict, compare=False)
    """What the metric is for: degradations by their name in `DEGRADATIONS`, and the sign of its answer to each."""
    may_move_by: tuple[str, ...] = field(default=(), compare=False)
    """Degradations that it sees too, by what it is."""

    @property
    def judged_by(self) -> str:
        """Who gives the number, in words."""
        return self.judge or JUDGES[self.kind]


GROUPS = ("temporal quality", "frame quality", "text alignment", "semantics", "consistency", "motion")
JUDGES = {
    "vbench": "VBench's own networks or formula",
    "weight-free": "arithmetic on pixels",
    "trained here": "a network of this repository",
    "published weights": "a network that others trained",
}
KINDS = tuple(JUDGES)


@dataclass(frozen=True)
class Resources:
    """What metrics may use: the folder of published weights (None: where VBench keeps its own), a torch device, an
    open_clip model that was asked for as MODEL or MODEL:PRETRAINED ("": none), and the precision, float32 or bfloat16,
    of networks that see frame by frame."""

    weights: Path | None = None
    device: str = "cpu"
    clip: str = ""
    precision: str = "float32"


@dataclass(frozen=True)
class ClipFacts:
    """What is known of a clip before its frames: `frames` as the container tells it, or None.

    `image` (H, W, 3) uint8 RGB is the picture an image-to-video clip was made from; `auxiliary` is VBench's
    `auxiliary_info` of the prompt, such as the object that should be seen. `world` is that of the model that made it,
    "" where it is not known.
    """

    width: int
    height: int
    fps: float
    frames: int | None = None
    prompt: str = ""
    image: np.ndarray | None = field(default=None, compare=False, repr=False)
    auxiliary: Mapping[str, Any] = field(default_factory=dict)
    world: str = ""


@dataclass(frozen=True)
class MetricResult:
    """`value` None: not scored, `reason` says why in one sentence. `per_frame` has one entry per frame, None where
    there is nothing to measure, or is empty for a metric without a curve. `parts` are named side results."""

    value: float | None
    per_frame: tuple[float | None, ...] = ()
    reason: str = ""
    parts: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.reason):
            raise ValueError("a result has either a value or a reason why there is none")


def elsewhere(facts: Facts, world: str) -> str:
    """Why a metric does not apply to clips of `world`; "" when it does, or when the world is not known."""
    if facts.world in ("", world) or not world:
        return ""
    return f"does not apply: the clip is of the {world} world, and this metric knows the {facts.world} world only"


def unscored(reason: str, per_frame: Sequence[float | None] = ()) -> MetricResult:
    """A clip that could not be scored, and why."""
    return MetricResult(None, tuple(per_frame), reason)


class Scorer(Protocol):
    """One metric on one clip."""

    def add(self, window: Window) -> None:
        """Take the next frames."""

    def result(self) -> MetricResult:
        """The value once all frames were given."""


@dataclass(frozen=True)
class Refused:
    """The scorer of a clip that cannot be scored, for a reason known before its frames."""

    reason: str

    def add(self, window: Window) -> None:
        pass

    def result(self) -> MetricResult:
        return unscored(self.reason)


class Metric(Protocol):
    """A row of `METRICS`. `open` starts a clip and may be called for many clips; networks are loaded once."""

    @property
    def facts(self) -> Facts:
        """What it says about itself."""

    def missing(self) -> str:
        """Why it cannot run here (which file, what size, where it is expected), or "" when it can."""

    def open(self, clip: ClipFacts) -> Scorer:
        """Start scoring a clip."""
