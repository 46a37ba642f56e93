"""Sweeps: what a plan refuses and comes to, real small runs, kills, workers that die, a Ray cluster."""

import json
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.evaluator import Source, evaluate
from models.default_world import EMBEDDED
from models.types import RequestError
from models.worlds.captions import held_out_captions
from workbench.__main__ import main
from workbench.clips.manifest import manifest_path, read_manifest
from workbench.lab import sweep_trials
from workbench.scoring.evaluation import create_metrics
from workbench.settings import Settings
from workbench.store import open_store
from workbench.sweeps.cost import forwards_of
from workbench.sweeps.plan import Cell, Plan, make_plan, read_plan_file
from workbench.sweeps.pool import run_here
from workbench.sweeps.ray_cluster import ray
from workbench.sweeps.sweep import Sweep
from workbench.sweeps.work import Item, Outcome, Setup

ASD, BASELINE = "shapes-asd", "shapes-self-forcing"
VALUES = {"models": [ASD], "prompts": ["a red circle moving right on a black background"], "frames": 5}
METRICS = ["sharpness", "oracle_right"]
YAML = Path(__file__).parents[3] / "docs" / "sweep.yaml"


def plan(**changes) -> Plan:
    return make_plan(VALUES | {"metrics": METRICS} | changes)


# plans


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    return path


def refused(path: Path) -> str:
    with pytest.raises(RequestError) as caught:
        file = read_plan_file(path)
        make_plan(file.values, file.place)
    return str(caught.value)


@pytest.mark.parametrize("world", EMBEDDED, ids=lambda world: world.name)
def test_captions_and_metrics_that_nobody_names_are_of_the_models_world(world):
    made = make_plan({"models": [world.asd, world.baseline], "prompts": "held-out:3"})
    assert made.prompts == tuple(held_out_captions(world.name, 3))
    assert [name for name in made.metrics if "alignment" in name or "right" in name or "texture" in name] == [
        *world.metrics
    ]


def test_captions_of_two_worlds_are_not_mixed():
    with pytest.raises(RequestError, match=r"tabletop.*one after the other"):
        make_plan({"models": [world.asd for world in EMBEDDED], "prompts": "held-out:3"})


GOOD = "models: [shapes-asd]\nprompts: held-out:2\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD + "step: [1]", ["line 3", "'step'", "did you mean 'steps'?"]),
        ("prompts: held-out:2\nmodels:\n  - shapes-asd\n  - shapes-sad\n", ["line 4", "did you mean 'shapes-asd'?"]),
        (GOOD + "metrics: [sharpness,\n  sharpnes]", ["line 4", "did you mean 'sharpness'?"]),
        (GOOD + "steps: [1, 7]", ["line 3", "steps is 7", "1, 2, 3, 4"]),
        (GOOD + "seeds:\n - 1\n - -4", ["line 5", "-4"]),
        (GOOD + "seeds: [x]", ["line 3", "'x' is not a whole number"]),
        (GOOD + "frames: 0", ["line 3", "frames is 0"]),
        (GOOD + "ffe: maybe", ["line 3", "off, on, both"]),
        (GOOD + "models: [shapes-asd]", ["line 3", "'models' of line 1 is given again"]),
        ("models: [shapes-asd]\nprompts: none.txt", ["line 2", "none.txt", "cannot be read"]),
        ("models: [shapes-asd]\nprompts: ['x', 3]", ["line 2", "prompt 3 is not text"]),
        ("models: [shapes-asd]\nprompts: ['']", ["line 2", "the prompt is empty"]),
        ("models: []\nprompts: held-out:2", ["line 1", "there is no model"]),
        ("prompts: held-out:2", ["names no models"]),
        (GOOD + "seeds: 0-600000", ["1,000,000 are the most"]),
        ("- a\n- b", ["not a table"]),
        ("a: [", ["line"]),
    ],
    ids=range(17),
)
def test_a_wrong_file_is_refused_with_its_place_and_the_way_out(tmp_path, text, words):
    told = refused(write(tmp_path, text))
    assert all(word in told for word in words), told


