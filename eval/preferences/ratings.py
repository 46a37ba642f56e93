"""Ratings of systems from votes: Davidson strengths, intervals that respect who voted on what, and shared ranks."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit

from eval.preferences import davidson
from eval.preferences.davidson import Design
from eval.preferences.table import systems_of
from eval.statistics.intervals import Interval

POINTS = 400 / np.log(10)  # per unit of log strength: the Elo scale
MIDDLE = 1000.0
FEW_ANNOTATORS = 6
OUTCOMES = {"left": davidson.LEFT, "right": davidson.RIGHT, "tie": davidson.TIE, "bad": davidson.TIE}


@dataclass(frozen=True)
class Rating:
    """A system's log strength (the mean of all systems is 0) with its interval; a bound is infinite where the votes
    set none. Systems share a `rank` unless the gap between them is outside its interval."""

    system: str
    strength: float
    low: float
    high: float
    rank: int
    votes: int
    wins: int
    losses: int
    ties: int
    bad: int

    def points(self) -> tuple[float, float, float]:
        """Value, low and high on the Elo scale, where the mean is 1000 and 400 points are odds of 10 to 1."""
        return tuple(MIDDLE + POINTS * value for value in (self.strength, self.low, self.high))


@dataclass(frozen=True)
class Ratings:
    """`rows` are sorted best first; `gaps[a, b]` is the interval of a's strength minus b's. `side` is the log odds
    that being shown on the left adds. `notes` are sentences about what the votes do not allow to say."""

    rows: tuple[Rating, ...]
    gaps: dict[tuple[str, str], Interval]
    tie_weight: float
    side: Interval | None
    votes: int
    annotators: int
    prompts: int
    confidence: float
    notes: tuple[str, ...]

    def of(self, system: str) -> Rating:
        return next(row for row in self.rows if row.system == system)

    def expected(self, first: str, second: str) -> Interval:
        """How often the first wins of the votes that are no tie, after this model."""
        gap = self.gaps[first, second]
        value, low, high = (float(1 / (1 + np.exp(-odds))) for odds in (gap.value, gap.low, gap.high))
        return Interval(value, low, high, gap.n)


@dataclass(frozen=True)
class Counted:
    """Votes as numbers: the cell (group and outcome) of each, its annotator and its prompt."""

    systems: list[str]
    design: Design
    cell: np.ndarray
    annotator: np.ndarray
    prompt: np.ndarray

    def counts(self, weights: np.ndarray | None = None) -> np.ndarray:
        """(G, outcomes)."""
        shape = len(self.design.groups), self.design.outcomes
        return np.bincount(self.cell, weights=weights, minlength=shape[0] * shape[1]).reshape(shape)


def count(votes: pd.DataFrame, *, side: bool = True) -> Counted:
    """Votes (`table.counted`) as the model takes them. Both bad counts as a tie. `side` asks for a side effect, which
    is left out where every pair was always shown the same way round."""
    systems = systems_of(votes)
    index = {system: k for k, system in enumerate(systems)}
    left, right = votes["left_system"].map(index).to_numpy(int), votes["right_system"].map(index).to_numpy(int)
    outcome = votes["winner"].map(OUTCOMES).to_numpy(int)
    ties = bool((outcome == davidson.TIE).any())
    groups, group = np.unique(left * len(systems) + right, return_inverse=True)
    pairs = tuple((int(code) // len(systems), int(code) % len(systems)) for code in groups)
    both_ways = any((b, a) in pairs for a, b in pairs)
    design = Design(len(systems), pairs, side=side and both_ways, ties=ties)
    annotator, prompt = (pd.factorize(votes[name])[0] for name in ("annotator", "prompt"))
    return Counted(systems, design, group * design.outcomes + outcome, annotator, prompt)


def rate(
    votes: pd.DataFrame, *, confidence: float = 0.95, simultaneous: bool = False, side: bool = True
) -> Ratings | None:
    """Ratings of the systems of `votes` (`table.counted`, one question); None without a vote.

    Intervals come from the cluster-robust covariance: votes of one annotator, and votes on one prompt, depend on each
    other. Taken is the widest of: clustered by annotator, by prompt, by both (Cameron, Gelbach and Miller 2011), each
    with Student's t on one less than the clusters, and the model's own, which alone is left where there is one
    annotator and one prompt. `simultaneous` widens them (Sidak) so that all strengths are inside together.
    """
    if not len(votes):
        return None
    counted = count(votes, side=side)
    design, systems = counted.design, counted.systems
    if simultaneous:
        confidence = confidence ** (1 / len(systems))
    found = davidson.fit(design, counted.counts())
    strengths, weight, effect = design.split(found)
    spread = Spread(counted, found, confidence)
    contrasts = np.zeros((len(systems), design.size))
    contrasts[:, : design.systems - 1] = design.basis
    reach = _reach(counted)
    gaps = {
        (systems[a], systems[b]): _gap(strengths, contrasts, spread, reach, a, b)
        for a in range(len(systems))
        for b in range(len(systems))
        if a != b
    }
    shown = tuple(votes[name].to_numpy(object) for name in ("left_system", "right_system", "winner"))
    rows = [_rating(shown, systems, k, strengths, spread.half(contrasts[k]), reach, gaps) for k in range(len(systems))]
    annotators, prompts = votes["annotator"].nunique(), votes["prompt"].nunique()
    left = None
    if design.side:
        half = spread.half(np.eye(design.size)[-1])
        left = Interval(float(effect), float(effect - half), float(effect + half), len(votes))
    return Ratings(
        rows=tuple(sorted(rows, key=lambda row: (-row.strength, row.system))),
        gaps=gaps,
        tie_weight=float(weight),
        side=left,
        votes=len(votes),
        annotators=annotators,
        prompts=prompts,
        confidence=confidence,
        notes=_notes(systems, reach, annotators, prompts),
    )


class Spread:
    """How uncertain a linear combination of the coefficients is."""

    def __init__(self, counted: Counted, found: np.ndarray, confidence: float) -> None:
        design, tail = counted.design, 0.5 + confidence / 2
        bread = np.linalg.inv(davidson.information(design, counted.counts(), found, davidson.PRIOR_SD))
        pulls = davidson.scores(design, found).reshape(-1, design.size)[counted.cell]
        self._kinds = [(bread, float(ndtri(tail)))]
        clusters = {"annotator": counted.annotator, "prompt": counted.prompt}
        many = {name: labels for name, labels in clusters.items() if labels.max() > 0}
        found_spreads = {name: _sandwich(bread, pulls, labels) for name, labels in many.items()}
        for name, labels in many.items():
            self._kinds.append((found_spreads[name], float(stdtrit(labels.max(), tail))))
        if len(many) == 2:
            both = counted.annotator * (counted.prompt.max() + 1) + counted.prompt
            joint = sum(found_spreads.values()) - _sandwich(bread, pulls, np.unique(both, return_inverse=True)[1])
            fewest = min(labels.max() for labels in many.values())
            self._kinds.append((joint, float(stdtrit(fewest, tail))))

    def half(self, contrast: np.ndarray) -> float:
        """Half the width of the interval of `contrast` (size,)."""
        return max(factor * np.sqrt(max(contrast @ spread @ contrast, 0.0)) for spread, factor in self._kinds)


def bootstrap_strengths(votes: pd.DataFrame, *, resamples: int = 1000, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Systems, and their strengths (resamples, K) with annotators and prompts drawn again, each independently.

    A vote counts as often as its annotator times as often as its prompt was drawn (the pigeonhole bootstrap, Owen
    2007, arXiv:0712.1111). It is never systematically too narrow, and up to 1.7 times too wide where votes hardly
    depend on each other, because both draws add. With a single annotator or prompt only the other is drawn; with one
    of each, votes are.
    """
    counted, generator = count(votes), np.random.default_rng(seed)
    tables = [counted.counts(_drawn(counted, generator)) for _ in range(resamples)]
    strengths, _, _ = counted.design.split(davidson.fit(counted.design, np.array(tables)))
    return counted.systems, strengths


