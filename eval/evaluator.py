"""Runs metrics over clips: each is decoded once and streams past all of them, and none vanishes without a word."""

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from eval.metric import ClipFacts, Metric, MetricResult, Scorer, elsewhere, unscored
from eval.video.clip import check_frames
from eval.video.frame_folder import NO_RATE
from eval.video.frame_times import APART, told_gaps
from eval.video.reader import ALONE, BESIDE_OTHERS, Reading, Unreadable, Video, VideoFacts, file_digest, open_video
from eval.video.windows import Window, windows


@dataclass(frozen=True)
class Source:
    """One clip to judge: a file at `path`, or `frames` (T, H, W, 3) uint8 RGB with `fps`.

    `fps` beside a path replaces the rate that the file tells. `id` names the clip in results. `image`, `auxiliary`
    and `world` are as in `ClipFacts`.
    """

    id: str
    path: Path | None = None
    frames: np.ndarray | None = field(default=None, compare=False, repr=False)
    fps: float | None = None
    prompt: str = ""
    image: np.ndarray | None = field(default=None, compare=False, repr=False)
    auxiliary: Mapping[str, Any] = field(default_factory=dict)
    world: str = ""

    def __post_init__(self) -> None:
        if (self.path is None) == (self.frames is None):
            raise ValueError(f"clip {self.id!r} needs a path or frames, one of them")
        if self.frames is not None:
            check_frames(self.frames)
            if not (self.fps and self.fps > 0):
                raise ValueError(f"clip {self.id!r} has frames at fps={self.fps}; give a frame rate above 0")


@dataclass(frozen=True)
class ClipScores:
    """All that came out of one clip. `skipped` says why a clip could not be read, and then there are no results.

    `digest` is the SHA-256 of the file, or of the pixels of a clip given as frames. `times` holds each frame's second
    where frames are not evenly spaced, and is empty where `index / fps` is true. `versions` are the metrics' own.
    `color` says how pixels became RGB.
    """

    id: str
    digest: str
    prompt: str
    frames: int
    fps: float
    width: int
    height: int
    seconds: float
    notices: tuple[str, ...] = ()
    results: dict[str, MetricResult] = field(default_factory=dict)
    skipped: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    times: tuple[float, ...] = ()
    color: str = ""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "ClipScores":
        """Raises ValueError for anything that `to_json` did not write."""
        try:
            values = json.loads(text)
            results = {
                name: MetricResult(r["value"], tuple(r["per_frame"]), r["reason"], r["parts"])
                for name, r in values.pop("results").items()
            }
            tuples: dict[str, Any] = {name: tuple(values.pop(name)) for name in ("notices", "times")}
            return cls(**values, **tuples, results=results)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a clip's scores ({type(error).__name__}: {error})") from error


@dataclass(frozen=True)
class Progress:
    """`clip` of `clips` (None when their number is not known) is at work, `frame` of its `frames` (None: unknown)."""

    clip: int
    clips: int | None
    id: str
    frame: int
    frames: int | None


class Cancelled(Exception):
    """Somebody asked to stop; the scores that were yielded before stand."""


Done = Mapping[tuple[str, str], ClipScores]


def done_key(scores: ClipScores) -> tuple[str, str]:
    """What `done` is keyed by: the same file may be judged for several prompts."""
    return scores.digest, scores.prompt


