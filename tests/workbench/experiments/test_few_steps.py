"""The table of few steps: its captions and systems, and the command on rendered clips."""

import json
from dataclasses import replace
from io import BytesIO
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from eval.realism.real_clips import FRECHET
from models.registry import get_spec
from models.types import RequestError
from models.worlds.captions import held_out_captions
from models.worlds.tabletop.grammar import GROUNDS, parse_prompt
from models.worlds.training_worlds import WORLDS
from workbench.__main__ import main
from workbench.experiments import few_steps
from workbench.experiments.few_steps import ORACLE, ClipMeasurer, build_table, plan_jobs, plans_of, real_clip
from workbench.experiments.strip import EDGE, shown_frames, strip_png


def test_captions_are_held_out_and_spread_over_grounds():
    captions = held_out_captions("tabletop", 128)
    meant = [parse_prompt(caption) for caption in captions]
    assert len(set(captions)) == 128 and all(caption.objects[0].held_out for caption in meant)
    counts = [sum(caption.ground == ground for caption in meant) for ground in GROUNDS]
    assert max(counts) - min(counts) <= 2
    assert held_out_captions("tabletop", 10) == captions[:10]
    assert len(set(held_out_captions("tabletop", 384))) == 384
    with pytest.raises(RequestError, match="385 captions are too many; there are 384"):
        held_out_captions("tabletop", 385)


def test_a_model_has_a_row_for_each_way():
    found = [str(system) for system in plans_of(get_spec("shapes-asd"))]
    assert found == [f"shapes-asd:{plan}" for plan in ("1", "1*", "2", "2*", "4")]
    assert [planned.steps for planned in plans_of(get_spec("shapes-teacher"))] == [16]


