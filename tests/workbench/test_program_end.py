"""What the app makes in the background ends with it, and the next server goes on with it."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest

from models.types import Chunk, GenerationRequest, RequestError
from workbench.clips.generation import GenerationService
from workbench.clips.library import ClipFile
from workbench.clips.media import encode_mp4
from workbench.clips.under_way import ProgramEnds, mark
from workbench.scoring.runs import AT_WORK, EvaluationService, Plan
from workbench.settings import Settings
from workbench.ui import server
from workbench.ui.app import build_app
from workbench.ui.live import live_app
from workbench.upkeep.jobs import Jobs

ENDS_AS_A_WORKER_STARTS = """
import threading, time
from multiprocessing import forkserver

connect, begun = forkserver.connect_to_new_process, threading.Event()

def slowly(fds):
    ends = connect(fds)
    begun.set()
    time.sleep(1)
    return ends

forkserver.connect_to_new_process = slowly

from workbench.sweeps import pool
from workbench.sweeps.work import Setup

pool.CONTEXT.set_forkserver_preload([])
threading.Thread(target=pool.Process, args=(Setup(),), daemon=True).start()
begun.wait(60)
"""
REQUEST = GenerationRequest("a red ball rolling left", 2, frames=193)
SECONDS = 30


@pytest.fixture
def service(tmp_path: Path, tiny) -> GenerationService:
    return GenerationService(tmp_path, pipelines={"shapes-asd": tiny})


def test_a_clip_that_is_made_when_the_program_ends_is_broken_off_and_stays_in_the_list(service, tmp_path):
    begun, raised = threading.Event(), []

    def first(chunk: Chunk) -> None:
        begun.set()
        time.sleep(0.05)

    def make() -> None:
        try:
            service.generate("shapes-asd", REQUEST, on_chunk=first)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    assert begun.wait(SECONDS)
    service.stop()
    thread.join(SECONDS)
    assert isinstance(raised[0], ProgramEnds)
    assert not list((tmp_path / "clips").glob("*.mp4"))
    (left,) = (tmp_path / "jobs").glob("*.json")
    assert json.loads(left.read_text())["request"]["prompt"] == REQUEST.prompt
    # another app in the same process may use it again
    assert len(service.generate("shapes-asd", GenerationRequest("a", 1, frames=1)).result.frames) == 1


def test_what_an_app_makes_ends_with_it_when_nobody_stops_it(service, tmp_path):
    """As in a program that only calls it and ends: threads that compute then abort the program."""
    app = build_app(service, Settings(data_dir=tmp_path))
    assert app.state.stop_work.atexit
    begun, raised = threading.Event(), []

    def make() -> None:
        try:
            service.generate("shapes-asd", REQUEST, on_chunk=lambda chunk: begun.set())
        except ProgramEnds as error:
            raised.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    assert begun.wait(SECONDS)
    app.state.stop_work()
    thread.join(SECONDS)
    assert raised


def test_a_clip_is_in_the_list_while_its_model_loads(service, tmp_path, monkeypatch):
    loaded, listed = service.pipeline, []

    def load(*asked):
        listed.extend((tmp_path / "jobs").glob("*.json"))
        return loaded(*asked)

    monkeypatch.setattr(service, "pipeline", load)
    service.generate("shapes-asd", GenerationRequest("a", 1, frames=1))
    assert len(listed) == 1 and not list((tmp_path / "jobs").iterdir())
    with pytest.raises(RequestError):
        service.generate("shapes-asd", GenerationRequest("", 1, frames=1))
    assert not list((tmp_path / "jobs").iterdir())


def test_uploads_of_a_killed_server_are_deleted_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    owners = {"gone": {"process": os.getpid(), "began": "gone"}, "here": None}
    for name, owner in owners.items():
        folder = tmp_path / f"workbench-{name}"
        folder.mkdir()
        (folder / "clip.mp4").write_bytes(b"clip")
        if owner:
            (folder / server.MARK).write_text(json.dumps(owner))
        else:
            mark(folder / server.MARK)
    (tmp_path / "workbench-other").mkdir()  # of another program
    server.clear_uploads()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["workbench-here", "workbench-other"]


def test_a_clip_that_is_made_again_when_the_program_ends_is_once_in_the_list(service, tmp_path):
    left = tmp_path / "jobs" / "left.json"
    left.parent.mkdir()
    values = {"prompt": REQUEST.prompt, "steps": 2, "frames": 193, "switches": []}
    gone = {"process": 1, "began": "gone", "model": "shapes-asd", "request": values, "pixels": False}
    left.write_text(json.dumps(gone))
    jobs = Jobs(tmp_path, None, EvaluationService(tmp_path), service)
    jobs.go_on()
    end = time.monotonic() + SECONDS
    while len(list(left.parent.glob("*.json"))) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    jobs.stop()
    (still,) = left.parent.glob("*.json")
    assert json.loads(still.read_text())["request"]["prompt"] == REQUEST.prompt
    assert not list((tmp_path / "clips").glob("*.mp4"))


def test_stop_returns_at_once_when_nothing_is_made(service):
    began = time.monotonic()
    service.stop()
    assert time.monotonic() - began < 1


def test_an_evaluation_that_the_end_of_the_program_stops_is_for_the_next_server(tmp_path):
    path = tmp_path / "clip.mp4"
    encode_mp4(np.zeros((200, 64, 64, 3), np.uint8), 12, path)
    clips = tuple(ClipFile(path, f"clip {number}", "", "") for number in range(200))
    evaluations = EvaluationService(tmp_path)
    run = evaluations.start(Plan(clips, ("temporal_flickering",)))
    evaluations.stop()
    assert not run.active and not run.complete
    assert (run.folder / AT_WORK).exists()
    again = EvaluationService(tmp_path)
    (run.folder / AT_WORK).write_text(json.dumps({"process": 1, "began": "gone"}))
    assert again.interrupted() == [run.id]
    again.resume(run.id)
    again.cancel(run.id)
    again.stop()


def test_an_evaluation_that_somebody_stops_is_not_taken_up_again(tmp_path):
    path = tmp_path / "clip.mp4"
    encode_mp4(np.zeros((200, 64, 64, 3), np.uint8), 12, path)
    evaluations = EvaluationService(tmp_path)
    plan = Plan(tuple(ClipFile(path, f"clip {n}", "", "") for n in range(200)), ("temporal_flickering",))
    run = evaluations.start(plan)
    evaluations.cancel(run.id)
    end = time.monotonic() + SECONDS
    while run.active and time.monotonic() < end:
        time.sleep(0.02)
    while (run.folder / AT_WORK).exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not (run.folder / AT_WORK).exists()


def test_no_thread_is_left_when_the_app_ends_while_clips_of_a_study_are_made(service, tmp_path):
    with live_app(service, Settings(data_dir=tmp_path)) as url, httpx.Client(base_url=url) as client:
        client.post("/api/v1/session", json={"name": "somebody"})
        with suppress(httpx.ReadTimeout):  # it waits for the first pair, and the app ends before it is there
            client.post("/api/v1/next-pair", json={"study": "shapes-asd"}, timeout=1)
    left = [
        thread.name for thread in threading.enumerate() if thread.name.startswith(("study", "generate", "evaluate"))
    ]
    assert not left


def test_a_program_that_ends_as_a_worker_starts_says_nothing_of_it():
    command = [sys.executable, "-c", ENDS_AS_A_WORKER_STARTS]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
