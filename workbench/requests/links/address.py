"""An address from its path and query, and the parts that several pages' queries have."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from models.registry import get_spec
from models.types import CACHES, PromptSwitch, RequestError
from workbench.requests.frame_size import read_size, size_text
from workbench.requests.numbers import frames_of, seed_of, whole
from workbench.requests.timeline import format_switches, read_switches


def address(path: str | Sequence[str], query: Mapping[str, Any]) -> str:
    """The address of `path`, which may be given by its parts, with what of `query` is not empty."""
    place = path if isinstance(path, str) else "/".join(quote(part, safe="") for part in path)
    kept = {name: value for name, value in query.items() if value is not None and value != ""}
    return f"{place}?{urlencode(kept, safe='/')}" if kept else place


def clip_query(
    seed: int | None, frames: int | None, size: str, switches: Sequence[PromptSwitch] = ()
) -> dict[str, Any]:
    """What the clips of a page share; None and "" are as the page opens."""
    query: dict[str, Any] = {} if seed is None else {"seed": seed}
    query |= {} if frames is None else {"frames": frames}
    query |= {"size": size} if size else {}
    return query | ({"switches": format_switches(switches), "cache": switches[0].cache} if switches else {})


def read_clip_query(query: Mapping[str, str]) -> dict[str, Any]:
    """The inverse of `clip_query`, with the text of the switches one a line; raises RequestError."""
    found: dict[str, Any] = {}
    if query.get("switches"):
        read_switches(query["switches"])
        found["switches"] = query["switches"].replace("|", "\n")
    if query.get("cache"):
        if query["cache"] not in CACHES:
            raise RequestError(f"cache {query['cache'][:40]!r} in this link is unknown; write {', '.join(CACHES)}")
        found["cache"] = query["cache"]
    if query.get("size"):
        found["size"] = size_text(read_size(query["size"], "size in this link"))
    if query.get("seed"):
        found["seed"] = seed_of(query["seed"])
    if query.get("frames"):
        found["frames"] = frames_of(query["frames"])
    return found


def read_steps(model: str | None, text: Any) -> int:
    """The steps that a link names, which `model` must offer; raises RequestError."""
    steps = whole(text, "steps in this link", "a whole number")
    if model and steps not in get_spec(model).steps:
        offered = ", ".join(map(str, get_spec(model).steps))
        raise RequestError(f"steps {steps} in this link is not offered by {model}; choose one of {offered}")
    return steps
