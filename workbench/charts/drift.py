"""How far clips are from real ones at each frame: whether a system drifts the longer its clip gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots

from workbench.charts.common import DASHES, NEUTRAL, SIDE_COLORS, plain

PANEL, GAP, TOP, BOTTOM = 260, 56, 96, 56  # pixels
REFERENCE_LINE, BAND = 3.0, 0.18  # width of the real clips' line in pixels, opacity of an interval


@dataclass(frozen=True)
class Curve:
    """A system's metric at `frames`, with the ends of its interval there."""

    system: str
    metric: str
    frames: Sequence[int]
    values: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def drift_lines(curves: Sequence[Curve], titles: Mapping[str, str], *, fps: float, reference: str) -> dict[str, Any]:
    """A panel for each metric, a line with its interval for each system over seconds; the line of `reference`, as real
    clips, is grey and thick. `titles` name metrics."""
    metrics = list(dict.fromkeys(curve.metric for curve in curves))
    systems = list(dict.fromkeys(curve.system for curve in curves))
    if not metrics:
        return {}
    height = TOP + BOTTOM + len(metrics) * PANEL + (len(metrics) - 1) * GAP
    figure = make_subplots(
        rows=len(metrics),
        shared_xaxes=True,
        vertical_spacing=GAP / (height - TOP - BOTTOM) if len(metrics) > 1 else 0,
        subplot_titles=[titles.get(metric, metric) for metric in metrics],
    )
    others = [system for system in systems if system != reference]
    for curve in curves:
        line = _line_of(curve.system, others)
        _add_curve(figure, metrics.index(curve.metric) + 1, curve, line, fps, legend=curve.metric == metrics[0])
    figure.update_xaxes(title="seconds", row=len(metrics), col=1)
    figure.update_layout(
        height=height,
        hovermode="x unified",
        margin={"l": 64, "r": 16, "t": TOP, "b": BOTTOM},
        legend={"orientation": "h", "y": 1, "yref": "container", "yanchor": "top", "x": 0},
    )
    return plain(figure)


def _line_of(system: str, others: Sequence[str]) -> dict[str, Any]:
    if system not in others:
        return {"color": NEUTRAL, "width": REFERENCE_LINE}
    turn, place = divmod(others.index(system), len(SIDE_COLORS))
    return {"color": SIDE_COLORS[place], "width": 1.5, "dash": DASHES[turn % len(DASHES)]}


def _add_curve(figure: Figure, row: int, curve: Curve, line: dict[str, Any], fps: float, *, legend: bool) -> None:
    seconds = [frame / fps for frame in curve.frames]
    around = Scatter(
        x=[*seconds, *reversed(seconds)],
        y=[*curve.high, *reversed(curve.low)],
        fill="toself",
        fillcolor=line["color"],
        opacity=BAND,
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        legendgroup=curve.system,
    )
    drawn = Scatter(
        x=seconds,
        y=list(curve.values),
        name=curve.system,
        mode="lines",
        line=line,
        legendgroup=curve.system,
        showlegend=legend,
    )
    figure.add_trace(around, row=row, col=1)
    figure.add_trace(drawn, row=row, col=1)
