"""`python -m workbench evaluate`: what it takes, what it writes, what it refuses."""

import csv
import json
import time

import numpy as np
import pandas as pd
import pytest

from eval.degradations import clean_clip
from eval.evaluator import ClipScores
from eval.vbench.results import PROVENANCE
from models.types import GenerationRequest
from tests.conftest import PROMPT
from tests.helpers.vbench_weights import save, small_dino
from workbench.__main__ import main
from workbench.clips.media import encode_mp4
from workbench.clips.search import find_clips
from workbench.scoring.journal import ScoreJournal

QUICK = "temporal_flickering,sharpness"


@pytest.fixture(scope="module")
def clip():
    return clean_clip()


@pytest.fixture
def folder(tmp_path, clip):
    """Two clips, one of a single frame, one file that only has the name of a video, and a note."""
    folder = tmp_path / "clips"
    folder.mkdir()
    encode_mp4(clip, 16, folder / "a dog-0.mp4")
    encode_mp4(clip[::-1], 16, folder / "a cat-0.mp4")
    encode_mp4(clip[:1], 16, folder / "one.mp4")
    (folder / "renamed.mp4").write_text("I am text")
    (folder / "note.txt").write_text("hello")
    return folder


def run(capsys, *argv):
    code = main(["evaluate", *map(str, argv)])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_a_folder_with_a_bad_file_is_scored_with_the_reason(capsys, folder, tmp_path):
    out = tmp_path / "out" / "scores.json"
    code, said, err = run(capsys, folder, "--metrics", QUICK, "--out", out)
    assert code == 0
    assert "4 clips, 1 skipped" in said and "| sharpness | 3 |" in said
    assert "renamed.mp4" in err and "Traceback" not in err
    document = json.loads(out.read_text())
    names = [row["id"].rpartition("/")[2] for row in document["clips"]]
    assert names == ["a cat-0.mp4", "a dog-0.mp4", "one.mp4", "renamed.mp4"]
    assert "cannot be read as a video" in document["clips"][3]["skipped"]
    assert "one frame" in document["clips"][2]["results"]["temporal_flickering"]["reason"]
    assert len(document["clips"][0]["results"]["sharpness"]["per_frame"]) == 32
    assert {row["metric"] for row in document["clips"][0]["drift"]} == set(QUICK.split(","))


@pytest.mark.parametrize("suffix, read", [(".csv", pd.read_csv), (".parquet", pd.read_parquet)])
def test_tables_hold_clips_frames_and_drift(capsys, folder, tmp_path, suffix, read):
    out = tmp_path / f"scores{suffix}"
    assert run(capsys, folder, "--metrics", QUICK, "--out", out)[0] == 0
    clips, frames, drift = (read(out.with_suffix(f"{part}{suffix}")) for part in ("", ".frames", ".drift"))
    assert (len(clips), len(frames), len(drift)) == (4, 32 + 32 + 1, 4)
    mean = frames.groupby("clip")["sharpness"].mean()
    assert mean[clips["clip"][0]] == pytest.approx(clips["sharpness"][0], rel=1e-12)


def test_precision_is_told_by_the_version_and_never_resumed_into_another(capsys, folder, tmp_path):
    clip, out = folder / "a cat-0.mp4", tmp_path / "scores.json"
    save(tmp_path / "weights", "dino_b16", small_dino(0).state_dict())
    asked = [clip, "--metrics", "subject_consistency", "--weights", tmp_path / "weights", "--out", out]
    found = []
    for precision, more in (("float32", ()), ("bfloat16", ("--resume",))):
        assert run(capsys, *asked, "--precision", precision, *more)[0] == 0
        (row,) = json.loads(out.read_text())["clips"]
        found.append((row["results"]["subject_consistency"]["value"], row["versions"]["subject_consistency"]))
    (exact, one), (rounded, other) = found
    assert other == f"{one}-bfloat16" and 0 < abs(exact - rounded) < 0.01


def test_json_on_standard_output_is_json(capsys, folder):
    code, said, _ = run(capsys, folder / "a cat-0.mp4", "--metrics", QUICK, "--json")
    assert code == 0 and json.loads(said)["summary"][0]["metric"] == "temporal_flickering"


def test_the_default_needs_no_weights(capsys, folder):
    code, said, _ = run(capsys, folder / "a cat-0.mp4", "--json")
    results = json.loads(said)["clips"][0]["results"]
    assert code == 0 and {"warping_error", "motion_smoothness_flow", "blockiness"} < set(results)
    # metrics that ask for something of the prompt say so
    without = {name: result["reason"] for name, result in results.items() if result["value"] is None}
    assert set(without) <= {"texture_spectrum_distance", "tabletop_right"} and all(without.values())


