"""VBench's sample folders by command: the layouts, and the scores put together by VBench's published rules."""

import json

import numpy as np
import pytest

from tests.helpers.vbench_weights import save_all
from workbench.__main__ import main
from workbench.clips.media import encode_mp4

# (folder that VBench reads, dimension): consistency of the background is judged on the clips of scenes
PLACES = {
    "temporal_flickering": "temporal_flickering",
    "subject_consistency": "subject_consistency",
    "background_consistency": "scene",
}
# VBench's NORMALIZE_DIC and DIM_WEIGHT for these three dimensions
RANGES = {
    "temporal_flickering": (0.6293, 1.0),
    "subject_consistency": (0.1462, 1.0),
    "background_consistency": (0.2615, 1.0),
}


def noise(seed: int, frames: int = 6) -> np.ndarray:
    """Blocks of colour that shift to the right."""
    wide = np.random.default_rng(seed).integers(0, 256, (4, 12, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    return np.stack([wide[:, 2 * t : 2 * t + 64] for t in range(frames)])


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """Two prompts of two clips in each folder, of different lengths."""
    folder = tmp_path_factory.mktemp("suite")
    for number, home in enumerate(dict.fromkeys(PLACES.values())):
        (folder / home).mkdir()
        for prompt in range(2):
            for index in range(2):
                frames = noise(100 * number + 10 * prompt + index, 5 + 2 * index)
                encode_mp4(frames, 8, folder / home / f"a prompt {prompt}-{index}.mp4")
    return folder


def run(capsys, *flags) -> dict:
    assert main(["evaluate", *map(str, flags), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_three_dimensions_are_put_together_as_vbench_does(suite, tmp_path, capsys):
    weights = save_all(tmp_path / "weights")
    out = tmp_path / "vbench"
    told = run(capsys, "--vbench-suite", suite, "--weights", weights, "--vbench-out", out)
    values = {name: told["dimensions"][name]["value"] for name in PLACES}
    assert all(told["dimensions"][name]["clips"] == 4 for name in PLACES)
    document = json.loads((out / "results_eval_results.json").read_text())
    for name in PLACES:
        overall, clips = document[name]
        assert overall == pytest.approx(values[name])
        if name == "background_consistency":  # VBench's own pooling: over all frames of all clips
            mean = sum(clip["video_sim"] for clip in clips) / sum(clip["cnt_per_video"] for clip in clips)
        elif name == "temporal_flickering":
            mean = sum(clip["video_results"] for clip in clips) / len(clips)
        else:
            mean = values[name]
        assert mean == pytest.approx(values[name], rel=1e-6)
    scaled = [(values[name] - low) / (high - low) for name, (low, high) in RANGES.items()]
    quality = told["quality"]
    present = set(quality["present"])
    if present == set(PLACES):
        assert quality["partial"] == pytest.approx(sum(scaled) / 3)
    assert set(PLACES) <= present and quality["value"] is None and told["total"]["value"] is None


def test_a_suite_file_says_what_is_missing(suite, tmp_path, capsys):
    info = tmp_path / "VBench_full_info.json"
    rows = [{"prompt_en": f"a prompt {n}", "dimension": ["temporal_flickering"]} for n in range(2)]
    info.write_text(json.dumps(rows))
    told = run(capsys, "--vbench-suite", suite, "--vbench-info", info)
    assert set(told["dimensions"]) == {"temporal_flickering"}
    assert "4 clips found, 6 missing, the first is 'a prompt 0-2.mp4'" in " ".join(told["notices"])


def test_a_folder_without_the_layout_is_told(tmp_path, capsys):
    assert main(["evaluate", "--vbench-suite", str(tmp_path)]) == 2
    assert "DIR/DIMENSION/PROMPT-0.mp4" in capsys.readouterr().err
