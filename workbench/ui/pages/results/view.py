"""What the Results page shows of a study's votes, as the page's components take it: plain data."""

from itertools import combinations
from typing import Any

import numpy as np

from eval.preferences.anytime import Bar
from eval.preferences.power import decisive_votes
from eval.preferences.rates import PairRate
from eval.preferences.ratings import FEW_ANNOTATORS
from workbench.charts import (
    Stack,
    evidence_path,
    preference_bars,
    rating_forest,
    stack_of,
    votes_per_day,
    win_matrix,
)
from workbench.common.words import counted, percent
from workbench.published.preferences import published_preferences
from workbench.requests.links.address import address
from workbench.scoring.evaluation import metric_rows
from workbench.votes.findings import finding, verdict
from workbench.votes.preferences import FEW_SIDES, Filters, Report
from workbench.votes.study_metrics import Beside
from workbench.votes.voting import describe_system

MOST_FLAGGED = 60  # rows of metrics and kinds of flags
MOST_PEOPLE = 100  # annotators in the table on the page; the files hold all
RATING_COLUMNS = (
    "System",
    "Rank",
    "Elo scale (95 %)",
    "Log strength (95 %)",
    "Won",
    "Lost",
    "No difference",
    "Both bad",
)
DUEL_COLUMNS = (
    "Pair",
    "Votes",
    "Won by the first, of decisive (95 %)",
    "Preferred",
    "No difference",
    "Both bad",
    "Net preference (95 %, by annotator)",
    "More votes",
    "Early look",
)
FILTERED = ("pairs", "report")
PEOPLE_COLUMNS = ("Annotator", "Checks passed", "Votes", "Median seconds per vote")
FILES = (
    ("pairs.csv", "every pair of systems: counts, shares, intervals"),
    ("pairs.tex", "the same as a LaTeX table"),
    ("pairs.json", "the same as JSON"),
    ("votes.csv", "votes"),
    ("votes.parquet", "votes"),
    ("flags.csv", "flags"),
    ("votes.json", "votes, flags and dictionary"),
    ("dictionary.json", "what each column means"),
    ("report.json", "the numbers of this page"),
)


def titles(report: Report) -> dict[str, str]:
    """Systems in words."""
    rows = report.ratings.rows if report.ratings else ()
    return {row.system: describe_system(row.system) for row in rows}


def targets(report: Report) -> list[tuple[str, str]]:
    """(title, system) of whatever the bars may be seen from, best first."""
    return [(title, system) for system, title in titles(report).items()]


def headline(report: Report, target: str = "") -> dict[str, Any]:
    """The status line: the finding, and in the notices what it rests on and what forbids to trust it."""
    names = titles(report)
    text = finding(report.duels, report.votes, target, lambda system: names.get(system, system))
    checks = counted(report.checks, "attention check")
    left_out = f"{report.undone} undone, {checks}, {report.excluded} of inattentive annotators"
    facts = [("Votes that count", report.votes), ("Left out", left_out)]
    facts += [("Frozen protocol", protocol[:12]) for protocol in report.protocols]
    notices = [] if report.stored else [_planned()]
    if report.ratings:
        notices += [_words(note, report) for note in report.ratings.notes]
    if report.side and report.side.p < FEW_SIDES:
        notices.append(
            f"A wins {percent(report.side.left.value)} of decisive votes whatever it shows: see the side below."
        )
    if not report.protocols:
        notices.append("The protocol is not frozen, so results are exploratory: questions and clips may still change.")
    return {"state": "done" if report.votes else "idle", "text": text, "facts": facts, "notices": notices}


def _planned() -> str:
    counts = ", ".join(f"{decisive_votes(share):,} if {percent(share)} do" for share in (0.55, 0.6, 0.65, 0.7))
    return f"Decisive votes needed to show which side most people prefer (power 80 %): {counts}."


def _words(text: str, report: Report) -> str:
    for system, title in sorted(titles(report).items(), key=lambda item: -len(item[0])):
        text = text.replace(system, title)
    return text


def bars(report: Report, target: str) -> dict[str, Any]:
    """The paper's layout: the target against each opponent, strongest opponent last."""
    found = [rate for rate, _ in seen_from(report, target)]
    ordered = sorted(found, key=lambda rate: -(rate.wins - rate.losses) / rate.votes)
    names = titles(report)
    return preference_bars([stack_of(rate, names[rate.second]) for rate in ordered], names.get(target, target))


def seen_from(report: Report, target: str) -> list[tuple[PairRate, Bar]]:
    """The pairs of a system, as if it came first in each."""
    return [
        (duel.rate if duel.rate.first == target else duel.rate.turned(), duel.bar)
        for duel in report.duels
        if target in (duel.rate.first, duel.rate.second)
    ]


def forest(report: Report) -> dict[str, Any]:
    return rating_forest(report.ratings, titles(report), report.bootstrap) if report.ratings else {}


