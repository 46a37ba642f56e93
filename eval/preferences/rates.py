"""Win rates: how often one system is preferred to another, and whether the side decides."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from eval.preferences.table import score_of_left, systems_of
from eval.statistics.intervals import Interval, wilson


@dataclass(frozen=True)
class PairRate:
    """Votes on `first` against `second`. `decisive` is the share that the first won of the votes with a winner (Wilson
    interval, as if votes were independent); `net` is (wins - losses) / votes, clustered by annotator. Both are None
    where there is nothing to take a share of."""

    first: str
    second: str
    wins: int
    losses: int
    ties: int
    bad: int
    annotators: int
    prompts: int
    decisive: Interval | None
    net: Interval | None

    @property
    def votes(self) -> int:
        return self.wins + self.losses + self.ties + self.bad

    def turned(self) -> "PairRate":
        """The same votes, seen from the second."""
        return PairRate(
            self.second,
            self.first,
            self.losses,
            self.wins,
            self.ties,
            self.bad,
            self.annotators,
            self.prompts,
            self.decisive
            and Interval(1 - self.decisive.value, 1 - self.decisive.high, 1 - self.decisive.low, self.decisive.n),
            self.net and Interval(-self.net.value, -self.net.high, -self.net.low, self.net.n),
        )


def pair_rate(votes: pd.DataFrame, first: str, second: str, *, confidence: float = 0.95) -> PairRate:
    """The votes (`table.counted`) on two systems, whichever side they were on."""
    straight = (votes["left_system"] == first) & (votes["right_system"] == second)
    turned = (votes["left_system"] == second) & (votes["right_system"] == first)
    both = votes[straight | turned]
    score = np.where(straight[straight | turned], score_of_left(both), 1 - score_of_left(both))
    wins, losses = int((score == 1).sum()), int((score == 0).sum())
    return PairRate(
        first,
        second,
        wins,
        losses,
        int((both["winner"] == "tie").sum()),
        int((both["winner"] == "bad").sum()),
        both["annotator"].nunique(),
        both["prompt"].nunique(),
        wilson(wins, wins + losses, confidence=confidence) if wins + losses else None,
        clustered_mean(2 * score - 1, both["annotator"], confidence=confidence) if len(both) else None,
    )


def pair_rates(votes: pd.DataFrame) -> list[PairRate]:
    """Every pair of systems that was voted on, the first before the second in alphabetical order."""
    found = (pair_rate(votes, first, second) for first, second in combinations(systems_of(votes), 2))
    return [rate for rate in found if rate.votes]


def clustered_mean(values: np.ndarray, clusters: pd.Series, *, confidence: float = 0.95) -> Interval:
    """Mean of `values` with an interval for values of one cluster that depend on each other: cluster-robust standard
    error (Liang and Zeger 1986) and Student's t on clusters - 1. One cluster bounds nothing; `n` is the clusters."""
    values = np.asarray(values, float)
    labels, names = pd.factorize(np.asarray(clusters))
    mean, count = float(values.mean()), len(names)
    if count < 2:
        return Interval(mean, -np.inf, np.inf, count)
    pulls = np.bincount(labels, weights=values - mean)
    error = np.sqrt((pulls**2).sum() * count / (count - 1)) / len(values)
    half = float(stdtrit(count - 1, 0.5 + confidence / 2) * error)
    return Interval(mean, mean - half, mean + half, count)


@dataclass(frozen=True)
class SideBias:
    """How often the left clip (A) won of the votes with a winner; `p` is the exact binomial test against one half, and
    `clustered` the same share with annotators as clusters. Sides are drawn at random, so 1/2 is expected."""

    left: Interval
    clustered: Interval
    p: float


def side_bias(votes: pd.DataFrame) -> SideBias | None:
    """Over all pairs; None without a vote that has a winner."""
    decisive = votes[votes["winner"].isin(["left", "right"])]
    if not len(decisive):
        return None
    from scipy.stats import binomtest

    left = (decisive["winner"] == "left").to_numpy(float)
    share = clustered_mean(left, decisive["annotator"])
    clustered = Interval(share.value, max(share.low, 0.0), min(share.high, 1.0), share.n)
    wins = int(left.sum())
    return SideBias(wilson(wins, len(left)), clustered, float(binomtest(wins, len(left)).pvalue))
