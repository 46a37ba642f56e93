"""Votes as files and the `votes` command, against a real store."""

import json

import numpy as np
import pandas as pd
import pytest

from eval.preferences.simulation import World, simulate_votes
from eval.preferences.table import COLUMNS, FLAG_COLUMNS, check_votes, empty_table
from models.types import RequestError
from workbench.__main__ import main
from workbench.votes.files import ENDINGS, VoteTables, dictionary, read_votes, write_votes
from workbench.votes.preferences import Filters, study_report
from workbench.votes.voting import describe_system

HOSTILE = "=cmd|' /C calc'!A0, \"quoted\"\nsecond line <img src=x onerror=alert(1)> ${x} NA"


@pytest.fixture(scope="module")
def tables():
    world = World({"shapes-asd:1:4": 0.8, "shapes-asd:1:0": 0.1, "shapes-self-forcing:1:0": -0.9}, bad=0.2)
    votes = simulate_votes(world, np.random.default_rng(0), votes=120, annotators=6, prompts=10)
    votes.loc[0, "prompt"], votes.loc[1, "prompt"], votes.loc[2, "undone"] = HOSTILE, "NA", True
    flags = pd.DataFrame([("v000005", "left", 1.25, "freeze", "-stops")], columns=list(FLAG_COLUMNS))
    return VoteTables(check_votes(votes), flags)


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_come_back_as_they_went(tables, ending, tmp_path):
    written = write_votes(tmp_path / f"votes{ending}", tables)
    again = read_votes(written[0])
    pd.testing.assert_frame_equal(again.votes, tables.votes)
    assert again.flags.to_dict("records") == tables.flags.to_dict("records")
    assert all(path.exists() for path in written)


def test_a_mark_at_the_start_of_a_file_is_no_part_of_it(tables, tmp_path):
    for ending in (".json", ".csv"):
        (path, *_) = write_votes(tmp_path / f"votes{ending}", tables)
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        pd.testing.assert_frame_equal(read_votes(path).votes, tables.votes)


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_empty_study_is_a_file_too(ending, tmp_path):
    write_votes(tmp_path / f"votes{ending}", VoteTables(empty_table(COLUMNS), empty_table(FLAG_COLUMNS)))
    again = read_votes(tmp_path / f"votes{ending}")
    assert len(again.votes) == len(again.flags) == 0 and list(again.votes.columns) == list(COLUMNS)


def test_no_cell_of_a_csv_is_a_formula(tables, tmp_path):
    write_votes(tmp_path / "votes.csv", tables)
    cells = pd.read_csv(tmp_path / "votes.csv", dtype=str, keep_default_na=False)
    assert not cells.map(lambda text: text.startswith(("=", "+", "-", "@"))).any().any()


@pytest.mark.parametrize("sign", ["=", "\n=", "\t=", "\uff1d", "\uff0b"])
def test_a_comment_is_no_formula_and_comes_back_as_it_was(sign, tmp_path):
    flags = pd.DataFrame([("v000005", "left", 1.25, "freeze", f"{sign}1+1")], columns=list(FLAG_COLUMNS))
    written = write_votes(tmp_path / "votes.csv", VoteTables(empty_table(COLUMNS), flags))
    cells = [cell for path in written if path.suffix == ".csv" for cell in pd.read_csv(path, dtype=str).iloc[:, -1]]
    assert cells == [f"'{sign}1+1"]
    assert read_votes(written[0]).flags.to_dict("records") == flags.to_dict("records")


