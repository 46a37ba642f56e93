"""What commands read and write: nothing is lost, nothing passed over in silence, any name will do."""

import json
import os
import shutil
from pathlib import Path

import pytest

from models.types import RequestError
from workbench.__main__ import main
from workbench.commands.experiments.insight import _prompts as insight_prompts
from workbench.requests.prompt_files import read_prompts

CASES = Path(__file__).parents[2] / "cases"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """One clip, a deeper one, a note and two pictures; the working folder is there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips" / "a" / "b").mkdir(parents=True)
    for name in ("clips/top.mp4", "clips/a/b/deep.MP4"):
        shutil.copyfile(CASES / "base.mp4", tmp_path / name)
    for name in (
        "clips/one.png",
        "clips/two.PNG",
        "clips/note.txt",
        "clips/.hidden",
        "clips/.old.mp4",
        "clips/._top.mp4",
    ):
        (tmp_path / name).write_text("x")
    return tmp_path


def evaluate(capsys, *argv):
    code = main(["evaluate", *map(str, argv), "--metrics", "sharpness"])
    found = capsys.readouterr()
    return code, found.out, found.err


# --- outputs


@pytest.mark.parametrize("reached_by", ["clips/top.json", "clips/../clips/top.json", "link.json"])
def test_results_never_replace_what_is_read(capsys, folder, reached_by):
    table = folder / "clips" / "top.json"
    table.write_text('{"top.mp4": "a cat"}')
    (folder / "link.json").symlink_to(table)
    before = table.read_bytes()
    code, _, err = evaluate(capsys, "clips/top.mp4", "--prompt-file", table, "--out", reached_by, "--overwrite")
    assert code == 2 and "which is read here" in err and err.count("\n") == 1
    assert table.read_bytes() == before


@pytest.mark.parametrize("taken", ["scores.csv", "scores.frames.csv", "scores.drift.csv", "scores.jsonl"])
def test_results_that_exist_are_kept_unless_overwriting_is_asked(capsys, folder, taken):
    (folder / taken).write_text("mine")
    code, _, err = evaluate(capsys, "clips/top.mp4", "--out", "scores.csv")
    assert code == 2 and repr(taken) in err and "--overwrite" in err
    assert (folder / taken).read_text() == "mine" and len(list(folder.iterdir())) == 2
    assert evaluate(capsys, "clips/top.mp4", "--out", "scores.csv", "--overwrite")[0] == 0
    assert (folder / taken).read_text() != "mine"


def test_a_second_list_of_prompts_does_not_replace_the_clips_of_the_first(capsys, folder):
    Path("p.txt").write_text("a red circle moving right on a black background\n")
    argv = ["generate", "--steps", "1", "--frames", "13", "--prompts", "p.txt"]
    assert main([*argv, "--out-dir", "made"]) == 0
    before = Path("made/0000.mp4").read_bytes()
    assert main([*argv, "--out-dir", "made", "--seed", "4"]) == 2
    assert "'made/0000.mp4' exists" in capsys.readouterr().err and Path("made/0000.mp4").read_bytes() == before
    assert main([*argv, "--out-dir", "made", "--seed", "4", "--overwrite"]) == 0
    assert Path("made/0000.mp4").read_bytes() != before
    again = ["generate", "--from", "made/0000.json", "--out", "made/0000.mp4", "--overwrite"]
    assert main(again) == 2 and "which is read here" in capsys.readouterr().err


# --- folders


def test_what_a_folder_holds_beside_its_videos_is_told(capsys, folder):
    code, said, err = evaluate(capsys, "clips", "--json")
    assert code == 0 and [row["id"] for row in json.loads(said)["clips"]] == ["clips/top.mp4"]
    assert "1 video is scored; 1 in its sub-folders can be scored with --recursive" in err
    assert "no videos were passed over: 2 .png, 1 hidden .mp4, 1 .txt" in err


def test_sub_folders_are_scored_when_asked(capsys, folder):
    code, said, err = evaluate(capsys, "clips", "--recursive", "--json")
    assert code == 0 and "sub-folders" not in err
    assert [row["id"] for row in json.loads(said)["clips"]] == ["clips/top.mp4", "clips/a/b/deep.MP4"]


def test_a_folder_with_videos_only_below_says_so(capsys, folder):
    code, _, err = evaluate(capsys, "clips/a")
    assert code == 2 and "1 in its sub-folders can be scored with --recursive" in err


def test_a_name_that_is_not_utf_8_is_scored_like_any(capsys, folder):
    os.rename(b"clips/a/b/deep.MP4", b"clips/caf\xe9.mp4")
    code, _, err = evaluate(capsys, "clips", "--prompt-from-name", "--out", "scores.json", "--json")
    rows = json.loads(Path("scores.json").read_text())["clips"]
    assert code == 0 and "Unicode" not in err
    assert [(row["id"], row["prompt"]) for row in rows] == [
        (r"clips/caf\xe9.mp4", r"caf\xe9"),
        ("clips/top.mp4", "top"),
    ]
    first, second = (row["results"]["sharpness"]["value"] for row in rows)
    assert first == second is not None


# --- prompt files


def test_keys_that_match_no_clip_are_named(capsys, folder):
    Path("p.json").write_text('{"top": "a cat"}')
    code, _, err = evaluate(capsys, "clips/top.mp4", "--prompt-file", "p.json")
    assert code == 2 and "('top')" in err and "'top.mp4'" in err
    Path("p.json").write_text('{"top.mp4": "a cat", "gone.mp4": "a dog"}')
    code, said, err = evaluate(capsys, "clips/top.mp4", "--prompt-file", "p.json", "--json")
    assert code == 0 and "match no clip: 'gone.mp4'" in err
    assert json.loads(said)["clips"][0]["prompt"] == "a cat"


def test_no_command_keeps_the_mark_at_the_start_of_a_file(capsys, folder):
    Path("p.txt").write_text("\ufeffa cat\n\n  \na dog\n", encoding="utf-8")
    assert read_prompts(Path("p.txt")) == ["a cat", "a dog"]
    options = type("Options", (), {"prompt": None, "prompts": Path("p.txt")})
    assert insight_prompts(options) == ["a cat", "a dog"]
    Path("p.json").write_text('\ufeff{"top.mp4": "a cat"}', encoding="utf-8")
    _, said, _ = evaluate(capsys, "clips/top.mp4", "--prompt-file", "p.json", "--json")
    assert json.loads(said)["clips"][0]["prompt"] == "a cat"


def test_a_prompt_for_a_clip_is_given_once(capsys, folder):
    Path("p.json").write_text('{"top.mp4": "a cat", "top.mp4": "a dog"}')
    code, _, err = evaluate(capsys, "clips/top.mp4", "--prompt-file", "p.json")
    assert code == 2 and "the key 'top.mp4' is given twice" in err


@pytest.mark.parametrize("name, content", [("p.csv", "prompt,seed\na cat,1\n"), ("p.txt", '{"prompt": "a cat"}\n')])
def test_a_table_is_no_list_of_prompts(folder, name, content):
    Path(name).write_text(content)
    with pytest.raises(RequestError, match="looks like a table or JSON; give a text file with one prompt a line"):
        read_prompts(Path(name))


def test_a_study_of_cut_clips_says_so(capsys, folder):
    shutil.copyfile(CASES / "trunc_faststart.mp4", "cut.mp4")
    Path("s.yaml").write_text(
        "id: cut\ntitle: Which?\nclips:\n"
        "- {system: a, prompt: p, path: cut.mp4}\n- {system: b, prompt: p, path: clips/top.mp4}\n"
    )
    code = main(["studies", "add", "s.yaml", "--data-dir", "data"])
    err = capsys.readouterr().err
    assert code == 0 and "notice: 'cut.mp4': the file is cut short" in err and "'clips/top.mp4'" not in err
