"""Charts as plain data: what `Plotly.react` takes. The page draws them with the plotly.js of the installed package."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly
from plotly.graph_objects import Figure
from plotly.subplots import make_subplots

from eval.frame_metrics import flicker_per_frame, sharpness_per_frame

# told apart by the colour-blind, readable on white and on black; the player marks its sides with the same ones
SIDE_COLORS = ("#2f80d0", "#d9622b", "#159a72", "#b6529a")
DASHES = ("solid", "dash", "dot", "dashdot")
CURVES = (("flicker", "Flicker", flicker_per_frame), ("sharpness", "Sharpness", sharpness_per_frame))


def plotly_folder() -> Path:
    """The folder that holds plotly.min.js."""
    return Path(plotly.__file__).parent / "package_data"


def curve_values(frames: np.ndarray) -> dict[str, list[float | None]]:
    """Every curve of a clip (T, H, W, 3) uint8 RGB by name, one value a frame."""
    return {name: curve(frames) for name, _, curve in CURVES}


def frame_curves(clips: Mapping[str, np.ndarray], chunk_starts: Sequence[int] = ()) -> dict[str, Any]:
    """One panel a curve over the frames of all clips (by label), with a thin line where each chunk begins."""
    figure = make_subplots(rows=len(CURVES), shared_xaxes=True, vertical_spacing=0.08)
    for row, (_, title, curve) in enumerate(CURVES, start=1):
        for side, (label, frames) in enumerate(clips.items()):
            line = {"color": SIDE_COLORS[side % 4], "dash": DASHES[side % 4], "width": 2}
            figure.add_scatter(
                y=curve(frames), name=label, line=line, legendgroup=label, showlegend=row == 1, row=row, col=1
            )
        figure.update_yaxes(title=title, rangemode="tozero", row=row, col=1)
    for start in chunk_starts:
        figure.add_vline(x=start - 0.5, line={"color": "gray", "width": 1, "dash": "dot"}, opacity=0.5)
    figure.update_traces(mode="lines", hovertemplate="%{y:.4g}")
    figure.update_xaxes(title="frame", row=len(CURVES), col=1)
    figure.update_layout(
        height=360,
        hovermode="x",
        dragmode=False,
        margin={"l": 64, "r": 16, "t": 36, "b": 44},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return plain(figure)


def plain(figure: Figure) -> dict[str, Any]:
    """A figure as JSON-ready data without plotly's default template, so that the page's colours apply."""
    content = json.loads(figure.update_layout(template="none").to_json(engine="json"))
    content["layout"].pop("template", None)
    return {"data": content["data"], "layout": content["layout"]}
