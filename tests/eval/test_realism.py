"""Set distances of texture: known values, second implementations, and laws on rendered tabletop clips."""

import json
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
import torch

from eval.realism.efficientnet import CHANNELS, frame_features, frame_positions, whole_network
from eval.realism.frechet import frechet_difference, frechet_distance
from eval.realism.real_clips import (
    ACCURACY,
    FRECHET,
    KERNEL,
    SPECTRUM,
    ClipMeasures,
    compare_to_real,
    difference_rows,
    measure_clip,
)
from eval.realism.set_distance import frechet_over_time, kernel_over_time
from eval.statistics import two_sample
from eval.statistics.intervals import Interval
from eval.statistics.resampling import Resampled
from tests.helpers.texture_data import COUNT, LENGTH, WORSE, captions, real_clips

METRICS = [FRECHET, KERNEL, SPECTRUM, ACCURACY]


def gaussians(seed, n=60, positions=2, size=5, shift=0.0, spread=1.0):
    return np.random.default_rng(seed).normal(shift, spread, (n, positions, size))


def measures(clips):
    return [measure_clip(clip, caption, 2) for clip, caption in zip(clips, captions(), strict=True)]


@cache
def measured(kind="real", amount=0):
    """Measures of a second real set, made worse."""
    clips = real_clips(1)
    return measures(clips if kind == "real" else [WORSE[kind][0](clip, amount) for clip in clips])


@pytest.fixture(scope="module")
def reference():
    return measures(real_clips(0))


@pytest.fixture(scope="module")
def real(reference):
    return compare_to_real(reference, {"real": measured()})[0]


# --- Fréchet and kernel distance


def test_products_between_clips_give_the_distance_of_features():
    first, second = gaussians(0), gaussians(1, shift=0.4, spread=1.7)
    found = frechet_over_time(first, second, resamples=1)
    single = [frechet_distance(first[:, p], second[:, p]) for p in range(2)]
    assert [each.value for each in found] == pytest.approx([*single, np.mean(single)], rel=1e-6)


def test_more_features_than_clips_are_no_harm():
    first, second = gaussians(2, n=8, size=40), gaussians(3, n=8, size=40)
    expected = frechet_distance(first[:, 0], second[:, 0])
    assert frechet_over_time(first, second, resamples=1)[0].value == pytest.approx(expected, rel=1e-5)


def test_gaussians_have_the_distance_of_the_closed_form():
    first = gaussians(4, n=4000, positions=1, size=3)
    found = frechet_distance(first[:, 0], 2 * first[:, 0] + 1)
    assert found == pytest.approx(3 * (1 + 1), rel=0.05)
    few = frechet_over_time(first[:300], 2 * first[:300] + 1, resamples=50)[-1]
    assert few.interval().low < 6 < few.interval().high


def test_a_set_is_at_no_distance_from_itself():
    first = gaussians(5)
    assert frechet_over_time(first, first, resamples=2)[-1].value == pytest.approx(0, abs=1e-6)
    assert kernel_over_time(first, first, resamples=2)[-1].value == pytest.approx(0, abs=1e-12)


def test_kernel_distance_is_its_definition():
    first, second = gaussians(6, n=7), gaussians(7, n=7, shift=1)

    def kernel(x, y):
        return (x @ y / len(x) + 1) ** 3

    expected = []
    for p in range(2):
        x, y = first[:, p], second[:, p]
        pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
        terms = [kernel(x[i], x[j]) + kernel(y[i], y[j]) - kernel(x[i], y[j]) - kernel(x[j], y[i]) for i, j in pairs]
        expected.append(np.mean(terms))
    found = kernel_over_time(first, second, resamples=2)
    assert [each.value for each in found] == pytest.approx([*expected, np.mean(expected)], rel=1e-9)


