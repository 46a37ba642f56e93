"""Pairs of systems as files that pandas and LaTeX take as they are, and the sentence that the votes come to."""

import io
import re

import numpy as np
import pandas as pd
import pytest

from eval.preferences.simulation import World, simulate_votes
from eval.preferences.table import FLAG_COLUMNS, check_votes, empty_table
from tests.helpers.latex_reader import cells_of
from workbench.common.latex import escape, tabular
from workbench.votes.findings import finding
from workbench.votes.pair_files import pair_latex, pair_table
from workbench.votes.preferences import Report, study_report


def report_of(strengths: dict[str, float], votes: int, annotators: int = 12) -> Report:
    made = simulate_votes(World(strengths), np.random.default_rng(3), votes=votes, annotators=annotators, prompts=10)
    return study_report(check_votes(made), empty_table(FLAG_COLUMNS))


@pytest.fixture(scope="module")
def clear() -> Report:
    return report_of({"good": 1.5, "poor": -1.5}, 200)


@pytest.fixture(scope="module")
def three() -> Report:
    return report_of({"a_b 100%": 1.0, "c&d": 0.0, "e#{f}": -1.0}, 150)


def test_a_clear_preference_is_said_with_its_votes_and_interval(clear):
    (duel,) = clear.duels
    share = duel.rate.decisive
    told = finding(clear.duels, clear.votes, "good")
    won = f"{100 * duel.rate.wins / share.n:.0f} % of {share.n} decisive votes"
    assert told.startswith(f"good was preferred to poor in {won}")
    assert f"(95 % interval {100 * share.low:.0f} to {100 * share.high:.0f} %)" in told
    assert finding(clear.duels, clear.votes, "poor").startswith("poor was preferred to good in ")


def test_an_open_question_is_called_undecided_and_one_annotator_decides_nothing():
    close = report_of({"one": 0.0, "two": 0.0}, 60)
    assert finding(close.duels, close.votes).startswith("Undecided: ")
    alone = report_of({"good": 1.5, "poor": -1.5}, 200, annotators=1)
    assert alone.duels[0].rate.decisive.low > 0.5 and finding(alone.duels, alone.votes).startswith("Undecided: ")
    assert finding((), 0) == "No votes yet." and finding((), 3) == "No votes with a winner yet."


def test_the_other_pairs_of_a_system_are_counted(three):
    told = finding(three.duels, three.votes, "c&d", str.upper)
    ahead, behind, undecided = map(int, re.search(r"ahead in (\d), behind in (\d), and (\d) ", told).groups())
    assert ahead + behind + undecided == 2 and "Of all 2 pairs of C&D" in told


def test_pandas_reads_the_pairs_back_and_pairs_without_votes_are_there(three):
    table = pair_table(three, ["unseen"])
    assert len(table) == 6 and table.loc[table["second"] == "unseen", "n"].eq(0).all()
    assert table["n"].sum() == three.votes
    assert (table["won"] + table["lost"] + table["no_difference"] + table["both_bad"]).equals(table["n"])
    back = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    pd.testing.assert_frame_equal(back, table, check_dtype=False)


def test_latex_takes_the_pairs_as_they_are(three):
    heads, *rows = cells_of(pair_latex(pair_table(three), str, "Study 100% real"))
    assert len(rows) == 3 and heads[0] == "System"
    assert rows[0][:2] == [r"a\_b 100\%", r"c\&d"]


@pytest.mark.parametrize("text", ["50% of {a_b} & #1", r'back\slash ~ ^ <tag> | "quoted"', "plain"])
def test_any_text_may_stand_in_a_cell(text):
    _, (cell,) = cells_of(tabular("l", ["Head"], [[escape(text)]]))
    assert cell == escape(text)
