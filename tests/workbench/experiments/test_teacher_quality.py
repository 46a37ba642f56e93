"""A teacher is judged as it is: from its last save on average, from its export alike, by the oracle's own verdict."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from models.networks.text_encoder import ShapesTextEncoder
from models.networks.transformer import CausalVideoTransformer
from models.training.recipes.teacher import TINY
from models.worlds.captions import held_out_captions
from models.worlds.training_worlds import WORLDS
from workbench.__main__ import main
from workbench.experiments.teacher_quality import JudgedClip, Sampling, judged_clips, load_teacher, right_counts

FEW = Sampling(steps=2)


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """A folder as a training of a tiny teacher leaves it: what it learned last and its average differ."""
    folder = tmp_path_factory.mktemp("training")
    torch.manual_seed(3)
    networks = {
        "teacher": CausalVideoTransformer(**TINY),
        "text_encoder": ShapesTextEncoder(tuple(sorted(WORLDS["tabletop"].words))),
    }
    last = {name: module.state_dict() for name, module in networks.items()}
    averages = {name: {k: 0.9 * p.detach() for k, p in m.named_parameters()} for name, m in networks.items()}
    torch.save({"step": 1200, "modules": last, "averages": averages}, folder / "state.pt")
    (folder / "run.json").write_text(json.dumps({"config": {"world": "tabletop", "architecture": TINY}}))
    for name, module in networks.items():
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(0.9)
        module.save_pretrained(folder / "export" / name)
    return folder


def frames_of(folder, seed: int = 5) -> list[np.ndarray]:
    prompts = held_out_captions("tabletop", 2)
    teacher = load_teacher(folder, "tabletop")
    return [clip.frames for clip in judged_clips(teacher, "tabletop", prompts, FEW, seed=seed, precision="fp32")]


def test_a_training_and_its_export_make_the_same_clips(training):
    saved, exported = frames_of(training), frames_of(training / "export")
    assert saved[0].shape == (49, 128, 128, 3) and saved[0].dtype == np.uint8
    assert all(np.array_equal(*pair) for pair in zip(saved, exported, strict=True))
    # clip i is made from seed + i, whatever is made beside it
    assert np.abs(frames_of(training, seed=6)[0].astype(int) - saved[0]).mean() > 1


def test_counts_are_those_of_the_verdicts():
    verdicts = [{"color": True, "solid": True}, {"color": True, "solid": False}, {"color": False, "solid": False}]
    clips = [JudgedClip("", np.zeros((1, 1, 1, 3), np.uint8), parts) for parts in verdicts]
    assert right_counts(clips) == {"all": 1, "color": 2, "solid": 1}


def test_the_command_tells_every_clip_and_part(training, tmp_path, capsys):
    argv = ["lab", "teacher-check", str(training), "--captions", "2", "--steps", "1"]
    assert main([*argv, "--sheet", str(tmp_path / "sheet.png")]) == 0
    said = capsys.readouterr().out
    assert all(f"{prompt}: wrong" in said for prompt in held_out_captions("tabletop", 2))
    assert "Right after 1,200 steps, of 2" in said and "  direction: " in said
    assert Image.open(tmp_path / "sheet.png").size == (5 * 128, 2 * 128)
    assert main([*argv, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["step"] == 1200 and report["rows"][0] | {"low": 0, "high": 0} == {
        "part": "all",
        "right": 0.0,
        "low": 0,
        "high": 0,
        "n": 2,
    }


def test_folders_of_something_else_are_refused(training, tmp_path, capsys):
    for folder, words in ((tmp_path, "holds neither state.pt nor teacher"), (tmp_path / "no", "holds neither")):
        assert main(["lab", "teacher-check", str(folder)]) == 2
        assert words in capsys.readouterr().err
    assert main(["lab", "teacher-check", str(training), "--world", "shapes"]) == 2
    assert "not the training of a teacher of the shapes world" in capsys.readouterr().err
