"""Workers as actors of a Ray cluster, each with one loaded model. A node that is lost loses no cell.

Nothing but the program, at the same path, has to be on the other machines: clips travel with their outcome, and one
process writes.
"""

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from models.types import RequestError
from workbench.sweeps.pool import DEPTH, Deaths
from workbench.sweeps.work import ENVIRONMENT, Item, Outcome, Setup, Worker

try:
    import ray
except ImportError:
    ray = None

PATIENCE = 10.0  # seconds of one wait
MOST_FAILED_STARTS = 10
ROOT = str(Path(__file__).resolve().parents[2])


def check_ray() -> None:
    """Raise RequestError where Ray is not installed."""
    if ray is None:
        raise RequestError("--ray needs Ray, which is not installed; pip install -r requirements-ray.txt")


def connect(address: str) -> int:
    """Join the cluster at `address` and return its processors. Raises RequestError when there is none."""
    check_ray()
    try:
        told = {"env_vars": ENVIRONMENT | {"PYTHONPATH": ROOT}}
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, runtime_env=told)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RequestError(f"--ray {address!r} is no cluster ({reason}); start one by `ray start --head`") from error
    return int(ray.cluster_resources().get("CPU", 0))


def disconnect() -> None:
    ray.shutdown()


class Crew:
    """The actors, each with its items, oldest first. One gets items only once it has answered: on a cluster that
    has lost a node an actor may wait for a place for ever."""

    def __init__(self, setup: Setup, workers: int) -> None:
        self.kind = ray.remote(num_cpus=1, num_gpus=int(setup.device != "cpu"), max_restarts=0)(Worker)
        self.setup, self.workers = setup, workers
        self.items: dict = {}  # actor: items
        self.calls: dict = {}  # task: (actor, whether it is an item's)
        self.ready: set = set()
        self.failed_starts = 0

    def hire(self) -> None:
        while len(self.items) < self.workers:
            actor = self.kind.remote(self.setup)
            self.items[actor] = deque()
            self.calls[actor.ready.remote()] = actor, False

    def give(self, actor, item: Item) -> None:
        if isinstance(item.stored, Path):
            item = replace(item, stored=item.stored.read_bytes())  # the actor may be on another machine
        self.items[actor].append(item)
        self.calls[actor.work.remote(item)] = actor, True

    def busy(self) -> bool:
        return any(self.items.values())

    def bury(self, actor, error: Exception) -> list[Item]:
        """Forget an actor that died and return the items that it had."""
        self.failed_starts += actor not in self.ready
        if self.failed_starts > MOST_FAILED_STARTS:
            raise RuntimeError(f"workers cannot start on this cluster ({' '.join(str(error).split())[:300]})")
        self.calls = {task: call for task, call in self.calls.items() if call[0] is not actor}
        self.ready.discard(actor)
        ray.kill(actor)
        return list(self.items.pop(actor))

    def end(self) -> None:
        for actor in self.items:
            ray.kill(actor)


def run_on_ray(items: Iterator[Item], setup: Setup, workers: int) -> Iterator[Outcome]:
    """Yield the outcome of each item, in the order in which they are done; `connect` was called."""
    crew, deaths, again = Crew(setup, workers), Deaths(), deque()

    def more() -> bool:
        if not again and (item := next(items, None)) is not None:
            again.append(item)
        return bool(again)

    try:
        while more() or crew.busy():
            crew.hire()
            for actor in crew.ready:
                while len(crew.items[actor]) < DEPTH and more():
                    crew.give(actor, again.popleft())
            for task in ray.wait(list(crew.calls), timeout=PATIENCE)[0]:
                if task not in crew.calls:
                    continue  # its actor died a moment ago, with all its tasks
                actor, of_item = crew.calls[task]
                try:
                    outcome = ray.get(task)
                except ray.exceptions.RayError as error:
                    retried, given_up = deaths.judged(crew.bury(actor, error), type(error).__name__)
                    again.extend(retried)
                    yield from given_up
                    continue
                del crew.calls[task]
                if of_item:
                    crew.items[actor].popleft()
                    yield outcome
                else:
                    crew.ready.add(actor)
    finally:
        crew.end()