@pytest.mark.parametrize("world", WORLDS)
def test_draws_of_a_caption_differ_and_come_again(world):
    caption = held_out_captions(world, 1)[0]
    first, again, other = (real_clip(world, caption, 0, draw, 1) for draw in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


def test_what_decides_a_clip_decides_its_key():
    systems = [planned for planned in plans_of(get_spec("shapes-asd")) if planned.steps == 1]

    def keys(weights, seed=0):
        return {job.key for job in plan_jobs("shapes", systems, ["a", "b"], {"shapes-asd": weights}, seed, 9)}

    assert len(keys("x")) == 8  # reference, real clips, 1 and 1*
    assert len(keys("x") & keys("y")) == 4 and not keys("x") & keys("x", seed=5)


def test_a_second_call_only_adds(capsys, tmp_path):
    argv = ["few-steps", "--systems", "--captions", "18", "--frames", "1", "--workers", "1", "--data-dir", tmp_path]

    def rows(*more):
        assert main([str(word) for word in [*argv, *more, "--overwrite", "--json"]]) == 0
        return json.loads(capsys.readouterr().out)

    first = rows()
    lines = (tmp_path / "few-steps" / "clips.jsonl").read_bytes()
    assert list(dict.fromkeys(row["system"] for row in first)) == ["real clips", "reconstructions"]
    assert all(row["low"] <= row["mean"] <= row["high"] and row["n"] == 18 for row in first)
    assert rows() == first and (tmp_path / "few-steps" / "clips.jsonl").read_bytes() == lines
    report = json.loads((tmp_path / "few-steps" / "few-steps.json").read_text())
    assert {(row["system"], row["frame"]) for row in report["drift"]} == {("real clips", 0), ("reconstructions", 0)}
    chart = (tmp_path / "few-steps" / "drift.html").read_text()
    assert "real clips" in chart and '"https://' not in chart.rpartition("<script")[2]
    assert not (tmp_path / "few-steps" / "strip.png").exists()
    assert rows("--strip", "2") == first
    with Image.open(tmp_path / "few-steps" / "strip.png") as picture:
        shown = np.asarray(picture.convert("RGB"))
    real = real_clip("tabletop", held_out_captions("tabletop", 18)[2], 2, 1, 1)[0]
    left, height = shown.shape[1] - EDGE - 128, shown.shape[0] - 2 * (128 + EDGE)
    np.testing.assert_array_equal(shown[height : height + 128, left : left + 128], real)
    names = {row["system"] for row in report["differences"]}
    assert names == {"real clips - reconstructions"} and FRECHET in {row["metric"] for row in report["differences"]}


def test_a_strip_shows_the_start_more_closely_and_every_row_where_it_belongs():
    assert shown_frames(49) == [0, 3, 9, 17, 26, 37, 48] and shown_frames(1) == [0]
    rng = np.random.default_rng(0)
    clips = [(f"system {row}", rng.integers(0, 256, (49, 32, 48, 3), np.uint8)) for row in range(3)]
    with Image.open(BytesIO(strip_png("a red ball", clips))) as picture:
        shown = np.asarray(picture)
    top, left = shown.shape[0] - 3 * (32 + EDGE), shown.shape[1] - 7 * (48 + EDGE)
    for row, (_, clip) in enumerate(clips):
        for column, place in enumerate(shown_frames(49)):
            y, x = top + row * (32 + EDGE), left + column * (48 + EDGE)
            np.testing.assert_array_equal(shown[y : y + 32, x : x + 48], clip[place])
    assert (shown[top : top + 32, :left] < 255).any(), "a row has its label"
    with pytest.raises(ValueError, match="2 sizes of clips are given"):
        strip_png("a red ball", [clips[0], ("other", clips[1][1][:9])])


def test_the_oracle_judges_a_long_clip_four_seconds_at_a_time(tmp_path):
    prompts = held_out_captions("tabletop", 18)
    short, long = (plan_jobs("tabletop", [], prompts, {}, 0, frames)[-1] for frames in (49, 97))
    measure = ClipMeasurer(tmp_path, "cpu")
    assert measure(short).windows == [] and measure(long).windows == [True, True]
    clips = [measure(job) for job in plan_jobs("tabletop", [], prompts, {}, 0, 1)]
    lost = [replace(each, windows=(True, each.index % 4 > 0, None)) for each in clips]
    shares = [row for row in build_table(lost, resamples=2).drift if row.metric == ORACLE]
    assert [(row.frame, row.mean, row.n) for row in shares] == [(0, 1.0, 18), (48, pytest.approx(13 / 18), 18)]


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--captions", "17"], "--captions 17 is too low; give 18 or more"),
        (["--strip", "128"], "--strip 128 is no caption; they are 0 to 127"),
        (["--frames", "8"], "--frames 8 is not 4k + 1"),
        (["--systems", "asd"], "'asd' is not a system"),
        (["--systems", "shapes-asd:1"], "makes no clips of the tabletop world"),
        (
            ["--systems", "path:my.pt:1*"],
            "'path:my.pt' is of no world that ships, so there are no real clips",
        ),
        (["--systems", "rcm-wan-1.3b:1"], "make them by `sweep --models rcm-wan-1.3b` and score them by `evaluate`"),
        (["--world", "shapes", "--systems", "shapes-asd:9"], "shapes-asd:9 is not offered; choose steps of 1, 2"),
    ],
)
def test_bad_input_is_told_in_one_line(capsys, tmp_path, argv, words):
    assert main(["few-steps", "--data-dir", str(tmp_path), *argv]) == 2
    assert words in capsys.readouterr().err


def test_the_markdown_tells_every_system_and_the_differences_that_papers_speak_of():
    systems = ["real clips", "self-forcing:1", "self-forcing:2", "asd:1", "asd:1*"]
    rows = [
        {"system": system, "metric": metric, "mean": 0.5, "low": 0.25, "high": 0.75, "n": 20}
        for system in systems
        for metric in ("frechet", "spectrum_distance", "oracle")
    ]
    pairs = [f"{first} - {second}" for first, second in combinations(systems, 2)]
    differences = [
        {"system": pair, "metric": metric, "mean": 1.0, "low": -1.0, "high": 3.0, "n": 20}
        for pair in pairs
        for metric in ("frechet", "spectrum_distance")
    ]
    facts = {"captions": 20, "command": "few-steps", "date": "2026-01-02", "weights": {"asd": "a" * 64}}
    text = few_steps.markdown(facts | {"rows": rows, "differences": differences})
    assert "| ASD 1* | 0.50 (0.25 to 0.75) | 0.50 (0.25 to 0.75) | not measured | 50 % (25 to 75) |" in text
    told = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ") and " minus " in line]
    assert told == [
        "Self Forcing (baseline) 1 minus ASD 1",
        "Self Forcing (baseline) 2 minus ASD 1*",
        "ASD 1 minus ASD 1*",
    ]
