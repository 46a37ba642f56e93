"""Values of a run in trackio and Weights & Biases: on this machine alone, and only where they are installed."""

import importlib.util
import json

import numpy as np
import pytest

from models.training.loop import Recipe, Run, train
from models.training.trackers import OPTIONAL
from workbench.__main__ import main
from workbench.commands.training.train import TRACKERS


class Falling(Recipe):
    """A recipe without a network, whose loss falls from 1 by a tenth a step."""

    modules, optimizers, averages = {}, {}, {}

    def step(self, step, seed):
        return {"loss": 1 - step / 10}

    def sample_sheet(self):
        return np.zeros((8, 8, 3), np.uint8)


def run_of(out, name, steps=3, **more):
    return Run(out, steps, log_every=1, sample_every=steps, log_to=name, facts={"recipe": "falling"}, **more)


def test_the_command_offers_every_tracker():
    assert set(TRACKERS) == set(OPTIONAL)


@pytest.mark.parametrize("name", TRACKERS)
def test_what_is_not_installed_is_named_before_anything_is_made(name, tmp_path, capsys):
    if importlib.util.find_spec(name):
        pytest.skip(f"{name} is installed")
    assert main(["train", "autoencoder", "--preset", "smoke", "--log-to", name, "--out", str(tmp_path / "run")]) == 2
    told = capsys.readouterr().err
    assert f"pip install {name}" in told and "leave --log-to out" in told and told.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_trackio_keeps_the_values_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read when it is imported
    trackio = pytest.importorskip("trackio")
    train(Falling(), run_of(tmp_path / "falling", "trackio"))
    train(Falling(), run_of(tmp_path / "falling", "trackio", steps=5), resume=True)
    (run,) = trackio.Api().runs("asd-workbench")
    kept = trackio.sqlite_storage.SQLiteStorage.get_logs("asd-workbench", run.name)
    losses = {row["step"]: row["loss"] for row in kept if "loss" in row}
    assert losses == pytest.approx({1: 1.0, 2: 0.9, 3: 0.8, 4: 0.7, 5: 0.6})


def test_weights_and_biases_stay_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    train(Falling(), run_of(tmp_path / "falling", "wandb"))
    (folder,) = (tmp_path / "falling/wandb").glob("offline-run-*")
    assert list(folder.glob("run-*.wandb"))


def test_without_a_tracker_only_the_usual_files_are_left(tmp_path):
    train(Falling(), run_of(tmp_path, ""))
    assert [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [1.0, 0.9, 0.8]
    assert {path.name for path in tmp_path.iterdir()} >= {"tensorboard", "log.jsonl", "state.pt"}
    assert not (tmp_path / "wandb").exists()
