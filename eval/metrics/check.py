"""What a row of the registry must have before it ships."""

from eval.degradations import DEGRADATIONS
from eval.metric import GROUPS, KINDS, Facts

NEEDED = ("title", "says", "blind_to", "version")


def lacks(facts: Facts) -> list[str]:
    """What a metric's facts leave out, each in a sentence; empty for a metric that may ship."""
    name, (low, high) = facts.name, facts.bounds
    faults = [f"{name} has no {part}" for part in NEEDED if not getattr(facts, part)]
    if facts.group not in GROUPS:
        faults.append(f"{name} has the group {facts.group!r}, which no page shows; choose from {', '.join(GROUPS)}")
    if facts.kind not in KINDS:
        faults.append(f"{name} has the kind {facts.kind!r}; choose from {', '.join(KINDS)}")
    if low is not None and high is not None and low >= high:
        faults.append(f"{name} has the bounds {low:g} and {high:g}; the lower one comes first")
    for degradation in {*facts.moved_by, *facts.may_move_by} - set(DEGRADATIONS):
        faults.append(f"{name} is moved by {degradation!r}, which is not in DEGRADATIONS")
    if facts.kind == "weight-free" and not facts.judge and not facts.moved_by:
        listed = ", ".join(DEGRADATIONS)
        faults.append(f"{name} names no degradation that moves it; give it `moved_by` with one of {listed}")
    return faults
