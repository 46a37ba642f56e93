"""A bar that may be looked at after every vote: evidence that stays valid whenever one stops."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, xlog1py, xlogy

from eval.statistics.intervals import Interval

PRIOR = 0.5  # of the Beta mixture: Jeffreys
ALPHA = 0.05


@dataclass(frozen=True)
class Bar:
    """Evidence against "both are chosen alike". It may be compared with `needed` at any time: if they are alike, the
    chance that it ever gets there is at most `alpha`. `share` holds the true share at all times together, with
    probability 1 - alpha; `reached` is the vote (from 1) at which the bar was first passed."""

    evidence: float
    needed: float
    share: Interval
    reached: int | None
    path: tuple[float, ...]


def bar(outcomes: Sequence[bool], *, alpha: float = ALPHA) -> Bar:
    """Of decisive votes in the order they came, True where the first system won.

    The evidence is the e-process of the Beta(1/2, 1/2) mixture against one half, B(a + s, a + f) / B(a, a) / 2^-n, a
    martingale when both are alike, so that Ville's inequality holds (Robbins 1970; Howard, Ramdas, McAuliffe and
    Sekhon 2021, arXiv:1810.08240). It takes votes as independent: give one for each annotator and prompt.
    """
    wins = np.cumsum(np.asarray(outcomes, bool)) if len(outcomes) else np.zeros(0, int)
    losses = np.arange(1, len(wins) + 1) - wins
    path = log_evidence(wins, losses, 0.5)
    passed = np.flatnonzero(path >= -np.log(alpha))
    return Bar(
        evidence=float(np.exp(min(path[-1], 700))) if len(path) else 1.0,
        needed=1 / alpha,
        share=confidence_sequence(int(wins[-1]), int(losses[-1]), alpha) if len(path) else Interval(0.5, 0.0, 1.0, 0),
        reached=int(passed[0]) + 1 if len(passed) else None,
        path=tuple(float(value) for value in path),
    )


def log_evidence(wins: np.ndarray, losses: np.ndarray, share: float | np.ndarray) -> np.ndarray:
    """Log of the mixture's likelihood over that of `share`."""
    mixture = betaln(PRIOR + wins, PRIOR + losses) - betaln(PRIOR, PRIOR)
    return np.asarray(mixture - xlogy(wins, share) - xlog1py(losses, -share), float)


def confidence_sequence(wins: int, losses: int, alpha: float = ALPHA) -> Interval:
    """All shares that the evidence does not refute."""
    n = wins + losses
    if not n:
        return Interval(0.5, 0.0, 1.0, 0)
    value = wins / n

    def edge(inside: float, outside: float) -> float:
        if log_evidence(wins, losses, outside) < -np.log(alpha):
            return outside
        for _ in range(60):
            middle = (inside + outside) / 2
            kept = log_evidence(wins, losses, middle) < -np.log(alpha)
            inside, outside = (middle, outside) if kept else (inside, middle)
        return inside

    return Interval(value, edge(value, 0.0), edge(value, 1.0), n)
