"""Jobs outlive the process that began them: killed with -9 for real, listed, and gone on with."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.types import GenerationRequest
from workbench.__main__ import main
from workbench.clips.generation import GenerationService
from workbench.clips.media import encode_mp4
from workbench.clips.under_way import is_left, mark
from workbench.lab.drawn_study import draw
from workbench.requests.systems import System
from workbench.scoring.evaluation import list_metrics
from workbench.scoring.runs import AT_WORK, DONE, STOPPED, EvaluationService, Plan
from workbench.settings import Settings
from workbench.store import open_store
from workbench.upkeep.jobs import Jobs

ROOT = Path(__file__).parents[2]
PROMPT = "a red circle moving right on a black background"
KILLED = """
import os, signal, sys
from pathlib import Path
from models.types import GenerationRequest, PromptSwitch
from workbench.clips.under_way import mark, written_down
data = Path(sys.argv[1])
request = GenerationRequest({prompt!r}, steps=1, frames=13, seed=5, switches=())
for folder in (data / "evaluations").glob("*"):
    mark(folder / "at-work.json")
with written_down(data, "shapes-asd", request):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def parts(tmp_path):
    store = open_store(Settings(data_dir=tmp_path))
    evaluations, service = EvaluationService(tmp_path), GenerationService(tmp_path)
    yield Jobs(tmp_path, store, evaluations, service), evaluations, service
    store.close()


def wait(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


def test_what_a_killed_server_left_is_listed_and_goes_on(tmp_path, parts, capsys):
    jobs, evaluations, service = parts
    made = draw(System("a", 1), PROMPT, 0, 13)
    clip = tmp_path / "clips" / "one.mp4"
    clip.parent.mkdir()
    encode_mp4(made.frames, 12, clip)
    run = evaluations.start(Plan((evaluations.library.uploaded(clip),), ("sharpness",)))
    wait(lambda: not run.active)
    assert run.state == DONE and jobs.all() == [] and not (run.folder / AT_WORK).exists()
    run.lines.unlink()  # as if it had been killed before its first clip
    killed = subprocess.run([sys.executable, "-c", KILLED.format(prompt=PROMPT), str(tmp_path)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    later = EvaluationService(tmp_path)
    jobs = Jobs(tmp_path, jobs.store, later, service)
    found = {job.kind: job for job in jobs.all()}
    assert {kind: job.state for kind, job in found.items()} == dict.fromkeys(found, "interrupted") and len(found) == 2
    assert PROMPT in found["generation"].says and f"/evaluate?run={run.id}" in found["evaluation"].says
    assert main(["jobs", "--data-dir", str(tmp_path), "--json"]) == 0
    assert {job["state"] for job in json.loads(capsys.readouterr().out)} == {"interrupted"}
    jobs.go_on()
    wait(lambda: not jobs.all())
    again = later.get(run.id)
    assert again.state == DONE and again.rows[0].results == run.rows[0].results
    request = GenerationRequest(PROMPT, steps=1, frames=13, seed=5)
    manifests = list(clip.parent.glob("*.json"))
    assert len(manifests) == 1 and json.loads(manifests[0].read_text())["seed"] == request.seed
    assert list((tmp_path / "jobs").iterdir()) == []


BEGUN = """
import os, signal, sys, time
from pathlib import Path
from models import whole_files
from workbench.clips import under_way
from workbench.clips.library import ClipFile
from workbench.scoring import runs
data, moment = Path(sys.argv[1]), int(sys.argv[2])
done = []
def counted(step):
    def run(*values):
        if len(done) == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        done.append(step.__name__)
        return step(*values)
    return run
runs.write_bytes = under_way.write_bytes = counted(whole_files.write_bytes)
runs.Run.add = counted(runs.Run.add)
evaluations = runs.EvaluationService(data)
clip = ClipFile(data / "clips" / "one.mp4", "one.mp4", "", "")
run = evaluations.start(runs.Plan((clip,), ("sharpness",)))
while run.active:
    time.sleep(0.01)
Path(sys.argv[3]).write_text(" ".join(done))
"""


def test_an_evaluation_that_is_killed_at_any_of_its_writes_ends_whole_or_never_began(tmp_path):
    clip = tmp_path / "data" / "clips" / "one.mp4"
    clip.parent.mkdir(parents=True)
    encode_mp4(draw(System("a", 1), PROMPT, 0, 13).frames, 12, clip)
    whole = tmp_path / "whole.txt"
    moment = 0
    while not whole.exists():
        subprocess.run([sys.executable, "-c", BEGUN, tmp_path / "data", str(moment), whole], cwd=ROOT, check=False)
        moment += 1
        assert moment < 12, "it was never through"
    assert whole.read_text().split().count("add") == 1 and moment >= 4  # killed at every write before it was through
    settings = Settings(data_dir=tmp_path / "data")
    store, evaluations = open_store(settings), EvaluationService(settings.data_dir)
    jobs = Jobs(settings.data_dir, store, evaluations, GenerationService(settings.data_dir))
    jobs.go_on()
    wait(lambda: not jobs.all())
    begun = [path.parent.name for path in evaluations.folder.glob("*/run.json")]
    assert len(begun) >= 3 and all(evaluations.get(name).complete for name in begun)
    assert evaluations.interrupted() == [] and not list(evaluations.folder.glob(f"*/{AT_WORK}.*"))
    store.close()


def test_work_of_a_living_process_and_stopped_work_are_left_alone(tmp_path, parts):
    jobs, evaluations, _ = parts
    mark(tmp_path / "mark.json")
    assert not is_left(tmp_path / "mark.json") and not is_left(tmp_path / "none.json")
    (tmp_path / "mark.json").write_text(json.dumps({"process": 1, "began": "other"}))
    assert is_left(tmp_path / "mark.json")  # the number was given to another process since
    (tmp_path / "mark.json").write_text("{")
    assert is_left(tmp_path / "mark.json")
    clip = tmp_path / "one.mp4"
    encode_mp4(draw(System("a", 1), PROMPT, 0, 13).frames, 12, clip)
    plan = Plan((evaluations.library.uploaded(clip),) * 40, tuple(list_metrics()[:1]))
    run = evaluations.cancel(evaluations.start(plan).id)
    wait(lambda: not run.active)
    assert run.state == STOPPED and [(job.kind, job.state) for job in jobs.all()] == [("evaluation", "stopped")]
    jobs.go_on()
    assert run.state == STOPPED and evaluations.interrupted() == []


def test_what_cannot_go_on_says_why(tmp_path, parts):
    jobs, _, _ = parts
    (tmp_path / "jobs").mkdir()
    told = {"process": 0, "began": "x", "model": "shapes-asd", "request": {"prompt": PROMPT}, "pixels": True}
    (tmp_path / "jobs" / "a.json").write_text(json.dumps(told))
    (tmp_path / "jobs" / "b.json").write_text("none")
    assert [job.state for job in jobs.all()] == ["interrupted"] * 2
    jobs.go_on()
    wait(lambda: [job.state for job in jobs.all()] == ["failed"] * 2)
    assert "picture or a video" in jobs.all()[0].says
