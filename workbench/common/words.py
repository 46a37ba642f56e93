"""Numbers and counts in sentences, written and read one way everywhere."""

import math

MOST_DIGITS = 19  # of a whole number that is read; Python itself refuses text of thousands


def read_whole(text: str) -> int | None:
    """A whole number from 0 on; None for what is none. Other scripts' digits and superscripts are none."""
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS else None


def counted(number: int, thing: str, many: str = "") -> str:
    """A count with its noun: "1 clip", "2,400 clips"."""
    return f"{number:,} {thing if number == 1 else many or thing + 's'}"


def fixed(value: float, decimals: int, sign: str = "") -> str:
    """A number with `decimals` places and commas at thousands; `sign` "+" for differences, and none for 0."""
    rounded = round(value, decimals)
    return f"{rounded:{sign},.{decimals}f}" if rounded else f"{0:.{decimals}f}"


def percent(share: float, decimals: int = 0) -> str:
    """A share of 1 in percent: "62 %"."""
    return f"{fixed(100 * share, decimals)} %"


def chance(p: float, decimals: int = 3) -> str:
    """A p value: "0.012", and "< 0.001" for what would round to nothing."""
    least = 10**-decimals
    return f"< {least:.{decimals}f}" if 0 <= p < least else fixed(p, decimals)


def readable(value: float | None, digits: int = 4, sign: str = "") -> str:
    """A number in a reader's format: about `digits` figures, thousands with commas, nothing in powers of ten.

    What rounds to nothing at that precision beside one is 0, without a sign.
    """
    if value is None or not math.isfinite(value):
        return "–"
    decimals = max(0, min(digits, digits - 1 - math.floor(math.log10(abs(value))) if value else digits - 1))
    return fixed(value, decimals, sign)


def duration(seconds: float) -> str:
    """ "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
