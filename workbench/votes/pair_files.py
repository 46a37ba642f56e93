"""Every pair of systems of a study as a table, for pandas and for LaTeX."""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from eval.preferences.rates import PairRate
from workbench.common.latex import escape, tabular
from workbench.votes.findings import Duel, verdict
from workbench.votes.preferences import Report

HEADS = ("System", "Against", "$n$", r"Preferred (95\,\%)", "Won", "Lost", "No difference", "Both bad", "Verdict")


def pair_table(report: Report, systems: Sequence[str] = ()) -> pd.DataFrame:
    """One row for every two systems of the votes and of `systems`, with counts, shares in [0, 1] and 95 % intervals;
    pairs without a vote are there with n 0."""
    seen = {frozenset((duel.rate.first, duel.rate.second)): duel for duel in report.duels}
    known = {row.system for row in report.ratings.rows} if report.ratings else set()
    rows = [
        _row(first, second, seen.get(frozenset((first, second))))
        for first, second in combinations(sorted(known | set(systems)), 2)
    ]
    return pd.DataFrame(rows, columns=list(_row("", "", None)))


def _row(first: str, second: str, duel: Duel | None) -> dict[str, object]:
    rate = duel.rate if duel else PairRate(first, second, 0, 0, 0, 0, 0, 0, None, None)
    share, net, gap = rate.decisive, rate.net, duel.gap if duel else None
    bounded = net is not None and np.isfinite(net.low)
    return {
        "first": rate.first,
        "second": rate.second,
        "n": rate.votes,
        "won": rate.wins,
        "lost": rate.losses,
        "no_difference": rate.ties,
        "both_bad": rate.bad,
        "annotators": rate.annotators,
        "prompts": rate.prompts,
        "preferred": share.value if share else np.nan,
        "preferred_low": share.low if share else np.nan,
        "preferred_high": share.high if share else np.nan,
        "net": net.value if net else np.nan,
        "net_low": max(net.low, -1.0) if bounded else np.nan,
        "net_high": min(net.high, 1.0) if bounded else np.nan,
        "log_odds": gap.value if gap else np.nan,
        "verdict": verdict(duel) if duel else "no votes",
        "more_votes": duel.more if duel and duel.more is not None else np.nan,
    }


def pair_latex(table: pd.DataFrame, name: Callable[[str], str], note: str) -> str:
    """The pairs as a LaTeX table, systems in words."""
    words = {"undecided": "undecided", "no votes": "no votes"}
    rows = []
    for row in table.to_dict("records"):
        share = "--"
        if row["n"] and not np.isnan(row["preferred"]):
            low, high = 100 * row["preferred_low"], 100 * row["preferred_high"]
            share = rf"{100 * row['preferred']:.0f}\,\% ({low:.0f} to {high:.0f})"
        names = escape(name(row["first"])), escape(name(row["second"]))
        counts = [str(row[count]) for count in ("won", "lost", "no_difference", "both_bad")]
        better = words.get(row["verdict"]) or names[("first", "second").index(row["verdict"])]
        rows.append([*names, str(row["n"]), share, *counts, better])
    return tabular("llrrrrrrl", HEADS, rows, note)
