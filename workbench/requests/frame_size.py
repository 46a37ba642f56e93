"""The frame size of a clip as people write and choose it: width x height."""

from collections.abc import Sequence

from models.registry import get_spec
from models.types import RequestError

Size = tuple[int, int]


def read_size(text: str, place: str = "--size") -> Size:
    """(height, width) of `WxH`. Raises RequestError."""
    sides = [side.strip() for side in text.lower().split("x")]
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() and 0 < len(side) < 6 for side in sides):
        raise RequestError(f"{place} {text[:40]!r} is no size; give width x height, as 832x480")
    if min(map(int, sides)) < 1:
        raise RequestError(f"{place} {text!r} has a side of 0; give width x height, as 832x480")
    return int(sides[1]), int(sides[0])


def chosen_size(text: str | None) -> Size | None:
    """The size of a form field or a link; None, the model's own, where it is empty. Raises RequestError."""
    return read_size(text, "size") if (text or "").strip() else None


def size_text(size: Size) -> str:
    """`WxH` of (height, width)."""
    return f"{size[1]}x{size[0]}"


def size_choices(models: Sequence[str]) -> list[tuple[str, str]]:
    """(words, value) of the sizes that every one of `models` offers; the first, "", is each model's own."""
    specs = [get_spec(model) for model in dict.fromkeys(models)]
    own = {spec.size for spec in specs}
    first = f"{_words(specs[0].size)}, its own" if len(own) == 1 else "each model's own"
    shared = [size for size in specs[0].all_sizes if all(size in spec.all_sizes for spec in specs[1:])]
    return [(first, ""), *((_words(size), size_text(size)) for size in shared if {size} != own)]


def fitting_size(models: Sequence[str], size: str) -> str:
    """The size to go on with for other models: `size` where all of them can make it, else "", their own."""
    try:
        wanted = chosen_size(size)
    except RequestError:
        return ""
    return "" if wanted and any(get_spec(model).check_size(wanted) for model in models) else size or ""


def _words(size: Size) -> str:
    return f"{size[1]} x {size[0]}"
