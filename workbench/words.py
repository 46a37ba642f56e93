"""Numbers and counts in sentences, written one way everywhere."""

import math


def counted(number: int, thing: str, many: str = "") -> str:
    """A count with its noun: "1 clip", "2,400 clips"."""
    return f"{number:,} {thing if number == 1 else many or thing + 's'}"


def readable(value: float | None, digits: int = 4, sign: str = "") -> str:
    """A number in a reader's format: about `digits` figures, thousands with commas, nothing in powers of ten.

    What rounds to nothing at that precision beside one is 0, without a sign.
    """
    if value is None or not math.isfinite(value):
        return "–"  # noqa: RUF001
    decimals = max(0, min(digits, digits - 1 - math.floor(math.log10(abs(value))) if value else digits - 1))
    rounded = round(value, decimals)
    return f"{rounded:{sign},.{decimals}f}" if rounded else f"{0:.{decimals}f}"