def matrix(report: Report) -> dict[str, Any]:
    if not report.ratings:
        return {}
    seen = {}
    for duel in report.duels:
        seen[duel.rate.first, duel.rate.second] = duel.rate
        seen[duel.rate.second, duel.rate.first] = duel.rate.turned()
    return win_matrix(report.ratings, titles(report), seen)


def timeline(report: Report) -> dict[str, Any]:
    return votes_per_day(report.days)


def evidence(report: Report, target: str) -> dict[str, Any]:
    names = titles(report)
    lines = [(f"{names[rate.first]} against {names[rate.second]}", bar) for rate, bar in seen_from(report, target)]
    return evidence_path(lines[:4])


def ratings_table(report: Report) -> dict[str, Any]:
    if not report.ratings:
        return {}
    names, rows = titles(report), []
    for row in report.ratings.rows:
        strength = f"{row.strength:+z.2f} {_range(row.low, row.high, '+z.2f')}"
        value, low, high = row.points()
        counts = [row.wins, row.losses, row.ties, row.bad]
        rows.append([names[row.system], row.rank, f"{value:.0f} {_range(low, high, '.0f')}", strength, *counts])
    note = (
        "Bradley-Terry with ties after Davidson (1970); both bad counts as no difference. Intervals are the widest of "
        "clustered by annotator, by prompt, by both and the model's own; systems that they do not separate share a "
        "rank."
    )
    return {"caption": "Ratings", "columns": RATING_COLUMNS, "rows": rows, "note": note}


def duels_table(report: Report) -> dict[str, Any]:
    """Every two systems, those nobody voted on yet as well."""
    if not report.duels:
        return {}
    names, rows = titles(report), []
    voted = {frozenset((duel.rate.first, duel.rate.second)) for duel in report.duels}
    for duel in report.duels:
        one = duel.rate
        share = (
            f"{percent(one.decisive.value)} {_shares(one.decisive.low, one.decisive.high)}" if one.decisive else "-"
        )
        net = (
            f"{one.net.value:+z.2f} {_range(max(one.net.low, -1), min(one.net.high, 1), '+z.2f')}"
            if one.annotators > 1
            else "-"
        )
        more = {0: {"text": "decided", "tone": "good"}}.get(duel.more, _about(duel.more))
        passed = duel.bar.reached
        early = (
            {"text": f"decided since vote {passed}", "tone": "good"} if passed else f"{duel.bar.evidence:.2g} of 20"
        )
        better = {"first": names[one.first], "second": names[one.second]}.get(verdict(duel))
        decided = {"text": better, "tone": "good"} if better else {"text": "undecided", "tone": "mute"}
        pair = f"{names[one.first]} against {names[one.second]}"
        rows.append([pair, one.votes, share, decided, one.ties, one.bad, net, more, early])
    for first, second in combinations(names, 2):
        if frozenset((first, second)) not in voted:
            pair = f"{names[first]} against {names[second]}"
            rows.append([pair, 0, "-", {"text": "no votes", "tone": "mute"}, 0, 0, "-", "not known", "-"])
    note = (
        "Preferred: decided once all three intervals (of decisive votes, by annotator, of the ratings) leave out a "
        "draw. More votes: how many would decide it with 80 % power if the gap stays as it is. Early look: evidence "
        "that may be read after every vote, counting one per person and prompt; 20 decides."
    )
    return {"caption": "Pairs", "columns": DUEL_COLUMNS, "rows": rows, "note": note, "dense": True}


def quality_table(report: Report) -> dict[str, Any]:
    """Agreement and side in words."""
    if not report.votes:
        return {}
    agreement, side, rows = report.agreement, report.side, []
    if agreement.alpha:
        alpha = f"{agreement.alpha.value:z.2f} {_range(agreement.alpha.low, agreement.alpha.high, 'z.2f')}"
        rows.append(
            ["Krippendorff's alpha, nominal", alpha, "1 is perfect, 0 is chance; interval over pairs of clips"]
        )
    raw = f"{percent(agreement.raw)}" if agreement.raw is not None else "-"
    judged = f"{counted(agreement.units, 'pair')} of clips with answers of two annotators or more"
    rows.append(["Same answer", raw, judged])
    if side:
        left = f"{percent(side.left.value)} {_shares(side.left.low, side.left.high)}"
        rows.append(["A wins", left, f"50 % is expected, sides are drawn; exact binomial p {side.p:.2g}"])
        if report.annotators > 1:
            near = f"{percent(side.clustered.value)} {_shares(side.clustered.low, side.clustered.high)}"
            rows.append(["A wins, by annotator", near, "the same share with annotators as clusters"])
    if report.ratings.side:
        effect = report.ratings.side
        told = f"{effect.value:+z.2f} {_range(effect.low, effect.high, '+z.2f')}"
        rows.append(["Side in the ratings", told, "log odds for A"])
    rows += [[f"Flagged: {kind}", n, describe_system(system)] for system, kind, n in report.flags[:12]]
    return {
        "caption": "Agreement, side and flags",
        "columns": ("What", "Value (95 %)", "How to read it"),
        "rows": rows,
    }


