"""Prompt following: a fixed list of held-out captions, rows that hold, runs that resume."""

import dataclasses
import json
from dataclasses import replace

import numpy as np
import pytest

from models import world
from models.pipeline import tiny_pipeline
from models.registry import get_spec
from models.types import GenerationResult, RequestError
from workbench import prompt_following as pf
from workbench.commands.prompt_following import markdown


class Renderer:
    """A perfect model: draws what the prompt says. Counts its clips, and stops at `limit` as a user would."""

    def __init__(self, limit=1000):
        self.made, self.limit = 0, limit

    def __call__(self, request):
        if self.made == self.limit:
            raise KeyboardInterrupt
        self.made += 1
        scene = world.sample_scene(world.parse_prompt(request.prompt), np.random.default_rng(request.seed))
        return GenerationResult(world.render(scene, request.frames), 12, (request.frames,), ((),), 0, 0.0, 0.0)


def test_captions_are_every_held_out_combination_once():
    captions = [world.parse_prompt(p) for p in pf.captions(64)]
    assert len({c.objects for c in captions}) == 64
    assert all(c.held_out for c in captions)
    assert {c.background for c in captions} == set(world.BACKGROUNDS)
    assert pf.captions(9) == pf.captions(64)[:9]
    assert len(set(pf.captions(256))) == 256
    with pytest.raises(RequestError, match="prompts is 257"):
        pf.captions(257)


def test_two_object_captions_are_distinct_and_held_out():
    captions = pf.captions(40, 2)
    assert len(set(captions)) == 40
    assert all(thing.held_out for c in captions for thing in world.parse_prompt(c).objects)


def test_rows_of_a_model():
    few, many = pf.cells(get_spec("shapes-asd"), [4, 2, 1], 1), pf.cells(get_spec("shapes-teacher"), [4, 2, 1], 1)
    assert [c.name for c in few] == ["shapes-asd 4", "shapes-asd 2", "shapes-asd 2*", "shapes-asd 1", "shapes-asd 1*"]
    assert len(many) == 1 and many[0].steps == get_spec("shapes-teacher").default_steps
    assert len({c.file for c in few + many}) == 6


def test_rows_from_a_picture_give_the_first_frame_of_a_real_clip(tmp_path):
    (cell,) = pf.cells(get_spec("shapes-asd"), [4], 1, image=True)
    assert cell.name == "shapes-asd 4 from a picture" and cell.file != replace(cell, image=False).file
    assert pf.cells(get_spec("shapes-teacher"), [4], 1, image=True) == []
    given = []

    def pipeline(request):
        given.append(request.image)
        return Renderer()(request)

    prompts = pf.captions(2)
    list(pf.run_cell(cell, prompts, pipeline, "w", folder=tmp_path, seed=5, frames=25))
    scenes = [
        world.sample_scene(world.parse_prompt(p), np.random.default_rng((5, i, pf.PICTURES)))
        for i, p in enumerate(prompts)
    ]
    assert all(np.array_equal(image, world.render(s, 1)[0]) for image, s in zip(given, scenes, strict=True))


def test_an_interrupted_run_goes_on_and_ends_the_same(tmp_path):
    cell, prompts = pf.Cell("m", 1, False, 1), pf.captions(4)
    settings = {"seed": 3, "frames": 25}
    whole = list(pf.run_cell(cell, prompts, Renderer(), "w", folder=tmp_path / "a", **settings))
    with pytest.raises(KeyboardInterrupt):
        list(pf.run_cell(cell, prompts, Renderer(limit=2), "w", folder=tmp_path / "b", **settings))
    path = tmp_path / "b" / cell.file
    path.write_text(path.read_text() + '{"index": 2, "pro')
    rest = Renderer()
    assert list(pf.run_cell(cell, prompts, rest, "w", folder=tmp_path / "b", **settings)) == whole
    assert rest.made == 2
    other_weights = Renderer()
    list(pf.run_cell(cell, prompts, other_weights, "w2", folder=tmp_path / "b", **settings))
    assert other_weights.made == 4


def test_a_perfect_model_and_a_random_one(tmp_path):
    prompts = pf.captions(6)
    settings = {"folder": tmp_path, "seed": 0, "frames": 25}
    real = pf.run_real(1, prompts, draw=0, **settings)
    perfect, random = pf.Cell("perfect", 1, False, 1), pf.Cell("random", 1, True, 1)
    good = list(pf.run_cell(perfect, prompts, Renderer(), "w", **settings))
    bad = list(pf.run_cell(random, prompts, tiny_pipeline(), "w", **settings))
    rows = [pf.row(perfect, good, real), pf.row(random, bad, real)]
    assert rows[0]["all_right"]["value"] == 1.0 and rows[0]["wrong"] == []
    assert rows[1]["name"] == "random 1*" and rows[1]["all_right"]["value"] == 0.0
    assert len(rows[1]["wrong"]) == 6 and all(w["reason"] for w in rows[1]["wrong"])
    assert rows[0]["frechet"]["value"] < rows[1]["frechet"]["value"]
    change = pf.difference("1", good, bad, real)
    assert change["all_right"]["value"] == 1.0 and change["frechet"]["high"] < 0
    report = {"command": "c", "date": "2025-01-01T00:00:00", "weights": {"m": "0" * 64}}
    text = markdown(json.loads(json.dumps({**report, "rows": rows, "differences": [change]})))
    assert "| perfect 1 | 1 | 6 | 100.0% (61.0% to 100.0%) | 100% | 100% | 100% | 100% | 100% |" in text
    assert "| 1 | +100.0% (+100.0% to +100.0%) | -" in text


def test_results_survive_json():
    result = pf.ClipResult(0, "p", 1, True, {"color": True}, "", [0.1, 0.2])
    assert pf.ClipResult(**json.loads(json.dumps(dataclasses.asdict(result)))) == result
