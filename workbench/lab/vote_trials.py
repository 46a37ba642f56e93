"""Trials of the vote path: the server killed while people vote, and many people voting at once."""

import asyncio
import os
import random
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import httpx
import numpy as np

from models.default_world import DEFAULT
from workbench.lab.drawn_study import TRIAL
from workbench.settings import Settings
from workbench.store import Store, open_store

ANSWERS = ("a", "b", "tie", "bad")
UNDO_SHARE = 0.1
WAIT = 60.0
AFTER_A_VOTE = 0.7  # of the servers live until they have taken a vote, however slow the machine is
DROPPED_SHARE, DROPPED_AFTER = 0.1, 0.02  # of the requests whose sender leaves, after so many seconds
START_SECONDS = 300.0  # for the whole app to load on a busy machine


@dataclass
class Torture:
    """What came of killing the server again and again; `lost`, `twice` and `changed` must stay 0."""

    kills: int = 0
    acknowledged: int = 0
    retried: int = 0
    undone: int = 0
    lost: int = 0
    twice: int = 0
    changed: int = 0
    refused: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.lost or self.twice or self.changed or self.refused or self.damage)


class Voter(threading.Thread):
    """Votes without rest, sends again what was not answered, and remembers what was acknowledged.

    At times it leaves before the answer is there, as on a bad line, and sends the same again.
    """

    def __init__(self, url: str, name: str, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.url, self.stop = url, stop
        self.rng = random.Random(name)
        self.acknowledged: dict[str, tuple[str, str, bool]] = {}  # vote: assignment, answer, undone
        self.refused: list[str] = []
        self.retried = 0

    def run(self) -> None:
        round_ = 0
        while not self.stop.is_set():
            with httpx.Client(base_url=self.url, timeout=WAIT) as client:
                self.send(client, "session", {"name": f"{self.name} {round_} {secrets.token_hex(4)}"})
                while not self.stop.is_set() and self.one_vote(client):
                    pass
            round_ += 1

    def one_vote(self, client: httpx.Client) -> bool:
        pair = self.send(client, "next-pair", {"study": TRIAL})
        if not pair.get("assignment"):
            return False
        answer = self.rng.choice(ANSWERS)
        body = {"assignment": pair["assignment"], "key": secrets.token_hex(12), "answers": {"overall": answer}}
        saved = self.send(client, "votes", body | {"watched": 1.0, "seconds": 2.0})
        if saved.get("saved"):
            undone = self.rng.random() < UNDO_SHARE
            if undone:
                undone = self.undo(client, pair["assignment"])
            self.acknowledged[saved["vote"]] = pair["assignment"], answer, undone
        return True

    def undo(self, client: httpx.Client, assignment: str) -> bool:
        """True: a lost answer to an undo comes back as "nothing to undo", and it is undone all the same."""
        self.send(client, "votes/undo", {"assignment": assignment}, fine=(409,))
        return True

    def send(self, client: httpx.Client, path: str, body: dict, fine: tuple[int, ...] = ()) -> dict:
        while True:
            wait = DROPPED_AFTER if self.rng.random() < DROPPED_SHARE else WAIT
            try:
                answer = client.post(f"/api/v1/{path}", json=body, timeout=wait)
                if answer.status_code == 503:
                    raise httpx.TransportError("not saved")
                if answer.is_error and answer.status_code not in fine:
                    self.refused.append(answer.text[:200])
                return answer.json()
            except (httpx.TransportError, ValueError):
                self.retried += 1
                time.sleep(0.02)


@contextmanager
def respawning_server(settings: Settings, whole_app: bool) -> Iterator[tuple[str, Iterator[int]]]:
    """The address of a voting server that comes back when it is killed, and its process ids, one after the other.

    The socket is ours, so that requests made while there is no server wait for the next one.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        fd = listener.fileno()
        command = [sys.executable, "-m", "workbench.lab.voting_server", "--fd", str(fd)]
        command += ["--data-dir", str(settings.data_dir.absolute())]
        command += ["--database-url", settings.database_url] if settings.database_url else []
        command += ["--app"] if whole_app else []
        process = subprocess.Popen(command, pass_fds=[fd], stdout=subprocess.PIPE, text=True)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", (int(line) for line in process.stdout)
        finally:
            process.terminate()
            process.wait(WAIT)


def torture(
    settings: Settings,
    kills: int,
    voters: int = 8,
    longest: float = 1.0,
    seed: int = 0,
    on_kill: Callable[[], object] | None = None,
    whole_app: bool = False,
) -> Torture:
    """Kill the server `kills` times at random moments, at most `longest` seconds after it answers or has taken a vote,
    while `voters` vote; then look for every acknowledged vote. The trial study must be there. `whole_app` kills all
    of the application, not its voting routes alone."""
    rng, stop = random.Random(seed), threading.Event()
    with respawning_server(settings, whole_app) as (url, servers):
        people = [Voter(url, f"voter {k}", stop) for k in range(voters)]
        for person in people:
            person.start()
        for _ in range(kills):
            server, before = next(servers), _acknowledged(people)
            _wait_for(url)
            if rng.random() < AFTER_A_VOTE:
                _wait_for_a_vote(people, before)
            time.sleep(rng.uniform(0, longest))
            os.kill(server, signal.SIGKILL)
            if on_kill:
                on_kill()
        _wait_for_a_vote(people, _acknowledged(people))
        stop.set()
        for person in people:
            person.join(START_SECONDS)
    return audit(settings, people, kills)


def _acknowledged(people: list[Voter]) -> int:
    return sum(len(person.acknowledged) for person in people)


def _wait_for_a_vote(people: list[Voter], before: int) -> None:
    end = time.monotonic() + START_SECONDS
    while _acknowledged(people) <= before:
        if time.monotonic() > end:
            raise RuntimeError("no vote was acknowledged for minutes")
        time.sleep(0.01)


def _wait_for(url: str) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            if httpx.get(f"{url}/api/v1/health", timeout=WAIT).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.01)
    raise RuntimeError("the voting server did not come back")


def audit(settings: Settings, people: list[Voter], kills: int) -> Torture:
    """Look for every vote that was acknowledged to `people`."""
    store = open_store(settings)
    votes, damage = store.votes(TRIAL), store.problems()
    store.close()
    rows = {row.vote_id: row for row in votes.itertuples()}
    counted = Counter(votes.vote_id)
    live = Counter(votes[~votes.undone].assignment)
    found = Torture(kills=kills, damage=damage)
    found.twice = sum(n > 1 for n in counted.values()) + sum(n > 1 for n in live.values())
    for person in people:
        found.retried += person.retried
        found.refused += person.refused
        found.acknowledged += len(person.acknowledged)
        for vote, (assignment, answer, undone) in person.acknowledged.items():
            row = rows.get(vote)
            found.lost += row is None
            found.undone += undone
            found.changed += row is not None and (row.assignment, row.answer, row.undone) != (
                assignment,
                answer,
                undone,
            )
    return found


@dataclass(frozen=True)
class Load:
    """Milliseconds from sending to acknowledgement at shares of all votes, and what went wrong. `next_p95` is for the
    next pair, `clips_p95` until both its clips are there. `generated` clips were made meanwhile where that was asked.

    What the database says afterwards is None where it could not be asked: votes `lost`, votes there `twice`, pairs
    handed out beyond the plan (`repeated`, to one person twice or not counted).
    """

    annotators: int
    seconds: float
    votes: int
    per_second: float
    p50: float
    p95: float
    p99: float
    longest: float
    next_p95: float
    clips_p95: float
    errors: int
    first_error: str = ""
    generated: int = 0
    lost: int | None = None
    twice: int | None = None
    repeated: int | None = None

    @property
    def good(self) -> bool:
        return not (self.errors or self.lost or self.twice or self.repeated)


async def load(url: str, annotators: int, seconds: float, think: float, study: str) -> tuple[Load, dict[str, str]]:
    """Let `annotators` vote at once, each with a pause of about `think` seconds, and fetch all clips as their pages
    do; returns what was acknowledged too, assignment by vote."""
    times: list[float] = []
    waits: list[float] = []
    fetches: list[float] = []
    errors: Counter = Counter()
    saved: dict[str, str] = {}
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # unused, and dear to make for each client
    begin = time.perf_counter()
    end = begin + seconds

    async def person(k: int) -> None:
        rng, round_ = random.Random(k), 0
        await asyncio.sleep(rng.uniform(0, think))
        while not round_ or time.perf_counter() < end:  # everybody votes once, however slow the machine is
            async with httpx.AsyncClient(base_url=url, timeout=WAIT, verify=plain) as client:
                name = f"load {k} {round_} {secrets.token_hex(4)}"
                await ask(client, "session", {"name": name})
                while await one_vote(client, rng) and time.perf_counter() < end:
                    pass
            round_ += 1

    async def one_vote(client: httpx.AsyncClient, rng: random.Random) -> bool:
        answer, wait = await ask(client, "next-pair", {"study": study})
        waits.append(wait)
        pair = answer.json() if answer else {}
        if not pair.get("assignment"):
            return False
        clips = await asyncio.gather(*(ask(client, pair[side]) for side in "ab"))
        fetches.append(max(wait for _, wait in clips))
        await asyncio.sleep(rng.uniform(0.5, 1.5) * think)
        answers = {question["id"]: rng.choice(ANSWERS) for question in pair["questions"]}
        body = {"assignment": pair["assignment"], "key": secrets.token_hex(12), "answers": answers}
        answer, wait = await ask(client, "votes", body | {"watched": 1.0, "seconds": 2.0})
        times.append(wait)
        if answer:
            saved[answer.json()["vote"]] = pair["assignment"]
        return True

    async def ask(client: httpx.AsyncClient, path: str, body: dict | None = None) -> tuple[Any, float]:
        """The answer, None for an error, and how long it took; without a body it is a clip that is asked for."""
        sent = time.perf_counter()
        try:
            answer = await (client.get(path) if body is None else client.post(f"/api/v1/{path}", json=body))
            trouble = answer.text[:120] if answer.is_error else ""
        except httpx.TransportError as error:
            answer, trouble = None, repr(error)
        wait = 1000 * (time.perf_counter() - sent)
        if trouble:
            errors[trouble] += 1
        return None if trouble else answer, wait

    await asyncio.gather(*(person(k) for k in range(annotators)))
    wall = time.perf_counter() - begin
    p50, p95, p99, longest = (_percentile(times, share) for share in (50, 95, 99, 100))
    found = Load(
        annotators,
        round(wall, 1),
        len(saved),
        round(len(saved) / wall, 1),
        p50,
        p95,
        p99,
        longest,
        _percentile(waits, 95),
        _percentile(fetches, 95),
        errors.total(),
        next(iter(errors), ""),
    )
    return found, saved


def _percentile(values: list[float], share: float) -> float:
    return round(float(np.percentile(values or [0], share)), 1)


@contextmanager
def generating(url: str) -> Iterator[list[str]]:
    """Let the app at `url` make one clip after the other until the block ends; yields the list of its answers."""
    from gradio_client import Client

    stop, made = threading.Event(), []

    def work() -> None:
        client = Client(url, verbose=False, download_files=False)
        while not stop.is_set():
            job = client.submit(model=DEFAULT.asd, prompt=DEFAULT.prompt, seed=len(made), api_name="/generate")
            while not job.done():
                if stop.wait(0.2):
                    job.cancel()
                    return
            made.append(str(job.result()))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        stop.set()
        thread.join(WAIT)


def check_load(store: Store, found: Load, saved: Mapping[str, str], study: str) -> Load:
    """What the database says of a load: every acknowledged vote there once, no pair given to one person twice, every
    hand-out counted."""
    votes = store.votes(study)
    once = votes.drop_duplicates(["vote_id", "assignment"]).set_index("vote_id").assignment.to_dict()
    handed = store.ballots.handed_out(study)
    issued = Counter(pair for pair, _ in handed)
    counted = {pair.id: pair.issued for pair in store.studies.pairs(study, store.studies.get(study).version)}
    return replace(
        found,
        lost=sum(once.get(vote) != assignment for vote, assignment in saved.items()),
        twice=int(votes[~votes.undone].duplicated(["assignment", "question"]).sum()),
        repeated=len(handed) - len(set(handed)) + sum(issued[pair] != n for pair, n in counted.items()),
    )


def row(found: Torture | Load) -> dict:
    return asdict(found)
