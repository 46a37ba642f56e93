"""What all charts share: colours, and the way from a Plotly figure to the page."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import plotly
from plotly.graph_objects import Figure
from plotly.io import to_html

# told apart by the colour-blind, readable on white and on black; the player marks its sides with the same ones
SIDE_COLORS = ("#2f80d0", "#d9622b", "#159a72", "#b6529a")
DASHES = ("solid", "dash", "dot", "dashdot")
NEUTRAL = "#808894"


def ink_on(color: str) -> str:
    """Black or white, whichever is read better on the colour `#rrggbb`."""
    return max(("#111111", "#ffffff"), key=lambda ink: contrast(ink, color))


def contrast(one: str, other: str) -> float:
    """The contrast of two colours `#rrggbb` as WCAG 2 counts it: 1 for none, 21 at most."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    levels = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def plotly_folder() -> Path:
    """The folder that holds plotly.min.js."""
    return Path(plotly.__file__).parent / "package_data"


def plain(figure: Figure) -> dict[str, Any]:
    """A figure as JSON-ready data without plotly's default template, so that the page's colours apply; numbers are
    lists, not plotly's packed arrays."""
    content = json.loads(figure.update_layout(template="none").to_json(engine="json"))
    content["layout"].pop("template", None)
    return {"data": _unpacked(content["data"]), "layout": _unpacked(content["layout"])}


def page_of(chart: dict[str, Any]) -> str:
    """A chart as a page of HTML of its own, which asks no network for anything."""
    return to_html(chart, include_plotlyjs=True, config={"responsive": True})


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "bdata" not in value:
        return {name: _unpacked(item) for name, item in value.items()}
    numbers = np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"])
    shape = [int(length) for length in str(value.get("shape", len(numbers))).split(",")]
    return numbers.reshape(shape).tolist()
