"""Intervals: published values, closed forms, laws."""

import numpy as np
import pytest

from eval.statistics.intervals import bootstrap_mean, paired_difference, wilson


# Newcombe (1998), Statistics in Medicine 17, table I, method 3
@pytest.mark.parametrize(
    "successes, n, low, high",
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(successes, n, low, high):
    interval = wilson(successes, n)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)
    assert interval.value == successes / n


def test_wilson_mirrors():
    some, rest = wilson(9, 64), wilson(55, 64)
    assert (some.low, some.high) == pytest.approx((1 - rest.high, 1 - rest.low), abs=1e-12)
    assert wilson(64, 64).high == 1.0


@pytest.mark.parametrize("successes, n", [(5, 4), (-1, 4), (0, 0)])
def test_wilson_refuses_what_is_no_rate(successes, n):
    with pytest.raises(ValueError, match="is not a rate"):
        wilson(successes, n)


def test_bootstrap_of_two_values_is_the_known_distribution():
    """Means of two draws from {0, 1} are 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4."""
    assert bootstrap_mean([0, 1], confidence=0.95).low == 0.0
    assert bootstrap_mean([0, 1], confidence=0.95).high == 1.0
    middle = bootstrap_mean([0, 1], confidence=0.4)
    assert (middle.low, middle.high) == (0.5, 0.5)


def test_bootstrap_agrees_with_the_normal_interval_for_many_values():
    values = np.random.default_rng(0).normal(3, 2, 1000)
    interval = bootstrap_mean(values)
    half = 1.96 * values.std() / np.sqrt(1000)
    assert (interval.low, interval.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)
    assert interval.n == 1000


def test_repeating_every_value_in_its_cluster_changes_nothing():
    values = np.random.default_rng(1).normal(size=40)
    alone = bootstrap_mean(values)
    repeated = bootstrap_mean(np.repeat(values, 5), np.repeat(np.arange(40), 5))
    assert (repeated.value, repeated.low, repeated.high) == pytest.approx((alone.value, alone.low, alone.high))
    assert repeated.n == 40
    assert bootstrap_mean(np.repeat(values, 5)).high < alone.high


def test_clusters_count_alike():
    assert bootstrap_mean([0, 0, 0, 1], ["a", "a", "a", "b"]).value == 0.5


def test_pairing_removes_what_both_share():
    generator = np.random.default_rng(2)
    prompts = generator.normal(0, 10, 50)
    first, second = prompts + 1 + generator.normal(0, 0.1, 50), prompts
    interval = paired_difference(first, second)
    assert interval.low < 1 < interval.high
    assert interval.high - interval.low < 0.1
    swapped = paired_difference(second, first)
    assert (swapped.low, swapped.high) == pytest.approx((-interval.high, -interval.low), abs=0.02)


def test_coverage_of_the_bootstrap():
    """A 95 % interval holds the truth in about 95 % of the experiments."""
    generator = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        interval = bootstrap_mean(generator.exponential(1.0, 60), resamples=400)
        hits += interval.low <= 1.0 <= interval.high
    assert 0.88 <= hits / 200 <= 0.99


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_difference([1, 2], [1])
    with pytest.raises(ValueError, match="at least one finite"):
        bootstrap_mean([])
    with pytest.raises(ValueError, match="at least one finite"):
        bootstrap_mean([1.0, float("nan")])
    with pytest.raises(ValueError, match="one label per value"):
        bootstrap_mean([1.0, 2.0], ["a"])
    with pytest.raises(ValueError, match=r"confidence=95"):
        bootstrap_mean([1.0, 2.0], confidence=95)