def test_kernel_distance_is_unbiased_where_frechet_is_not():
    sets = [(gaussians(2 * k, n=12, positions=1), gaussians(2 * k + 1, n=12, positions=1)) for k in range(200)]
    kernels = np.array([kernel_over_time(*pair, resamples=1)[0].value for pair in sets])
    assert abs(kernels.mean()) < 3 * kernels.std() / np.sqrt(len(kernels))
    assert np.mean([frechet_over_time(*pair, resamples=1)[0].value for pair in sets]) > 0.5


def test_the_spread_of_resamples_is_that_of_other_draws():
    def drawn(seed, resamples):
        return frechet_over_time(gaussians(seed, n=100), gaussians(seed + 500, n=100, shift=0.5), resamples=resamples)

    others = np.std([drawn(seed, 1)[-1].value for seed in range(100)])
    own = np.mean([drawn(seed, 60)[-1].draws.std() for seed in range(5)])
    assert own == pytest.approx(others, rel=0.35)


def test_differences_are_paired_and_agree_with_the_other_implementation():
    base, near, far = gaussians(8, positions=1), gaussians(9, positions=1, shift=0.3), gaussians(10, 60, 1, shift=1.0)
    paired = frechet_over_time(base, far)[0] - frechet_over_time(base, near)[0]
    other = frechet_difference(base[:, 0], far[:, 0], near[:, 0], resamples=200, seed=0)
    assert paired.value == pytest.approx(other.value, rel=1e-6)
    assert paired.interval().low == pytest.approx(other.low, rel=0.15)
    with pytest.raises(ValueError, match="cannot be paired"):
        paired - Resampled(0.0, np.zeros(3), 4)


def test_sets_that_do_not_match_are_named():
    with pytest.raises(ValueError, match=r"\(60, 2, 5\) and \(60, 2, 4\)"):
        frechet_over_time(gaussians(0), gaussians(0, size=4))
    with pytest.raises(ValueError, match="not finite"):
        kernel_over_time(gaussians(0), gaussians(0) * np.nan)


# --- features


def test_the_folded_network_is_the_package_s_own():
    frames = real_clips(0)[0][:3]
    pixels = torch.stack([torch.from_numpy(cv2.resize(f, (224, 224), interpolation=cv2.INTER_CUBIC)) for f in frames])
    network = whole_network()
    with torch.inference_mode():
        held = network._swish(network._bn0(network._conv_stem(pixels.permute(0, 3, 1, 2) / 127.5 - 1)))
        for block in network._blocks[:11]:
            held = block(held)
    norms = [block._bn2 for block in network._blocks[8:11]]
    centre, square = sum(n.bias for n in norms), sum(n.weight**2 for n in norms)
    expected = ((held.mean((2, 3)) - centre) / square.sqrt()).detach().numpy()
    assert frame_features(frames) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (480, 832)])
def test_frames_of_any_size_have_features(size):
    frames = np.random.default_rng(0).integers(0, 256, (1, *size, 3), dtype=np.uint8)
    features = frame_features(frames)
    assert features.shape == (1, CHANNELS) and np.isfinite(features).all()


def test_positions_go_from_the_first_frame_to_the_last():
    assert frame_positions(49).tolist() == list(range(0, 49, 4))
    assert frame_positions(3).tolist() == [0, 1, 2] and frame_positions(1).tolist() == [0]
    assert frame_positions(500, 13)[[0, -1]].tolist() == [0, 499]


# --- two-sample test


def test_sets_of_one_kind_cannot_be_told_apart_and_far_ones_can():
    def accuracy(seed, shift=0.0):
        return two_sample.two_sample_accuracy(
            gaussians(seed, 64, 1, 20)[:, 0], gaussians(seed + 100, 64, 1, 20, shift)[:, 0], resamples=200
        )

    alike = [accuracy(seed) for seed in range(20)]
    assert np.mean([found.value for found in alike]) == pytest.approx(0.5, abs=0.03)
    assert sum(found.interval().low > 0.5 for found in alike) <= 3
    assert accuracy(0, 3.0).value == 1.0
    assert accuracy(0, 0.3).value < accuracy(0, 0.6).value < accuracy(0, 1.2).value