def test_flags_replace_the_file_and_are_refused_by_name(tmp_path, capsys):
    path = write(tmp_path, GOOD)
    assert main(["sweep", str(path), "--steps", "9", "--data-dir", str(tmp_path / "d")]) == 2
    assert "--steps: steps is 9" in capsys.readouterr().err and not (tmp_path / "d").exists()
    assert main(["sweep", str(path), "--workers", "0"]) == 2
    assert main(["sweep", str(path), "--metrics", "subject_consistency", "--weights", str(tmp_path)]) == 2
    assert "cannot run here" in capsys.readouterr().err


def test_the_example_is_a_plan():
    file = read_plan_file(YAML)
    found = make_plan(file.values, file.place)
    assert len(found.cells(found.weights())) == 2 * 2 * 2 * 16 * 4 and found.ffe == "both"


def test_cells_are_each_clip_once():
    found = plan(models=[ASD, BASELINE], steps="1,4", ffe="both", seeds="0-2", first_steps=[4, 2])
    cells = found.cells(found.weights())
    systems = {(cell.model, cell.steps, cell.first_steps) for cell in cells}
    ways = {(1, 0), (1, 4), (1, 2), (4, 0), (4, 2)}  # four steps with four first steps are four steps
    assert systems == {(model, *way) for model in (ASD, BASELINE) for way in ways}
    assert len({cell.key for cell in cells}) == len(cells) == 2 * 5 * 3
    assert [cell.model for cell in cells] == [ASD] * 15 + [BASELINE] * 15


def test_a_sweep_is_named_by_what_decides_it():
    weights = {ASD: "w"}
    assert plan(name="x").identity(weights) == plan().identity(weights) != plan().identity({ASD: "v"})
    assert plan().identity(weights) != plan(metrics=["sharpness"]).identity(weights)
    (cell,), (other,) = plan().cells(weights), plan(metrics=["sharpness"]).cells(weights)
    assert cell.key == other.key != replace(cell, frames=9).key
    assert replace(cell, device="cuda:0").key == replace(cell, device="cuda:1").key != cell.key


# runs


