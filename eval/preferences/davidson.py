"""Bradley-Terry strengths from wins, losses and ties, by Davidson's model.

Why Davidson (1970, JASA 65, 317-328) and not Rao and Kupper (1967): its likelihood is an exponential family in the
log strengths, so it is concave, a tie counts exactly as half a win in the estimating equations (a strength is right
when expected wins plus half the ties equal those seen), and a side effect enters as one more coefficient. Rao and
Kupper's threshold has none of these.

With strengths s (log scale, mean 0), tie weight nu and side effect d:

    P(left) : P(right) : P(tie) = exp(s_l + d/2) : exp(s_r - d/2) : nu exp((s_l + s_r)/2)
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

# a prior of sd 10 on every log coefficient: nothing beside a handful of votes, and finite where nobody ever lost
PRIOR_SD = 10.0
STEPS = 60
LEFT, RIGHT, TIE = 0, 1, 2


@dataclass(frozen=True)
class Design:
    """What is estimated: K - 1 coefficients of the strengths, with `ties` the log tie weight, with `side` the effect
    of being shown on the left. `groups` are the (left, right) systems whose outcomes are counted."""

    systems: int
    groups: tuple[tuple[int, int], ...]
    side: bool
    ties: bool

    @property
    def size(self) -> int:
        return self.systems - 1 + self.ties + self.side

    @property
    def outcomes(self) -> int:
        """Left, right and, with `ties`, tie."""
        return 2 + self.ties

    @cached_property
    def basis(self) -> np.ndarray:
        """(K, K - 1): orthonormal, columns of sum 0, so that strengths are `basis @ coefficients`, of mean 0."""
        plain = np.eye(self.systems)[:, : self.systems - 1] - np.eye(self.systems)[:, 1:]
        return np.linalg.qr(plain)[0] if self.systems > 1 else np.zeros((1, 0))

    @cached_property
    def features(self) -> np.ndarray:
        """The coefficients' factors of each outcome of each group, (G, outcomes, size)."""
        basis, last = self.basis, self.systems - 1
        found = np.zeros((len(self.groups), self.outcomes, self.size))
        for row, (left, right) in zip(found, self.groups, strict=True):
            row[LEFT, :last], row[RIGHT, :last] = basis[left], basis[right]
            row[TIE:, :last] = (basis[left] + basis[right]) / 2
        if self.ties:
            found[:, TIE, last] = 1
        if self.side:
            found[:, LEFT, -1], found[:, RIGHT, -1] = 0.5, -0.5
        return found

    def split(self, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Strengths (..., K), tie weight (...), side effect (...) of coefficients (..., size)."""
        last = self.systems - 1
        strengths = coefficients[..., :last] @ self.basis.T
        weight = np.exp(coefficients[..., last]) if self.ties else np.zeros(coefficients.shape[:-1])
        side = coefficients[..., -1] if self.side else np.zeros(coefficients.shape[:-1])
        return strengths, weight, side


def fit(design: Design, counts: np.ndarray, *, prior_sd: float | None = PRIOR_SD) -> np.ndarray:
    """Coefficients (..., size) that maximise the likelihood of counts (..., G, outcomes), by Newton's method.

    Leading axes are independent data sets, fitted together. `prior_sd` None is plain maximum likelihood, which has
    no finite answer where a system never lost or never won.
    """
    counts = np.asarray(counts, float)
    flat = counts.reshape(-1, *counts.shape[-2:])
    features, ridge = design.features, 0.0 if prior_sd is None else prior_sd**-2
    found = np.zeros((len(flat), design.size))
    value = _objective(features, flat, found, ridge)
    for _ in range(STEPS):
        gradient, curvature = _derivatives(features, flat, found, ridge)
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        step *= np.minimum(1, 4 / np.maximum(np.abs(step).max(-1, keepdims=True), 1e-300))
        size = np.ones(len(flat))
        for _ in range(30):  # halve what does not improve; the likelihood is concave, so some step does
            tried = _objective(features, flat, found + size[:, None] * step, ridge)
            worse = tried < value - 1e-12 * (1 + np.abs(value))
            if not worse.any():
                break
            size[worse] /= 2
        found, value = found + size[:, None] * step, tried
        if np.abs(step).max(initial=0) < 1e-10:
            break
    return found.reshape(*counts.shape[:-2], design.size)


def information(design: Design, counts: np.ndarray, coefficients: np.ndarray, prior_sd: float | None) -> np.ndarray:
    """Minus the second derivative of the log likelihood, (size, size)."""
    ridge = 0.0 if prior_sd is None else prior_sd**-2
    return _derivatives(design.features, np.asarray(counts, float)[None], coefficients[None], ridge)[1][0]


def scores(design: Design, coefficients: np.ndarray) -> np.ndarray:
    """The gradient that one vote of each group and outcome adds, (G, outcomes, size)."""
    features = design.features
    return features - np.einsum("go,god->gd", probabilities(features, coefficients), features)[:, None]


def probabilities(features: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Of left, right and tie, (..., G, outcomes)."""
    exponents = coefficients @ features.reshape(-1, features.shape[-1]).T
    exponents = exponents.reshape(*coefficients.shape[:-1], *features.shape[:2])
    weights = np.exp(exponents - exponents.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def _objective(features: np.ndarray, counts: np.ndarray, coefficients: np.ndarray, ridge: float) -> np.ndarray:
    exponents = (coefficients @ features.reshape(-1, features.shape[-1]).T).reshape(len(counts), *features.shape[:2])
    top = exponents.max(-1)
    total = top + np.log(np.exp(exponents - top[..., None]).sum(-1))
    likelihood = (counts * exponents).sum((-1, -2)) - (counts.sum(-1) * total).sum(-1)
    return likelihood - ridge / 2 * (coefficients**2).sum(-1)


def _derivatives(features: np.ndarray, counts: np.ndarray, coefficients: np.ndarray, ridge: float) -> tuple:
    """Gradient (B, size) and minus the second derivative (B, size, size)."""
    groups, outcomes, size = features.shape
    expected = counts.sum(-1, keepdims=True) * probabilities(features, coefficients)
    gradient = (counts - expected).reshape(-1, groups * outcomes) @ features.reshape(-1, size) - ridge * coefficients
    mean = np.einsum("bgo,god->bgd", expected, features)
    seen = np.maximum(counts.sum(-1), 1e-300)
    flat = features.reshape(-1, size)
    products = (flat[:, :, None] * flat[:, None, :]).reshape(groups * outcomes, -1)
    squares = (expected.reshape(len(counts), -1) @ products).reshape(-1, size, size)
    curvature = squares - np.einsum("bgd,bge->bde", mean / seen[..., None], mean)
    return gradient, curvature + ridge * np.eye(size)


def information_per_vote(design: Design, coefficients: np.ndarray) -> np.ndarray:
    """What one vote in each group is expected to tell about the coefficients, (G, size, size)."""
    features = design.features
    chance = probabilities(features, coefficients)
    mean = np.einsum("go,god->gd", chance, features)
    return np.einsum("go,god,goe->gde", chance, features, features) - mean[:, :, None] * mean[:, None]
