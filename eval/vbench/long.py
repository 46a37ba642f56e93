"""VBench-Long: a long video is judged in clips of two seconds, each by the ordinary dimension, and the mean counts.

As VBench cuts them (`vbench2_beta_long`): clips of int(seconds) * int(fps) frames; the last one is completed with
frames ahead of it; a shorter video is one clip. VBench encodes its clips anew before it scores them, and the loss is
in its numbers; here they are scored as they are. Its comparison of clips with one another, which is off unless asked
for, its static filter of temporal flickering, and its clips of ten seconds for prompts of human action, temporal
style and overall consistency are not included: these lengths hold for its own prompts, two seconds for all others.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from eval.metric import ClipFacts, Facts, Metric, MetricResult, Scorer, unscored
from eval.video.windows import Window

SECONDS = 2


@dataclass(frozen=True)
class LongMetric:
    """A metric clip by clip of `SECONDS`; `parts` have each clip's value."""

    metric: Metric

    @property
    def facts(self) -> Facts:
        facts = self.metric.facts
        return replace(
            facts,
            name=f"{facts.name}_long",
            title=f"{facts.title} in clips of {SECONDS} s",
            says=f"{facts.says} The mean over clips of {SECONDS} seconds, as in VBench-Long.",
            blind_to=f"{facts.blind_to} What changes slower than within {SECONDS} seconds.",
            paper="VBench-Long, arXiv:2411.13503",
        )

    def missing(self) -> str:
        return self.metric.missing()

    def open(self, clip: ClipFacts) -> "LongScorer":
        return LongScorer(self.metric, clip, SECONDS * int(clip.fps))


@dataclass
class LongScorer:
    """Gives each clip of `length` frames to a scorer of its own; keeps the last `length` frames for the last clip."""

    metric: Metric
    clip: ClipFacts
    length: int
    recent: deque[np.ndarray] = field(default_factory=deque)
    seen: int = 0
    results: list[MetricResult] = field(default_factory=list)
    scorer: Scorer | None = None

    def add(self, window: Window) -> None:
        start = 0
        while self.length and start < len(window.frames):
            into = self.seen % self.length  # frames of the clip so far
            if not into:
                self.scorer = self._open(self._clip_length())
            part = window.frames[start : start + self.length - into]
            before = None if not into else window.before if not start else window.frames[start - 1]
            self.scorer.add(Window(part, into, before))
            self.recent.extend(part)
            while len(self.recent) > self.length:
                self.recent.popleft()
            start, self.seen = start + len(part), self.seen + len(part)
            if self.seen % self.length == 0:
                self.results.append(self.scorer.result())

    def result(self) -> MetricResult:
        if not self.length:
            return unscored(
                f"the clip has {self.clip.fps:.3g} frames a second, and clips of {SECONDS} s need one or more"
            )
        rest = self.seen % self.length
        if rest and not self.results:
            self.results.append(self.scorer.result())
        elif rest:
            self.results.append(self._completed())
        return _mean(self.results, rest)

    def _clip_length(self) -> int | None:
        """Frames of the clip that begins now: all of them where the video is shorter than one."""
        count = self.clip.frames
        return count if count is not None and count < self.length else self.length

    def _open(self, count: int | None) -> Scorer:
        return self.metric.open(replace(self.clip, frames=count))

    def _completed(self) -> MetricResult:
        """The last clip, whose beginning the clip before it has too."""
        scorer = self._open(self.length)
        frames = np.stack(self.recent)
        for first in range(0, len(frames), 16):
            scorer.add(Window(frames[first : first + 16], first, frames[first - 1] if first else None))
        return scorer.result()


def _mean(results: Sequence[MetricResult], rest: int) -> MetricResult:
    """The mean over clips; of a last clip that was completed, the curve goes on with its last `rest` frames."""
    if not results:
        return unscored("the clip has no frames")
    curves = [result.per_frame for result in results]
    if rest and len(curves) > 1:
        curves[-1] = curves[-1][-rest:]
    curve = tuple(value for one in curves for value in one) if all(curves) else ()
    values = [result.value for result in results if result.value is not None]
    if not values:
        return unscored(results[0].reason, curve)
    parts = {f"clip {index}": result.value for index, result in enumerate(results, 1) if result.value is not None}
    return MetricResult(math.fsum(values) / len(values), curve, parts=parts | {"clips": float(len(values))})