def test_the_classifier_finds_the_direction_of_a_plain_solver():
    real, made = gaussians(0, 40, 1, 3)[:, 0], gaussians(1, 40, 1, 3, 0.8)[:, 0]
    asked = np.random.default_rng(2).normal(size=(50, 3))
    both = np.concatenate([real, made])
    unit = both.std(0) * np.sqrt(3)
    x, y = (both - both.mean(0)) / unit, np.repeat([0.0, 1.0], 40)
    weights = np.zeros(3)
    for _ in range(50):  # Newton's steps
        p = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (p - y) / 80 + two_sample.PENALTY * weights / 3
        bend = (x * (p * (1 - p))[:, None]).T @ x / 80 + two_sample.PENALTY * np.eye(3) / 3
        weights = weights - np.linalg.solve(bend, slope)
    expected = (asked - both.mean(0)) / unit @ weights
    assert two_sample._scores(real, made, asked) == pytest.approx(expected, abs=2e-2)


def test_features_that_never_change_are_a_guess():
    same = np.ones((10, 4))
    assert two_sample.held_out_right(same, same).tolist() == [0.5] * 10
    with pytest.raises(ValueError, match="N >= 10"):
        two_sample.held_out_right(same[:9], same[:9])


# --- laws on clips


def test_real_against_real_is_about_nothing(real):
    row = {each.metric: each for each in real.rows()}
    assert row[KERNEL].low < 0 < row[KERNEL].high
    assert row[SPECTRUM].mean < 0.6
    assert row[ACCURACY].low < 0.5 < row[ACCURACY].high
    assert all(each.n == COUNT for each in row.values())


@pytest.mark.parametrize("kind", WORSE)
def test_distances_grow_with_what_is_lost(kind, reference, real):
    amounts = WORSE[kind][1]
    steps = [compare_to_real(reference, {"made": measured(kind, amount)}, resamples=50)[0] for amount in amounts]
    for metric in METRICS:
        values = [real.totals[metric].value, *(step.totals[metric].value for step in steps)]
        assert values == sorted(values), metric
    last = {row.metric: row for row in steps[-1].rows()}
    assert last[ACCURACY].low > 0.5 and last[KERNEL].low > 0


def test_rows_are_plain_and_differences_paired(reference):
    systems = {"real": measured(), "blur": measured("blur", 0.8)}
    first, second = compare_to_real(reference, systems, resamples=50)
    rows = [*first.rows(), *second.rows()]
    assert [(row.system, row.metric) for row in rows] == [(name, m) for name in systems for m in METRICS]
    assert all(row.low <= row.mean <= row.high for row in rows)
    worse = {row.metric: row for row in difference_rows(second, first)}
    assert worse[FRECHET].low > 0 and worse[SPECTRUM].low > 0
    assert worse[FRECHET].system == "blur - real"
    assert len(second.curves[FRECHET]) == len(second.positions) == 2
    assert all(isinstance(each, Interval) for each in second.curves[SPECTRUM])


def test_measures_come_back_from_a_line_of_json():
    clip = measured()[0]
    again = ClipMeasures.from_values(json.loads(json.dumps(clip.to_values())))
    assert (again.caption, again.positions) == (clip.caption, (0, LENGTH - 1))
    assert again.features == pytest.approx(clip.features, abs=1e-5)
    assert again.spectra == pytest.approx(clip.spectra, abs=1e-3)


def test_what_cannot_be_compared_says_why(reference):
    clips = measured()
    with pytest.raises(ValueError, match="asd: 9 clips beside 24 real ones"):
        compare_to_real(reference, {"asd": clips[:9]})
    with pytest.raises(ValueError, match="equal captions"):
        compare_to_real(reference, {"asd": [replace(clips[0], caption="a cat"), *clips[1:]]})
    with pytest.raises(ValueError, match="differ from real ones in length"):
        compare_to_real(reference, {"asd": [*clips[:-1], replace(clips[-1], positions=(0, 4))]})
    with pytest.raises(ValueError, match="too small for a spectrum"):
        measure_clip(np.zeros((3, 8, 8, 3), np.uint8), "")
