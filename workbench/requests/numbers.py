"""Whole numbers as fields of a form and links hold them, read with a sentence for those that are none."""

from typing import Any

from models.types import RequestError

MAX_SEED = 2**31 - 1


def whole(value: Any, name: str, advice: str) -> int:
    """A whole number from a form field or a link; raises RequestError naming the field."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError) as error:  # OverflowError: infinity
        shown = "empty" if value in (None, "") else repr(value)[:80]
        raise RequestError(f"{name} is {shown}; give {advice}") from error
    if isinstance(value, float) and value != number:
        raise RequestError(f"{name} is {value}; give {advice}")
    return number


def seed_of(value: Any) -> int:
    return whole(value, "seed", f"a whole number from 0 to {MAX_SEED}")


def frames_of(value: Any) -> int:
    return whole(value, "frames", "a whole number of frames, as 49")
