"""What a study's votes say: everything the Results page and `votes stats` show, in one plain value."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from eval.preferences.agreement import Agreement, Attention, agreement, attention, attentive
from eval.preferences.anytime import bar
from eval.preferences.power import more_votes
from eval.preferences.rates import PairRate, SideBias, pair_rates, side_bias
from eval.preferences.ratings import Ratings, bootstrap_strengths, rate
from eval.preferences.table import check_flags, check_votes, counted
from eval.statistics.intervals import Interval
from workbench.votes.findings import Duel, finding
from workbench.votes.voting import describe_system

RESAMPLES = 400
FEW_SIDES = 0.01  # p below which a preference for a side is told


@dataclass(frozen=True)
class Filters:
    """Which votes are looked at. `version` None is every version of the protocol; annotators who passed less than
    `least_checks` of their attention checks are left out; `prompt` are words that a prompt holds, in any case."""

    question: str = "overall"
    version: int | None = None
    least_checks: float = 0.0
    prompt: str = ""

    def of_prompts(self, votes: pd.DataFrame) -> pd.DataFrame:
        """The votes on the prompts that are looked at."""
        words = self.prompt.casefold().split()
        shown = (all(word in prompt.casefold() for word in words) for prompt in votes["prompt"])
        return votes[np.fromiter(shown, bool, len(votes))]


@dataclass(frozen=True)
class Report:
    """`stored` rows were in the table for this question; what was left out is counted. `ratings` is None without a
    vote that counts. `bootstrap` are intervals of the strengths by drawing annotators and prompts again."""

    filters: Filters
    questions: tuple[str, ...]
    versions: tuple[int, ...]
    protocols: tuple[str, ...]
    stored: int
    undone: int
    checks: int
    excluded: int
    excluded_annotators: tuple[str, ...]
    votes: int
    annotators: int
    prompts: int
    ratings: Ratings | None
    bootstrap: dict[str, Interval]
    duels: tuple[Duel, ...]
    agreement: Agreement
    side: SideBias | None
    attention: tuple[Attention, ...]
    days: tuple[tuple[str, int], ...]
    flags: tuple[tuple[str, str, int], ...]
    headline: str

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; infinite bounds become None."""
        plain = asdict(self)
        if plain["ratings"]:
            gaps = plain["ratings"]["gaps"]
            plain["ratings"]["gaps"] = [{"first": a, "second": b, **gap} for (a, b), gap in gaps.items()]
        for duel in plain["duels"]:
            duel["bar"].pop("path")
        return _finite(plain)


def study_report(votes: pd.DataFrame, flags: pd.DataFrame, filters: Filters = Filters()) -> Report:
    """The report on a study's vote and flag tables. ValueError for a table that is none."""
    votes, flags = check_votes(votes), check_flags(flags)
    questions, versions = tuple(sorted(set(votes["question"]))), tuple(sorted(set(votes["study_version"])))
    if filters.version is not None:
        votes = votes[votes["study_version"] == filters.version]
    people = tuple(attention(votes))
    kept = attentive(votes, least=filters.least_checks)
    tables = (filters.of_prompts(table) for table in (votes, kept))
    asked, kept_asked = (table[table["question"] == filters.question] for table in tables)
    good = counted(kept_asked)
    ratings = rate(good)
    duels = tuple(_duel(one, ratings, good) for one in pair_rates(good)) if ratings else ()
    return Report(
        filters=filters,
        questions=questions,
        versions=tuple(int(version) for version in versions),
        protocols=tuple(sorted(set(votes["protocol_hash"]) - {""})),
        stored=len(asked),
        undone=int(asked["undone"].sum()),
        checks=int(((asked["check_kind"] != "") & ~asked["undone"]).sum()),
        excluded=len(counted(asked)) - len(good),
        excluded_annotators=tuple(sorted(set(votes["annotator"]) - set(kept["annotator"]))),
        votes=len(good),
        annotators=good["annotator"].nunique(),
        prompts=good["prompt"].nunique(),
        ratings=ratings,
        bootstrap=_bootstrap(good) if ratings else {},
        duels=duels,
        agreement=agreement(good, resamples=RESAMPLES),
        side=side_bias(good),
        attention=people,
        days=tuple((str(day), int(n)) for day, n in good["created_at"].str[:10].value_counts().sort_index().items()),
        flags=_flag_counts(flags, good),
        headline=finding(duels, len(good), name=describe_system),
    )


def _bootstrap(votes: pd.DataFrame) -> dict[str, Interval]:
    systems, draws = bootstrap_strengths(votes, resamples=RESAMPLES)
    edges = np.quantile(draws, [0.5, 0.025, 0.975], axis=0)
    columns = {name: edges[:, k].tolist() for k, name in enumerate(systems)}
    return {name: Interval(value, low, high, RESAMPLES) for name, (value, low, high) in columns.items()}


def _duel(one: PairRate, ratings: Ratings, votes: pd.DataFrame) -> Duel:
    gap = ratings.gaps[one.first, one.second]
    seen = bar(_one_voice(votes, one.first, one.second))
    return Duel(one, gap, ratings.expected(one.first, one.second), more_votes(gap, one.votes), seen)


def _one_voice(votes: pd.DataFrame, first: str, second: str) -> list[bool]:
    """Whether the first won, of decisive votes in the order they came, one for each annotator and prompt."""
    straight = (votes["left_system"] == first) & (votes["right_system"] == second)
    turned = (votes["left_system"] == second) & (votes["right_system"] == first)
    both = votes[(straight | turned) & votes["winner"].isin(["left", "right"])].sort_values("created_at")
    both = both.drop_duplicates(["annotator", "prompt"])
    return ((both["winner"] == "left") == straight[both.index]).tolist()


def _flag_counts(flags: pd.DataFrame, votes: pd.DataFrame) -> tuple[tuple[str, str, int], ...]:
    """(system, kind, how often), of votes that count, most frequent first."""
    sides = votes.drop_duplicates("vote_id").set_index("vote_id")[["left_system", "right_system"]]
    known = flags[flags["vote_id"].isin(sides.index)]
    system = [sides.at[row.vote_id, f"{row.side}_system"] for row in known.itertuples()]
    counts = pd.Series(list(zip(system, known["kind"], strict=True)), dtype=object).value_counts()
    return tuple((name, kind, int(n)) for (name, kind), n in counts.items())


def plain(value: Any) -> dict[str, Any]:
    """A dataclass as JSON-ready data; infinite bounds become None."""
    return _finite(asdict(value))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
