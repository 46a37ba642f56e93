"""Numbers between two clips against what they are by definition."""

import numpy as np
import pytest

from eval.video.pair_difference import _vdp, frame_psnr, frame_ssim, visible_difference
from models.types import GenerationResult
from workbench.ui.pages.compare.pair_view import FlipSheet, effort, flip_sheets, numbers_table

RNG = np.random.default_rng(0)
CLIP = RNG.integers(0, 256, (3, 24, 20, 3), dtype=np.uint8)


def changed(clip: np.ndarray, amount: int) -> np.ndarray:
    return np.clip(clip + RNG.integers(-amount, amount + 1, clip.shape), 0, 255).astype(np.uint8)


def ssim_by_definition(a: np.ndarray, b: np.ndarray) -> float:
    """Window by window, with weights summed by hand."""
    offsets = np.arange(11) - 5
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    weights = np.outer(line, line) / line.sum() ** 2
    found = []
    for y in range(a.shape[0] - 10):
        for x in range(a.shape[1] - 10):
            p, q = a[y : y + 11, x : x + 11], b[y : y + 11, x : x + 11]
            mean_p, mean_q = (weights * p).sum(), (weights * q).sum()
            var_p, var_q = (weights * (p - mean_p) ** 2).sum(), (weights * (q - mean_q) ** 2).sum()
            both = (weights * (p - mean_p) * (q - mean_q)).sum()
            light = (2 * mean_p * mean_q + 6.5025) / (mean_p**2 + mean_q**2 + 6.5025)
            found.append(light * (2 * both + 58.5225) / (var_p + var_q + 58.5225))
    return float(np.mean(found))


def test_psnr_is_its_definition():
    other = CLIP.copy()
    other[1] = np.where(CLIP[1] < 128, CLIP[1] + 16, CLIP[1] - 16)
    assert frame_psnr(CLIP, other) == pytest.approx([np.inf, 20 * np.log10(255 / 16), np.inf])


def test_ssim_is_its_definition():
    gray = CLIP[..., :1].repeat(3, -1)
    other = changed(CLIP, 40)[..., :1].repeat(3, -1)
    pairs = zip(np.float64(gray[..., 0]), np.float64(other[..., 0]), strict=True)
    expected = [ssim_by_definition(a, b) for a, b in pairs]
    assert frame_ssim(gray, other) == pytest.approx(expected, abs=1e-6)
    assert frame_ssim(CLIP, CLIP) == pytest.approx([1, 1, 1])


def made(frames: np.ndarray, forwards: int = 5, seconds: float = 1.0, fps: int = 12) -> GenerationResult:
    return GenerationResult(frames, fps, (len(frames),), ((1.0,),), forwards, 0.1, seconds)


def test_what_a_person_would_see_is_worked_out_once_for_a_pair():
    clip = np.random.default_rng(0).integers(0, 256, (5, 32, 48, 3), dtype=np.uint8)
    near, far = clip // 16 * 16, clip // 128 * 128
    seen = [visible_difference(clip, other, 12) for other in (clip, near, far)]
    assert seen[0].jod == 10 > seen[1].jod > seen[2].jod and seen[2].visible
    calls = _vdp.cache_info()
    assert visible_difference(clip.copy(), far.copy(), 12) == seen[2] and _vdp.cache_info() == calls
    assert visible_difference(clip, far, 24).jod != seen[2].jod and _vdp.cache_info() != calls


def test_flip_is_worked_out_once_and_says_where_it_differs():
    other = CLIP.copy()
    other[2] = 255 - other[2]
    sheet = FlipSheet(CLIP, other)
    picture = sheet()
    assert sheet() is picture and picture.startswith(b"\x89PNG")
    means = sheet.means()
    assert means[0] == means[1] == 0 and means[2] > 0.1


def test_only_pairs_that_lie_over_each_other_have_flip():
    results = [made(CLIP), made(CLIP), made(CLIP[:, :16]), made(CLIP, fps=16)]
    assert list(flip_sheets(results)) == [(0, 1)]


def test_the_table_says_how_far_and_where():
    other = CLIP.copy()
    other[1] = 255 - other[1]
    results = [made(CLIP), made(other), made(CLIP)]
    table = numbers_table(results, flip_sheets(results))
    assert table["columns"] == ["Measure", "B against A", "C against A"]
    rows = {row[0].split(" ")[0]: row[1:] for row in table["rows"]}
    assert "2 frames the same" in rows["PSNR"][0] and rows["PSNR"][1] == "the same pixels"
    assert "at frame 2" in rows["SSIM"][0] and "at frame 2" in rows["FLIP"][0]


@pytest.mark.parametrize(
    ("forwards", "seconds", "words"),
    [
        (10, 1.0, "B takes as many network calls as A: 10."),
        (5, 0.5, "In this run B was 2.0 times as fast as A, with half the network calls (5 to 10)."),
        (20, 1.5, "In this run B took 1.5 times as long as A, with twice the network calls (20 to 10)."),
        (
            *(13, 0.4),
            "B takes 1.3 times the network calls of A (13 to 10). The times of this run, 0.40 s against 1.0 s, do not "
            "follow that; make both again for fair ones.",
        ),
        (13, 1.01, "In this run B took about as long as A, with 1.3 times the network calls (13 to 10)."),
    ],
)
def test_cost_is_said_as_a_ratio(forwards, seconds, words):
    assert effort([made(CLIP, 10, 1.0), made(CLIP, forwards, seconds)]) == [words]
