"""Evaluations as jobs: they run one after the other in the server, survive a closed tab, and go on after a restart.

A run is a folder `data_dir`/evaluations/<id> with `run.json`, what was asked for, and `scores.jsonl`, one line for
every clip that is done.
"""

import json
import re
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from eval.evaluator import Cancelled, ClipScores, Progress, Source, evaluate
from eval.metric import Facts, Resources
from models.types import RequestError
from models.whole_files import write_bytes
from workbench.clips.library import ClipFile, Library, conditioning_picture, world_of
from workbench.clips.under_way import STOPPING_SECONDS, is_left, mark
from workbench.common.clock import to_the_second
from workbench.common.faults import fault_sentence
from workbench.common.line_files import appending, read_lines
from workbench.common.priority import make_way
from workbench.requests.links.evaluate import evaluation_link
from workbench.scoring.evaluation import create_metrics

QUEUED, RUNNING, DONE, STOPPED, FAILED = "queued", "running", "done", "stopped", "failed"
ACTIVE = (QUEUED, RUNNING)
IDENTITY = re.compile(r"[0-9a-f]{16}")
FORMAT = "asd-workbench evaluation"
AT_WORK = "at-work.json"


@dataclass(frozen=True)
class Plan:
    """The clips to look at and the metrics by name, in page order."""

    clips: tuple[ClipFile, ...]
    metrics: tuple[str, ...]


@dataclass
class Run:
    """One evaluation. `rows` are the clips done so far, without their curves, which stay on disk."""

    id: str
    plan: Plan
    folder: Path
    facts: tuple[Facts, ...]
    created: str = ""
    state: str = STOPPED
    error: str = ""
    rows: list[ClipScores] = field(default_factory=list)
    progress: Progress | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    offsets: list[int] = field(default_factory=list)

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def complete(self) -> bool:
        return len(self.rows) == len(self.plan.clips)

    @property
    def link(self) -> str:
        """The page that shows it."""
        return evaluation_link(self.id)

    @property
    def lines(self) -> Path:
        return self.folder / "scores.jsonl"

    def scores(self, index: int) -> ClipScores:
        """The scores of a clip with its curves."""
        with self.lines.open("rb") as file:
            file.seek(self.offsets[index])
            return ClipScores.from_json(file.readline().decode())

    def all_scores(self) -> Iterator[ClipScores]:
        """The scores of every clip that is done, with curves, read one by one."""
        return (self.scores(i) for i in range(len(self.rows)))

    def add(self, scores: ClipScores) -> None:
        """Keep the scores of the next clip, on disk before anybody is told."""
        with appending(self.lines) as add:
            offset = add(scores.to_json())
        self._remember(scores, offset)

    def restore(self) -> None:
        """Read back what an earlier server had done; a line cut short is computed again."""
        offset = 0
        for line in read_lines(self.lines):
            self._remember(ClipScores.from_json(line), offset)
            offset += len(line.encode()) + 1

    def _remember(self, scores: ClipScores, offset: int) -> None:
        bare = {name: replace(result, per_frame=()) for name, result in scores.results.items()}
        self.offsets.append(offset)
        self.rows.append(replace(scores, results=bare))


