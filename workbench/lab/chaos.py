"""Chaos: everything the workbench does, killed, cut off and starved at random, and what must be true afterwards.

Each part yields what was acknowledged and every fault that was found; `doctor`'s checks end each part.
"""

import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from eval.video.reader import Unreadable, open_video
from models.default_world import DEFAULT
from models.types import GenerationRequest, RequestError
from workbench.clips.generation import GenerationService
from workbench.clips.manifest import manifest_path, read_manifest
from workbench.common.line_files import appending, read_lines
from workbench.lab import sweep_trials, vote_trials
from workbench.lab.drawn_study import make_trial, trial_study
from workbench.scoring.runs import EvaluationService
from workbench.scoring.runs import Plan as Measuring
from workbench.settings import Settings
from workbench.store import open_store
from workbench.sweeps.pool import CONTEXT
from workbench.upkeep.data_check import check_store
from workbench.upkeep.jobs import Jobs

ACKNOWLEDGED = "acknowledged.jsonl"
START_SECONDS, LONGEST = 180.0, 3.0
SMALL_DISK = 48  # MB


@dataclass
class Part:
    """What one part of the chaos came to; `faults` must stay empty."""

    name: str
    kills: int = 0
    acknowledged: int = 0
    faults: list[str] = field(default_factory=list)
    left_out: str = ""


def votes(folder: Path, kills: int, seed: int, on_kill: Callable[[], object]) -> Part:
    """The whole application is killed while people vote."""
    settings = Settings(data_dir=folder, min_watch=0.0)
    make_trial(settings, trial_study(20))
    found = vote_trials.torture(settings, kills, 4, LONGEST, seed, on_kill, True)
    part = Part("votes", kills, found.acknowledged, [*found.refused, *found.damage])
    counts = {"lost": found.lost, "there twice": found.twice, "changed": found.changed}
    part.faults += [f"{count} votes {what}" for what, count in counts.items() if count]
    return checked(part, folder)


def sweep(folder: Path, kills: int, seed: int, on_kill: Callable[[], object]) -> Part:
    """A sweep is killed and started again with the same command."""
    cells = 12 * (kills + 1)
    found = sweep_trials.torture(
        Settings(data_dir=folder),
        sweep_trials.sweep_flags(cells),
        kills,
        workers=1,
        longest=1.0,
        seed=seed,
        on_kill=on_kill,
    )
    part = Part("sweep", kills, found.cells, list(found.damage))
    for name in ("missing", "twice", "torn", "unknown_files", "without_values", "wrong_sums"):
        if count := getattr(found, name):
            part.faults.append(f"{count} cells or clips: {name.replace('_', ' ')}")
    return checked(part, folder)


# --- generation and evaluation


def make_and_measure(folder: Path) -> None:
    """Go on with what was left, then make and measure clips until killed; what is done is written down."""
    store = open_store(Settings(data_dir=folder))
    service, evaluations = GenerationService(folder), EvaluationService(folder)
    Jobs(folder, store, evaluations, service).go_on()
    with appending(folder / ACKNOWLEDGED, sync=True) as add:

        def acknowledge(**what: str) -> None:
            add(json.dumps(what))

        for seed in range(int(time.time() * 1000) % 2**31, 2**31):
            clip = service.generate(DEFAULT.asd, GenerationRequest(DEFAULT.prompt, steps=1, frames=13, seed=seed))
            acknowledge(clip=clip.path.stem)
            run = evaluations.start(Measuring((evaluations.library.stored(clip.path.stem),), ("sharpness",)))
            while run.active:
                time.sleep(0.01)
            acknowledge(run=run.id)


def clips_and_evaluations(folder: Path, kills: int, seed: int, on_kill: Callable[[], object]) -> Part:
    """A process that makes and measures clips is killed; the next one goes on."""
    rng, part = random.Random(seed), Part("clips and evaluations", kills)
    for _ in range(kills):
        process = CONTEXT.Process(target=make_and_measure, args=(folder,))
        before = len(_acknowledged(folder))
        process.start()
        end = time.monotonic() + START_SECONDS
        while process.is_alive() and len(_acknowledged(folder)) <= before and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, LONGEST))
        if not process.is_alive():
            part.faults.append(f"the process ended by itself with exit code {process.exitcode}")
        process.kill()
        process.join()
        on_kill()
    store = open_store(Settings(data_dir=folder))
    service, evaluations = GenerationService(folder), EvaluationService(folder)
    jobs = Jobs(folder, store, evaluations, service)
    jobs.go_on()
    end = time.monotonic() + START_SECONDS
    while (left := jobs.all()) and time.monotonic() < end:
        time.sleep(0.1)
    store.close()
    part.faults += [f"{job.kind} {job.id} is {job.state}: {job.says}" for job in left]
    told = _acknowledged(folder)
    part.acknowledged = len(told)
    for line in told:
        part.faults += (
            _fault_of_clip(folder, line["clip"]) if "clip" in line else _fault_of_run(evaluations, line["run"])
        )
    part.faults += [text for path in (folder / "clips").glob("*.mp4") for text in _fault_of_clip(folder, path.stem)]
    return checked(part, folder)


def _acknowledged(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in read_lines(folder / ACKNOWLEDGED)]


def _fault_of_clip(folder: Path, name: str) -> list[str]:
    path = folder / "clips" / f"{name}.mp4"
    try:
        made = read_manifest(manifest_path(path))
        with open_video(path) as video:
            count = sum(len(window.frames) for window in video.windows())
    except (Unreadable, RequestError) as error:
        return [str(error)]
    return [] if count == made.frames else [f"clip {name} has {count} of {made.frames} frames"]


