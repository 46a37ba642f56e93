"""What all charts share: colours, and the way from a Plotly figure to the page."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import plotly
from plotly.graph_objects import Figure

# told apart by the colour-blind, readable on white and on black; the player marks its sides with the same ones
SIDE_COLORS = ("#2f80d0", "#d9622b", "#159a72", "#b6529a")
DASHES = ("solid", "dash", "dot", "dashdot")
NEUTRAL = "#808894"


def plotly_folder() -> Path:
    """The folder that holds plotly.min.js."""
    return Path(plotly.__file__).parent / "package_data"


def plain(figure: Figure) -> dict[str, Any]:
    """A figure as JSON-ready data without plotly's default template, so that the page's colours apply; numbers are
    lists, not plotly's packed arrays."""
    content = json.loads(figure.update_layout(template="none").to_json(engine="json"))
    content["layout"].pop("template", None)
    return {"data": _unpacked(content["data"]), "layout": _unpacked(content["layout"])}


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
