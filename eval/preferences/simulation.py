"""Voters whose minds are known: what the statistics are checked against."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from eval.preferences import davidson
from eval.preferences.davidson import Design
from eval.preferences.pairing import choose_pair, pair_values, widest
from eval.preferences.ratings import rate
from eval.preferences.table import ANSWERS, COLUMNS

LETTERS = {winner: answer for answer, winner in ANSWERS.items()}


@dataclass(frozen=True)
class World:
    """What simulated annotators think. Strengths are log strengths; annotators differ from each other in each
    system's strength by `annotator_sd`, and prompts likewise by `prompt_sd`, drawn once per voter and prompt."""

    strengths: Mapping[str, float]
    tie_weight: float = 0.5
    annotator_sd: float = 0.0
    prompt_sd: float = 0.0
    side: float = 0.0
    bad: float = 0.0  # share of ties that are told as both bad


# as far apart as a study of few-step models: two steps and one step of a baseline fall behind (81 % and 98 % in the
# published study of arXiv:2511.01419, figure 6), the others lie close together
STUDY = {
    "asd:4:0": 1.4,
    "asd:2:4": 1.2,
    "asd:1:4": 0.8,
    "baseline:4:0": 1.4,
    "baseline:2:0": -0.25,
    "baseline:1:0": -3.1,
}


def simulate_votes(
    world: World, generator: np.random.Generator, *, votes: int, annotators: int = 12, prompts: int = 100
) -> pd.DataFrame:
    """A vote table of uniformly drawn pairs on random sides. Each annotator votes about equally often."""
    names = list(world.strengths)
    first = generator.integers(len(names), size=votes)
    second = (first + generator.integers(1, len(names), size=votes)) % len(names)
    annotator, prompt = generator.permutation(votes) % annotators, generator.integers(prompts, size=votes)
    strengths = np.array([world.strengths[name] for name in names])
    own = generator.normal(0, 1, (annotators, len(names))) * world.annotator_sd
    special = generator.normal(0, 1, (prompts, len(names))) * world.prompt_sd
    felt = strengths + own[annotator] + special[prompt]
    winners = _winners(world, felt[np.arange(votes), first], felt[np.arange(votes), second], generator)
    moments = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(votes) * 20, unit="s")
    return pd.DataFrame(
        {
            "vote_id": [f"v{k:06d}" for k in range(votes)],
            "study": "simulated",
            "study_version": 1,
            "protocol_hash": "",
            "assignment": [f"s{k:06d}" for k in range(votes)],
            "annotator": [f"annotator {k:03d}" for k in annotator],
            "prompt": [f"prompt {k:03d}" for k in prompt],
            "seed": 0,
            "question": "overall",
            "left_system": [names[k] for k in first],
            "right_system": [names[k] for k in second],
            "answer": [LETTERS[winner] for winner in winners],
            "check_kind": "",
            "watched_seconds": 4.0,
            "seconds": 8.0,
            "created_at": [moment.isoformat() for moment in moments],
            "undone": False,
            "app_version": "",
            "winner": winners,
            "left_clip": [f"{p}-{names[k]}" for p, k in zip(prompt, first, strict=True)],
            "right_clip": [f"{p}-{names[k]}" for p, k in zip(prompt, second, strict=True)],
        },
        columns=list(COLUMNS),
    )


def true_strengths(world: World, *, voters: int = 20_000) -> dict[str, float]:
    """What all possible annotators on all possible prompts would say together, mean 0: the strengths that fit the mean
    of their probabilities. Where minds differ it is a little closer together than `world.strengths`."""
    names, generator = list(world.strengths), np.random.default_rng(0)
    spread = np.hypot(world.annotator_sd, world.prompt_sd)
    felt = np.array(list(world.strengths.values())) + generator.normal(0, 1, (voters, len(names))) * spread
    pairs = tuple((a, b) for a in range(len(names)) for b in range(len(names)) if a != b)
    shares = [_chances(world, felt[:, a], felt[:, b]).mean(0) for a, b in pairs]
    design = Design(len(names), pairs, side=True, ties=world.tie_weight > 0)
    shares = np.array(shares)[:, : design.outcomes]
    strengths, _, _ = design.split(davidson.fit(design, shares, prior_sd=None))
    return dict(zip(names, strengths.tolist(), strict=True))


