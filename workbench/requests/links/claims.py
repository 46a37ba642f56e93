"""The query of the Claims page."""

from collections.abc import Mapping

WORDS = {"confirmed": "confirmed", "not confirmed": "undecided", "reversed": "reversed"}  # verdicts, for people


def read_claims(query: Mapping[str, str]) -> str | None:
    """The verdict whose claims are shown; None for all of them."""
    return {word: verdict for verdict, word in WORDS.items()}.get(query.get("show", ""))
