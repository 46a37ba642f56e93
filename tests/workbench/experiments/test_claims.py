"""The papers' claims: what is measured, how verdicts follow from intervals, and that an interrupted run goes on."""

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote_plus

import numpy as np
import pytest

from eval.statistics.intervals import Interval
from models.default_world import MEASURED
from models.registry import get_spec
from models.worlds import shapes as world
from models.worlds.captions import held_out_captions
from tests.helpers.page_words import found_in
from tests.helpers.tiny_models import tiny_pipeline
from workbench.__main__ import main
from workbench.experiments import claims_clips
from workbench.experiments.claims import CLAIMS, Claim, conditions
from workbench.experiments.claims_clips import (
    ClipMeasurer,
    Condition,
    Job,
    Measured,
    asked_of_long,
    path_correlation,
    plan_jobs,
    real_clip,
    recolored,
    run_jobs,
    turned,
)
from workbench.experiments.claims_report import build_report, markdown, told_interval
from workbench.scoring.resumable_jobs import read_done
from workbench.ui.pages.claims import checklist_table, read_report, see_it, systems_table

PROMPTS = held_out_captions("shapes", 4)


def some_claim() -> Claim:
    """A claim of the table that compares two conditions."""
    return next(claim for claim in CLAIMS if claim.id == "both-beat-asd")


def clip(condition: Condition, index: int, **values: float) -> Measured:
    return Measured(f"{condition.name}-{index}", condition.name, index, PROMPTS[index], values)


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((3.0, 1.0, 5.0), "confirmed"),
        ((3.0, -1.0, 7.0), "not confirmed"),
        ((-3.0, -5.0, -1.0), "reversed"),
        ((0.0, 0.0, 0.0), "not confirmed"),
    ],
)
def test_the_verdict_follows_from_the_interval(interval, verdict):
    assert CLAIMS[0].verdict(Interval(*interval, 64)) == verdict
    shifted = replace(CLAIMS[0], threshold=50.0)
    assert shifted.verdict(Interval(*(50 + value for value in interval), 64)) == verdict


def test_every_claim_is_complete_and_its_models_offer_what_it_asks_for():
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)
    for condition in conditions():
        spec = get_spec(condition.model)
        assert condition.steps in spec.steps and (not condition.first_steps or condition.first_steps in spec.steps)
        asked = {"picture": "i2v", "video": "v2v"}.get(condition.kind, "t2v")
        assert asked in spec.tasks, condition.name
    assert all(claim.text and claim.source and claim.published and claim.unit for claim in CLAIMS)


def test_differences_are_paired_by_caption_and_known_values_come_out():
    claim = some_claim()
    better, worse = claim.conditions
    clips = {
        better.name: [clip(better, i, right=float(i < 3)) for i in range(4)],
        worse.name: [clip(worse, i, right=float(i < 1)) for i in range(4)],
    }
    found = claim.measure(clips)
    assert found.value == pytest.approx(50.0) and found.n == 4 and found.low < 50 < found.high


def test_what_has_no_number_is_left_out_and_not_counted():
    claim = next(claim for claim in CLAIMS if claim.id == "aad1-drift")
    better, worse = claim.conditions
    clips = {
        better.name: [clip(better, 0, drift=1.0), clip(better, 1), clip(better, 2, drift=2.0)],
        worse.name: [clip(worse, 0, drift=2.0), clip(worse, 1, drift=9.0), clip(worse, 2, drift=4.0)],
    }
    found = claim.measure(clips)
    assert found.n == 2 and found.value == pytest.approx(1.5)  # less drift is better, so the sign is turned


def test_paths_that_agree_that_turn_back_and_that_are_missing():
    right, left = (real_clip(f"a red circle moving {way} on a black background", 0, 0) for way in ("right", "left"))
    assert path_correlation(right, right) == pytest.approx(1.0)
    assert path_correlation(right, right[::-1]) < -0.95
    assert path_correlation(right, np.zeros_like(right)) is None
    assert path_correlation(right, left) < -0.9


def test_the_recoloured_caption_differs_by_colour_alone():
    for prompt in PROMPTS:
        before, after = (world.parse_prompt(text).objects[0] for text in (prompt, recolored(prompt)))
        assert before.color != after.color and replace(before, color=after.color) == after


