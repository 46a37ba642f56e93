"""How many votes: before a study, and how many more until two systems separate."""

import itertools
import math

from scipy.special import ndtri

from eval.statistics.intervals import Interval

POWER = 0.8
ALPHA = 0.05
MOST = 1_000_000


def decisive_votes(share: float, *, power: float = POWER, alpha: float = ALPHA) -> int:
    """The fewest decisive, independent votes with which an exact two-sided sign test finds a true win share with this
    power. The power goes up in a saw: some larger numbers fall a little short of it again."""
    if not 0 <= share <= 1 or share == 0.5:
        raise ValueError(f"share={share} cannot be told from a half; give one between 0 and 1 other than a half")
    gap = abs(share - 0.5)
    guess = ((ndtri(1 - alpha / 2) / 2 + ndtri(power) * math.sqrt(share * (1 - share))) / gap) ** 2
    start = max(int(guess * 0.8) - 10, 1)
    return next(n for n in itertools.count(start) if sign_test_power(n, share, alpha=alpha) >= power)


def sign_test_power(votes: int, share: float, *, alpha: float = ALPHA) -> float:
    """Probability that the exact two-sided 5 % sign test of `votes` decisive votes rejects a half."""
    from scipy.stats import binom

    most = int(binom.ppf(alpha / 2, votes, 0.5))
    if binom.cdf(most, votes, 0.5) > alpha / 2:
        most -= 1
    return float(binom.cdf(most, votes, share) + binom.sf(votes - most - 1, votes, share)) if most >= 0 else 0.0


def more_votes(gap: Interval, votes: int, *, power: float = POWER, alpha: float = ALPHA) -> int | None:
    """How many more votes like the `votes` so far until the interval of `gap` leaves out 0 with this power, if the gap
    is what it now seems; 0 where it does already, None where no number under a million is enough or none is known.

    The standard error falls with the root of the votes, design effects of annotators and prompts included.
    """
    if gap.low > 0 or gap.high < 0:
        return 0
    if not (math.isfinite(gap.low) and math.isfinite(gap.high)) or gap.value == 0 or not votes:
        return None
    error = (gap.high - gap.low) / 2 / ndtri(1 - alpha / 2)
    needed = votes * ((ndtri(1 - alpha / 2) + ndtri(power)) * error / abs(gap.value)) ** 2
    return max(math.ceil(needed) - votes, 1) if needed < MOST else None
