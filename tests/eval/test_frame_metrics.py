"""Frame metrics: VBench's recorded numbers, laws, and a plain NumPy second implementation."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from eval.video.clip import Clip
from eval.video.frame_metrics import flicker_per_frame, sharpness_per_frame, temporal_flickering

GOLDEN = Path(__file__).parents[1] / "golden" / "vbench"


def random_clip(seed=0, frames=5):
    return np.random.default_rng(seed).integers(0, 256, (frames, 24, 40, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def golden():
    """VBench's flicker clip with the numbers its own code gave; see `source` in the JSON."""
    table = json.loads((GOLDEN / "temporal_flickering.json").read_text())
    video = cv2.VideoCapture(str(GOLDEN / "flicker.mp4"))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1])
    frames = np.stack(frames)
    row = table["clips"]["flicker"]
    assert hashlib.sha256(frames.tobytes()).hexdigest()[:16] == row["sha256_16_of_bgr"]
    return frames[..., ::-1], row, table["tolerance"]


def test_temporal_flickering_is_vbench_number(golden):
    frames, row, tolerance = golden
    value = temporal_flickering(np.ascontiguousarray(frames))
    assert value == pytest.approx(row["exact"], abs=tolerance["exact"])
    assert value == pytest.approx(row["vbench"], abs=tolerance["vbench_elsewhere"])


def test_non_contiguous_frames_give_the_same_number(golden):
    frames, row, tolerance = golden
    assert temporal_flickering(frames) == pytest.approx(row["exact"], abs=tolerance["exact"])


def test_flicker_matches_plain_numpy():
    clip = random_clip()
    expected = np.abs(np.diff(clip.astype(int), axis=0)).mean((1, 2, 3)) / 255
    curve = flicker_per_frame(clip)
    assert curve[0] is None
    assert curve[1:] == pytest.approx(expected, abs=1e-15)
    assert temporal_flickering(clip) == pytest.approx(1 - expected.mean(), abs=1e-15)


def test_flicker_laws():
    clip = random_clip()
    still = np.repeat(clip[:1], 4, 0)
    assert temporal_flickering(still) == 1.0
    assert temporal_flickering(clip[::-1]) == pytest.approx(temporal_flickering(clip), abs=1e-15)
    doubled = np.repeat(clip, 2, 0)[:-1]
    assert 1 - temporal_flickering(doubled) == pytest.approx((1 - temporal_flickering(clip)) / 2, abs=1e-12)
    black_and_white = np.stack([np.zeros_like(clip[0]), np.full_like(clip[0], 255)])
    assert temporal_flickering(black_and_white) == 0.0


def test_one_frame_has_no_flickering():
    assert temporal_flickering(random_clip(frames=1)) is None
    assert flicker_per_frame(random_clip(frames=1)) == [None]


def test_sharpness_matches_plain_numpy_and_falls_with_blur():
    clip = random_clip()
    luma = cv2.cvtColor(clip[0], cv2.COLOR_RGB2GRAY).astype(float)
    padded = np.pad(luma, 1, mode="reflect")
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4 * luma
    assert sharpness_per_frame(clip)[0] == pytest.approx(laplacian.var(), rel=1e-9)
    blurred = np.stack([cv2.GaussianBlur(f, (0, 0), 1) for f in clip])
    assert all(b < a / 4 for a, b in zip(sharpness_per_frame(clip), sharpness_per_frame(blurred), strict=True))
    assert sharpness_per_frame(np.full((2, 8, 8, 3), 77, np.uint8)) == [0.0, 0.0]


@pytest.mark.parametrize("shape, dtype", [((4, 8, 8, 3), np.float64), ((8, 8, 3), np.uint8), ((0, 8, 8, 3), np.uint8)])
def test_other_layouts_are_refused(shape, dtype):
    with pytest.raises(ValueError, match="are not a clip; give"):
        temporal_flickering(np.zeros(shape, dtype))


def test_clip_knows_its_length_and_refuses_a_zero_rate():
    assert Clip(random_clip(frames=6), fps=12).seconds == 0.5
    with pytest.raises(ValueError, match="fps=0"):
        Clip(random_clip(), fps=0)
