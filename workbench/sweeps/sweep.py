"""Runs a sweep: plans what is missing, has workers make and judge it, and alone writes clips and store.

A clip's file and manifest are on disk, whole, before the store hears of them, and the store takes clip, values and the
cell's state in one transaction. So it may be killed at any moment: what the store does not know is made again, by the
same name.
"""

import fcntl
import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from eval.evaluator import FAILED
from models.registry import own_sources
from models.types import RequestError
from models.whole_files import replacing, write_bytes
from workbench.clips.manifest import Manifest, manifest_path
from workbench.scoring.evaluation import create_metrics
from workbench.scoring.store_rows import record_of
from workbench.settings import Settings
from workbench.store import Store
from workbench.store.records import CellState
from workbench.sweeps.plan import Cell, Plan
from workbench.sweeps.pool import run_here
from workbench.sweeps.work import Item, Outcome, Setup

STALE_SECONDS = 3600.0
"""A temporary file of this age belongs to nobody any more."""
Run = Callable[[Iterator[Item], Setup, int], Generator[Outcome, None, None]]


@dataclass(frozen=True)
class Work:
    """What a sweep comes to: `items` are still to be done, `there` cells are complete, `failed` ones failed before and
    are left alone."""

    sweep: str
    items: tuple[Item, ...]
    there: int
    failed: tuple[CellState, ...]

    @property
    def clips(self) -> int:
        """How many clips are to be made; the other items only lack values."""
        return sum(not item.clip for item in self.items)


@dataclass
class Report:
    """What a run of a sweep did; seconds are wall clock."""

    sweep: str
    cells: int
    made: int = 0
    judged: int = 0
    there: int = 0
    failed: list[tuple[Cell, str]] = field(default_factory=list)
    values: int = 0
    seconds: float = 0.0


class Sweep:
    """A plan on its weights, in a data folder and a store."""

    def __init__(self, plan: Plan, settings: Settings, store: Store, weights: Path | None = None) -> None:
        self.plan, self.settings, self.store = plan, settings, store
        self.setup = Setup(settings.device, weights, own_sources())
        digests = plan.weights()
        self.id = plan.identity(digests, settings.device)
        self.json = plan.to_json(digests, settings.device)
        self.cells = plan.cells(digests, settings.device)
        self.folder = settings.data_dir / "clips"

    def look(self) -> Work:
        """What would be done; changes nothing."""
        done = self.store.sweeps.done_cells([cell.key for cell in self.cells])
        states = {state.cell: state for state in self.store.sweeps.cells(self.id)}
        known = {cell: CellState(cell, "done", "", 0, clip) for cell, clip in done.items()}
        return self._work([known.get(c.key) or states.get(c.key) or _new(c.key) for c in self.cells], retry=False)

    def begin(self, *, retry: bool = False) -> Work:
        """Put the sweep into the store and return what is to be done."""
        sweeps = self.store.sweeps
        sweeps.save(self.id, self.plan.name, self.json, [cell.key for cell in self.cells])
        states = sweeps.cells(self.id)
        gone = [s.cell for s in states if s.clip and not self._has_files(s.clip)]
        gone += [s.cell for s in states if retry and s.status == "failed"]
        if gone:
            sweeps.wait(self.id, gone)
            states = sweeps.cells(self.id)
        return self._work(states, retry=retry)

    def _work(self, states: Sequence[CellState], *, retry: bool) -> Work:
        versions = {metric.facts.name: metric.facts.version for metric in create_metrics(self.plan.metrics)}
        clips = [state.clip for state in states if state.clip]
        known = self.store.known_values(clips, but=FAILED if retry else "")
        items, there, failed = [], 0, []
        by_key = {cell.key: cell for cell in self.cells}
        for state in states:
            cell = by_key[state.cell]
            if state.status == "failed":
                failed.append(state)
            elif not state.clip or not self._has_files(state.clip):
                items.append(Item(cell, tuple(versions)))
            elif lacking := [n for n, v in versions.items() if (n, v) not in known.get(state.clip, ())]:
                items.append(Item(cell, tuple(lacking), state.clip, self._file(state.clip).absolute()))
            else:
                there += 1
        return Work(self.id, tuple(items), there, tuple(failed))

    def run(
        self, work: Work, workers: int, *, run: Run = run_here, on_done: Callable[[Item, Outcome], None] | None = None
    ) -> Report:
        """Do what is to be done with `workers` processes; `on_done` hears of every item once it is on disk."""
        report, began = Report(self.id, len(self.cells), there=work.there), time.perf_counter()
        items = {item.cell.key: item for item in work.items}
        with self._alone():
            self._clean()
            with closing(run(iter(work.items), self.setup, workers)) as outcomes:
                for outcome in outcomes:
                    item = items[outcome.key]
                    self._keep(item, outcome, report)
                    if on_done:
                        on_done(item, outcome)
        by_key = {cell.key: cell for cell in self.cells}
        report.failed += [(by_key[state.cell], state.reason) for state in work.failed]
        report.seconds = round(time.perf_counter() - began, 3)
        return report

    def _keep(self, item: Item, outcome: Outcome, report: Report) -> None:
        if outcome.stop:
            raise RequestError(outcome.error)
        if outcome.error:
            report.failed.append((item.cell, outcome.error))
            if not item.clip:
                self.store.sweeps.fail(self.id, outcome.key, outcome.error)
            return
        report.values += len(outcome.values)
        if item.clip:
            self.store.add_values(item.clip, outcome.values)
            report.judged += 1
            return
        path = self._file(outcome.clip)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(outcome.mp4)
        write_bytes(manifest_path(path), outcome.manifest.encode())  # last: with its manifest a clip is complete
        record = record_of(Manifest.from_json(outcome.manifest), outcome.clip, self.id)
        self.store.sweeps.finish(self.id, outcome.key, record, outcome.values)
        report.made += 1

    def _file(self, clip: str) -> Path:
        return self.folder / f"{clip}.mp4"

    def _has_files(self, clip: str) -> bool:
        return self._file(clip).exists() and manifest_path(self._file(clip)).exists()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Raises RequestError when this sweep is run already in this data folder; a lock dies with its process."""
        path = self.settings.data_dir / "sweeps" / f"{self.id}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RequestError(f"sweep {self.id} is being run already; wait for it, or end it") from error
            yield

    def _clean(self) -> None:
        """Remove what a killed run left half written, long ago: it may be another program's that is at work."""
        for path in self.folder.glob(".*.tmp") if self.folder.is_dir() else ():
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink(missing_ok=True)


def _new(cell: str) -> CellState:
    return CellState(cell, "waiting", "", 0, None)


def workers_here(device: str) -> int:
    """One for each core this process may use; one on a GPU."""
    return len(os.sched_getaffinity(0)) if device == "cpu" else 1


def reasons(failed: Sequence[tuple[Cell, str]]) -> dict[str, int]:
    """How often each reason was given, the most frequent first."""
    return dict(Counter(reason for _, reason in failed).most_common())
