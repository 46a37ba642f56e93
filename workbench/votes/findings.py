"""What the votes of a study come to, in one sentence that also says when they decide nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.preferences.anytime import Bar
from eval.preferences.rates import PairRate
from eval.statistics.intervals import Interval
from workbench.common.words import counted


@dataclass(frozen=True)
class Duel:
    """One pair of systems: votes, the gap of its ratings, votes still missing, and the bar for early looks."""

    rate: PairRate
    gap: Interval
    expected: Interval
    more: int | None
    bar: Bar


def verdict(duel: Duel) -> str:
    """Which system of a pair is preferred, "first" or "second"; "undecided" while a draw lies within any interval: of
    the decisive votes, of the net preference by annotator (one annotator bounds nothing), of the ratings' gap."""
    share, net, gap = duel.rate.decisive, duel.rate.net, duel.gap
    if share is None or net is None:
        return "undecided"
    if share.low <= 0.5 <= share.high or net.low <= 0 <= net.high or gap.low <= 0 <= gap.high:
        return "undecided"
    return "first" if share.value > 0.5 else "second"


def finding(duels: Sequence[Duel], votes: int, target: str = "", name: Callable[[str], str] = str) -> str:
    """The one sentence that `votes` votes come to, of the pair of `target` with the most of them ("" for any system),
    and how its other pairs stand. `name` puts a system in words."""
    own = [duel for duel in duels if not target or target in (duel.rate.first, duel.rate.second)]
    decided = [duel for duel in own if duel.rate.decisive]
    if not decided:
        return "No votes with a winner yet." if votes else "No votes yet."
    most = max(decided, key=lambda duel: duel.rate.votes)
    told = _of_pair(most, target, name)
    if not target or len(own) == 1:
        return told
    ahead = sum(verdict(duel) == ("first" if duel.rate.first == target else "second") for duel in own)
    undecided = sum(verdict(duel) == "undecided" for duel in own)
    behind = len(own) - ahead - undecided
    return (
        f"{told} Of all {len(own)} pairs of {name(target)}, it is ahead in {ahead}, behind in {behind}, and "
        f"{undecided} {'is' if undecided == 1 else 'are'} undecided."
    )


def _of_pair(duel: Duel, target: str, name: Callable[[str], str]) -> str:
    one = duel.rate
    turned = one.second == target if target else one.wins < one.losses
    one = one.turned() if turned else one
    share = one.decisive
    who = f"{counted(one.annotators, 'annotator')} on {counted(one.prompts, 'prompt')}"
    told = (
        f"{name(one.first)} was preferred to {name(one.second)} in {100 * share.value:.0f} % of "
        f"{counted(share.n, 'decisive vote')} (95 % interval {100 * share.low:.0f} to {100 * share.high:.0f} %), by "
        f"{who}; {counted(one.ties, 'vote')} saw no difference and {one.bad} found both bad."
    )
    if verdict(duel) != "undecided":
        return told
    more = f" About {counted(duel.more, 'more vote')} would decide it." if duel.more else ""
    return f"Undecided: {told}{more}"