def test_the_dictionary_names_every_column(tables, tmp_path):
    write_votes(tmp_path / "votes.parquet", tables)
    told = json.loads((tmp_path / "votes.dictionary.json").read_text())
    assert told == dictionary() and list(told["votes"]) == list(tables.votes.columns)
    assert all(row["meaning"] for row in told["votes"].values())


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.csv", "x,y\n1,2\n", "holds no votes: the table has no column 'vote_id'"),
        ("a.json", "{}", "its format is not"),
        ("a.json", "[", "holds no votes"),
        ("a.json", '{"format": "asd-workbench votes", "version": 9}', "its version is '9'"),
        ("a.json", '{"format": "asd-workbench votes", "version": 1, "votes": 3}', "not a list of objects"),
        ("a.parquet", "no parquet", "holds no votes"),
        ("a.txt", "", "has no known ending"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(name, content, message, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(RequestError, match=message):
        read_votes(tmp_path / name)
    with pytest.raises(RequestError, match="cannot be read"):
        read_votes(tmp_path / "missing.csv")


def test_import_is_idempotent_and_export_gives_it_back(tables, tmp_path, capsys):
    write_votes(tmp_path / "votes.csv", tables)
    store = ["--data-dir", str(tmp_path / "data")]
    assert main(["votes", "import", str(tmp_path / "votes.csv"), "--json", *store]) == 0
    assert json.loads(capsys.readouterr().out) == {"rows": 120, "flags": 1, "known": 0}
    assert main(["votes", "import", str(tmp_path / "votes.csv"), "--json", *store]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 0
    assert main(["votes", "export", "--out", str(tmp_path / "again.json"), *store]) == 0
    again = read_votes(tmp_path / "again.json")
    pd.testing.assert_frame_equal(again.votes, tables.votes)
    assert len(again.flags) == 1
    capsys.readouterr()
    for source in (store, ["--file", str(tmp_path / "votes.csv")]):
        assert main(["votes", "stats", "--json", *source]) == 0
    first, second = capsys.readouterr().out.split("\n}\n{")
    assert json.loads(first + "\n}") == json.loads("{" + second)


def test_stats_of_nothing_and_of_a_wrong_question(tmp_path, tables, capsys):
    assert main(["votes", "stats", "--data-dir", str(tmp_path)]) == 0
    assert "No votes yet." in capsys.readouterr().out
    write_votes(tmp_path / "votes.json", tables)
    assert main(["votes", "stats", "--file", str(tmp_path / "votes.json"), "--question", "taste"]) == 2
    assert "choose one of overall" in capsys.readouterr().err
    assert main(["votes", "stats", "--least-checks", "7"]) == 2


def test_stats_are_readable(tmp_path, tables, capsys):
    write_votes(tmp_path / "votes.json", tables)
    assert main(["votes", "stats", "--file", str(tmp_path / "votes.json")]) == 0
    told = capsys.readouterr().out
    for part in ("was preferred to", "Elo (95 %)", "Krippendorff's alpha", "119 votes count", "1 undone"):
        assert part in told


def test_simulations_tell_what_they_found(capsys):
    assert main(["votes", "recovery", "--runs", "2", "--votes", "200"]) == 0
    assert "of 2 simulated studies" in capsys.readouterr().out
    assert main(["votes", "pairing", "--runs", "1", "--width", "0.8"]) == 0
    assert capsys.readouterr().out.startswith("| systems | votes, uniform pairs |")
    assert main(["votes", "recovery", "--runs", "0"]) == 2


def test_a_report_counts_what_it_leaves_out(tables):
    votes = tables.votes.copy()
    votes.loc[10:14, "check_kind"] = "identical"
    votes.loc[10:14, "right_system"] = votes.loc[10:14, "left_system"]
    votes.loc[10:14, ["answer", "winner"]] = ["a", "left"]
    careless = set(votes.loc[10:14, "annotator"])
    report = study_report(votes, tables.flags, Filters(least_checks=0.5))
    assert set(report.excluded_annotators) == careless
    assert report.votes + report.undone + report.checks + report.excluded == report.stored == 120
    assert study_report(votes, tables.flags).excluded == 0
    assert [flag[1:] for flag in report.flags] in ([("freeze", 1)], [])


def test_the_report_is_json(tables):
    plain = json.loads(json.dumps(study_report(tables.votes, tables.flags).to_json(), allow_nan=False))
    assert plain["votes"] == 119 and len(plain["ratings"]["rows"]) == 3 and len(plain["duels"]) == 3
    most = max(plain["duels"], key=lambda duel: sum(duel["rate"][name] for name in ("wins", "losses", "ties", "bad")))
    assert all(describe_system(most["rate"][name]) in plain["headline"] for name in ("first", "second"))
