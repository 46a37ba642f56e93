"""The curves of the Compare page."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from plotly.subplots import make_subplots

from eval.video.frame_metrics import flicker_per_frame, sharpness_per_frame
from workbench.charts.common import DASHES, SIDE_COLORS, plain

CURVES = (("flicker", "Flicker", flicker_per_frame), ("sharpness", "Sharpness", sharpness_per_frame))


def curve_values(frames: np.ndarray) -> dict[str, list[float | None]]:
    """Every curve of a clip (T, H, W, 3) uint8 RGB by name, one value a frame."""
    return {name: curve(frames) for name, _, curve in CURVES}


def frame_curves(clips: Mapping[str, np.ndarray], chunk_starts: Sequence[int] = ()) -> dict[str, Any]:
    """One panel a curve over the frames of all clips (by label), with a thin line where each chunk begins."""
    figure = make_subplots(rows=len(CURVES), shared_xaxes=True, vertical_spacing=0.08)
    for row, (_, title, curve) in enumerate(CURVES, start=1):
        for side, (label, frames) in enumerate(clips.items()):
            line = {"color": SIDE_COLORS[side % 4], "dash": DASHES[side % 4], "width": 2}
            numbers = list(range(1, len(frames) + 1))
            figure.add_scatter(
                x=numbers,
                y=curve(frames),
                name=label,
                line=line,
                legendgroup=label,
                showlegend=row == 1,
                row=row,
                col=1,
            )
        figure.update_yaxes(title=title, rangemode="tozero", row=row, col=1)
    for start in chunk_starts:
        figure.add_vline(x=start + 0.5, line={"color": "gray", "width": 1, "dash": "dot"}, opacity=0.5)
    figure.update_traces(mode="lines", hovertemplate="%{y:,.4~r}")
    figure.update_xaxes(title="frame", row=len(CURVES), col=1)
    figure.update_layout(
        height=360,
        hovermode="x",
        dragmode=False,
        margin={"l": 64, "r": 16, "t": 36, "b": 44},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return plain(figure)
