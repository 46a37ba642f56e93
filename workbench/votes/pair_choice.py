"""Which pair an annotator sees next, and with what probability."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from eval.preferences.pairing import EXPLORE, pair_values
from workbench.store.records import PairState
from workbench.votes.studies import Study

ALIKE = 1e-9  # values that differ by less, as a share of the best, tell the same
Values = Mapping[frozenset[str], float]  # what one more vote between two systems tells; {} where nobody asks


@dataclass(frozen=True)
class Choice:
    """A pair and the probability with which it was chosen among those this annotator could get."""

    pair: PairState
    propensity: float


def choose_pair(
    study: Study, pairs: Sequence[PairState], seen: Set[str], annotator: str, values: Values, rng: random.Random
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
    weights = WEIGHTS[study.sampling](candidates, values)
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


def values_of(study: Study, tallies: Iterable[tuple[str, str, str, int]]) -> Values:
    """What one more vote between each two systems tells, after the votes (left, right, answer, how often) so far."""
    labels = study.labels()
    place = {label: k for k, label in enumerate(labels)}
    counts: dict[tuple[str, str], list[int]] = {}
    for left, right, answer, n in tallies:
        first, second = sorted((left, right), key=place.__getitem__)
        winner = {"a": left, "b": right}.get(answer)
        wins = counts.setdefault((first, second), [0, 0, 0])
        wins[2 if winner is None else int(winner == second)] += n
    return {frozenset(pair): value for pair, value in pair_values(labels, counts).items()}


def _uniform(candidates: Sequence[PairState], values: Values) -> list[float]:
    return [1.0] * len(candidates)


def _balanced(candidates: Sequence[PairState], values: Values) -> list[float]:
    fewest = min(pair.issued for pair in candidates)
    return [float(pair.issued == fewest) for pair in candidates]


def _uncertain(candidates: Sequence[PairState], values: Values) -> list[float]:
    """The two systems of which one more vote tells most, at the prompts with the fewest votes; sometimes any pair, so
    that no estimate is cut off."""
    worth = [values[_systems(pair)] for pair in candidates]
    best = max(worth)
    telling = [i for i, value in enumerate(worth) if value >= best * (1 - ALIKE)]
    fewest = min(candidates[i].issued for i in telling)
    rare = [i for i in telling if candidates[i].issued == fewest]
    weights = [EXPLORE / len(candidates)] * len(candidates)
    for i in rare:
        weights[i] += (1 - EXPLORE) / len(rare)
    return weights


def _systems(pair: PairState) -> frozenset[str]:
    return frozenset((pair.first_system, pair.second_system))


WEIGHTS = {"uniform": _uniform, "balanced": _balanced, "uncertainty": _uncertain}
