"""Do annotators agree? Krippendorff's alpha, raw agreement, and how each did on the attention checks."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from eval.preferences.table import DEGRADED
from eval.statistics.intervals import Interval, wilson


@dataclass(frozen=True)
class Agreement:
    """`alpha` is 1 for perfect agreement and 0 for that of chance; `raw` is the share of pairs of annotators with the
    same answer. `units` were judged by at least two annotators; without one, both are None."""

    alpha: Interval | None
    raw: float | None
    units: int
    ratings: int


def agreement(votes: pd.DataFrame, *, resamples: int = 1000, seed: int = 0) -> Agreement:
    """Of the votes (`table.counted`): a unit is one question about one pair of systems, prompt and seed; an answer is
    the preferred system, no difference, or both bad. The interval resamples units."""
    units = list(rated_units(votes).values())
    table = np.array([_unit_counts(unit) for unit in units]) if units else np.zeros((0, 4))
    shared = table[table.sum(1) >= 2]
    if not len(shared):
        return Agreement(None, None, 0, 0)
    generator = np.random.default_rng(seed)
    draws = [nominal_alpha(shared[generator.integers(len(shared), size=len(shared))]) for _ in range(resamples)]
    low, high = np.nanquantile(draws, [0.025, 0.975]) if np.isfinite(draws).any() else (np.nan, np.nan)
    value = nominal_alpha(shared)
    found = Interval(value, float(low), float(high), len(shared)) if np.isfinite(value) else None
    return Agreement(found, raw_agreement(shared), len(shared), int(shared.sum()))


def rated_units(votes: pd.DataFrame) -> dict[Hashable, list[str]]:
    """What was judged, and what each annotator (their last word) said: first, second, tie or bad, where first is the
    system that comes first in the alphabet."""
    swapped = votes["left_system"] > votes["right_system"]
    first = votes["left_system"].where(~swapped, votes["right_system"])
    second = votes["right_system"].where(~swapped, votes["left_system"])
    straight = votes["winner"].replace({"left": "first", "right": "second"})
    turned = votes["winner"].replace({"left": "second", "right": "first"})
    said = pd.DataFrame(
        {
            "unit": list(zip(votes["question"], votes["prompt"], votes["seed"], first, second, strict=True)),
            "annotator": votes["annotator"],
            "answer": straight.where(~swapped, turned),
        }
    ).drop_duplicates(["unit", "annotator"], keep="last")
    return {unit: group["answer"].tolist() for unit, group in said.groupby("unit")}


def raw_agreement(table: np.ndarray) -> float:
    """Share of pairs of values within units that are equal, for counts (units, values)."""
    sizes = table.sum(1)
    return float((table * (table - 1)).sum() / (sizes * (sizes - 1)).sum())


def _unit_counts(answers: list[str]) -> list[int]:
    return [answers.count(answer) for answer in ("first", "second", "tie", "bad")]


def nominal_alpha(table: np.ndarray) -> float:
    """Krippendorff's alpha of counts (units, values): 1 - observed / expected disagreement (2011, Computing
    Krippendorff's alpha-reliability). Units with one value are left out; nan where all values are the same."""
    table = table[table.sum(1) >= 2]
    sizes, totals = table.sum(1), table.sum(0)
    n = totals.sum()
    if n < 2:
        return float("nan")
    observed = ((sizes**2 - (table**2).sum(1)) / (sizes - 1)).sum() / n
    expected = (n**2 - (totals**2).sum()) / (n * (n - 1))
    return float(1 - observed / expected) if expected > 0 else float("nan")


@dataclass(frozen=True)
class Attention:
    """How an annotator did on the checks: passed of shown, and their votes on real pairs."""

    annotator: str
    shown: int
    passed: int
    votes: int
    seconds: float | None

    @property
    def rate(self) -> Interval | None:
        return wilson(self.passed, self.shown) if self.shown else None


def attention(votes: pd.DataFrame) -> list[Attention]:
    """Every annotator of the table (undone votes left out), sorted by name. The same clip twice passes as no
    difference or both bad; a spoilt clip passes when the other one won, and counts where the table says which was."""
    votes = votes[~votes["undone"].astype(bool)]
    verdict = check_verdicts(votes)
    found = []
    for annotator, rows in votes.groupby("annotator"):
        known = verdict[rows.index].dropna()
        real = rows[rows["check_kind"] == ""]
        seconds = float(real["seconds"].median()) if len(real) else None
        found.append(Attention(str(annotator), len(known), int(known.astype(bool).sum()), len(real), seconds))
    return found


def check_verdicts(votes: pd.DataFrame) -> pd.Series:
    """True or False for each attention check, None for real pairs and for checks that cannot be judged."""
    same = votes["winner"].isin(["tie", "bad"])
    left, right = (votes[f"{side}_system"].str.endswith(DEGRADED) for side in ("left", "right"))
    spoilt = (left & (votes["winner"] == "right")) | (right & (votes["winner"] == "left"))
    found = pd.Series([None] * len(votes), index=votes.index, dtype=object)
    identical, degraded = votes["check_kind"] == "identical", (votes["check_kind"] == "degraded") & (left | right)
    found[identical] = same[identical]
    found[degraded] = spoilt[degraded]
    return found


def attentive(votes: pd.DataFrame, *, least: float) -> pd.DataFrame:
    """The votes of annotators who passed at least this share of their checks; who saw none stays."""
    rates: Mapping[str, Interval | None] = {row.annotator: row.rate for row in attention(votes)}
    failed = {name for name, rate in rates.items() if rate is not None and rate.value < least}
    return votes[~votes["annotator"].isin(failed)]
