"""What all charts share: colours, and the way from a Plotly figure to the page."""

import json
from pathlib import Path
from typing import Any

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
    """A figure as JSON-ready data without plotly's default template, so that the page's colours apply."""
    content = json.loads(figure.update_layout(template="none").to_json(engine="json"))
    content["layout"].pop("template", None)
    return {"data": content["data"], "layout": content["layout"]}