def test_turning_a_caption_changes_nothing_but_its_direction():
    for prompt in PROMPTS:
        before, after = (world.parse_prompt(text).objects[0] for text in (prompt, turned(prompt)))
        assert before.direction != after.direction and replace(before, direction=after.direction) == after
        assert turned(turned(prompt)) == prompt


def test_turning_clips_stay_in_the_picture():
    """48 frames there and 48 back: nothing is farther than in a clip of training, where all stays in view."""
    scene = world.sample_scene(world.parse_prompt(PROMPTS[0]), np.random.default_rng(0))
    switches = asked_of_long(Job(Condition("shapes-asd", 4, kind="turning"), 0, PROMPTS[0], PROMPTS[1], "w")).switches
    turns = [1 + 12 * (switch.chunk - 1) for switch in switches]
    assert turns == list(range(world.FRAMES, claims_clips.LONG_FRAMES, world.FRAMES - 1))
    assert [switch.prompt for switch in switches[:3]] == [turned(PROMPTS[0]), PROMPTS[0], turned(PROMPTS[0])]
    assert scene.objects[0].position(world.FRAMES - 1)[0] < world.SIZE
    straight = Job(Condition("shapes-asd", 4, kind="straight"), 0, PROMPTS[0], PROMPTS[1], "w")
    assert not asked_of_long(straight).switches


@pytest.fixture
def measurer(monkeypatch) -> ClipMeasurer:
    """Its only model has random weights, and long clips are short."""
    monkeypatch.setattr(claims_clips, "LONG_FRAMES", 97)
    return ClipMeasurer({"tiny-random": tiny_pipeline()})


@pytest.mark.parametrize("kind", ["text", "picture", "turning", "straight", "switch", "video", "steps"])
def test_every_kind_of_clip_is_made_and_measured_alike_twice(measurer, kind):
    condition = Condition("tiny-random", 2, 4, kind)
    job = Job(condition, 1, PROMPTS[1], PROMPTS[2], "weights")
    first, again = measurer(job), measurer(job)
    assert first == again and first.values and all(np.isfinite(value) for value in first.values.values())
    assert (len(first.features) == 36) == (kind in ("text", "picture"))
    expected = {"steps": "first_chunk", "turning": "right/0", "straight": "right/0"}.get(kind, "right")
    assert expected in first.values


def test_keys_change_with_whatever_decides_a_clip():
    job = Job(Condition("shapes-asd", 1), 0, PROMPTS[0], PROMPTS[1], "w")
    others = [
        replace(job, index=1),
        replace(job, prompt=PROMPTS[2]),
        replace(job, other=PROMPTS[2]),
        replace(job, weights="v"),
        replace(job, condition=Condition("shapes-asd", 1, 4)),
        replace(job, condition=Condition("shapes-asd", 1, kind="switch", cache="reset")),
    ]
    assert len({job.key, *(other.key for other in others)}) == 1 + len(others)


def test_what_takes_long_is_asked_of_few_captions():
    both = [Condition("shapes-asd", 1), Condition("shapes-asd", 4, kind="straight")]
    jobs = plan_jobs([*both, both[0]], PROMPTS, {"shapes-asd": "w"}, 2)
    assert [job.index for job in jobs] == [0, 1, 2, 3, 0, 1]
    assert all(job.other != job.prompt for job in jobs)


def test_an_interrupted_run_goes_on_and_a_torn_line_is_made_again(tmp_path):
    jobs = plan_jobs([Condition("shapes-asd", 1)], PROMPTS[:2], {"shapes-asd": "w"}, 2)
    file = tmp_path / "clips.jsonl"
    whole = {row.key: row for row in run_jobs(jobs, file, workers=1)}
    assert set(whole) == {job.key for job in jobs} == set(read_done(file, Measured))
    lines = file.read_text().splitlines(keepends=True)
    older = json.dumps({"key": "of a version that knew less"}) + "\n"
    file.write_text(lines[0] + older + lines[1][:40])
    assert len(read_done(file, Measured)) == 1
    again = {row.key: row for row in run_jobs(jobs, file, workers=1)}
    assert again == whole and len(read_done(file, Measured)) == 2


