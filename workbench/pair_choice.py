"""Which pair an annotator sees next, and with what probability."""

import math
import random
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass

from workbench.store.records import PairState
from workbench.studies import Study

UNIFORM_SHARE = 0.2  # of the uncertainty-driven choices are any pair, so that no estimate is cut off
Tallies = Sequence[tuple[str, str, str, int]]  # (left, right, answer, how often)


@dataclass(frozen=True)
class Choice:
    """A pair and the probability with which it was chosen among those this annotator could get."""

    pair: PairState
    propensity: float


def choose_pair(
    study: Study, pairs: Sequence[PairState], seen: Set[str], annotator: str, tallies: Tallies, rng: random.Random
) -> Choice | None:
    """The next pair for an annotator who was handed the pairs `seen`; None when there is none left.

    Everybody sees a pair once, and a prompt again only when all others were seen as often.
    """
    due = _check_due(study, len(seen), annotator)
    checks = [pair for pair in pairs if pair.check_kind == due and pair.id not in seen] if due else []
    if checks:
        return Choice(rng.choice(checks), 1 / len(checks))
    free = [pair for pair in pairs if not pair.check_kind and pair.id not in seen]
    if not free:
        return None
    shown = Counter(pair.prompt for pair in pairs if pair.id in seen)
    rarest = min(shown[pair.prompt] for pair in free)
    candidates = [pair for pair in free if shown[pair.prompt] == rarest]
    weights = WEIGHTS[study.sampling](candidates, tallies)
    total = sum(weights)
    (index,) = rng.choices(range(len(candidates)), weights)
    return Choice(candidates[index], weights[index] / total)


def _check_due(study: Study, position: int, annotator: str) -> str:
    """The kind of attention check at this position of an annotator's list, "" for none. Never the first pair."""
    kinds = ["degraded"] * study.degraded + ["identical"] * study.identical
    rng = random.Random(f"{study.id} {annotator}")
    rng.shuffle(kinds)
    places = sorted(rng.sample(range(1, study.pairs_per_annotator), len(kinds)))
    return dict(zip(places, kinds, strict=True)).get(position, "")


def _uniform(candidates: Sequence[PairState], tallies: Tallies) -> list[float]:
    return [1.0] * len(candidates)


def _balanced(candidates: Sequence[PairState], tallies: Tallies) -> list[float]:
    fewest = min(pair.issued for pair in candidates)
    return [float(pair.issued == fewest) for pair in candidates]


def _uncertain(candidates: Sequence[PairState], tallies: Tallies) -> list[float]:
    """Pairs of systems by how much one more vote narrows what is known of them; within them, the fewest votes."""
    gains = _gains(tallies)
    groups: dict[frozenset, list[int]] = {}
    for i, pair in enumerate(candidates):
        groups.setdefault(_systems(pair), []).append(i)
    unknown = _gain(0, 0.0, 0.0)
    total = sum(gains.get(systems, unknown) for systems in groups)
    weights = [UNIFORM_SHARE / len(candidates)] * len(candidates)
    for systems, members in groups.items():
        fewest = min(candidates[i].issued for i in members)
        rare = [i for i in members if candidates[i].issued == fewest]
        for i in rare:
            weights[i] += (1 - UNIFORM_SHARE) * gains.get(systems, unknown) / total / len(rare)
    return weights


def _gains(tallies: Tallies) -> dict[frozenset, float]:
    counts: dict[frozenset, list[float]] = {}
    for left, right, answer, n in tallies:
        score = {"a": float(left < right), "b": float(right < left)}.get(answer, 0.5)
        known = counts.setdefault(frozenset((left, right)), [0, 0.0, 0.0])
        known[0] += n
        known[1] += n * score
        known[2] += n * score**2
    return {systems: _gain(*known) for systems, known in counts.items()}


def _gain(votes: float, total: float, squares: float) -> float:
    """The fall of the standard error of a mean score by one more vote: sqrt(v / n) - sqrt(v / (n + 1)).

    Chatbot Arena's rule (arXiv 2403.04132). One imagined vote each way keeps v and n from 0.
    """
    n = votes + 2
    mean = (total + 1) / n
    variance = max((squares + 1) / n - mean**2, 1e-3)
    return math.sqrt(variance / n) - math.sqrt(variance / (n + 1))


def _systems(pair: PairState) -> frozenset:
    return frozenset((pair.first_system, pair.second_system))


WEIGHTS = {"uniform": _uniform, "balanced": _balanced, "uncertainty": _uncertain}
