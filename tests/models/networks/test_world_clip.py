"""The CLIP of a world: what trains it and what judges with it are one, and it knows what its captions say."""

import shutil

import numpy as np
import pytest
import torch

from eval.metrics import create_metric
from eval.metrics.content import world_clip as clip_module
from eval.metrics.content.world_clip import SHAPES, WORLDS, WorldClipBackbone
from models.networks.world_clip import WorldClip, weave
from models.weights import load_model
from models.worlds import shapes as world
from models.worlds.captions import CAPTIONS
from workbench.commands.lab.checks.clip_check import check, held_out, others, table

PROMPTS = [f"a {color} triangle moving {way} on a gray background" for color, way in (("red", "up"), ("cyan", "left"))]


@pytest.fixture(scope="module")
def trained():
    return load_model(WorldClip, SHAPES.folder).eval()


@pytest.fixture(scope="module")
def judging():
    return WorldClipBackbone(SHAPES)


def test_weaving_puts_the_same_place_of_both_frames_side_by_side():
    columns = torch.arange(8)[None, None, None]  # an earlier frame of columns 0 to 3, a present one of 4 to 7
    assert weave(columns, 2).flatten().tolist() == [0, 1, 4, 5, 2, 3, 6, 7]
    assert weave(columns, 4).equal(columns)


def test_what_judges_embeds_as_what_was_trained(trained, judging):
    frames = world.render(world.sample_scene(world.parse_prompt(PROMPTS[0]), np.random.default_rng(0)), 13)
    left, right = frames[:5], frames[8:]
    pictures = torch.from_numpy(np.concatenate([left, right], 2)).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        torch.testing.assert_close(judging.embed_diptychs(left, right), trained.embed_images(pictures))
        torch.testing.assert_close(judging.embed_captions(PROMPTS), trained.embed_captions(PROMPTS))


@pytest.mark.parametrize(("name", "count"), [("shapes", 512), ("tabletop", 768)])
def test_every_part_of_a_caption_is_seen_in_training(name, count):
    """So a caption that is held out can be learned from its parts."""
    captions = CAPTIONS[name]
    seen = [caption for caption in captions.whole if not caption.held_out]
    assert len(captions.whole) == count and 0 < len(seen) <= count / 2
    for part, texts in captions.part_tables.items():
        assert set(texts) == {captions.parts(caption)[part] for caption in seen}


@pytest.mark.parametrize(("name", "choices"), [("shapes", [8, 4, 4, 4]), ("tabletop", [8, 4, 4, 6])])
def test_a_caption_is_asked_against_those_that_differ_by_one_word(name, choices):
    captions = held_out(name)
    assert len(set(captions)) == 64 and all(caption.held_out for caption in captions)
    asked = others(name, captions[0])
    assert [len(among) for among in asked.values()] == choices
    assert all(str(captions[0]) in among and len(set(among)) == len(among) for among in asked.values())


@pytest.mark.parametrize("name", list(WORLDS))
def test_what_judges_knows_the_captions_that_training_has(name):
    rows = WORLDS[name].captions
    assert {caption for row in rows for caption in row} == {str(caption) for caption in CAPTIONS[name].whole}
    assert all(WORLDS[name].parse(caption) for caption in rows[0])
    assert WORLDS[name].parse("a walk in the park") is None


def test_the_shipped_weights_find_the_captions_of_clips_never_seen():
    """By chance a quarter of the shapes, directions and backgrounds would be right."""
    rows = {row["question"]: row for row in check("shapes", draws=1, seed=1)}
    assert {row["n"] for row in rows.values()} == {64}
    assert all(row["right"] >= 58 for row in rows.values()), rows
    assert len(rows["of 64 held-out captions"]["missed"]) == 64 - rows["of 64 held-out captions"]["right"]


def test_the_table_tells_rate_and_interval():
    assert "| of 2 | 64 | 96.9% | 89.3% to 99.1% |" in table([{"question": "of 2", "n": 64, "right": 62}])


def test_other_weights_are_another_version(tmp_path, monkeypatch):
    names = ("shapes_clip_alignment", "subject_consistency_shapes_clip", "background_consistency_shapes_clip")
    shipped = [create_metric(name).facts.version for name in names]
    shutil.copytree(SHAPES.folder, tmp_path / SHAPES.folder.name)
    with (tmp_path / SHAPES.folder.name / clip_module.WEIGHTS).open("ab") as file:
        file.write(b"x")
    monkeypatch.setattr(clip_module, "ASSETS", tmp_path)
    other = [create_metric(name).facts.version for name in names]
    assert all(a != b and "-" in a for a, b in zip(shipped, other, strict=True))
