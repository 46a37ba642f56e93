"""How far a set of clips is from real clips of the same captions, at each frame position: Fréchet and kernel distance.

Row i of both sets is the same caption. The Fréchet distance falls with the number of clips even between two real sets:
compare it at one n, and beside that of a second real set. The kernel distance is unbiased, zero on average for real.
"""

from collections.abc import Sequence

import numpy as np

from eval.statistics.resampling import Resampled, resample

RESAMPLES = 200


def frechet_over_time(
    reference: np.ndarray, other: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0
) -> list[Resampled]:
    """Squared Fréchet distance between features (N, P, D) at each of P positions, then the mean over positions.

    The number of `eval.realism.frechet.frechet_distance`, by products between clips: the trace of (C1 C2)^(1/2) is the
    sum of the singular values of the N x N matrix of products of centred clips, so that a resample needs no features.
    """
    reference, other = _paired(reference, other)
    products = [_products(a, b) for a, b in ((reference, reference), (other, other), (reference, other))]
    return _with_mean(lambda rows: _frechet(*(p[:, rows][:, :, rows] for p in products)), len(other), resamples, seed)


def kernel_over_time(
    reference: np.ndarray, other: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0
) -> list[Resampled]:
    """Squared kernel distance (maximum mean discrepancy) at each position, then the mean over positions.

    The kernel is that of KID (arXiv:1801.01401), (x.y / D + 1)^3; the estimator leaves out each clip with itself and
    with its partner of the same caption (Gretton et al. 2012, lemma 6), is unbiased, and may fall below zero.
    """
    reference, other = _paired(reference, other)
    own = _kernel(reference, reference) + _kernel(other, other)
    across = _kernel(reference, other)
    gain = own - across - across.transpose(0, 2, 1)

    def measure(rows: np.ndarray) -> np.ndarray:
        different = rows[:, None] != rows
        return (gain[:, rows][:, :, rows] * different).sum((1, 2)) / different.sum()

    return _with_mean(measure, len(other), resamples, seed)


def _with_mean(measure, n: int, resamples: int, seed: int) -> list[Resampled]:
    def measured(rows: np.ndarray) -> np.ndarray:
        values = measure(rows)
        return np.append(values, values.mean())

    return resample(measured, n, resamples=resamples, seed=seed)


def _products(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(P, N, N): inner products of the clips of two sets (N, P, D) at each position."""
    return np.einsum("ipd,jpd->pij", first, second, optimize=True)


def _kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (_products(first, second) / first.shape[2] + 1) ** 3


def _frechet(own: np.ndarray, others: np.ndarray, across: np.ndarray) -> np.ndarray:
    """(P,) from products (P, n, n) within the reference, within the other set, and between them."""
    n = own.shape[1]
    gap = own.mean((1, 2)) + others.mean((1, 2)) - 2 * across.mean((1, 2))
    spread = sum(np.trace(m, axis1=1, axis2=2) - n * m.mean((1, 2)) for m in (own, others))
    centred = across - across.mean(1, keepdims=True)
    centred -= centred.mean(2, keepdims=True)
    squares = np.linalg.eigvalsh(centred @ centred.transpose(0, 2, 1))
    shared = np.sqrt(squares.clip(0)).sum(1)
    return np.maximum(gap + (spread - 2 * shared) / (n - 1), 0.0)


def _paired(*sets: Sequence) -> list[np.ndarray]:
    arrays = [np.asarray(features, float) for features in sets]
    shapes = " and ".join(str(a.shape) for a in arrays)
    if any(a.ndim != 3 or a.shape != arrays[0].shape or len(a) < 3 for a in arrays):
        raise ValueError(f"features of shapes {shapes} cannot be paired; give (N, P, D) alike, N above 2")
    if not all(np.isfinite(a).all() for a in arrays):
        raise ValueError("features hold numbers that are not finite; give features of readable clips")
    return arrays
