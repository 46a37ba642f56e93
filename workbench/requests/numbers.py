"""Whole numbers as fields of a form and links hold them, read with a sentence for those that are none."""

import re
from typing import Any

from models.types import RequestError

MAX_SEED = 2**31 - 1  # of seeds that a page draws
LARGEST_SEED = 2**63 - 1
DIGITS = re.compile(r"\s*[+-]?[0-9]+\s*")


def whole(value: Any, name: str, advice: str) -> int:
    """A whole number from a form field or a link; raises RequestError naming the field."""
    try:
        if isinstance(value, str) and not DIGITS.fullmatch(value):
            raise ValueError(value)
        number = int(value)
    except (TypeError, ValueError, OverflowError) as error:  # OverflowError: infinity
        shown = "empty" if value in (None, "") else repr(value)[:80]
        raise RequestError(f"{name} is {shown}; give {advice}") from error
    if isinstance(value, float) and value != number:
        raise RequestError(f"{name} is {value}; give {advice}")
    return number


def seed_of(value: Any) -> int:
    return whole(value, "seed", f"a whole number from 0 to {LARGEST_SEED}")


def frames_of(value: Any) -> int:
    return whole(value, "frames", "a whole number of frames, as 49")
