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
    prepare: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Iterator[R]:
    """Yield the outcome of every job: those that `file` holds, then the rest as `workers` processes of one thread
    finish them. Each process first runs `prepare(*arguments)`; what crosses to it must be picklable.

    Raises RequestError for fewer than one worker, and whatever `work` raises.
    """
    if workers < 1:
        raise RequestError(f"workers is {workers}; give 1 or more, as many as there are cores")
    done = read_done(file, kind)
    yield from (done[job.key] for job in jobs if job.key in done)
    rest = [job for job in jobs if job.key not in done]
    if not rest:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")  # a forked torch may hang
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(prepare, arguments))
    with pool, file.open("a", encoding="utf-8") as lines:
        waiting = [pool.submit(work, job) for job in rest]
        try:
            for future in as_completed(waiting):
                outcome = future.result()
                lines.write(json.dumps(asdict(outcome)) + "\n")
                lines.flush()
                yield outcome
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def read_done(file: Path, kind: type[R]) -> dict[str, R]:
    """The outcomes in a file, by key. A line cut short by an interruption is taken away; one that does not fit
    `kind`, as an older version wrote it, is passed over: its job runs again."""
    if not file.exists():
        return {}
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole, encoding="utf-8")
    found = {}
    for line in whole.splitlines():
        try:
            row = json.loads(line)
            found[row["key"]] = kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})
        except (ValueError, TypeError, KeyError):
            continue
    return found


def _begin(prepare: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch  # noqa: PLC0415  (in the worker only: the parent needs no network)

    torch.set_num_threads(1)  # the same outcome whatever the number of workers
    if prepare:
        prepare(*arguments)
