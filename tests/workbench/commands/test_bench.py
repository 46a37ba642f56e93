"""The speed command: what it counts, and how time and memory of long clips are told."""

import json

import pytest
import torch

from models.networks.tiny_decoder import TinyDecoder
from models.pipeline import VideoPipeline
from models.types import GenerationRequest, RequestError
from tests.helpers.tiny_models import tiny_pipeline
from workbench.__main__ import main
from workbench.clips.generation import GenerationService
from workbench.clips.manifest import read_manifest
from workbench.lab.bench import (
    DECODES,
    PROMPT,
    ChunkCost,
    bench_model,
    count_flops,
    long_run,
    long_summary,
    machine_limit,
)
from workbench.lab.browser import find_chromium
from workbench.lab.browser_latency import first_picture_seconds

pytestmark = pytest.mark.alone


def test_operations_grow_with_the_steps_by_the_calls_they_add(tiny):
    """Every step of every chunk adds one network call, and calls of the same chunk cost the same."""
    one, two, three = (count_flops(tiny, GenerationRequest(PROMPT, steps, frames=49)) for steps in (1, 2, 3))
    assert 0 < one < two and three - two == two - one


def test_a_row_says_what_it_measured(tiny):
    row = bench_model(tiny, 1, ffe=True, frames=49, repeats=3)
    assert row["forwards"] == 12 and row["seconds"]["n"] == 3 and len(row["chunk_seconds"]) == 5
    assert sum(row["chunk_seconds"]) == pytest.approx(row["seconds"]["mean"])
    assert row["seconds"]["low"] <= row["seconds"]["mean"] <= row["seconds"]["high"]
    assert row["first_frame_seconds"]["mean"] == pytest.approx(row["chunk_seconds"][0])


def test_clips_are_timed_with_and_without_decoding(tiny):
    torch.manual_seed(0)
    pipeline = VideoPipeline(tiny.spec, tiny.transformer, tiny.text_encoder, tiny.codec, TinyDecoder(16, (4, 4, 4, 4)))
    rows = [bench_model(pipeline, 1, ffe=False, frames=13, repeats=2, decode=decode) for decode in DECODES]
    assert [row["decode"] for row in rows] == list(DECODES)
    assert all(row["forwards"] == 3 and len(row["chunk_seconds"]) == 2 for row in rows)
    assert all(row["seconds"]["mean"] > 0 for row in rows)


def test_long_runs_are_compared_about_the_tenth_chunk_and_at_the_end():
    costs = [ChunkCost(i, 0.1 if i < 20 else 0.2, 1000 + 10 * i) for i in range(40)]
    found = long_summary(costs)
    assert found["time_ratio"] == pytest.approx(2.0) and found["memory_growth"] == 300
    assert found["chunk_seconds_at_tenth"] == 0.1 and found["chunks"] == 40


def test_a_long_run_streams_exactly_its_chunks(tiny):
    costs = list(long_run(tiny, 1, ffe=False, chunks=32))
    assert [cost.index for cost in costs] == list(range(32)) and all(cost.seconds > 0 for cost in costs)


def test_a_matrix_product_has_a_speed():
    assert machine_limit(0.05) > 0.1


def test_the_command_measures_and_refuses(tmp_path, capsys):
    out = tmp_path / "b.json"
    flags = ["--models", "shapes-asd", "--steps", "1*", "--frames", "13", "--repeats", "2", "--out", str(out)]
    assert main(["bench", *flags]) == 0
    assert "| shapes-asd | 1* |" in capsys.readouterr().out
    assert 0 < json.loads(out.read_text())["rows"][0]["share_of_limit"] < 1.5
    for bad, said in (
        (["--steps", "x"], "--steps 'x' is no step count"),
        (["--steps", "9"], "steps is 9; self-forcing offers 1, 2, 3, 4"),
        (["--repeats", "1"], "--repeats 1 gives no interval"),
        (["--chunks", "5"], "--chunks 5 is too short"),
        (["--chunks", "30", "--models", "shapes-teacher", "--steps", "16"], "--chunks is for causal models"),
        (["--models", "nope"], "'nope' is not in the registry"),
    ):
        assert main(["bench", *bad]) == 2
        assert said in capsys.readouterr().err


def test_the_wait_in_a_browser_is_timed_for_every_click_but_the_first(tmp_path):
    try:
        find_chromium()
    except RequestError as error:
        pytest.skip(str(error))
    service = GenerationService(tmp_path, pipelines={"shapes-asd": tiny_pipeline(0)})
    found = first_picture_seconds(service, "shapes-asd", 1, ffe=True, frames=13, repeats=2)
    assert len(found) == 2 and all(0.01 < seconds < 60 for seconds in found)
    made = [read_manifest(path) for path in service.clips.glob("*.json")]
    assert sorted(clip.seed for clip in made) == [0, 1, 2] and all(clip.ffe and clip.steps == 1 for clip in made)
