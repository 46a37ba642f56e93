"""VBench's folders and files: names, missing and extra clips, full-info and result JSON, and its own code's answer."""

import json
import os
import sys
from pathlib import Path

import pytest

from eval.metric import MetricResult, unscored
from eval.vbench.results import PROVENANCE, entry, pooled, result_document, write_results
from eval.vbench.suite import (
    VIDEO_SUFFIXES,
    SuitePrompt,
    check_folder,
    info_row,
    prompt_of,
    read_prompt_file,
    read_suite,
    standard_info,
    video_name,
)

CHECKOUT = os.environ.get("VBENCH_CHECKOUT", "")

SUITE = [
    {"prompt_en": "a cat", "dimension": ["subject_consistency", "motion_smoothness"]},
    {"prompt_en": "A cat", "dimension": ["subject_consistency"]},
    {"prompt_en": "a red car", "dimension": ["color"], "auxiliary_info": {"color": {"color": "red"}}},
    {"prompt_en": "alley", "dimension": ["scene", "background_consistency"]},
]


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "suite.json").write_text(json.dumps(SUITE))
    return read_suite(tmp_path / "suite.json")


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    for index in (0, 1, 3, 4):
        (folder / f"a cat-{index}.mp4").touch()
    for name in ("a cat-7.mp4", "alley-0.mp4", "notes.txt", "holiday.mp4"):
        (folder / name).touch()
    return folder


def test_missing_and_extra_are_listed_exactly(suite, clips):
    check = check_folder(suite, clips, ["motion_smoothness"])
    assert [path.name for path in check.found[0]] == [f"a cat-{i}.mp4" for i in (0, 1, 3, 4)]
    assert [path.name for path in check.missing] == ["a cat-2.mp4"]
    assert [path.name for path in check.extra] == ["a cat-7.mp4", "alley-0.mp4", "holiday.mp4"]
    assert not check.complete and "4 clips found, 1 missing" in check.says


def test_names_that_differ_in_case_only_are_told(suite, clips):
    assert check_folder(suite, clips, ["subject_consistency"]).clashes == (("a cat", "A cat"),)


def test_one_folder_a_dimension(suite, tmp_path):
    (tmp_path / "scene").mkdir()
    for index in range(5):
        (tmp_path / "scene" / f"alley-{index}.mp4").touch()
    check = check_folder(suite, tmp_path, ["background_consistency"], by_dimension=True)
    assert check.complete and len(check.found[3]) == 5


def test_standard_info_has_vbenchs_keys(suite, clips):
    info = standard_info(suite, check_folder(suite, clips, ["color", "scene"]))
    assert info[0] == {**SUITE[2], "video_list": []}
    assert info[1] == {**SUITE[3], "video_list": [str(clips / "alley-0.mp4")]}


@pytest.mark.parametrize("prompt", ["../secret", "a/b", "a\\b", "nul\0", "..", " ", "a\nb"])
def test_prompts_that_would_leave_the_folder_are_refused(prompt):
    with pytest.raises(ValueError, match=r"cannot name a file"):
        video_name(prompt, 0)


def test_a_prompt_longer_than_a_name_is_refused():
    prompt = "a very long prompt " * 20
    with pytest.raises(ValueError, match=r"file name of \d+ bytes, the limit is 255"):
        video_name(prompt, 0)


@pytest.mark.parametrize(
    ("name", "prompt"), [("a cat-3.mp4", "a cat"), ("a cat.mp4", "a cat"), ("a-b-12.gif", "a-b"), ("no 5.mp4", "no 5")]
)
def test_prompt_of_a_name(name, prompt):
    assert prompt_of(name) == prompt


def test_a_prompt_file_is_an_object_of_texts(tmp_path):
    (tmp_path / "prompts.json").write_text(json.dumps({"holiday.mp4": "a beach"}))
    assert read_prompt_file(tmp_path / "prompts.json") == {"holiday.mp4": "a beach"}
    (tmp_path / "prompts.json").write_text(json.dumps({"holiday.mp4": 5}))
    with pytest.raises(ValueError, match="is not a prompt file"):
        read_prompt_file(tmp_path / "prompts.json")


