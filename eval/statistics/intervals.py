"""Intervals for rates, means and paired differences. NumPy only; randomness is an argument."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; `n` is the number of independent units behind it."""

    value: float
    low: float
    high: float
    n: int


def wilson(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Score interval of a rate, without continuity correction (Wilson 1927; method 3 of Newcombe 1998)."""
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} of {n} is not a rate; give 0 <= successes <= n with n above 0")
    from scipy.stats import binomtest

    found = binomtest(int(successes), int(n)).proportion_ci(_checked(confidence), method="wilson")
    return Interval(successes / n, float(found.low), float(found.high), n)


def bootstrap_mean(
    values: Sequence[float],
    clusters: Sequence | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of a mean (Efron and Tibshirani 1993).

    With `clusters` (one label per value, such as the prompt), values of a cluster are averaged first and clusters
    are resampled: seeds of one prompt are not independent of each other.
    """
    units = _units(values, clusters)
    means = _resampled_means(units, resamples, seed)
    low, high = _percentiles(means, confidence)
    return Interval(float(units.mean()), low, high, len(units))


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    clusters: Sequence | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval of mean(first - second), where entry i of both is the same prompt and seed."""
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values cannot be paired; give one of each for every clip")
    difference = np.asarray(first, float) - np.asarray(second, float)
    return bootstrap_mean(difference, clusters, confidence=confidence, resamples=resamples, seed=seed)


def _units(values: Sequence[float], clusters: Sequence | None) -> np.ndarray:
    numbers = np.asarray(values, float)
    if numbers.ndim != 1 or len(numbers) == 0 or not np.isfinite(numbers).all():
        raise ValueError(f"values of shape {numbers.shape} have no mean; give a list of at least one finite number")
    if clusters is None:
        return numbers
    if len(clusters) != len(numbers):
        raise ValueError(f"{len(clusters)} clusters for {len(numbers)} values; give one label per value")
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    return np.bincount(index, weights=numbers) / np.bincount(index)


def _resampled_means(units: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    # in pieces: 10 000 resamples of 10 000 values would take 800 MB at once
    piece = max(1, 2_000_000 // len(units))
    sizes = [min(piece, resamples - done) for done in range(0, resamples, piece)]
    return np.concatenate([units[generator.integers(len(units), size=(s, len(units)))].mean(1) for s in sizes])


def _percentiles(values: np.ndarray, confidence: float) -> tuple[float, float]:
    tail = (1 - _checked(confidence)) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _checked(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} is not a probability; give a number between 0 and 1, such as 0.95")
    return confidence