def sweep_into(folder: Path, found: Plan, *, workers: int = 1, retry: bool = False, run=run_here):
    """(report, work, clip table, value table) of a sweep in `folder`."""
    settings = Settings(data_dir=folder)
    store = open_store(settings)
    try:
        sweep = Sweep(found, settings, store)
        looked = sweep.look()
        work = sweep.begin(retry=retry)
        assert [item.cell.key for item in looked.items] == [item.cell.key for item in work.items] or retry
        report = sweep.run(work, workers, run=run)
        return report, work, store.clip_table(limit=None), store.value_table()
    finally:
        store.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folder with a finished sweep of four clips, made by two workers."""
    folder = tmp_path_factory.mktemp("sweep")
    report, *_ = sweep_into(folder, plan(steps=[1, 2], ffe="both", seeds="0"), workers=2)
    assert (report.made, report.there, report.failed) == (4, 0, [])
    return folder


def test_what_is_there_is_not_made_again_and_a_change_makes_only_what_changed(small):
    same = plan(steps=[1, 2], ffe="both", seeds="0")
    report, _, clips, values = sweep_into(small, same)
    assert (report.made, report.judged, report.there) == (0, 0, 4)
    files = {path.name: path.stat().st_mtime_ns for path in (small / "clips").iterdir()}
    more = replace(same, steps=(1,), seeds=(0, 1), metrics=("sharpness", "oracle_right", "contrast"))
    report, work, clips, values = sweep_into(small, more)
    assert (report.made, report.judged, report.there) == (2, 2, 0)
    assert {item.metrics for item in work.items if item.clip} == {("contrast",)}
    assert {path.name: path.stat().st_mtime_ns for path in (small / "clips").iterdir() if path.name in files} == files
    assert len(clips) == 6 and set(values.metric) >= {"sharpness", "contrast", "oracle_right"}
    assert set(map(len, (clips.id.unique(), values["clip"].unique()))) == {6}
    report, *_ = sweep_into(small, more)
    assert (report.made, report.judged, report.there) == (0, 0, 4)


def test_clips_and_values_are_those_of_one_worker_and_of_the_other_commands(small, tmp_path):
    _, _, clips, values = sweep_into(small, plan(steps=[1, 2], ffe="both", seeds="0"))
    _, _, alone, own = sweep_into(tmp_path, plan(steps=[1], ffe="on", seeds="0"))
    (name,) = alone.id
    assert name in set(clips.id)
    assert (tmp_path / "clips" / f"{name}.mp4").read_bytes() == (small / "clips" / f"{name}.mp4").read_bytes()
    made = read_manifest(manifest_path(small / "clips" / f"{name}.mp4"))
    assert (made.threads, made.ffe, made.steps, made.first_steps) == (1, True, 1, 4)
    scores = next(
        evaluate([Source("x", tmp_path / "clips" / f"{name}.mp4", prompt=made.prompt)], create_metrics(METRICS))
    )
    for metric, result in scores.results.items():  # five frames are too few for the oracle
        (kept,) = own[own.metric == metric].to_dict("records")
        assert kept["version"] == scores.versions[metric] and kept["reason"] == result.reason
        assert kept["value"] == result.value if result.value is not None else np.isnan(kept["value"])
        again = values[(values["clip"] == name) & (values.metric == metric)].value
        np.testing.assert_array_equal(again, [kept["value"]])
    assert made.forwards == forwards_of(Cell(ASD, 1, 4, made.prompt, 0, made.frames, ""))


def test_a_clip_that_is_gone_is_made_again(small):
    same = plan(steps=[1, 2], ffe="both", seeds="0")
    _, _, clips, _ = sweep_into(small, same)
    path = small / "clips" / f"{clips[clips.seed == 0].id.iloc[0]}.mp4"
    before = path.read_bytes()
    path.unlink()
    report, *_ = sweep_into(small, same)
    assert (report.made, report.there) == (1, 3) and path.read_bytes() == before


def faulty(items, setup, workers):
    """Workers of which every second one meets a fault."""
    for k, item in enumerate(items):
        yield Outcome(item.cell.key, error="no memory") if k % 2 else next(run_here(iter([item]), setup, 1))


def test_failures_are_kept_with_their_reason_and_tried_again_on_request(tmp_path):
    found = plan(seeds="0-1")
    report, *_ = sweep_into(tmp_path, found, run=faulty)
    assert report.made == 1 and [reason for _, reason in report.failed] == ["no memory"]
    report, work, *_ = sweep_into(tmp_path, found)
    assert (report.made, len(work.items), [reason for _, reason in report.failed]) == (0, 0, ["no memory"])
    report, *_ = sweep_into(tmp_path, found, retry=True)
    assert (report.made, report.there, report.failed) == (1, 1, [])


def test_a_worker_that_dies_takes_no_item_along():
    found = plan(seeds="0-5", metrics=["sharpness"])
    cells = found.cells(found.weights())
    outcomes = []
    for outcome in run_here(iter([Item(cell, ("sharpness",)) for cell in cells]), Setup(), 2):
        outcomes.append(outcome)
        if len(outcomes) == 1:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
    assert sorted(outcome.key for outcome in outcomes) == sorted(cell.key for cell in cells)
    assert not any(outcome.error for outcome in outcomes)


def test_an_item_that_kills_its_workers_fails_and_the_others_do_not(monkeypatch):
    weights = plan().weights()
    good, bad = plan(seeds="1").cells(weights)[0], plan(seeds="2").cells(weights)[0]
    items = [Item(bad, ("sharpness",), "x", Path("/dev/zero")), Item(good, ("sharpness",))]
    monkeypatch.setattr("workbench.sweeps.pool.serve", dies_of_devices)
    outcomes = {outcome.key: outcome.error for outcome in run_here(iter(items), Setup(), 1)}
    assert "3 workers died of it" in outcomes[bad.key] and "signal 9" in outcomes[bad.key] and not outcomes[good.key]


def dies_of_devices(pipe, setup) -> None:
    """A worker's side that is killed, as for want of memory, by items that name a device."""
    while True:
        item = pipe.recv()
        if item.stored:
            os.kill(os.getpid(), signal.SIGKILL)
        pipe.send(Outcome(item.cell.key))


