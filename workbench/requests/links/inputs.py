"""The part of a query that says what a clip starts from besides text: a picture or a video that the server keeps."""

import re
from collections.abc import Mapping
from typing import Any

from models.types import RequestError

TEXT, PICTURE, VIDEO = "Text", "Picture and text", "Video and text"
IN_LINKS = {"picture": PICTURE, "video": VIDEO}
KEPT = re.compile(r"[0-9a-f]{32}\.[a-z0-9]{1,5}")


def input_query(source: str, picture: str | None, video: str | None, strength: float, kept: str) -> dict[str, Any]:
    """The query of the values of a page's fields; only what the server keeps can be named."""
    if source == TEXT or not kept:
        return {}
    name = next(name for name, title in IN_LINKS.items() if title == source)
    return {"source": name, "input": kept} | ({"strength": strength} if source == VIDEO else {})


def read_inputs(query: Mapping[str, str]) -> dict[str, Any]:
    """`source`, `kept` and `strength` that a link names; raises RequestError."""
    if not query.get("input"):
        return {}
    if query.get("source") not in IN_LINKS or not KEPT.fullmatch(query["input"]):
        shown = f"input {query['input'][:60]!r} in this link"
        raise RequestError(f"{shown} is not one; upload the file and copy the new link")
    found: dict[str, Any] = {"source": IN_LINKS[query["source"]], "kept": query["input"]}
    if query.get("strength"):
        try:
            found["strength"] = min(1.0, max(0.0, float(query["strength"])))
        except ValueError as error:
            shown = f"strength {query['strength'][:20]!r} in this link"
            raise RequestError(f"{shown} is not a number from 0 to 1; correct it there") from error
    return found