def _winners(world: World, left: np.ndarray, right: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    edges = np.cumsum(_chances(world, left, right), axis=-1)
    outcome = (generator.random((len(left), 1)) > edges[:, :2]).sum(-1)
    found = np.array(["left", "right", "tie"], dtype=object)[outcome]
    found[(found == "tie") & (generator.random(len(left)) < world.bad)] = "bad"
    return found


def _chances(world: World, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of left, right and tie, (N, 3), for felt strengths (N,)."""
    exponents = np.stack([left + world.side / 2, right - world.side / 2, (left + right) / 2], axis=-1)
    weights = np.exp(exponents - exponents.max(-1, keepdims=True)) * [1, 1, world.tie_weight]
    return weights / weights.sum(-1, keepdims=True)


@dataclass(frozen=True)
class Recovery:
    """How often intervals held the known strengths: `each` strength by its own interval (a share), and the `runs` in
    which all of them were in their simultaneous intervals."""

    runs: int
    all_inside: int
    each: float
    width: float


def recovery(
    world: World, *, runs: int = 100, votes: int = 600, annotators: int = 12, prompts: int = 100, seed: int = 0
) -> Recovery:
    """Simulate `runs` studies and count where the truth lies."""
    truth = true_strengths(world)
    inside, whole, widths = [], 0, []
    for run in range(runs):
        generator = np.random.default_rng([seed, run])
        table = simulate_votes(world, generator, votes=votes, annotators=annotators, prompts=prompts)
        own, together = rate(table), rate(table, simultaneous=True)
        inside += [row.low <= truth[row.system] <= row.high for row in own.rows]
        whole += all(row.low <= truth[row.system] <= row.high for row in together.rows)
        widths += [row.high - row.low for row in own.rows]
    return Recovery(runs, int(whole), float(np.mean(inside)), float(np.median(widths)))


def votes_until(
    world: World, generator: np.random.Generator, *, driven: bool, width: float, batch: int = 10, most: int = 20_000
) -> int:
    """Votes until the widest interval of a win rate between two systems is at most `width`, seen every `batch` votes.

    `driven`: the most telling pair each time (`pairing.choose_pair`), else every pair alike.
    """
    names = list(world.strengths)
    pairs = [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]
    strengths = np.array([[world.strengths[a], world.strengths[b]] for a, b in pairs])
    chances = _chances(world, strengths[:, 0], strengths[:, 1])
    counts = np.zeros((len(pairs), 3))
    for votes in range(batch, most + 1, batch):
        if driven:
            for _ in range(batch):
                pair = choose_pair(pair_values(names, dict(zip(pairs, counts, strict=True))), generator)[:2]
                chosen = pairs.index(pair)
                counts[chosen] += generator.multinomial(1, chances[chosen])
        else:
            for chosen in generator.integers(len(pairs), size=batch):
                counts[chosen] += generator.multinomial(1, chances[chosen])
        if widest(names, dict(zip(pairs, counts, strict=True))) <= width:
            return votes
    return most


WORLDS: dict[str, Mapping[str, float]] = {
    "6, as the published study found them": STUDY,
    "8, in even steps of 0.9": {f"system {k}": 0.9 * k for k in range(8)},
    "8, in even steps of 0.3": {f"system {k}": 0.3 * k for k in range(8)},
}


def pairing_rows(*, runs: int, width: float, seed: int = 0) -> list[dict]:
    """For each of `WORLDS`, mean votes to an interval of `width` by either way, and the share saved with its bootstrap
    interval over runs."""
    rows = []
    for name, strengths in WORLDS.items():
        world = World(strengths)
        votes = {
            driven: [
                votes_until(world, np.random.default_rng([seed, run]), driven=driven, width=width)
                for run in range(runs)
            ]
            for driven in (False, True)
        }
        uniform, driven = (np.array(votes[kind], float) for kind in (False, True))
        drawn = np.random.default_rng(seed).integers(runs, size=(2000, runs))
        spread = 1 - driven[drawn].mean(1) / uniform[drawn].mean(1)
        low, high = np.quantile(spread, [0.025, 0.975])
        saved = float(1 - driven.mean() / uniform.mean())
        found = {"uniform": float(uniform.mean()), "driven": float(driven.mean()), "saved": saved}
        rows.append({"world": name, **found, "low": float(low), "high": float(high), "runs": runs})
    return rows