def test_frames_are_weighed_where_vbench_weighs_them():
    short, long = MetricResult(1.0, (None, 1.0)), MetricResult(0.4, (None, 0.4, 0.4, 0.4))
    assert pooled("subject_consistency", [short, long]) == pytest.approx(0.55)
    assert pooled("temporal_flickering", [short, long]) == pytest.approx(0.7)
    assert pooled("subject_consistency", [unscored("one frame")]) is None


def test_result_files_hold_vbenchs_keys(tmp_path):
    results = {
        "background_consistency": [("a.mp4", MetricResult(0.9, (None, 0.8, 1.0))), ("b.mp4", unscored("one frame"))],
        "imaging_quality": [("a.mp4", MetricResult(0.625, (0.5, 0.75)))],
        "dynamic_degree": [("a.mp4", MetricResult(1.0, (None, 9.0)))],
        "scene": [("a.mp4", unscored("weights missing"))],
    }
    _, path = write_results(tmp_path, "run", [], results, {"metric_version": 1})
    raw = json.loads(path.read_text())
    assert raw["dynamic_degree"][1][0]["video_results"] is True
    assert raw["imaging_quality"][0] == 0.625 and raw["imaging_quality"][1][0]["video_results"] == 62.5
    bc = raw["background_consistency"][1]
    assert len(bc) == 1 and (bc[0]["video_sim"], bc[0]["cnt_per_video"]) == (1.8, 2)
    assert bc[0]["per_frame"] == [None, 0.8, 1.0]
    assert "scene" not in raw and raw[PROVENANCE][1]["unscored"]["background_consistency"] == {"b.mp4": "one frame"}
    assert {name: raw[name][0] for name in raw if name != PROVENANCE} == {
        "background_consistency": 0.9,
        "imaging_quality": 0.625,
        "dynamic_degree": 1.0,
    }
    assert raw[PROVENANCE][1]["metric_version"] == 1


def test_style_entry_keeps_vbenchs_last_frame_key():
    row = entry("appearance_style", "a.mp4", MetricResult(0.2, (0.1, 0.3)))
    assert (row["frame_results"], row["cur_sim"]) == ([0.1, 0.3], 0.3)


@pytest.fixture(scope="module")
def vbench_package():
    """The checkout's `vbench` package; skipped with the reason where it or what it imports is absent."""
    if not CHECKOUT or not (Path(CHECKOUT) / "vbench" / "__init__.py").is_file():
        pytest.skip("VBENCH_CHECKOUT does not name a checkout of Vchitect/VBench")
    pytest.importorskip("decord", reason="VBench imports decord")
    sys.path.insert(0, CHECKOUT)
    yield pytest.importorskip("vbench")
    sys.path.remove(CHECKOUT)


@pytest.mark.parametrize("dimensions", [["subject_consistency"], ["color", "background_consistency"]])
def test_full_info_equals_vbenchs(vbench_package, clips, tmp_path, dimensions):
    (tmp_path / "suite.json").write_text(json.dumps(SUITE))
    (clips / "notes.txt").unlink()  # VBench takes its suffix from whatever file comes first
    theirs = vbench_package.VBench("cpu", str(tmp_path / "suite.json"), str(tmp_path / "out"))
    written = theirs.build_full_info_json(str(clips), "run", dimensions)
    suite = read_suite(tmp_path / "suite.json")
    assert standard_info(suite, check_folder(suite, clips, dimensions)) == json.loads(Path(written).read_text())


def test_info_of_any_clips_equals_vbenchs(vbench_package, clips, tmp_path):
    theirs = vbench_package.VBench("cpu", "", str(tmp_path / "out"))
    written = theirs.build_full_info_json(str(clips), "run", ["overall_consistency"], mode="custom_input")
    rows = sorted(json.loads(Path(written).read_text()), key=lambda row: row["video_list"])
    paths = sorted(path for path in clips.iterdir() if path.suffix in VIDEO_SUFFIXES)
    own = [info_row(SuitePrompt(prompt_of(path), ("overall_consistency",)), [str(path)]) for path in paths]
    assert own == rows


def test_vbenchs_scorer_reads_our_files(tmp_path):
    document = result_document({"imaging_quality": [("a.mp4", MetricResult(0.5, (0.5,)))]}, {"weights": "x"})
    assert {key.replace("_", " "): row[0] for key, row in document.items()}["imaging quality"] == 0.5