@pytest.fixture(scope="module")
def report() -> dict:
    claim = some_claim()
    better, worse = claim.conditions
    clips = {row.name: [clip(row, i, right=float(i < 2), shape=1.0) for i in range(4)] for row in (better, worse)}
    return build_report(
        [claim], clips, PROMPTS, 4, command="python -m workbench claims", date="2026-01-01", weights={}
    )


def test_the_report_holds_intervals_and_the_table_shows_them(report):
    (row,) = report["claims"]
    assert row["verdict"] == "not confirmed" and row["n"] == 4 and row["value"] == 0
    text = markdown(report)
    assert row["text"] in text and "1 not confirmed" in text and "toy-scale" in text
    table, systems = checklist_table(report), systems_table(report)
    assert table["rows"][0][0]["tone"] == "mute" and len(table["columns"]) == len(table["rows"][0])
    assert len(systems["rows"]) == 2 and len(systems["columns"]) == len(systems["rows"][0])
    assert systems["rows"][0][3].startswith("100.0 (")


def test_numbers_are_told_with_their_sign_only_where_they_are_differences():
    row = {"value": 3.14, "low": -1.0, "high": 7.2, "threshold": 0.0, "unit": "drift of sharpness"}
    assert told_interval(row) == "+3.1 (-1.0 to +7.2) drift of sharpness"
    assert told_interval({**row, "threshold": 50.0}) == "3.1 (-1.0 to 7.2) drift of sharpness, against 50"


def test_points_have_as_many_digits_in_every_row():
    small = {
        "value": 1.5625,
        "low": 0.0,
        "high": 3.90625,
        "threshold": 0.0,
        "unit": "points in the share of clips all right",
    }
    assert told_interval(small) == "+1.6 (0.0 to +3.9) points in the share of clips all right"
    assert told_interval({**small, "unit": "drift of sharpness"}) == "+1.562 (0.000 to +3.906) drift of sharpness"


def test_the_page_names_the_shipped_systems_as_everywhere_and_links_what_can_be_made():
    shipped = read_report(Path("nowhere"))
    names = [row[0] for row in systems_table(shipped)["rows"]]
    assert not [name for name in names if name.startswith("shapes-")]
    rows = checklist_table(shipped)["rows"]
    cells = [cell for row in [*rows, *systems_table(shipped)["rows"]] for cell in row]
    shown = [cell.get("text", "") if isinstance(cell, dict) else cell for cell in cells]
    assert found_in("\n".join(map(str, shown))) == []
    assert len(rows) == len(shipped["claims"]) and len(checklist_table(shipped, "reversed")["rows"]) == 1


@pytest.mark.parametrize(
    "conditions, href",
    [
        (["m 1*", "n 1"], "/compare?prompt={}&sides=m%3A1%2A%3Bn%3A1"),
        (["m 4, 30 s", "n 4, 30 s"], "/compare?prompt={}&frames=361&sides=m%3A4%3Bn%3A4"),
        (["m 4, 30 s"], "/generate?model=m&prompt={}&steps=4&ffe=0&frames=361"),
        (["m 1*, prompt switch (keep)"], "/generate?model=m&prompt={}&steps=1&ffe=4&switches={switch}&cache=keep"),
        (["m 4, step by step"], "/insight?model=m&prompts={}&steps=4"),
        (["m 4 from a video"], None),
        (["m 1 from a picture", "n 1 from a picture"], None),
    ],
)
def test_a_claim_leads_to_its_clips(conditions, href):
    found = see_it(conditions, 361)
    prompt, switch = quote_plus(MEASURED.prompt), quote_plus(f"2: {MEASURED.switch}")
    assert found.get("href") == (href and href.format(prompt, switch=switch)) and found["text"]


def test_the_page_prefers_what_was_measured_here(tmp_path, report):
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "claims.json").write_text(json.dumps({**report, "date": "2030-01-01"}))
    assert read_report(tmp_path)["date"] == "2030-01-01"


def test_the_command_lists_and_refuses(capsys):
    assert main(["claims", "--list", "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == [claim.id for claim in CLAIMS]
    for flags, said in (
        (["--claims", "nope"], "claim 'nope' is not in the table; choose of ffe-beats-asd"),
        (["--prompts", "1"], "--prompts 1 is too few"),
        (["--workers", "0"], "argument --workers: '0' is not a whole number from 1"),
    ):
        assert main(["claims", *flags]) == 2
        error = capsys.readouterr().err
        assert said in error and "Traceback" not in error