class EvaluationService:
    """Starts, finds, stops and goes on with evaluations under `data_dir`; one computes at a time."""

    def __init__(self, data_dir: Path, folders: Sequence[Path] = (), resources: Resources | None = None) -> None:
        self.data_dir, self.folder = data_dir, data_dir / "evaluations"
        self.library = Library(data_dir, folders)
        self.resources = resources or Resources()
        self._runs: dict[str, Run] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._turn, self._changing = threading.Lock(), threading.Lock()
        self._ends = threading.Event()

    def start(self, plan: Plan) -> Run:
        """Begin an evaluation and return at once. Raises RequestError for a plan without clips or runnable metrics."""
        if not plan.clips:
            raise RequestError("no clip is chosen; choose one from the list, upload one, or name a folder")
        facts = self._checked(plan.metrics)
        plan = replace(plan, metrics=tuple(each.name for each in facts))
        run = Run(secrets.token_hex(8), plan, Path(), facts, to_the_second())
        run.folder = self.folder / run.id
        run.folder.mkdir(parents=True)
        mark(run.folder / AT_WORK)  # before it exists for anybody: killed in between, it would pass for stopped
        write_bytes(run.folder / "run.json", _to_json(run, self.data_dir).encode())
        self._runs[run.id] = run
        self._begin(run)
        return run

    def get(self, identity: str) -> Run:
        """A run of this server or of an earlier one; raises RequestError when there is none of this id."""
        with self._changing:
            if identity not in self._runs:
                self._runs[identity] = self._restored(identity)
            return self._runs[identity]

    def resume(self, identity: str) -> Run:
        """Go on with a run that was stopped; one that is under way or complete stays as it is."""
        run = self.get(identity)
        if run.complete and not run.active:
            (run.folder / AT_WORK).unlink(missing_ok=True)  # its process was killed after the last clip
        elif not run.active:
            self._checked(run.plan.metrics)
            self._begin(run)
        return run

    def cancel(self, identity: str) -> Run:
        """Stop a run soon; the clips that are done stay."""
        run = self.get(identity)
        run.stop.set()
        return run

    def _checked(self, names: Sequence[str]) -> tuple[Facts, ...]:
        metrics = create_metrics(names, self.resources)
        for metric in metrics:
            if why := metric.missing():
                raise RequestError(f"metric {metric.facts.name!r} cannot run here ({why.rstrip('.')}); leave it out")
        return tuple(metric.facts for metric in metrics)

    def unfinished(self) -> list[str]:
        """The ids of evaluations that are not complete, of this server and of earlier ones."""
        found = []
        for folder in sorted(self.folder.glob("*/run.json")):
            with suppress(RequestError):
                if not self.get(folder.parent.name).complete:
                    found.append(folder.parent.name)
        return found

    def interrupted(self) -> list[str]:
        """The ids of evaluations that a process which is gone was at; those that were stopped or failed are not, nor
        what was killed before there was anything to go on with."""
        marks = sorted(self.folder.glob(f"*/{AT_WORK}"))
        return [path.parent.name for path in marks if (path.parent / "run.json").exists() and is_left(path)]

    def _begin(self, run: Run) -> None:
        if self._ends.is_set():
            raise RequestError("the server is ending; start this again when it is back")
        mark(run.folder / AT_WORK)
        run.state, run.error, run.progress = QUEUED, "", None
        run.stop.clear()
        thread = threading.Thread(target=self._work, args=(run,), name=f"evaluate {run.id}", daemon=True)
        self._threads[run.id] = thread
        thread.start()

    def stop(self) -> None:
        """Stop what is under way, for the next server to go on with, and return when it has stopped."""
        self._ends.set()
        for run in list(self._runs.values()):
            if run.active:
                run.stop.set()
        for thread in list(self._threads.values()):
            thread.join(STOPPING_SECONDS)

    def _work(self, run: Run) -> None:
        make_way()
        try:
            self._take_turn(run)
        finally:
            if self._threads.get(run.id) is threading.current_thread():  # it may have been resumed by now
                del self._threads[run.id]
            if run.complete or not self._ends.is_set():
                (run.folder / AT_WORK).unlink(missing_ok=True)

    def _take_turn(self, run: Run) -> None:
        while not self._turn.acquire(timeout=0.1):
            if run.stop.is_set():
                run.state = STOPPED
                return
        try:
            run.state = RUNNING
            self._compute(run)
            run.state = DONE if run.complete else STOPPED
        except Exception as error:  # told to whoever looks at the run; the server goes on
            run.error = fault_sentence(error, place=False) or f"{type(error).__name__}: {error}"
            run.state = FAILED
        finally:
            self._turn.release()

    def _compute(self, run: Run) -> None:
        def report(progress: Progress) -> None:
            run.progress = progress

        first = len(run.rows)
        waiting = run.plan.clips[first:]
        sources = [_source(f"{first + i} · {clip.name}", clip) for i, clip in enumerate(waiting, start=1)]
        metrics = create_metrics(run.plan.metrics, self.resources)
        found = evaluate(sources, metrics, on_progress=report, cancelled=run.stop.is_set)
        with suppress(Cancelled):
            for clip, scores in zip(waiting, found, strict=True):
                run.add(_without_path(scores, clip))

    def _restored(self, identity: str) -> Run:
        folder = self.folder / identity
        if not IDENTITY.fullmatch(identity) or not (folder / "run.json").is_file():
            raise RequestError(f"evaluation {identity[:40]!r} is not on this server; start it again")
        try:
            values = json.loads((folder / "run.json").read_text())
            clips = tuple(_clip_from(row, self.data_dir) for row in values["clips"])
            plan = Plan(clips, tuple(values["metrics"]))
            facts = tuple(metric.facts for metric in create_metrics(plan.metrics, self.resources))
            run = Run(identity, plan, folder, facts, values["created"])
            run.restore()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RequestError(f"evaluation {identity!r} cannot be read back; start it again") from error
        run.state = DONE if run.complete else STOPPED
        return run


def _source(identity: str, clip: ClipFile) -> Source:
    picture = conditioning_picture(clip.path)
    return Source(identity, clip.path, prompt=clip.prompt, image=picture, world=world_of(clip.path))


def _without_path(scores: ClipScores, clip: ClipFile) -> ClipScores:
    """Reasons name the file as people know it, not where it lies on the server."""
    return replace(scores, skipped=scores.skipped.replace(str(clip.path), clip.name))


def _to_json(run: Run, data_dir: Path) -> str:
    clips = [_clip_to(clip, data_dir) for clip in run.plan.clips]
    content = {"format": FORMAT, "version": 1, "created": run.created, "metrics": run.plan.metrics, "clips": clips}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _clip_to(clip: ClipFile, data_dir: Path) -> dict[str, str]:
    """Paths inside the data folder are written from there, so that the folder can be moved."""
    inside = clip.path.is_relative_to(data_dir)
    path = clip.path.relative_to(data_dir).as_posix() if inside else str(clip.path)
    return {"path": path, "name": clip.name, "prompt": clip.prompt, "id": clip.id}


def _clip_from(row: dict[str, str], data_dir: Path) -> ClipFile:
    return ClipFile(data_dir / row["path"], row["name"], row["prompt"], row["id"])
