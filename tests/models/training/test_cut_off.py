"""What a full disk cuts off while a run writes its files never keeps the run from going on."""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

from models import whole_files
from models.training.loop import Recipe, Run, train
from models.whole_files import replacing


class Counting(Recipe):
    """A recipe without a network, whose value is its step."""

    modules, optimizers, averages = {"none": nn.Identity()}, {}, {}

    def step(self, step, seed):
        return {"value": float(step + 1)}

    def export(self, folder):
        folder.mkdir(exist_ok=True)


def run_of(out: Path, steps: int) -> Run:
    return Run(out, steps, log_every=1, facts={"recipe": "counting"})


@contextmanager
def full_half_way(path: Path, **more) -> Iterator[Path]:
    """Replaces a file as a disk does that is full half-way."""
    with replacing(path, **more) as temporary:
        temporary.write_bytes(b"{")
        raise OSError(errno.ENOSPC, "No space left on device")
    yield path


def test_a_full_disk_leaves_the_files_that_were_there(tmp_path, monkeypatch):
    train(Counting(), run_of(tmp_path, 2))
    before = {name: (tmp_path / name).read_text() for name in ("run.json", "log.jsonl")}
    with monkeypatch.context() as full:
        full.setattr(whole_files, "replacing", full_half_way)
        with pytest.raises(OSError, match="No space"):
            train(Counting(), run_of(tmp_path, 4), resume=True)
    assert {name: (tmp_path / name).read_text() for name in before} == before
    train(Counting(), run_of(tmp_path, 4), resume=True)
    assert json.loads((tmp_path / "run.json").read_text())["steps"] == 4


def test_a_line_that_was_cut_off_is_logged_again(tmp_path):
    train(Counting(), run_of(tmp_path, 2))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 3, "sec')
    train(Counting(), run_of(tmp_path, 4), resume=True)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], line["value"]) for line in lines] == [(k, k) for k in (1, 2, 3, 4)]
    assert torch.load(tmp_path / "state.pt")["step"] == 4
