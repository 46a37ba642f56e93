"""The check of the tabletop oracle: its counts, what it makes wrong, and the command."""

import json

import pytest

from eval.tabletop import reading
from eval.tabletop.oracle import ThingVerdict, Verdict
from eval.tabletop.prompt import Thing
from workbench.__main__ import main
from workbench.scoring.oracle_quality import WRONG, Tally, draw_clips, measure_oracle

CLEARLY_RIGHT = {"the solids blurred, 2 px", "the solids blurred, 4 px"}  # the words are right all the same


def test_verdicts_are_counted_by_attribute_and_word():
    ball = Thing("red", "ball", "left")
    right = Verdict(True, "", True, True, True, (ThingVerdict(ball, True, True, True, ball),), "grass")
    seen = Thing("red", "cube", "left")
    wrong = Verdict(False, "why", True, True, True, (ThingVerdict(ball, False, False, True, seen),), "grass")
    tally = Tally()
    for verdict in (right, wrong, wrong):
        tally.add("a red ball rolling left over grass", verdict, 0.5)
    rows = {row["attribute"]: (row["right"], row["n"]) for row in tally.rows()}
    expected = {"all": (1, 3), "color": (1, 3), "solid": (1, 3), "direction": (3, 3), "ground": (3, 3)}
    assert rows == expected | {"count": (3, 3), "sharp": (3, 3)}
    assert tally.reasons == ["a red ball rolling left over grass: why"] * 2 and tally.seconds == 1.5
    columns, counts = tally.confusion("solid")
    assert dict(zip(columns, counts[0], strict=True)) == {"ball": 1, "cube": 2, "cylinder": 0, "cone": 0}
    columns, counts = tally.confusion("color")
    assert dict(zip(columns, counts[0], strict=True))["changes"] == 2  # mostly red, and yet not red for long enough


def test_nothing_made_wrong_passes():
    found = measure_oracle(draw_clips(1, 1, seed=4, frames=25))
    assert found.tally.right == 1 and set(found.passed) == set(WRONG) - {"one solid too many"}
    assert {name for name, (passed, _) in found.passed.items() if passed} <= CLEARLY_RIGHT
    two = measure_oracle(draw_clips(1, 2, seed=4, frames=25), ["one solid too many"])
    assert two.passed == {"one solid too many": (0, 1)}


def test_the_command_counts_what_it_draws(capsys):
    argv = ["tabletop-oracle", "--clips", "1", "--objects", "1", "--frames", "13", "--json"]
    assert main(argv) == 0
    rows = json.loads(capsys.readouterr().out)
    by_attribute = {row["attribute"]: row for row in rows}
    assert [row["n"] for row in rows] == [1] * 7
    assert sum(map(sum, by_attribute["solid"]["counts"])) == 1
    assert by_attribute["all"]["seconds_per_clip"] > 0


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--clips", "0"], "--clips 0 is too low; give 1 or more"),
        (["--frames", "48"], "--frames 48 is not 4k + 1"),
        (["--weights", "nowhere"], "holds no config.json"),
    ],
)
def test_bad_input_is_told_in_one_line(capsys, argv, words):
    assert main(["tabletop-oracle", *argv]) == 2
    assert words in capsys.readouterr().err


@pytest.fixture
def own_tables(tmp_path, monkeypatch):
    """Where the oracle reads its tables from, once they are there."""
    monkeypatch.setattr(reading, "TABLES", tmp_path / "tables.npz")
    reading.tables.cache_clear()
    yield reading.TABLES
    reading.tables.cache_clear()


def test_an_oracle_fitted_from_nothing_is_right_about_clips_it_has_not_seen(own_tables):
    argv = ["lab", "oracle-fit", "--clips", "24", "--seed", "5", "--rendered-only", "--out", str(own_tables)]
    assert main(argv) == 0
    found = measure_oracle(draw_clips(6, 1, seed=6, frames=25))
    right = sum(found.tally.attributes["color"]), sum(found.tally.attributes["ground"])
    assert right == (6, 6) and sum(found.tally.attributes["solid"]) >= 4  # of four kinds, from so few clips
