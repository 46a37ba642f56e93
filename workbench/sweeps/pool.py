"""Workers as processes of this machine. One that dies takes nothing along: its items go to the next one."""

import atexit
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from workbench.sweeps.work import ENVIRONMENT, Item, Outcome, Setup, Worker

DEPTH = 2
"""Items that a worker has at hand: it goes on while what it made is being written."""
ATTEMPTS = 3
"""How often an item may take its worker down before it counts as failed."""
# forked from a process that has loaded the libraries, torch too, and done nothing yet: quick, and safe unlike a fork
# of this one
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["workbench.sweeps.work", "workbench.clips.generation", "models.pipeline"])


_STARTING = threading.Lock()
"""Held while a worker is told what it is; a program that ends meanwhile would leave it with half a message."""
atexit.register(_STARTING.acquire, timeout=60)  # for good: no worker starts after it


class Deaths:
    """Counts the workers that an item has cost."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def judged(self, items: Sequence[Item], reason: str) -> tuple[list[Item], list[Outcome]]:
        """(items to try again, items given up) of a worker that died; the first of `items` was at work."""
        if not items:
            return [], []
        key = items[0].cell.key
        self.seen[key] = self.seen.get(key, 0) + 1
        if self.seen[key] < ATTEMPTS:
            return list(items), []
        told = f"{self.seen[key]} workers died of it, the last: {reason}; it may need more memory than there is"
        return list(items[1:]), [Outcome(key, error=told)]


class Process:
    """One worker and the items it has, oldest first."""

    def __init__(self, setup: Setup) -> None:
        self.pipe, far = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=serve, args=(far, setup), daemon=True)
        with _STARTING, environment(ENVIRONMENT):
            self.process.start()
        far.close()
        self.items: deque[Item] = deque()

    def give(self, item: Item) -> None:
        self.items.append(item)
        with suppress(OSError):  # it has died; its end is seen when we wait for it
            self.pipe.send(item)

    def take(self) -> Outcome | None:
        """What it has made; None when it has died."""
        try:
            outcome = self.pipe.recv()
        except (EOFError, OSError):
            return None
        self.items.popleft()
        return outcome

    def end(self) -> str:
        """Make it end, and tell how it did."""
        self.pipe.close()
        if self.process.is_alive():
            self.process.terminate()
        self.process.join()
        code = self.process.exitcode
        return f"killed by signal {-code}" if code and code < 0 else f"exit code {code}"


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def run_here(items: Iterator[Item], setup: Setup, workers: int) -> Iterator[Outcome]:
    """Yield the outcome of each item, in the order in which they are done."""
    deaths, again = Deaths(), deque()

    def following() -> Item | None:
        return again.popleft() if again else next(items, None)

    crew: list[Process] = []

    def fill(worker: Process) -> None:
        while len(worker.items) < DEPTH and (item := following()) is not None:
            worker.give(item)

    try:
        while True:
            while len(crew) < workers and (item := following()) is not None:
                crew.append(Process(setup))
                crew[-1].give(item)
            for worker in crew:
                fill(worker)
            busy: dict[Any, Process] = {worker.pipe: worker for worker in crew if worker.items}
            if not busy:
                return
            for pipe in wait(list(busy)):
                worker = busy[pipe]
                outcome = worker.take()
                if outcome is not None:
                    fill(worker)
                    yield outcome
                else:
                    crew.remove(worker)
                    retried, given_up = deaths.judged(list(worker.items), worker.end())
                    again.extend(retried)
                    yield from given_up
    finally:
        for worker in crew:
            worker.end()


def serve(pipe: Connection, setup: Setup) -> None:
    """The worker's side: ends when the other side is gone, whatever became of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that writes, who ends us
    worker = Worker(setup)
    with suppress(EOFError, OSError):
        while True:
            pipe.send(worker.work(pipe.recv()))
