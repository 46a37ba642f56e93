"""The curves of the Evaluate page: one panel a metric, on one time axis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from plotly.graph_objects import Figure
from plotly.subplots import make_subplots

from eval.metric import Facts
from workbench.charts.common import DASHES, NEUTRAL, SIDE_COLORS, plain
from workbench.common.words import counted

Curve = Sequence[float | None]
WINDOW_SECONDS = 0.5
MOST_POINTS = 2000  # a line with more is not drawn finer, only slower
FEWEST_FOR_BAND = 3
PANEL, GAP, TOP, BOTTOM = 92, 34, 64, 46  # pixels
DIRECTION = {True: " ↑ better", False: " ↓ better", None: ""}


@dataclass(frozen=True)
class ClipCurves:
    """One clip's curves by metric name, one value a frame at `fps`."""

    label: str
    fps: float
    curves: Mapping[str, Curve]


@dataclass(frozen=True)
class Band:
    """The windowed means of many clips at `x`: their mean, and the range that holds the middle 80 % of them."""

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    clips: int


def metric_curves(
    facts: Sequence[Facts], clips: Sequence[ClipCurves], *, seconds: bool, bands: Mapping[str, Band] | None = None
) -> dict[str, Any]:
    """Panels for the metrics of which one of `clips` (up to four) has a curve: every frame thin, windowed mean thick.

    Besides `data` and `layout` the result has `seconds`, and for every trace the frame rate in `rates`, with which
    the page turns a point into a moment; a point's frame is the first of its custom data.
    """
    panels = [each for each in facts if any(_known(clip.curves.get(each.name, ())) for clip in clips)]
    if not panels:
        return {}
    height = TOP + BOTTOM + len(panels) * PANEL + (len(panels) - 1) * GAP
    spacing = GAP / (height - TOP - BOTTOM) if len(panels) > 1 else 0
    figure = make_subplots(rows=len(panels), shared_xaxes=True, vertical_spacing=spacing)
    rates: list[float | None] = []
    for row, each in enumerate(panels, start=1):
        if bands and each.name in bands:
            rates += _add_band(figure, row, bands[each.name])
        for side, clip in enumerate(clips):
            rates += _add_clip(figure, row, side, each, clip, seconds=seconds)
        _add_title(figure, row, each)
    figure.update_xaxes(title="seconds" if seconds else "frame", row=len(panels), col=1)
    figure.update_yaxes(nticks=4)
    figure.update_layout(
        height=height,
        hovermode="x",
        hoverdistance=-1,
        dragmode=False,
        margin={"l": 56, "r": 16, "t": TOP, "b": BOTTOM},
        legend={"orientation": "h", "y": 1, "yref": "container", "yanchor": "top", "x": 0},
    )
    return plain(figure) | {"seconds": seconds, "rates": rates}


def spread_over_clips(clips: Sequence[ClipCurves], name: str, *, seconds: bool) -> Band | None:
    """How a metric runs over many clips; None for fewer than three. A clip counts for as long as it lasts."""
    usable = [clip for clip in clips if _known(clip.curves.get(name, ()))]
    if len(usable) < FEWEST_FOR_BAND:
        return None
    rate = max(clip.fps for clip in usable)
    longest = max(len(clip.curves[name]) * (rate / clip.fps if seconds else 1) for clip in usable)
    grid = np.unique(np.linspace(0, longest - 1, min(int(longest), MOST_POINTS)).astype(int))
    rows = np.array([_on_grid(clip, name, grid, rate if seconds else clip.fps) for clip in usable])
    count = np.isfinite(rows).sum(0)
    kept = count >= FEWEST_FOR_BAND
    low, high = np.nanpercentile(rows[:, kept], [10, 90], axis=0)
    x = grid[kept] / rate if seconds else grid[kept] + 1
    return Band(x, np.nanmean(rows[:, kept], axis=0), low, high, len(usable))


