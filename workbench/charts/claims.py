"""The chart of long clips: how a curve goes over thirty seconds, model beside model."""

from collections.abc import Mapping, Sequence
from typing import Any

from plotly.graph_objects import Figure

from workbench.charts.common import DASHES, NEUTRAL, SIDE_COLORS, plain

LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}


def long_chart(rows: Sequence[Mapping[str, Any]], curve: str, title: str, seconds: float) -> dict[str, Any]:
    """Means over clips in equal stretches of `seconds`, with 95 % intervals; one line a model, told apart by colour
    and dash. A stretch without numbers is a gap."""
    figure = Figure()
    colors = (*SIDE_COLORS, NEUTRAL)
    for place, row in enumerate(rows):
        points = row[curve]
        width = seconds / len(points)
        known = [(round((k + 0.5) * width, 2), point) for k, point in enumerate(points) if point]
        color = colors[place % len(colors)]
        figure.add_scatter(
            x=[at for at, _ in known],
            y=[point["value"] for _, point in known],
            error_y={
                "type": "data",
                "array": [point["high"] - point["value"] for _, point in known],
                "arrayminus": [point["value"] - point["low"] for _, point in known],
                "thickness": 1,
                "width": 3,
            },
            mode="lines+markers",
            name=f"{row['name'].replace(', 30 s', '')} (n = {row['n']})",
            line={"color": color, "dash": DASHES[place % len(DASHES)], "width": 2},
            hovertemplate=f"{row['name']}<br>%{{x}} s: <b>%{{y:.3f}}</b><extra></extra>",
        )
    figure.update_layout(
        height=340, legend=LEGEND, margin={"l": 56, "r": 16, "t": 64, "b": 44}, hovermode="closest", dragmode=False
    )
    figure.update_xaxes(title="seconds", range=[0, seconds])
    figure.update_yaxes(title=title, rangemode="tozero")
    return plain(figure)
