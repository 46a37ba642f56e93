"""Fréchet distance: closed forms, laws, and that it sees decay in rendered clips."""

import cv2
import numpy as np
import pytest

from eval.realism.frechet import (
    clip_features,
    frechet_difference,
    frechet_distance,
    frechet_interval,
)
from models.worlds import shapes as world


def features_of(clips):
    return np.stack([clip_features(clip) for clip in clips])


def real_clips(seed, count=24):
    """Rendered clips of the same captions whatever the seed; other places, sizes and textures."""
    captions = np.random.default_rng(99)
    generator = np.random.default_rng(seed)
    chosen = [world.sample_caption(captions, held_out=bool(i % 2)) for i in range(count)]
    return [world.render(world.sample_scene(c, generator)) for c in chosen]


@pytest.fixture(scope="module")
def real():
    return real_clips(0)


@pytest.fixture(scope="module")
def real_features(real):
    return features_of(real)


def scaled_set(mean, spread, seed=0, count=400):
    """A set with exactly this mean and these independent spreads."""
    raw = np.random.default_rng(seed).normal(size=(count, len(mean)))
    raw -= raw.mean(0)
    values, vectors = np.linalg.eigh(np.cov(raw, rowvar=False))
    return raw @ (vectors / np.sqrt(values)) @ vectors.T * spread + mean


def test_one_dimension_has_a_closed_form():
    first, second = np.random.default_rng(0).normal(1, 2, (300, 1)), np.random.default_rng(1).normal(-2, 5, (200, 1))
    expected = (first.mean() - second.mean()) ** 2 + (first.std(ddof=1) - second.std(ddof=1)) ** 2
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-9)


def test_independent_gaussians_have_a_closed_form():
    mean_a, mean_b = np.array([0.0, 1, 2, 3]), np.array([1.0, 1, 0, 3])
    spread_a, spread_b = np.array([1.0, 2, 0.5, 3]), np.array([2.0, 2, 1.5, 0.1])
    expected = ((mean_a - mean_b) ** 2).sum() + ((spread_a - spread_b) ** 2).sum()
    found = frechet_distance(scaled_set(mean_a, spread_a), scaled_set(mean_b, spread_b, seed=5))
    assert found == pytest.approx(expected, rel=1e-9)


def test_turning_both_sets_changes_nothing():
    generator = np.random.default_rng(4)
    first, second = generator.normal(size=(90, 6)), generator.normal(0.5, 2, (90, 6))
    turn = np.linalg.qr(generator.normal(size=(6, 6)))[0]
    assert frechet_distance(first @ turn, second @ turn) == pytest.approx(frechet_distance(first, second), rel=1e-9)


def test_equal_sets_are_at_zero_and_order_does_not_matter(real_features):
    other = real_features * 1.1 + 0.3
    assert frechet_distance(real_features, real_features) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(real_features, other) == pytest.approx(frechet_distance(other, real_features), rel=1e-6)


def test_fewer_clips_than_features_still_give_a_number(real_features):
    few = real_features[:5]
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-6)
    assert np.isfinite(frechet_distance(few, real_features))


@pytest.mark.parametrize("decay", ["blur", "noise", "late", "frozen"])
def test_distance_grows_with_decay(real, real_features, decay):
    def worse(clip, amount):
        if decay == "blur":
            return np.stack([cv2.GaussianBlur(f, (0, 0), 0.4 * amount + 0.2) for f in clip])
        if decay == "noise":
            noise = np.random.default_rng(int(clip.sum()) % 1000).normal(0, 2 * amount, clip.shape)
            return (clip + noise).clip(0, 255).astype(np.uint8)
        if decay == "late":
            return np.concatenate([clip[:33], (clip[33:] * (1 - 0.15 * amount)).astype(np.uint8)])
        return np.concatenate([clip[: 49 - 12 * amount], np.repeat(clip[48 - 12 * amount][None], 12 * amount, 0)])

    floor = frechet_distance(real_features, features_of(real_clips(1)))
    steps = [features_of([worse(c, amount) for c in real]) for amount in (1, 2, 3)]
    distances = [frechet_distance(real_features, s) for s in steps]
    assert distances == sorted(distances)
    assert distances[1] > floor


def test_interval_holds_the_estimate_and_narrows_with_more_clips():
    generator = np.random.default_rng(6)
    reference, other = generator.normal(size=(400, 5)), generator.normal(0.5, 1, (400, 5))
    wide = frechet_interval(reference[:50], other[:50], resamples=200)
    narrow = frechet_interval(reference, other, resamples=200)
    for interval in (wide, narrow):
        assert interval.low < interval.value < interval.high
    assert narrow.high - narrow.low < wide.high - wide.low
    assert narrow.low < 5 * 0.25 < narrow.high
    assert frechet_interval(reference, other, resamples=20) == frechet_interval(reference, other, resamples=20)


def test_difference_of_two_sets_has_a_sign_and_an_interval():
    generator = np.random.default_rng(7)
    reference = generator.normal(size=(200, 4))
    near, far = reference + 0.1, generator.normal(1.0, 1, (200, 4))
    interval = frechet_difference(reference, far, near, resamples=100)
    assert 0 < interval.low < interval.value < interval.high
    mirrored = frechet_difference(reference, near, far, resamples=100)
    assert (mirrored.low, mirrored.high) == pytest.approx((-interval.high, -interval.low), rel=1e-9)


def test_features_are_finite_and_do_not_depend_on_the_size_of_the_frame(real):
    features = clip_features(real[0])
    large = np.stack([cv2.resize(f, (128, 128), interpolation=cv2.INTER_NEAREST) for f in real[0]])
    assert features.shape == (36,)
    assert np.isfinite(clip_features(np.zeros((9, 64, 64, 3), np.uint8))).all()
    assert clip_features(large) == pytest.approx(features, abs=1e-6)


def test_bad_input_is_named(real):
    with pytest.raises(ValueError, match="8 frames are too few"):
        clip_features(real[0][:8])
    with pytest.raises(ValueError, match="cannot be compared"):
        frechet_distance(np.eye(3), np.eye(4))
    with pytest.raises(ValueError, match="cannot be paired"):
        frechet_interval(np.eye(3), np.eye(3)[:2], paired=True)
    with pytest.raises(ValueError, match="N above 1"):
        frechet_distance(np.eye(3)[:1], np.eye(3))
