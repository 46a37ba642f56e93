"""Is a difference more than chance? Tests of paired differences whose units are prompts, and their correction."""

from collections.abc import Callable, Sequence

import numpy as np

EXACT_UP_TO = 14  # units whose sign patterns are all tried
RESAMPLES = 10_000


def sign_flip_p(units: Sequence[float], *, resamples: int = RESAMPLES, seed: int = 0) -> float | None:
    """Two-sided p of a mean of differences under random signs (Fisher 1935); None for a single unit.

    Exact up to 14 units, beyond that by drawing, with the observed signs as one of the draws, so that p is never 0.
    """
    values = _checked(units)
    if len(values) < 2:
        return None
    observed = abs(values.sum())
    if len(values) <= EXACT_UP_TO:
        patterns = np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1
        return float((np.abs((1 - 2 * patterns) @ values) >= observed - _slack(values)).mean())
    generator = np.random.default_rng(seed)
    signs = generator.integers(0, 2, size=(resamples, len(values)), dtype=np.int8) * 2 - 1
    return float((1 + (np.abs(signs @ values) >= observed - _slack(values)).sum()) / (1 + resamples))


def swap_p(
    difference: Callable[[np.ndarray], float], units: int, *, resamples: int = 2000, seed: int = 0
) -> float | None:
    """Two-sided p of a difference between two sets whose unit i is the same prompt, for any measure.

    `difference(swapped)` is the measure's difference when the units in the mask (units,) have changed sides; under
    the null hypothesis sides mean nothing. None for a single unit.
    """
    if units < 2:
        return None
    generator = np.random.default_rng(seed)
    observed = abs(difference(np.zeros(units, bool)))
    slack = 1e-12 * max(1.0, observed)
    if 2**units <= resamples:
        masks = (np.arange(2**units)[:, None] >> np.arange(units) & 1).astype(bool)
        return float(np.mean([abs(difference(mask)) >= observed - slack for mask in masks]))
    masks = generator.integers(0, 2, size=(resamples, units)).astype(bool)
    return float((1 + sum(abs(difference(mask)) >= observed - slack for mask in masks)) / (1 + resamples))


def holm(values: Sequence[float | None]) -> list[float | None]:
    """P-values corrected for how many there are, after Holm (1979); None stays None and is not counted."""
    known = [index for index, value in enumerate(values) if value is not None]
    found: list[float | None] = [None] * len(values)
    least = 0.0
    for place, index in enumerate(sorted(known, key=lambda index: values[index])):
        least = max(least, min(1.0, (len(known) - place) * values[index]))
        found[index] = least
    return found


def _slack(values: np.ndarray) -> float:
    """Sums that are equal on paper may differ by rounding."""
    return 1e-12 * max(1.0, float(np.abs(values).sum()))


def _checked(units: Sequence[float]) -> np.ndarray:
    values = np.asarray(units, float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"values of shape {values.shape} cannot be tested; give a list of finite numbers")
    return values
