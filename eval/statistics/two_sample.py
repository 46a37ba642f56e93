"""Can a small classifier tell a set of clips from real ones? 50 % means that it cannot, 100 % that it always can.

A classifier two-sample test (Lopez-Paz and Oquab, arXiv:1610.06545): logistic regression, cross-validated so that both
clips of a caption are judged by a classifier that saw neither.
"""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from eval.statistics.resampling import Resampled, resample

FOLDS = 5
SPLITS = 4
PENALTY = 0.02


def clip_vectors(features: np.ndarray) -> np.ndarray:
    """(N, 2 D): mean and spread over time of the features (N, P, D) of clips."""
    return np.concatenate([features.mean(1), features.std(1)], 1)


def two_sample_accuracy(
    reference: np.ndarray, other: np.ndarray, *, resamples: int = 1000, seed: int = 0
) -> Resampled:
    """Share of held-out clips, real (N, D) and other (N, D), that the classifier puts on the right side.

    Row i of both is the same caption. Predictions come from 4 random splits into 5 folds. Captions are resampled with
    their predictions as they are: the spread leaves out how another training set would have changed the classifier.
    """
    right = held_out_right(reference, other, seed=seed)
    return resample(lambda rows: right[rows].mean()[None], len(right), resamples=resamples, seed=seed)[0]


def held_out_right(reference: np.ndarray, other: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """(N,) share of right answers for each caption, 0 to 1, over both its clips and all splits."""
    reference, other = np.asarray(reference, float), np.asarray(other, float)
    if reference.shape != other.shape or reference.ndim != 2 or len(other) < 2 * FOLDS:
        shapes = f"{reference.shape} and {other.shape}"
        raise ValueError(f"features of shapes {shapes} cannot be told apart; give (N, D) alike, N >= 10")
    right = np.zeros(len(other))
    for train, test in _folds(len(other), seed):
        scores = _scores(reference[train], other[train], np.concatenate([reference[test], other[test]]))
        real, made = np.split(scores, 2)
        # a score of exactly 0 is a guess, right half the time
        right[test] += (np.heaviside(-real, 0.5) + np.heaviside(made, 0.5)) / 2
    return right / SPLITS


def _folds(n: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    generator = np.random.default_rng(seed)
    for _ in range(SPLITS):
        order = generator.permutation(n)
        for fold in np.array_split(order, FOLDS):
            yield np.setdiff1d(order, fold), fold


def _scores(real: np.ndarray, made: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Log odds that rows of `asked` are made, by a penalised logistic regression on standardised features."""
    both = np.concatenate([real, made])
    centre, spread = both.mean(0), both.std(0)
    unit = np.where(spread > 0, spread, 1) * np.sqrt(both.shape[1])
    seen, asked = (both - centre) / unit, (asked - centre) / unit
    sign = np.repeat([-1.0, 1.0], [len(real), len(made)])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (seen @ weights)
        slope = -sign * expit(-margin) / len(sign)
        value = np.logaddexp(0, -margin).mean() + PENALTY / 2 * weights @ weights / len(weights)
        return value, seen.T @ slope + PENALTY * weights / len(weights)

    return asked @ minimize(loss, np.zeros(seen.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
