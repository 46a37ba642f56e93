"""Metrics beside people: which metric sides with them, and which moves at the moments they flagged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from eval.preferences.table import score_of_left
from eval.statistics.intervals import Interval

RESAMPLES = 1000
WINDOW_SECONDS = 0.25  # either side of a flag: people press a key a little late
FEWEST_FRAMES = 8


@dataclass(frozen=True)
class MetricAgreement:
    """How a metric sides with people over pairs of clips (system against system, same prompt and seed).

    `accuracy`: share of ordered decisions that agree, ties among them, where the metric calls a tie what differs by
    less than the best `threshold` (Deutsch, Foster and Freitag, EMNLP 2023, arXiv:2305.14324). `tau` is Kendall's
    tau-b of the metric's difference and people's net preference. Both have bootstrap intervals over prompts.
    """

    metric: str
    pairs: int
    prompts: int
    accuracy: Interval | None
    threshold: float
    tau: Interval | None


def metric_agreement(
    votes: pd.DataFrame,
    values: Mapping[str, float],
    metric: str,
    *,
    higher_is_better: bool = True,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> MetricAgreement:
    """Of the votes (`table.counted`) on clips whose value is known; `values` by clip."""
    pairs = _pairs(votes, values, higher_is_better=higher_is_better)
    prompts, labels = np.unique(pairs["prompt"].to_numpy(str), return_inverse=True)
    if len(pairs) < 2:
        return MetricAgreement(metric, len(pairs), len(prompts), None, 0.0, None)
    difference, people = pairs["difference"].to_numpy(float), pairs["people"].to_numpy(float)
    threshold, accuracy = calibrated_accuracy(difference, people)
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == k) for k in range(len(prompts))]
    draws = []
    for _ in range(resamples if len(prompts) > 1 else 0):
        rows = np.concatenate([members[k] for k in generator.integers(len(prompts), size=len(prompts))])
        draws.append(
            (_accuracy(difference[rows], people[rows], threshold), paired_tau(difference[rows], people[rows]))
        )
    spread = np.array(draws).reshape(-1, 2)
    return MetricAgreement(
        metric,
        len(pairs),
        len(prompts),
        _interval(accuracy, spread[:, 0], len(prompts)),
        threshold,
        _interval(paired_tau(difference, people), spread[:, 1], len(prompts)),
    )


def calibrated_accuracy(difference: np.ndarray, people: np.ndarray) -> tuple[float, float]:
    """The threshold of |difference| below which the metric is best read as a tie, and the accuracy that it gives."""
    candidates = np.unique(np.concatenate([[0.0], np.abs(difference)]))
    found = [_accuracy(difference, people, threshold) for threshold in candidates]
    best = int(np.argmax(found))
    return float(candidates[best]), float(found[best])


def paired_tau(difference: np.ndarray, people: np.ndarray) -> float:
    """Kendall's tau-b of both, each pair taken both ways round, so that it does not depend on which clip is first."""
    from scipy.stats import kendalltau

    return float(kendalltau(np.concatenate([difference, -difference]), np.concatenate([people, -people])).statistic)


@dataclass(frozen=True)
class FlagAgreement:
    """Where in a clip a metric stood out when people flagged it: the mean share of the clip's moments that stand out
    less (1/2 is chance, 1 always the most striking), with a bootstrap interval over clips."""

    metric: str
    kind: str
    flags: int
    share: Interval


def flag_agreement(
    flags: pd.DataFrame,
    curves: Mapping[str, tuple[Sequence[float | None], float]],
    metric: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[FlagAgreement]:
    """For all flags together (kind "") and for each kind. `flags` has the columns clip, time_seconds and kind;
    `curves` are a metric's values per frame, and the frame rate, by clip. Flags on clips without one are left out."""
    rows = []
    for clip, group in flags.groupby("clip"):
        if clip in curves:
            shares = standing_out(*curves[clip], group["time_seconds"].to_numpy(float))
            known = zip(group["kind"], shares, strict=True)
            rows += [(clip, kind, share) for kind, share in known if np.isfinite(share)]
    found = pd.DataFrame(rows, columns=["clip", "kind", "share"])
    kinds = [("", found), *((str(kind), part) for kind, part in found.groupby("kind"))]
    return [
        FlagAgreement(metric, kind, len(part), _clustered(part, resamples, seed)) for kind, part in kinds if len(part)
    ]


def standing_out(curve: Sequence[float | None], fps: float, seconds: np.ndarray) -> np.ndarray:
    """The share of a clip's moments at which the metric is less far from its median than around each of `seconds`;
    moments as far count half. nan where the curve is too short or has no value there."""
    from scipy.stats import rankdata

    values = np.array([np.nan if value is None else value for value in curve], float)
    if np.isfinite(values).sum() < FEWEST_FRAMES:
        return np.full(len(seconds), np.nan)
    away = np.abs(values - np.nanmedian(values))
    reach = max(1, round(WINDOW_SECONDS * fps))
    most = np.array([_largest(away[max(0, k - reach) : k + reach + 1]) for k in range(len(away))])
    known = np.isfinite(most)
    shares = np.full(len(most), np.nan)
    shares[known] = (rankdata(most[known]) - 0.5) / known.sum()
    frames = np.clip(np.round(seconds * fps).astype(int), 0, len(values) - 1)
    return shares[frames]


def _largest(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if len(known) else np.nan


def _pairs(votes: pd.DataFrame, values: Mapping[str, float], *, higher_is_better: bool) -> pd.DataFrame:
    """One row a pair of clips: the metric's difference (first minus second, higher better) and people's mean net
    preference for the first, in -1..1."""
    known = votes[votes["left_clip"].isin(values) & votes["right_clip"].isin(values)]
    swapped = (known["left_clip"] > known["right_clip"]).to_numpy(bool)
    net = (2 * score_of_left(known) - 1) * np.where(swapped, -1, 1)
    first = known["left_clip"].where(~swapped, known["right_clip"])
    second = known["right_clip"].where(~swapped, known["left_clip"])
    sign = 1 if higher_is_better else -1
    table = pd.DataFrame({"prompt": known["prompt"], "first": first, "second": second, "people": net})
    pairs = table.groupby(["prompt", "first", "second"], as_index=False)["people"].mean()
    delta = pairs["first"].map(values).astype(float) - pairs["second"].map(values).astype(float)
    return pairs.assign(difference=sign * delta)


def _accuracy(difference: np.ndarray, people: np.ndarray, threshold: float) -> float:
    said = np.where(np.abs(difference) <= threshold, 0, np.sign(difference))
    return float((said == np.sign(people)).mean())


def _interval(value: float, draws: np.ndarray, n: int) -> Interval | None:
    if not np.isfinite(value):
        return None
    known = draws[np.isfinite(draws)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (-np.inf, np.inf)
    return Interval(value, float(low), float(high), n)


def _clustered(part: pd.DataFrame, resamples: int, seed: int) -> Interval:
    groups = [group["share"].to_numpy(float) for _, group in part.groupby("clip")]
    generator = np.random.default_rng(seed)
    drawn = (generator.integers(len(groups), size=len(groups)) for _ in range(resamples if len(groups) > 1 else 0))
    means = [np.concatenate([groups[k] for k in index]).mean() for index in drawn]
    return _interval(float(part["share"].mean()), np.array(means, float), len(groups))
