"""The charts of the Dashboard. Systems are told apart by colour, dash and symbol, so that none is needed alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from plotly.graph_objects import Figure
from plotly.subplots import make_subplots
from scipy.special import stdtrit

from workbench.charts.common import DASHES, NEUTRAL, SIDE_COLORS, plain
from workbench.charts.evaluation import windowed_mean
from workbench.common.words import counted, readable

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
DIRECTION = {True: " ↑", False: " ↓", None: ""}
LEGEND = {"orientation": "h", "y": 1, "yref": "container", "yanchor": "top", "x": 0, "traceorder": "normal"}
MOST_LINES = 8
FEWEST_AXES = 3


@dataclass(frozen=True)
class Point:
    """A mean with its interval (nan where there is none), and what is told when one points at it."""

    label: str
    value: float
    low: float
    high: float
    hint: str = ""


@dataclass(frozen=True)
class Panel:
    """The points of one metric, those of all panels in the same order."""

    title: str
    higher_is_better: bool | None
    points: Sequence[Point]


@dataclass(frozen=True)
class Speed:
    """A system's speed and quality."""

    point: Point
    seconds: float


@dataclass(frozen=True)
class OverTime:
    """A metric along the clips of a system: `curves` (clips, frames), nan for nothing, and their `prompts`. `line` is
    the system's place in other charts, which gives its colour; one that is not `shown` waits in the legend."""

    label: str
    curves: np.ndarray
    prompts: Sequence[str]
    fps: float
    line: int = 0
    shown: bool = True


def metric_dots(panels: Sequence[Panel]) -> dict[str, Any]:
    """A panel a metric, a line a system: the mean as a dot, its 95 % interval as a bar."""
    panels = [panel for panel in panels if any(np.isfinite(point.value) for point in panel.points)]
    if not panels:
        return {}
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    systems = max(len(panel.points) for panel in panels)
    each, gap = 24 * systems + 24, 62
    height = 56 + lines * each + (lines - 1) * gap + 30
    figure = make_subplots(
        rows=lines,
        cols=columns,
        shared_yaxes=True,
        horizontal_spacing=0.06,
        vertical_spacing=gap / (height - 86) if lines > 1 else 0,
        subplot_titles=[f"{escape(panel.title)}{DIRECTION[panel.higher_is_better]}" for panel in panels],
    )
    for place, panel in enumerate(panels):
        row, column = place // columns + 1, place % columns + 1
        for line, point in enumerate(panel.points):
            if np.isfinite(point.value):
                figure.add_scatter(**_dot(point, line), row=row, col=column)
        figure.update_xaxes(nticks=5, row=row, col=column)
        figure.update_yaxes(
            tickvals=list(range(len(panel.points))),
            ticktext=[escape(point.label) for point in panel.points],
            range=[systems - 0.5, -0.5],
            showticklabels=column == 1,
            automargin=True,
            row=row,
            col=column,
        )
    figure.update_annotations(font={"size": 13})
    figure.update_layout(
        height=height,
        showlegend=False,
        hovermode="closest",
        dragmode=False,
        margin={"l": 24, "r": 24, "t": 40, "b": 30},
    )
    return plain(figure)


def _dot(point: Point, line: int) -> dict[str, Any]:
    known = np.isfinite(point.low) and np.isfinite(point.high)
    bar = (
        {"type": "data", "array": [point.high - point.value], "arrayminus": [point.value - point.low]} if known else {}
    )
    return {
        "x": [point.value],
        "y": [line],
        "error_x": bar | {"color": color(line), "thickness": 2, "width": 5} if known else None,
        "mode": "markers",
        "marker": {"color": color(line), "symbol": SYMBOLS[line % len(SYMBOLS)], "size": 9},
        "name": escape(point.label),
        "customdata": [escape(point.hint)],
        "hovertemplate": f"{escape(point.label)}: %{{x:,.4~r}}<br>%{{customdata}}<extra></extra>",
    }


def color(line: int) -> str:
    return SIDE_COLORS[line % len(SIDE_COLORS)]