def test_a_metric_without_its_weights_is_in_the_result_with_the_reason(capsys, folder, tmp_path):
    argv = [folder / "a cat-0.mp4", "--metrics", "sharpness,imaging_quality", "--weights", tmp_path, "--json"]
    code, said, _ = run(capsys, *argv)
    results = json.loads(said)["clips"][0]["results"]
    assert code == 0 and results["sharpness"]["value"] and "MB" in results["imaging_quality"]["reason"]


def test_prompts_come_from_flag_file_and_name(capsys, folder, tmp_path):
    def prompts(*argv):
        _, said, _ = run(capsys, folder / "a cat-0.mp4", "--metrics", "sharpness", "--json", *argv)
        return json.loads(said)["clips"][0]["prompt"]

    table = tmp_path / "prompts.json"
    table.write_text(json.dumps({"a cat-0.mp4": "a cat on a mat"}))
    assert prompts() == ""
    assert prompts("--prompt", "a bird") == "a bird"
    assert prompts("--prompt-file", table) == "a cat on a mat"
    assert prompts("--prompt-from-name") == "a cat"


def test_vbench_files_hold_only_what_vbench_computes(capsys, folder, tmp_path):
    argv = ["--metrics", f"{QUICK},dynamic_degree_flow", "--vbench-out", tmp_path / "vb", "--prompt-from-name"]
    assert run(capsys, folder, *argv)[0] == 0
    found = json.loads((tmp_path / "vb" / "results_eval_results.json").read_text())
    assert len(found["temporal_flickering"][1]) == 2
    assert {*found} == {"temporal_flickering", PROVENANCE}
    info = json.loads((tmp_path / "vb" / "results_full_info.json").read_text())
    assert "a cat" in [row["prompt_en"] for row in info]


def test_an_interrupted_run_goes_on(capsys, folder, tmp_path):
    out = tmp_path / "scores.csv"
    run(capsys, folder, "--metrics", QUICK, "--out", out)
    journal = out.with_suffix(".jsonl")
    lines = journal.read_text().splitlines()
    marked = ClipScores.from_json(lines[0])
    marked.results["sharpness"].parts["from_before"] = 1.0
    journal.write_text(marked.to_json() + "\n" + lines[1][:40])
    out.unlink()
    assert run(capsys, folder, "--metrics", f"{QUICK},contrast", "--out", out, "--resume")[0] == 0
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and rows[0]["sharpness.from_before"] == "1.0" and rows[1]["sharpness.from_before"] == ""
    assert all(row["contrast"] for row in rows[:3])
    assert len(journal.read_text().splitlines()) == 4
    run(capsys, folder, "--metrics", QUICK, "--out", out, "--overwrite")  # without --resume everything is new
    assert "from_before" not in out.read_text()


def test_going_on_adds_clips_and_metrics_and_takes_none_away(capsys, folder, tmp_path):
    first, second = sorted(folder.glob("*.mp4"))[:2]
    out = tmp_path / "scores.csv"
    assert run(capsys, first, "--metrics", "sharpness", "--out", out)[0] == 0
    before = pd.read_csv(out)["sharpness"][0]
    assert run(capsys, second, "--metrics", "sharpness", "--out", out, "--resume")[0] == 0
    assert run(capsys, second, "--metrics", "contrast", "--out", out, "--resume")[0] == 0
    table = pd.read_csv(out).set_index("clip")
    assert list(table.index) == [str(first), str(second)] and table["sharpness"][str(first)] == before
    assert table.loc[str(second), ["sharpness", "contrast"]].notna().all()
    assert set(pd.read_csv(out.with_suffix(".frames.csv"))["clip"]) == {str(first), str(second)}
    # another clip by the same name: what was said of the old one does not hold
    encode_mp4(np.random.default_rng(0).integers(0, 255, (8, 32, 32, 3), np.uint8), 8, second)
    assert run(capsys, second, "--metrics", "contrast", "--out", out, "--resume")[0] == 0
    table = pd.read_csv(out).set_index("clip")
    assert table["sharpness"][str(first)] == before and pd.isna(table["sharpness"][str(second)])


