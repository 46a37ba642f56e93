"""Which pair tells most: votes go where they narrow the ratings."""

from collections.abc import Mapping, Sequence

import numpy as np

from eval.preferences import davidson
from eval.preferences.davidson import Design

Pair = tuple[str, str]
# a few imagined votes a pair, so that the first votes are spread and nothing is certain
IMAGINED = 0.5
EXPLORE = 0.1


def pair_values(systems: Sequence[str], counts: Mapping[Pair, Sequence[float]]) -> dict[Pair, float]:
    """How much one more vote on each pair (a before b in `systems`) would lower the squared standard errors of the win
    rates between all systems. The widest weigh most: each by its cube, the slope of the 4-norm.

    `counts[a, b]` are wins of a, wins of b and ties (with both bad) so far; pairs without votes may be missing. On the
    scale of win rates, because that is what is read: between 1 % and 2 % lie as many log odds as between 50 and 67 %.
    """
    design, table = _tally(systems, counts)
    coefficients = davidson.fit(design, table + IMAGINED)
    covariance = _covariance(design, table, coefficients)
    slopes = _slopes(design, coefficients)
    variance = np.einsum("cd,de,ce->c", slopes, covariance, slopes)
    weight = (slopes * (variance / variance.max())[:, None] ** 3).T @ slopes
    values = {}
    for (a, b), gain in zip(design.groups, davidson.information_per_vote(design, coefficients), strict=True):
        drop = covariance @ gain @ np.linalg.solve(np.eye(design.size) + covariance @ gain, covariance)
        values[systems[a], systems[b]] = float(np.trace(weight @ drop))
    return values


def choose_pair(
    values: Mapping[Pair, float], generator: np.random.Generator, *, explore: float = EXPLORE
) -> tuple[str, str, float]:
    """A pair and the probability with which it was chosen: the most telling one, or with `explore` any."""
    pairs = list(values)
    best = max(pairs, key=lambda pair: values[pair])
    chosen = pairs[int(generator.integers(len(pairs)))] if generator.random() < explore else best
    return *chosen, explore / len(pairs) + (1 - explore) * (chosen == best)


def widest(systems: Sequence[str], counts: Mapping[Pair, Sequence[float]], z: float = 1.96) -> float:
    """Width of the widest 95 % interval of a win rate between two systems, 0 to 1, were votes independent."""
    design, table = _tally(systems, counts)
    coefficients = davidson.fit(design, table + IMAGINED)
    slopes = _slopes(design, coefficients)
    return float(
        2 * z * np.sqrt(np.einsum("cd,de,ce->c", slopes, _covariance(design, table, coefficients), slopes).max())
    )


def _tally(systems: Sequence[str], counts: Mapping[Pair, Sequence[float]]) -> tuple[Design, np.ndarray]:
    pairs = tuple((a, b) for a in range(len(systems)) for b in range(a + 1, len(systems)))
    table = np.array([counts.get((systems[a], systems[b]), (0, 0, 0)) for a, b in pairs], float)
    return Design(len(systems), pairs, side=False, ties=True), table.reshape(-1, 3)


def _covariance(design: Design, table: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    return np.linalg.inv(davidson.information(design, table + IMAGINED / 3, coefficients, davidson.PRIOR_SD))


def _slopes(design: Design, coefficients: np.ndarray) -> np.ndarray:
    """How the win rate (of votes with a winner) between each two systems changes with the coefficients, (G, size)."""
    rows = np.zeros((len(design.groups), design.size))
    for row, (a, b) in zip(rows, design.groups, strict=True):
        row[: design.systems - 1] = design.basis[a] - design.basis[b]
    rate = 1 / (1 + np.exp(-rows @ coefficients))
    return rows * (rate * (1 - rate))[:, None]