def windowed_mean(curve: Curve, fps: float) -> np.ndarray:
    """The mean over half a second around each frame, of the frames that have a value; nan where none has, and before
    the first and after the last of them."""
    values = np.array([np.nan if value is None else value for value in curve], float)
    reach = max(1, round(fps * WINDOW_SECONDS / 2))
    known = np.isfinite(values)
    sums = np.concatenate([[0], np.cumsum(np.where(known, values, 0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    first = np.maximum(np.arange(len(values)) - reach, 0)
    after = np.minimum(np.arange(len(values)) + reach + 1, len(values))
    with np.errstate(invalid="ignore"):
        means = (sums[after] - sums[first]) / (counts[after] - counts[first])
    outside = (counts[1:] == 0) | (counts[:-1] == counts[-1])
    return np.where(outside, np.nan, means)


def _known(curve: Curve) -> bool:
    return any(value is not None for value in curve)


def _on_grid(clip: ClipCurves, name: str, grid: np.ndarray, rate: float) -> np.ndarray:
    """The windowed mean at frames of another rate; nan beyond the clip's end."""
    means = windowed_mean(clip.curves[name], clip.fps)
    index = np.floor((grid + 0.5) * clip.fps / rate + 1e-9).astype(int)
    return np.where(index < len(means), means[np.minimum(index, len(means) - 1)], np.nan)


def _add_clip(
    figure: Figure, row: int, side: int, facts: Facts, clip: ClipCurves, *, seconds: bool
) -> list[float | None]:
    curve = clip.curves.get(facts.name, ())
    label, color = escape(clip.label), SIDE_COLORS[side % 4]
    smooth = windowed_mean(curve, clip.fps)
    unit = f" {escape(facts.curve_unit or facts.unit)}".rstrip()
    kept = _drawn(curve)
    x = kept / clip.fps if seconds else kept + 1
    moments = np.stack([kept, kept / clip.fps, kept + 1], axis=-1)
    hover = (
        f"frame %{{customdata[2]}} · %{{customdata[1]:.2f}} s<br><b>%{{y:,.4~r}}</b>{unit}<extra>{label[:28]}</extra>"
    )
    common = {"mode": "lines", "legendgroup": f"side {side}", "row": row, "col": 1, "name": label}
    figure.add_scatter(
        x=x,
        y=[curve[k] for k in kept],
        customdata=moments,
        line={"color": color, "width": 1},
        opacity=0.5,
        hovertemplate=hover,
        showlegend=False,
        **common,
    )
    figure.add_scatter(
        x=x,
        y=[None if np.isnan(smooth[k]) else float(smooth[k]) for k in kept],
        line={"color": color, "width": 2.5, "dash": DASHES[side % 4]},
        hoverinfo="skip",
        showlegend=row == 1,
        **common,
    )
    return [clip.fps, clip.fps]


def _add_band(figure: Figure, row: int, band: Band) -> list[None]:
    common = {"x": band.x.tolist(), "mode": "lines", "hoverinfo": "skip", "legendgroup": "all", "row": row, "col": 1}
    edge = {"width": 0, "color": NEUTRAL}
    name = f"all {counted(band.clips, 'clip')}: mean, middle 80 %"
    figure.add_scatter(y=band.high.tolist(), line=edge, showlegend=False, name=name, **common)
    fill = {"fill": "tonexty", "fillcolor": "rgba(128,136,148,0.22)"}
    figure.add_scatter(y=band.low.tolist(), line=edge, showlegend=False, name=name, **fill, **common)
    figure.add_scatter(
        y=band.mean.tolist(), line={"width": 1.5, "color": NEUTRAL}, showlegend=row == 1, name=name, **common
    )
    return [None, None, None]


def _add_title(figure: Figure, row: int, facts: Facts) -> None:
    """The metric's name above its panel, with the direction that is better."""
    figure.add_annotation(
        text=f"<b>{escape(facts.title)}</b>{DIRECTION[facts.higher_is_better]}",
        xref="paper",
        x=0,
        xanchor="left",
        yref=f"y{row if row > 1 else ''} domain",
        y=1,
        yanchor="bottom",
        yshift=2,
        showarrow=False,
        font={"size": 12},
    )


def _drawn(curve: Curve) -> np.ndarray:
    """The frames to draw, and the first one of every gap. A curve that has a value only every so many frames has gaps
    where it misses more; of a long one the lowest and the highest of every stretch are drawn."""
    values = np.array([np.nan if value is None else value for value in curve], float)
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return known
    steps = np.diff(known)
    breaks = known[:-1][steps > np.median(steps)] + 1 if len(steps) else known[:0]
    if len(known) > MOST_POINTS:
        stretches = np.array_split(known, MOST_POINTS // 2)
        extremes = [index[pick(values[index])] for index in stretches for pick in (np.argmin, np.argmax)]
        known = np.unique([known[0], known[-1], *extremes])
        breaks = breaks[:: max(1, len(breaks) // MOST_POINTS)]
    return np.union1d(known, breaks)