def test_other_weights_than_the_plans_end_the_sweep(tmp_path):
    settings = Settings(data_dir=tmp_path)
    store = open_store(settings)
    sweep = Sweep(plan(), settings, store)
    sweep.cells = [replace(cell, weights="others") for cell in sweep.cells]
    with pytest.raises(RequestError, match="not those that the sweep began with"):
        sweep.run(sweep.begin(), 1)
    assert store.sweeps.get(sweep.id).waiting == 1 and store.count_clips() == 0
    store.close()


def test_a_sweep_runs_once_at_a_time(small):
    settings = Settings(data_dir=small)
    store = open_store(settings)
    sweep = Sweep(plan(), settings, store)
    with sweep._alone(), pytest.raises(RequestError, match="being run already"):
        sweep.run(sweep.begin(), 1)
    store.close()


def test_a_dry_run_tells_the_cost_and_makes_nothing(small, capsys):
    flags = ["--models", ASD, "--prompts", "held-out:3", "--frames", "5", "--metrics", "sharpness", "--steps", "2"]
    before = sorted(path.name for path in (small / "clips").iterdir())
    assert main(["sweep", *flags, "--dry-run", "--workers", "2", "--json", "--data-dir", str(small)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["make"], told["there"], told["cells"]) == (3, 0, 3) and told["seconds"] > 0
    assert told["systems"][0]["forwards"] == forwards_of(Cell(ASD, 2, 0, "", 0, 5, ""))
    assert sorted(path.name for path in (small / "clips").iterdir()) == before


def test_a_dry_run_in_a_new_place_leaves_it_as_it_was(tmp_path, capsys):
    flags = ["--models", ASD, "--prompts", "held-out:2", "--frames", "5", "--metrics", "sharpness"]
    assert main(["sweep", *flags, "--dry-run", "--workers", "1", "--json", "--data-dir", str(tmp_path / "new")]) == 0
    assert json.loads(capsys.readouterr().out)["make"] == 2 and not list(tmp_path.iterdir())


TINY = ["--models", ASD, "--frames", "5", "--metrics", "sharpness", "--prompts", "held-out:24", "--seeds", "0-0"]


def test_a_sweep_killed_again_and_again_is_whole_in_the_end(tmp_path):
    tiny = ["held-out:12" if word == "held-out:24" else word for word in TINY]
    found = sweep_trials.torture(Settings(data_dir=tmp_path), tiny, 2, longest=0.3)
    assert found.good and found.cells == 12, found


@pytest.mark.skipif(ray is None or not os.environ.get("TEST_RAY"), reason="slow: set TEST_RAY=1, with Ray installed")
def test_a_ray_cluster_may_lose_a_node(tmp_path):
    found = sweep_trials.lose_a_node(Settings(data_dir=tmp_path), TINY, 2)
    assert found.good and found.cells == 24, found


def test_ray_is_asked_for_where_it_is_not_installed(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("workbench.sweeps.ray_cluster.ray", None)
    flags = ["--models", ASD, "--prompts", "held-out:1", "--data-dir", str(tmp_path)]
    assert main(["sweep", *flags, "--ray", "auto"]) == 2
    assert "requirements-ray.txt" in capsys.readouterr().err
