"""Which characters a prompt may hold: those of text, which UTF-8 can store and every page can show; and which no text
of a request may."""

import unicodedata
from typing import Any

from models.types import RequestError

BREAKS = "\n\r\t"
LONGEST = 20_000  # characters of a prompt that only judges a clip; models have limits of their own


def check_prompt(text: str, name: str) -> None:
    """Raise RequestError for a prompt that is too long or holds what no text holds; `name` says where it was given."""
    if len(text) > LONGEST:
        raise RequestError(f"{name} has {len(text):,} characters; at most {LONGEST:,} are read, so shorten it")
    if fault := character_fault(text):
        raise RequestError(f"{name} {fault}; take it out")


def character_fault(text: str) -> str | None:
    """What is wrong with the first character that no text holds, as "holds half a character (U+D800)"; None if all is
    well.

    Lone surrogates come from JSON escapes such as `\\ud800` and from bytes that are not UTF-8 on the command line;
    they cannot be stored, sent or tokenised. Control characters other than line breaks and tabs are invisible and no
    part of any prompt.
    """
    for place, character in enumerate(text, start=1):
        kind = unicodedata.category(character)
        if kind == "Cs":
            return f"holds half a character (U+{ord(character):04X}) at place {place}"
        if kind == "Cc" and character not in BREAKS:
            return f"holds a control character (U+{ord(character):04X}) at place {place}"
    return None


def unstorable_fault(value: Any) -> str | None:
    """What is wrong with the first text in a JSON value that cannot be stored, as "holds a null character"; None if
    all can.

    UTF-8 has no half characters, and PostgreSQL's texts and the names of files have no null characters.
    """
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            left += [*part, *part.values()]
        elif isinstance(part, list):
            left += part
        elif isinstance(part, str):
            if "\0" in part:
                return "holds a null character (U+0000)"
            if any("\ud800" <= character <= "\udfff" for character in part):
                return "holds half a character (a lone surrogate)"
    return None
