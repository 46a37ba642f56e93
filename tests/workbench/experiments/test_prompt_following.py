"""Prompt following: a fixed list of held-out captions, rows that hold, runs that resume."""

import json

import numpy as np
import pytest

from models.registry import get_spec
from models.types import GenerationResult, RequestError
from models.worlds import shapes as world
from models.worlds.captions import held_out_captions
from tests.helpers.tiny_models import tiny_pipeline
from workbench.experiments.prompt_following_report import markdown
from workbench.scoring import prompt_following as pf


class Renderer:
    """A perfect model: draws what the prompt says."""

    def __call__(self, request):
        scene = world.sample_scene(world.parse_prompt(request.prompt), np.random.default_rng(request.seed))
        return GenerationResult(world.render(scene, request.frames), 12, (request.frames,), ((),), 0, 0.0, 0.0)


def test_captions_are_every_held_out_combination_once():
    captions = [world.parse_prompt(p) for p in held_out_captions("shapes", 64)]
    assert len({c.objects for c in captions}) == 64
    assert all(c.held_out for c in captions)
    assert {c.background for c in captions} == set(world.BACKGROUNDS)
    assert held_out_captions("shapes", 9) == held_out_captions("shapes", 64)[:9]
    assert len(set(held_out_captions("shapes", 256))) == 256
    with pytest.raises(RequestError, match="257 captions are too many; there are 256"):
        held_out_captions("shapes", 257)


def test_two_object_captions_are_distinct_and_held_out():
    captions = held_out_captions("shapes", 40, 2)
    assert len(set(captions)) == 40
    assert all(thing.held_out for c in captions for thing in world.parse_prompt(c).objects)


def test_rows_of_a_model():
    few, many = pf.cells(get_spec("shapes-asd"), [4, 2, 1], 1), pf.cells(get_spec("shapes-teacher"), [4, 2, 1], 1)
    assert [c.name for c in few] == ["shapes-asd 4", "shapes-asd 2", "shapes-asd 2*", "shapes-asd 1", "shapes-asd 1*"]
    assert len(many) == 1 and many[0].steps == get_spec("shapes-teacher").default_steps
    prompts = held_out_captions("shapes", 3)
    jobs = [job for cell in few + many for job in pf.cell_jobs(cell, prompts, "w", seed=5, frames=25, world="shapes")]
    assert len({job.key for job in jobs}) == 18 and [job.seed for job in jobs[:3]] == [5, 6, 7]
    others = pf.cell_jobs(few[0], prompts, "w2", seed=5, frames=25, world="shapes")
    assert not {job.key for job in jobs} & {job.key for job in others}


def test_rows_from_a_picture_give_the_first_frame_of_a_real_clip():
    (cell,) = pf.cells(get_spec("shapes-asd"), [4], 1, image=True)
    assert cell.name == "shapes-asd 4 from a picture"
    assert pf.cells(get_spec("shapes-teacher"), [4], 1, image=True) == []
    given = []

    def pipeline(request):
        given.append(request.image)
        return Renderer()(request)

    prompts = held_out_captions("shapes", 2)
    for job in pf.cell_jobs(cell, prompts, "w", seed=5, frames=25, world="shapes"):
        pf.make_clip(job, pipeline)
    scenes = [
        world.sample_scene(world.parse_prompt(p), np.random.default_rng((5, i, pf.PICTURES)))
        for i, p in enumerate(prompts)
    ]
    assert all(np.array_equal(image, world.render(s, 1)[0]) for image, s in zip(given, scenes, strict=True))


def test_a_run_in_processes_is_remembered_and_equals_one_without(tmp_path, monkeypatch):
    prompts, settings = held_out_captions("shapes", 3), {"seed": 3, "frames": 25, "world": "shapes"}
    jobs = [job for draw in (0, 1) for job in pf.real_jobs(1, prompts, draw=draw, **settings)]
    file = tmp_path / "clips.jsonl"
    found = {result.key: result for result in pf.run_jobs(jobs, file, workers=2)}
    assert found == {job.key: pf.ClipJudge("cpu")(job) for job in jobs} and len(found) == 6
    monkeypatch.setattr(pf, "ClipJudge", lambda device: None)  # nothing is left to do
    assert {result.key: result for result in pf.run_jobs(jobs, file, workers=1)} == found


def test_a_perfect_model_and_a_random_one():
    prompts = held_out_captions("shapes", 6)
    settings = {"seed": 0, "frames": 25, "world": "shapes"}
    real = [pf.ClipJudge("cpu")(job) for job in pf.real_jobs(1, prompts, draw=0, **settings)]
    perfect, random = pf.Cell("perfect", 1, False, 1), pf.Cell("random", 1, True, 1)

    def made(cell, pipeline):
        jobs = pf.cell_jobs(cell, prompts, "w", **settings)
        return [pf.judge_clip(job, pf.make_clip(job, pipeline)) for job in jobs]

    good, bad = made(perfect, Renderer()), made(random, tiny_pipeline())
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
