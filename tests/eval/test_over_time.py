"""Curves over seconds: windows, slopes, drift and collapse of motion."""

import numpy as np
import pytest

from eval.statistics.over_time import (
    drift_score,
    first_to_last,
    frame_seconds,
    motion_collapse,
    slope_of_windows,
    theil_sen,
    windowed,
)

SECONDS = frame_seconds(160, 16.0)


def line(slope, noise=0.0, seed=0):
    return list(2 + slope * SECONDS + np.random.default_rng(seed).normal(0, noise, len(SECONDS)))


def test_a_window_is_the_mean_of_its_frames():
    found = windowed(line(0.5), SECONDS, width=1.0, step=1.0)
    assert len(found.seconds) == 10
    assert found.seconds[:2] == pytest.approx((0.5, 1.5))
    assert found.mean[0] == pytest.approx(np.mean(line(0.5)[:16]))
    assert all(low <= mean <= high for low, mean, high in zip(found.low, found.mean, found.high, strict=True))


def test_frames_without_a_number_are_left_out():
    curve = [None, *line(0.0)[1:]]
    assert windowed(curve, SECONDS).mean == pytest.approx([2.0] * len(windowed(curve, SECONDS).mean))
    assert windowed([None] * 160, SECONDS).mean == ()


def test_a_clip_shorter_than_the_window_is_one_window():
    found = windowed([1.0, 2.0, 3.0], frame_seconds(3, 16.0), width=1.0)
    assert found.mean == (2.0,) and found.seconds == pytest.approx((1.5 / 16,))


def test_uneven_times_are_kept():
    assert list(frame_seconds(3, 10.0, (0.0, 0.5, 0.6))) == [0.0, 0.5, 0.6]
    assert list(frame_seconds(3, 10.0)) == [0.0, 0.1, 0.2]


@pytest.mark.parametrize("slope", [-0.3, 0.0, 0.7])
def test_the_slope_of_a_line_is_its_slope_whatever_the_outliers(slope):
    curve = line(slope)
    curve[::9] = [99.0] * len(curve[::9])
    assert theil_sen(curve, SECONDS).value == pytest.approx(slope, abs=1e-9)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    found = [slope_of_windows(line(0.2, 0.5, seed), SECONDS) for seed in range(100)]
    assert 0.9 <= np.mean([each.low <= 0.2 <= each.high for each in found]) <= 0.995


def test_sen_of_a_worked_example():
    """Slopes of the pairs are 1, 2, 3, 3, 4, 5 for values 0, 1, 4, 9 at 0..3: median 3."""
    found = theil_sen([0, 1, 4, 9], [0, 1, 2, 3])
    assert (found.value, found.n) == (3.0, 4)
    assert theil_sen([1, 2], [0, 1]) is None


def test_long_curves_keep_their_slope():
    seconds = frame_seconds(100_000, 24.0)
    assert theil_sen(list(0.01 * seconds), seconds).value == pytest.approx(0.01, rel=1e-6)


def test_first_to_last():
    assert first_to_last([1.0] * 4 + [9.0] * 8 + [3.0] * 4) == (2.0, 2.0)
    assert first_to_last([None] * 8) is None


def test_drift_is_the_spread_of_stretches():
    assert drift_score([5.0] * 20) == 0
    assert drift_score([0.0] * 10 + [2.0] * 10, segments=2) == 1.0
    assert drift_score(line(1.0)) == pytest.approx(2 * drift_score(line(0.5)))
    assert drift_score([1.0, None]) is None


@pytest.mark.parametrize(
    "speed, collapse",
    [([4.0] * 9, 0.0), ([4.0] * 6 + [0.0] * 3, 1.0), ([4.0] * 6 + [1.0] * 3, 0.75), ([1.0] * 3 + [9.0] * 6, 0.0)],
)
def test_motion_collapse(speed, collapse):
    assert motion_collapse(speed) == collapse


def test_a_clip_that_never_moved_cannot_collapse():
    assert motion_collapse([0.0] * 9) is None


def test_what_is_no_window_is_refused():
    with pytest.raises(ValueError, match="width=0"):
        windowed([1.0], [0.0], width=0)
    with pytest.raises(ValueError, match="2 values at 3 times"):
        theil_sen([1, 2], [0, 1, 2])