@pytest.mark.parametrize("torn", ["{", '{"id": "a cat', ""])
def test_a_journal_may_end_anywhere_in_a_line(tmp_path, torn):
    scores = ClipScores("a.mp4", "0" * 64, "", 1, 8.0, 2, 2, 0.0)
    path = tmp_path / "scores.jsonl"
    path.write_text(scores.to_json() + "\n" + torn)
    journal = ScoreJournal(path, resume=True)
    journal.finish()
    assert list(journal) == [scores]


@pytest.mark.parametrize("content", ['{"prompt": "mine"}\n{"prompt": "second"}\n', "notes, no line end", "[]\n"])
def test_going_on_with_a_file_of_another_kind_leaves_it_alone(capsys, folder, tmp_path, content):
    mine = tmp_path / "mine.jsonl"
    mine.write_text(content)
    code, _, err = run(capsys, folder, "--metrics", "sharpness", "--out", tmp_path / "mine.json", "--resume")
    assert code == 2 and "no journal of evaluate (line 1" in err and mine.read_text() == content


@pytest.mark.parametrize("flag", ["--out", "--vbench-out"])
@pytest.mark.parametrize("below", ["a cat-0.mp4", "/proc"])
def test_places_that_cannot_be_written_are_told_before_any_clip_is_scored(capsys, folder, flag, below):
    code, said, err = run(capsys, folder, "--metrics", "sharpness", flag, folder / below / "x.csv")
    assert (code, said) == (2, "") and f"error: {flag} " in err and "cannot be written" in err


def test_a_manifest_names_its_clip_and_prompt(capsys, tmp_path, service):
    saved = service.generate(
        "tiny-random", GenerationRequest(prompt=PROMPT, steps=1, frames=9), out=tmp_path / "c.mp4"
    )
    for path in (saved.path, saved.manifest_path):
        _, said, _ = run(capsys, path, "--metrics", "sharpness", "--json")
        assert json.loads(said)["clips"][0]["prompt"] == PROMPT


def test_ten_thousand_clips_are_listed_at_once(tmp_path):
    for index in range(10_000):
        (tmp_path / f"{index:05d}.mp4").touch()
    start = time.process_time()  # of this process alone: the machine may be busy
    clips = find_clips([tmp_path])
    assert time.process_time() - start < 2
    assert len(clips) == 10_000 and clips[0].name == "00000.mp4"


def test_nothing_but_bad_files_is_a_failure(capsys, tmp_path):
    (tmp_path / "x.mp4").write_bytes(b"")
    code, said, err = run(capsys, tmp_path / "x.mp4", "--metrics", QUICK)
    assert code == 2 and "1 skipped" in said and "it is empty" in err


@pytest.mark.parametrize(
    "argv, words",
    [
        ([], ["no clip is named"]),
        (["none.mp4"], ["'none.mp4'", "does not exist"]),
        (["."], ["holds no videos"]),
        (["bad.json"], ["'bad.json'", "is not a manifest"]),
        (["x.mp4", "--metrics", "sharpnes"], ["'sharpnes'", "choose from sharpness"]),
        (["x.mp4", "--metrics", ","], ["at least one"]),
        (["x.mp4", "--out", "f.txt"], ["'f.txt'", ".csv"]),
        (["x.mp4", "--resume"], ["--out"]),
        (["x.mp4", "--prompt", "a", "--prompt-from-name"], ["--prompt", "one of them"]),
        (["x.mp4", "--prompt-file", "no.json"], ["'no.json'", "cannot be read"]),
        (["x.mp4", "--prompt-file", "bad.json"], ["'bad.json'", "is not JSON"]),
        (["x.mp4", "--weights", "nowhere"], ["'nowhere'", "not a folder"]),
        (["x.mp4", "--weights", ".", "--clip", "ViT-B-32:mine"], ["expected at open_clip/ViT-B-32/mine.safetensors"]),
        (["x.mp4", "--clip", "ViT-Q"], ["'ViT-Q'", "no architecture"]),
    ],
)
def test_wrong_input_is_refused_in_one_line(capsys, tmp_path, monkeypatch, argv, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.json").write_text("{")
    if argv[:1] == ["x.mp4"]:
        encode_mp4(np.zeros((2, 16, 16, 3), np.uint8), 8, tmp_path / "x.mp4")
    code, said, err = run(capsys, *argv)
    assert (code, said) == (2, "") and err.count("\n") == 1
    assert not [word for word in words if word not in err], err


def test_the_list_tells_what_can_run_here(capsys):
    code, said, _ = run(capsys, "--list")
    assert code == 0 and "temporal_flickering" in said and "cannot run here: weights are missing" in said