def radar(panels: Sequence[Panel]) -> dict[str, Any]:
    """All metrics that have a better side on one wheel, for up to eight systems: the worst of those shown is at the
    hub and the best on the rim, whichever way the metric runs. Hints tell the true numbers."""
    panels = [
        panel
        for panel in panels
        if panel.higher_is_better is not None and np.isfinite([point.value for point in panel.points]).all()
    ]
    systems = len(panels[0].points) if panels else 0
    if len(panels) < FEWEST_AXES or systems < 2:
        return {}
    figure = Figure()
    titles = [f"{escape(panel.title)}{DIRECTION[panel.higher_is_better]}" for panel in panels]
    for line in range(min(systems, MOST_LINES)):
        points = [panel.points[line] for panel in panels]
        far = [_share(panel, line) for panel in panels]
        told = [f"{escape(panel.title)}: {readable(point.value)}" for panel, point in zip(panels, points, strict=True)]
        figure.add_scatterpolar(
            r=[*far, far[0]],
            theta=[*titles, titles[0]],
            mode="lines+markers",
            name=escape(points[0].label),
            line={"color": color(line), "dash": DASHES[line // 4 % 4], "width": 2},
            marker={"symbol": SYMBOLS[line % len(SYMBOLS)], "size": 7},
            customdata=[*told, told[0]],
            hovertemplate=f"{escape(points[0].label)}<br>%{{customdata}}<extra></extra>",
        )
    if systems > MOST_LINES:
        told = f"the first {MOST_LINES} of {systems} systems; filter for others"
        figure.add_annotation(text=told, xref="paper", yref="paper", x=0, y=-0.06, showarrow=False, font={"size": 11})
    axis = {"gridcolor": NEUTRAL, "linecolor": NEUTRAL}
    radial = axis | {"range": [0, 1.05], "tickvals": [0, 1], "ticktext": ["worst", "best"], "angle": 90}
    figure.update_layout(
        height=520,
        polar={"bgcolor": "rgba(0,0,0,0)", "radialaxis": radial, "angularaxis": axis},
        dragmode=False,
        legend=LEGEND,
        margin={"l": 90, "r": 90, "t": 110, "b": 40},
    )
    return plain(figure)


def _legend_room(entries: int) -> int:
    """Pixels: about four entries fit in a line."""
    return 32 + 20 * -(-entries // 4)


def _share(panel: Panel, line: int) -> float:
    values = np.array([point.value for point in panel.points[:MOST_LINES]]) * (1 if panel.higher_is_better else -1)
    reach = float(np.ptp(values))
    return 1.0 if reach == 0 else 0.15 + 0.85 * float((values[line] - values.min()) / reach)


def speed_quality(points: Sequence[Speed], title: str, *, higher_is_better: bool | None) -> dict[str, Any]:
    """Seconds a clip against a metric; the line joins the systems that no other beats in both."""
    points = [each for each in points if np.isfinite(each.point.value) and each.seconds > 0]
    if not points:
        return {}
    figure = Figure()
    if higher_is_better is not None:
        best = pareto_front([each.seconds for each in points], [each.point.value for each in points], higher_is_better)
        figure.add_scatter(
            x=[points[k].seconds for k in best],
            y=[points[k].point.value for k in best],
            mode="lines",
            line={"color": NEUTRAL, "width": 1.5, "dash": "dot", "shape": "hv"},
            hoverinfo="skip",
            name="none is faster and better",
        )
    for line, each in enumerate(points):
        dot = _dot(each.point, line)
        known = dot.pop("error_x")
        error = {name: value for name, value in known.items() if name != "width"} if known else None
        dot |= {"x": [each.seconds], "y": [each.point.value], "error_y": error, "showlegend": True}
        dot["hovertemplate"] = (
            f"{escape(each.point.label)}: %{{x:.2f}} s, %{{y:,.4~r}}<br>%{{customdata}}<extra></extra>"
        )
        figure.add_scatter(**dot)
    figure.update_xaxes(title="median seconds per clip", rangemode="tozero")
    figure.update_yaxes(title=f"{escape(title)}{DIRECTION[higher_is_better]}")
    margin = {"l": 72, "r": 24, "t": _legend_room(len(points) + 1), "b": 48}
    figure.update_layout(height=380 + margin["t"], hovermode="closest", dragmode=False, legend=LEGEND, margin=margin)
    return plain(figure)


def pareto_front(seconds: Sequence[float], values: Sequence[float], higher_is_better: bool) -> list[int]:
    """The places of those that no other beats in speed and value, quickest first."""
    good = np.array(values, float) * (1 if higher_is_better else -1)
    found: list[int] = []
    for place in sorted(range(len(good)), key=lambda k: (seconds[k], -good[k])):
        if not found or good[place] > good[found[-1]]:
            found.append(place)
    return found


def over_time(lines: Sequence[OverTime], title: str, *, higher_is_better: bool | None) -> dict[str, Any]:
    """A metric along the clip, by system: mean over prompts of half-second means, and its 95 % band."""
    figure = Figure()
    for each in lines:
        band = time_band(each)
        if band is None:
            continue
        seconds, mean, low, high, prompts = band
        label, tint = escape(each.label), color(each.line)
        visible = True if each.shown else "legendonly"
        group = {"legendgroup": label, "mode": "lines", "visible": visible, "x": seconds}
        edge = {"hoverinfo": "skip", "showlegend": False, "line": {"width": 0, "color": tint}, **group}
        if prompts > 1:
            figure.add_scatter(y=_plain(high), **edge)
            figure.add_scatter(y=_plain(low), fill="tonexty", fillcolor=_faint(tint), **edge)
        figure.add_scatter(
            y=_plain(mean),
            line={"color": tint, "width": 2.5, "dash": DASHES[each.line // 4 % 4]},
            name=f"{label} ({counted(prompts, 'prompt')})",
            hovertemplate=f"{label}: %{{y:,.4~r}} at %{{x:.2f}} s<extra></extra>",
            **group,
        )
    if not figure.data:
        return {}
    figure.update_xaxes(title="seconds")
    figure.update_yaxes(title=f"{escape(title)}{DIRECTION[higher_is_better]}")
    margin = {"l": 72, "r": 24, "t": _legend_room(len(lines)), "b": 48}
    figure.update_layout(height=380 + margin["t"], hovermode="closest", dragmode=False, legend=LEGEND, margin=margin)
    return plain(figure)


Band = tuple[list[float], np.ndarray, np.ndarray, np.ndarray, int]


def time_band(line: OverTime) -> Band | None:
    """(seconds, mean, low, high, prompts): clips of a prompt are averaged first; Student's 95 % over prompts."""
    if not len(line.curves) or not np.isfinite(line.curves).any():
        return None
    smooth = np.array([windowed_mean([None if np.isnan(v) else v for v in curve], line.fps) for curve in line.curves])
    names, member = np.unique(np.asarray(line.prompts, dtype=str), return_inverse=True)
    by_prompt = np.array([_mean(smooth[member == k]) for k in range(len(names))])
    known = np.isfinite(by_prompt)
    count = known.sum(0)
    mean = _mean(by_prompt)
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = np.where(known, (by_prompt - mean) ** 2, 0).sum(0)
        half = stdtrit(count - 1, 0.975) * np.sqrt(squares / (count - 1) / count)
    half = np.where(count > 1, half, np.nan)
    seconds = (np.arange(smooth.shape[1]) / line.fps).tolist()
    return seconds, mean, mean - half, mean + half, len(names)


def _mean(rows: np.ndarray) -> np.ndarray:
    """Over rows, of what is known; nan where nothing is."""
    known = np.isfinite(rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known, rows, 0).sum(0) / known.sum(0)


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _faint(tint: str) -> str:
    red, green, blue = (int(tint[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def share_dots(points: Sequence[Point], title: str, chance: float | None = None) -> dict[str, Any]:
    """One line a point on one axis, with a mark at `chance`."""
    if not points:
        return {}
    figure = Figure()
    for line, point in enumerate(points):
        figure.add_scatter(**_dot(point, line))
    if chance is not None:
        figure.add_vline(x=chance, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
    figure.update_xaxes(title=title)
    labels = [escape(point.label) for point in points]
    bottom_up = [len(points) - 0.5, -0.5]
    figure.update_yaxes(tickvals=list(range(len(points))), ticktext=labels, range=bottom_up, automargin=True)
    figure.update_layout(
        height=90 + 28 * len(points),
        showlegend=False,
        hovermode="closest",
        dragmode=False,
        margin={"l": 24, "r": 24, "t": 16, "b": 48},
    )
    return plain(figure)