def _drawn(counted: Counted, generator: np.random.Generator) -> np.ndarray:
    """How often each vote counts in one resample."""
    weights = np.ones(len(counted.cell))
    labels = [label for label in (counted.annotator, counted.prompt) if label.max() > 0]
    for label in labels or [np.arange(len(weights))]:
        size = label.max() + 1
        weights = weights * np.bincount(generator.integers(size, size=size), minlength=size)[label]
    return weights


def _sandwich(bread: np.ndarray, pulls: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Covariance (size, size) when votes with the same label depend on each other (Liang and Zeger 1986)."""
    clusters = labels.max() + 1
    sums = np.zeros((clusters, pulls.shape[1]))
    np.add.at(sums, labels, pulls)
    return bread @ (sums.T @ sums) @ bread * clusters / max(clusters - 1, 1)


def _reach(counted: Counted) -> np.ndarray:
    """(K, K): whether the row's system did as well as the column's, directly or through others (Ford 1957)."""
    count_of = len(counted.systems)
    reach = np.eye(count_of, dtype=bool)
    for (left, right), cells in zip(counted.design.groups, counted.counts(), strict=True):
        tied = cells[davidson.TIE :].sum() > 0
        reach[left, right] |= cells[davidson.LEFT] > 0 or tied
        reach[right, left] |= cells[davidson.RIGHT] > 0 or tied
    for middle in range(count_of):
        reach |= reach[:, [middle]] & reach[[middle]]
    return reach


def _gap(strengths: np.ndarray, contrasts: np.ndarray, spread: Spread, reach: np.ndarray, a: int, b: int) -> Interval:
    value, half = float(strengths[a] - strengths[b]), spread.half(contrasts[a] - contrasts[b])
    low = value - half if reach[a, b] else -np.inf
    high = value + half if reach[b, a] else np.inf
    return Interval(value, float(low), float(high), 0)


def _rating(votes: tuple, systems: list[str], k: int, strengths, half: float, reach, gaps) -> Rating:
    system, value = systems[k], float(strengths[k])
    left, right, winner = votes[0] == system, votes[1] == system, votes[2]
    wins = int(((left & (winner == "left")) | (right & (winner == "right"))).sum())
    losses = int(((left & (winner == "right")) | (right & (winner == "left"))).sum())
    shown = left | right
    better = sum(gaps[other, system].low > 0 for other in systems if other != system)
    return Rating(
        system=system,
        strength=value,
        low=float(value - half) if reach[k].all() else -np.inf,
        high=float(value + half) if reach[:, k].all() else np.inf,
        rank=1 + better,
        votes=int(shown.sum()),
        wins=wins,
        losses=losses,
        ties=int((shown & (winner == "tie")).sum()),
        bad=int((shown & (winner == "bad")).sum()),
    )


def _listed(names: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _notes(systems: list[str], reach: np.ndarray, annotators: int, prompts: int) -> tuple[str, ...]:
    notes = []
    for k, system in enumerate(systems):
        if not reach[:, k].all() and not reach[k].all():
            notes.append(f"{system} cannot be placed beside all others yet: no votes lead from it to them and back.")
        elif not reach[:, k].all():
            unbeaten = _listed(other for j, other in enumerate(systems) if not reach[j, k])
            notes.append(f"{system} has no upper bound yet: it has never lost to or tied with {unbeaten}.")
        elif not reach[k].all():
            unbeaten = _listed(other for j, other in enumerate(systems) if not reach[k, j])
            notes.append(f"{system} has no lower bound yet: it has never won against or tied with {unbeaten}.")
    if annotators < FEW_ANNOTATORS:
        people = "1 annotator" if annotators == 1 else f"{annotators} annotators"
        notes.append(f"{people}: exploratory, the intervals say little about other people.")
    if prompts == 1:
        notes.append("1 prompt: nothing is known about other prompts.")
    return tuple(notes)