class DoneFile(Mapping):
    """Scores of an earlier run, one JSON line a clip; they stay in the file until asked for.

    A line that was cut by a crash is left out, and so are skipped clips, which may be mended by now. Of several lines
    of a clip the last one counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: dict[tuple[str, str], int] = {}
        if not path.exists():
            return
        with path.open("rb") as file:
            place = 0
            for line in file:
                scores = _read_line(line)
                if scores and not scores.skipped:
                    self.places[done_key(scores)] = place
                place += len(line)

    def __getitem__(self, key: tuple[str, str]) -> ClipScores:
        with self.path.open("rb") as file:
            file.seek(self.places[key])
            return ClipScores.from_json(file.readline().decode())

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def _read_line(line: bytes) -> ClipScores | None:
    try:
        return ClipScores.from_json(line.decode())
    except ValueError:
        return None


def evaluate(
    sources: Iterable[Source],
    metrics: Sequence[Metric],
    *,
    done: Done | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    at_once: int = 1,
) -> Iterator[ClipScores]:
    """One `ClipScores` for each source, in order, as soon as it is known.

    A clip that cannot be read comes out with `skipped`; a metric that cannot run, or fails, with its reason; the run
    goes on. `done` holds earlier scores by `done_key`: of a clip found there only new metrics, or those whose
    version changed, are computed. Raises Cancelled soon after `cancelled` says so. `at_once` clips are scored side by
    side in threads, which pays where decoding is most of the work; `on_progress` is then called from all of them.
    """
    clips = len(sources) if isinstance(sources, Sequence) else None
    missing = {metric.facts.name: metric.missing() for metric in metrics}
    left = threading.Event()

    def score(index: int, source: Source) -> ClipScores:
        def step(frame: int, frames: int | None) -> None:
            if left.is_set() or (cancelled and cancelled()):
                raise Cancelled
            if on_progress:
                on_progress(Progress(index, clips, source.id, frame, frames))

        step(0, None)
        return _score(source, metrics, missing, done or {}, step, BESIDE_OTHERS if at_once > 1 else ALONE)

    if at_once < 2:
        yield from (score(index, source) for index, source in enumerate(sources))
        return
    with ThreadPoolExecutor(at_once, "evaluate") as pool:
        waiting: deque[Future[ClipScores]] = deque()
        try:
            for index, source in enumerate(sources):
                waiting.append(pool.submit(score, index, source))
                if len(waiting) > at_once:  # one more than are at work, so that none waits for whoever takes results
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            left.set()


@dataclass(frozen=True)
class _Held:
    """A clip that is in memory already, seen as `Video` is."""

    frames: np.ndarray
    facts: VideoFacts

    @property
    def times(self) -> tuple[float, ...]:
        return self.facts.times

    def windows(self, notify: Callable[[str], None]) -> Iterator[Window]:
        return windows(self.frames)


def _score(
    source: Source,
    metrics: Sequence[Metric],
    missing: Mapping[str, str],
    done: Done,
    step: Callable,
    reading: Reading,
) -> ClipScores:
    started = time.perf_counter()
    try:
        with _opened(source, reading) as (digest, video):
            scores = _score_open(source, digest, video, metrics, missing, done, step)
    except Unreadable as error:
        scores = ClipScores(source.id, "", source.prompt, 0, 0.0, 0, 0, 0.0, skipped=str(error))
    return replace(scores, seconds=time.perf_counter() - started)


def _score_open(
    source: Source,
    digest: str,
    video: Video | _Held,
    metrics: Sequence[Metric],
    missing: Mapping[str, str],
    done: Done,
    step: Callable,
) -> ClipScores:
    facts = video.facts
    if source.fps is not None:
        facts = replace(facts, fps=source.fps, notices=tuple(text for text in facts.notices if NO_RATE not in text))
    earlier = done.get((digest, source.prompt))
    reused = _reusable(earlier, metrics) if earlier else {}
    strange = {metric.facts.name: elsewhere(metric.facts, source.world) for metric in metrics}
    reasons = {name: strange[name] or reason for name, reason in missing.items()}
    absent = {name: unscored(reason) for name, reason in reasons.items() if reason and name not in reused}
    run = [metric for metric in metrics if metric.facts.name not in reused | absent]
    size = (facts.width, facts.height, facts.fps, facts.frames)
    clip = ClipFacts(*size, source.prompt, source.image, source.auxiliary, source.world)
    frames, notices, times, computed = facts.frames, facts.notices, facts.times, {}
    if run:
        frames, told, computed = _stream(video, [_Guarded(metric, clip) for metric in run], step)
        times = video.times
        # the gaps between the frames that could be decoded, which are fewer where the file is damaged
        kept = [text for text in facts.notices if APART not in text]
        notices = (*kept, *filter(None, [told_gaps(times, facts.fps)]), *told)
    elif earlier:
        frames, notices, times = earlier.frames, earlier.notices, earlier.times
    found = reused | absent | computed
    failed = {name for name, result in computed.items() if result.reason.startswith(FAILED)}
    return ClipScores(
        id=source.id,
        digest=digest,
        prompt=source.prompt,
        frames=frames,
        fps=facts.fps,
        width=facts.width,
        height=facts.height,
        seconds=0.0,
        notices=notices,
        results={m.facts.name: found[m.facts.name] for m in metrics},
        # without a version nothing is taken over next time: weights may have come, a fault may be gone
        versions={m.facts.name: m.facts.version for m in metrics if m.facts.name not in absent.keys() | failed},
        times=times,
        color=facts.color,
    )


@contextmanager
def _opened(source: Source, reading: Reading) -> Iterator[tuple[str, Video | _Held]]:
    """(digest, video)."""
    if source.path is not None:
        with open_video(source.path, reading) as video:
            yield file_digest(source.path), video
    else:
        count, height, width = source.frames.shape[:3]
        digest = hashlib.sha256("x".join(map(str, source.frames.shape)).encode())
        digest.update(np.ascontiguousarray(source.frames).data)
        yield digest.hexdigest(), _Held(source.frames, VideoFacts(width, height, float(source.fps), count))


def _reusable(earlier: ClipScores, metrics: Sequence[Metric]) -> dict[str, MetricResult]:
    same = [m.facts.name for m in metrics if earlier.versions.get(m.facts.name) == m.facts.version]
    return {name: earlier.results[name] for name in same if name in earlier.results}


FAILED = "the metric failed"


class _Guarded:
    """A scorer whose failure becomes its result: one metric's fault must not take the others' numbers away."""

    def __init__(self, metric: Metric, clip: ClipFacts) -> None:
        self.name = metric.facts.name
        self.failure = ""
        self.scorer: Scorer | None = self._try(lambda: metric.open(clip))

    def add(self, window: Window) -> None:
        if not self.failure:
            self._try(lambda: self.scorer.add(window))

    def result(self) -> MetricResult:
        result = None if self.failure else self._try(self.scorer.result)
        return unscored(self.failure) if self.failure else result

    def _try(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except Exception as error:  # whatever it is, it belongs to this metric and this clip
            self.failure = f"{FAILED} ({type(error).__name__}: {error}); this is a fault of the program"
            return None


def _stream(
    video: Video | _Held, scorers: Sequence[_Guarded], step: Callable
) -> tuple[int, tuple[str, ...], dict[str, MetricResult]]:
    """(frames seen, notices, results)."""
    notices: list[str] = []
    count = 0
    with closing(video.windows(notices.append)) as passing:
        for window in passing:
            for scorer in scorers:
                scorer.add(window)
            count = window.first + len(window.frames)
            step(count, video.facts.frames)
    return count, tuple(notices), {scorer.name: scorer.result() for scorer in scorers}