def _about(votes: int | None) -> str:
    return "not known" if votes is None else f"about {votes:,}"


def people_table(report: Report) -> dict[str, Any]:
    if not report.attention:
        return {}
    rows = []
    for person in report.attention[:MOST_PEOPLE]:
        failed = person.annotator in report.excluded_annotators
        checks = f"{person.passed} of {person.shown}" if person.shown else "none shown"
        passed = {"text": checks + " (left out)", "tone": "bad"} if failed else checks
        seconds = "-" if person.seconds is None else f"{person.seconds:.1f}"
        rows.append([{"text": person.annotator[:24], "mono": True}, passed, person.votes, seconds])
    more = len(report.attention) - MOST_PEOPLE
    note = f"{more} more are in the files." if more > 0 else ""
    note = f"With fewer than {FEW_ANNOTATORS} annotators every result is exploratory. {note}".strip()
    return {"caption": "Annotators", "columns": PEOPLE_COLUMNS, "rows": rows, "note": note}


def metrics_table(found: Beside) -> dict[str, Any]:
    """Which metrics side with people."""
    if not found.agreement:
        return {}
    titles, rows = metric_titles(), []
    for row in found.agreement:
        share, tau = row.accuracy, row.tau
        told = f"{percent(share.value)} {_shares(share.low, share.high)}"
        ordered = f"{tau.value:+z.2f} {_range(tau.low, tau.high, '+z.2f')}" if tau else "-"
        rows.append([titles.get(row.metric, row.metric), told, ordered, row.pairs, row.prompts])
    note = (
        "Over pairs of clips; a metric calls a tie what differs by less than its best threshold. Kendall's tau-b of "
        "its difference and people's net preference. Intervals by bootstrap over prompts."
    )
    columns = ("Metric", "Decides as people (95 %)", "Kendall's tau (95 %)", "Pairs", "Prompts")
    return {"caption": "Metrics beside people", "columns": columns, "rows": rows, "note": note}


def flagged_table(found: Beside) -> dict[str, Any]:
    """Which metrics move at the moments that people flagged."""
    if not found.flagged:
        return {}
    titles, rows = metric_titles(), []
    for row in found.flagged[:MOST_FLAGGED]:
        share = row.share
        told = f"{share.value:z.2f} {_range(share.low, share.high, 'z.2f')}"
        cell = {"text": told, "tone": "good"} if share.low > 0.5 else told
        rows.append([titles.get(row.metric, row.metric), row.kind or "anything", cell, row.flags])
    note = (
        "How far the metric is from its usual value around a flag: the share of the clip's moments at which it is "
        "less far. 0.50 is chance, 1 the most striking moment each time. Intervals by bootstrap over clips."
    )
    columns = ("Metric", "Flagged", "Stands out (95 %)", "Flags")
    return {"caption": "Metrics where people flagged something", "columns": columns, "rows": rows, "note": note}


def measured_line(found: Beside) -> dict[str, Any]:
    if not found.clips:
        return {}
    missing = f"No metric is known of {found.unmeasured} of them." if found.unmeasured else "All of them are measured."
    return {"state": "idle", "text": f"{counted(found.clips, 'clip was', 'clips were')} voted on. {missing}"}


def metric_titles() -> dict[str, str]:
    return {facts.name: facts.title for facts, _ in metric_rows()}


def files_table(study: str, filters: Filters) -> dict[str, Any]:
    """Links to the files; those with numbers of this page are of the same votes."""
    asked = {"question": filters.question, "least_checks": filters.least_checks or None}
    asked |= {"prompt": filters.prompt, "version": filters.version}
    rows = []
    for name, what in FILES:
        filtered = name.startswith(FILTERED)
        link = address(("", "api", "v1", "results", study, name), asked if filtered else {})
        rows.append([{"text": name, "href": link}, f"{what}{', filtered as above' if filtered else ''}"])
    return {"caption": "Files", "columns": ("File", "What is in it"), "rows": rows}


def published_charts() -> list[tuple[str, dict[str, Any]]]:
    """(heading, chart) of every published study."""
    found = []
    for study in published_preferences():
        stacks = [
            Stack(row.opponent, row.ours / 100, row.tie and row.tie / 100, None, row.theirs / 100, study.source)
            for row in study.rows
        ]
        found.append(
            (
                f"**{study.name}**, as published: [{study.source}]({study.link})",
                preference_bars(stacks, study.ours, digits=1),
            )
        )
    return found


def _shares(low: float, high: float) -> str:
    """An interval of shares in words."""
    return f"({percent(low)} to {percent(high)})"


def _range(low: float, high: float, style: str) -> str:
    """An interval in words; a side without a bound says so."""
    if np.isneginf(low) and np.isposinf(high):
        return "(no bounds yet)"
    if np.isneginf(low):
        return f"(at most {high:{style}})"
    return f"(at least {low:{style}})" if np.isposinf(high) else f"({low:{style}} to {high:{style}})"
