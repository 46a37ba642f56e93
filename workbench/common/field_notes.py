"""How a field or a parameter of the program's interface is described, for FastAPI, pydantic and the API page."""

from typing import Any


def noted(what: str, range: str = "", unit: str = "", **rules: Any) -> dict[str, Any]:
    """The description of a parameter or a field for FastAPI and pydantic: `what` it is, its `unit`, and its `range` in
    words where `rules` (ge, le, max_length) do not give it."""
    return {"description": what, "json_schema_extra": {"x-range": range, "x-unit": unit}, **rules}
