"""Many small jobs in several processes, a line of a file each, so that an interrupted run goes on where it stopped."""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

from models.types import RequestError
from workbench.common.line_files import appending, read_lines


class Keyed(Protocol):
    """A job or its outcome; equal keys mean that the outcome of one is that of the other."""

    @property
    def key(self) -> str: ...


J = TypeVar("J", bound=Keyed)
R = TypeVar("R", bound=Keyed)


def run_jobs(
    jobs: Sequence[J],
    file: Path,
    work: Callable[[J], R],
    kind: type[R],
    *,
    workers: int,
) -> Iterator[R]:
    """Yield the outcome of every job: those that `file` holds, then the rest as `workers` processes of one thread
    finish them. `work` is picklable; each process has one copy of it, which may keep what it loads for later jobs.

    Raises RequestError for fewer than one worker, and whatever `work` raises.
    """
    if workers < 1:
        raise RequestError(f"workers is {workers}; give 1 or more, as many as there are cores")
    done = read_done(file, kind)
    yield from (done[job.key] for job in jobs if job.key in done)
    rest = [job for job in jobs if job.key not in done]
    if not rest:
        return
    context = multiprocessing.get_context("spawn")  # a forked torch may hang
    pool = ProcessPoolExecutor(workers, context, initializer=_Worker.begin, initargs=(work,))
    with pool, appending(file) as add:
        waiting = [pool.submit(_Worker.run, job) for job in rest]
        try:
            for future in as_completed(waiting):
                outcome = future.result()
                add(json.dumps(asdict(outcome)))
                yield outcome
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def read_done(file: Path, kind: type[R]) -> dict[str, R]:
    """The outcomes in a file, by key. A line cut short by an interruption, or one that does not fit `kind`, as an
    older version wrote it, is passed over: its job runs again."""
    found = {}
    for line in read_lines(file):
        try:
            row = json.loads(line)
            found[row["key"]] = kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})
        except (ValueError, TypeError, KeyError):
            continue
    return found


class _Worker:
    """What this process does jobs with: a pool of processes hands on functions only, and no object."""

    work: Callable[[Any], Any]

    @classmethod
    def begin(cls, work: Callable[[Any], Any]) -> None:
        os.environ["OMP_NUM_THREADS"] = "1"
        import torch

        torch.set_num_threads(1)  # the same outcome whatever the number of workers
        cls.work = staticmethod(work)

    @classmethod
    def run(cls, job: Any) -> Any:
        return cls.work(job)