def _fault_of_run(evaluations: EvaluationService, identity: str) -> list[str]:
    run = evaluations.get(identity)
    whole = run.complete and len(run.rows) == len(run.plan.clips) and not any(row.skipped for row in run.rows)
    return [] if whole else [f"evaluation {identity} has {len(run.rows)} of {len(run.plan.clips)} clips"]


# --- connections


def connections(folder: Path, count: int, seed: int) -> Part:
    """Clients that leave in the middle of a request or of its answer; the server must answer and keep nothing open."""
    from workbench.ui.live import live_app

    rng, part = random.Random(seed), Part("dropped connections", count)
    settings = Settings(data_dir=folder, min_watch=0.0)
    with live_app(GenerationService(folder), settings) as url:
        host, port = urlsplit(url).hostname, urlsplit(url).port
        _drop(host, port, "/evaluate", 4000, rng)
        before = _open_files()
        for _ in range(count):
            _drop(host, port, rng.choice(("/", "/evaluate", "/api/v1/clips", "/api/v1/votes", "/config")), 4000, rng)
        time.sleep(3.0)  # kept connections are closed by then
        part.acknowledged = count
        with socket.create_connection((host, port), timeout=30) as client:
            client.sendall(f"GET /api/v1/health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            if b" 200 " not in client.recv(100):
                part.faults.append("the server does not answer afterwards")
        if (more := _open_files() - before) > 8:
            part.faults.append(f"{more} files or connections stayed open")
    return checked(part, folder)


def _drop(host: str, port: int, path: str, longest: int, rng: random.Random) -> None:
    body = json.dumps({"assignment": "x" * longest}).encode()
    method = rng.choice(("GET", "POST"))
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    whole = f"{head}Content-Length: {len(body) if method == 'POST' else 0}\r\n\r\n".encode() + body * (
        method == "POST"
    )
    with suppress(OSError), socket.create_connection((host, port), timeout=10) as client:
        client.sendall(whole[: rng.randint(1, len(whole))] if rng.random() < 0.5 else whole)
        if rng.random() < 0.5:
            client.settimeout(0.2)
            client.recv(rng.randint(1, longest))


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


# --- a disk that is full


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of this size; RequestError where none can be mounted."""
    with tempfile.TemporaryDirectory() as folder:
        size = ["-o", f"size={megabytes}m"]
        done = subprocess.run(["mount", "-t", "tmpfs", *size, "tmpfs", folder], capture_output=True, check=False)
        if done.returncode:
            raise RequestError("a small disk cannot be mounted here; run as root to try full disks too")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=False)


def full_disk(folder: Path) -> Iterator[Part]:
    """A vote, a sweep and a training meet a full disk: a sentence, no damage, and after it is freed they go on."""
    yield _full_while_voting(folder / "votes", folder)
    argv = ["sweep", *sweep_trials.sweep_flags(4), "--workers", "1", "--data-dir", str(folder / "sweep")]
    yield _full_while("sweep", argv, argv, folder, folder / "sweep")
    run = ["train", "autoencoder", "--preset", "smoke", "--steps", "2", "--out", str(folder / "run")]
    yield _full_while("training", run, [*run, "--resume"], folder, None)


def _full_while_voting(data: Path, disk: Path) -> Part:
    from fastapi.testclient import TestClient

    from workbench.lab.voting_server import build_voting_app

    part, settings = Part("votes on a full disk"), Settings(data_dir=data, min_watch=0.0)
    make_trial(settings, trial_study(30))
    with TestClient(build_voting_app(settings), raise_server_exceptions=False) as client:
        client.post("/api/v1/session", json={"name": "ann"})
        saved: set[str] = set()
        for full in (False, True, False):
            ballast = _fill(disk) if full else None
            for turn in range(4):
                pair = client.post("/api/v1/next-pair", json={"study": "trial"})
                body = {"assignment": pair.json().get("assignment"), "key": f"{len(saved)}-{full}-{turn}"}
                body |= {"answers": {"overall": "a"}, "watched": 1.0, "seconds": 2.0}
                vote = client.post("/api/v1/votes", json=body) if pair.status_code == 200 else pair
                if vote.status_code == 200:
                    saved.add(vote.json()["vote"])
                elif not full or vote.status_code not in (404, 503) or not vote.json().get("error"):
                    part.faults.append(f"full={full}: {vote.status_code} {vote.text[:200]}")
            if ballast:
                ballast.unlink()
    store = open_store(settings)
    kept = set(store.votes("trial")["vote_id"])
    store.close()
    part.acknowledged = len(saved)
    part.faults += [f"{len(saved - kept)} acknowledged votes are lost"] if saved - kept else []
    return checked(part, data)


def _full_while(name: str, argv: list[str], again: list[str], disk: Path, data: Path | None) -> Part:
    part = Part(f"{name} on a full disk")
    ballast = _fill(disk)
    code, said = _command(argv)
    ballast.unlink()
    if code == 0 or "Traceback" in said or "disk is full" not in said:
        part.faults.append(f"exit code {code}: {said[-300:]}")
    code, said = _command(argv)
    if code == 2 and again != argv:  # it has begun already
        code, said = _command(again)
    part.acknowledged = 1
    part.faults += [f"does not go on: exit code {code}: {said[-300:]}"] if code else []
    return checked(part, data) if data else part


def _command(argv: list[str]) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-m", "workbench", *argv], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def _fill(disk: Path) -> Path:
    """A file that takes all of the space that is left."""
    path = disk / "ballast"
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return path


# --- what must be true


def checked(part: Part, folder: Path) -> Part:
    """The part with what `doctor` finds wrong with the data; room on the disk is none of its business here."""
    store = open_store(Settings(data_dir=folder))
    try:
        part.faults += [f"doctor: {finding.area}: {finding.says}" for finding in check_store(store, folder)]
    finally:
        store.close()
    return part
