"""The charts of the Insight page: steps beside steps, chunks beside what they read, plans beside their seconds."""

import math
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from statistics import median
from typing import Any

from plotly.colors import sample_colorscale, unlabel_rgb
from plotly.graph_objects import Figure
from plotly.subplots import make_subplots

from eval.statistics.intervals import Interval
from workbench.charts.common import NEUTRAL, SIDE_COLORS, ink_on, plain
from workbench.common.words import counted

LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
COLUMNS, SIDE = 5, 170  # maps in a row, pixels of one
MOST_MAPS = 15
SCALE = "Cividis"  # the same order of lightness for the colour-blind and on paper
OWN, PAST, SINK = "made in this chunk", "read from the cache", "read from the sink, never evicted"
LOOKS = {
    OWN: {"color": SIDE_COLORS[0]},
    PAST: {"color": SIDE_COLORS[2]},
    SINK: {"color": SIDE_COLORS[1]},  # not hatched: a hatched bar was not drawn in the app
}
Matrix = Sequence[Sequence[float]]


def similarity_maps(matrices: Sequence[Matrix]) -> dict[str, Any]:
    """One map a chunk of more than one step (the first of them, if they are many): steps beside steps, all on one
    scale of colours that ends at 1."""
    drawn = [(chunk, matrix) for chunk, matrix in enumerate(matrices) if len(matrix) > 1][:MOST_MAPS]
    if not drawn:
        return {}
    columns = min(COLUMNS, len(drawn))
    lines = -(-len(drawn) // columns)
    height = 40 + lines * SIDE + (lines - 1) * 56 + 40
    figure = make_subplots(
        rows=lines,
        cols=columns,
        horizontal_spacing=0.04,
        vertical_spacing=56 / (height - 80) if lines > 1 else 0,
        subplot_titles=[f"chunk {chunk + 1}" for chunk, _ in drawn],
    )
    for place, (chunk, matrix) in enumerate(drawn):
        steps = [str(step + 1) for step in range(len(matrix))]
        hover = f"chunk {chunk + 1}: step %{{y}} and step %{{x}}<br><b>%{{z:.3f}}</b><extra></extra>"
        figure.add_heatmap(
            **{"z": matrix, "x": steps, "y": steps, "coloraxis": "coloraxis"},
            hovertemplate=hover,
            xgap=1,
            ygap=1,
            row=place // columns + 1,
            col=place % columns + 1,
        )
    figure.update_annotations(font={"size": 13})
    low = math.floor(10 * min(min(map(min, matrix)) for _, matrix in drawn)) / 10
    span = min(low, 0.9), 1.0
    for place, (_, matrix) in enumerate(drawn):
        where = {"row": place // columns + 1, "col": place % columns + 1}
        _write_cells(figure, matrix, span, lambda value: f"{value:.2f}", **where)
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(type="category", showgrid=False, autorange="reversed")
    scale = {"colorscale": SCALE, "cmin": span[0], "cmax": span[1], "colorbar": {"thickness": 12, "len": 0.9}}
    figure.update_layout(height=height, coloraxis=scale, dragmode=False, margin={"l": 32, "r": 16, "t": 40, "b": 40})
    return plain(figure)


def similarity_line(points: Sequence[Interval | None], unit: str) -> dict[str, Any]:
    """Similarity of a chunk's first prediction to its last, with 95 % intervals where there are any; chunks of one
    step are left out. `unit` words what n counts."""
    known = [(chunk, point) for chunk, point in enumerate(points) if point]
    if not known:
        return {}
    n = known[0][1].n
    told = f"n = {n} {unit}; bars: 95 %" if n > 1 else "one clip: no interval"
    bars = [
        (max(0.0, p.high - p.value), max(0.0, p.value - p.low)) if math.isfinite(p.low) else (0, 0) for _, p in known
    ]
    figure = Figure()
    figure.add_scatter(
        x=[chunk + 1 for chunk, _ in known],
        y=[point.value for _, point in known],
        error_y={"type": "data", "array": [up for up, _ in bars], "arrayminus": [down for _, down in bars]},
        customdata=[_range(point) for _, point in known],
        hovertemplate="chunk %{x}: <b>%{y:.3f}</b>%{customdata}<extra></extra>",
        mode="lines+markers",
        line={"color": SIDE_COLORS[0], "width": 2},
        marker={"size": 8},
    )
    figure.update_xaxes(title="chunk", **_whole(len(points)), range=[0.5, len(points) + 0.5])
    figure.update_yaxes(title="cosine similarity", rangemode="normal")
    figure.update_layout(
        height=300, dragmode=False, showlegend=False, margin={"l": 64, "r": 16, "t": 44, "b": 48}, title=_title(told)
    )
    return plain(figure)


def reading_map(
    chunks: Sequence[int], reads: Sequence[Sequence[int]], steps: Sequence[int], sink: int = 0
) -> dict[str, Any]:
    """A line a chunk (`chunks` its latent frames): the latent frames it reads, and the steps that made it."""
    figure = Figure()
    names = [f"chunk {chunk + 1} · {counted(n, 'step')}" for chunk, n in enumerate(steps)]
    for kind, look in LOOKS.items():
        runs = [
            (chunk, first, last)
            for chunk, read in enumerate(reads)
            for first, last in _runs(_of_kind(kind, read, chunks[chunk], sink))
        ]
        if runs:
            figure.add_bar(
                y=[chunk for chunk, _, _ in runs],
                base=[first + 0.5 for _, first, _ in runs],
                x=[last - first + 1 for _, first, last in runs],
                customdata=[[names[chunk], first + 1, last + 1] for chunk, first, last in runs],
                hovertemplate=f"%{{customdata[0]}}<br>latent frames %{{customdata[1]}} to %{{customdata[2]}}: {kind}"
                "<extra></extra>",
                orientation="h",
                name=kind,
                marker=look,
                showlegend=True,
            )
    figure.update_xaxes(title="latent frame", range=[0.5, sum(chunks) + 0.5], **_whole(sum(chunks)))
    figure.update_yaxes(
        tickvals=list(range(len(chunks))), ticktext=names, range=[len(chunks) - 0.5, -0.5], showgrid=False
    )
    figure.update_layout(
        height=110 + 26 * len(chunks),
        barmode="overlay",
        bargap=0.25,
        dragmode=False,
        legend=LEGEND,
        margin={"l": 120, "r": 16, "t": 52, "b": 48},
    )
    return plain(figure)


def attention_map(attention: Matrix, reads: Sequence[Sequence[int]], chunks: Sequence[int]) -> dict[str, Any]:
    """Which share of its attention a chunk (row) pays to a chunk (column); nothing is drawn where it cannot look. The
    even share is what the column would get if every frame that is read got the same."""
    owner = [chunk for chunk, length in enumerate(chunks) for _ in range(length)]
    even = [
        [sum(owner[frame] == chunk for frame in read) / len(read) for chunk in range(len(chunks))] for read in reads
    ]
    shown = [
        [value if share else None for value, share in zip(*rows, strict=True)]
        for rows in zip(attention, even, strict=True)
    ]
    names = [f"chunk {chunk + 1}" for chunk in range(len(chunks))]
    figure = Figure()
    figure.add_heatmap(
        z=shown,
        x=names,
        y=names,
        customdata=even,
        hovertemplate="%{y} to %{x}: <b>%{z:.1%}</b><br>even share %{customdata:.1%}<extra></extra>",
        colorscale=SCALE,
        zmin=0,
        zmax=1,
        hoverongaps=False,
        xgap=1,
        ygap=1,
        colorbar={"thickness": 12, "tickvals": [0, 0.5, 1], "ticktext": ["0 %", "50 %", "100 %"]},
    )
    _write_cells(figure, shown, (0.0, 1.0), lambda value: f"{100 * value:.0f} %")
    figure.update_xaxes(showgrid=False, side="top")
    figure.update_yaxes(showgrid=False, autorange="reversed")
    height = 90 + max(200, 30 * len(chunks))
    figure.update_layout(height=height, dragmode=False, margin={"l": 84, "r": 16, "t": 44, "b": 16})
    return plain(figure)


def cost_bars(
    names: Sequence[str], predicted: Sequence[float], measured: Sequence[Sequence[float]], hints: Sequence[str]
) -> dict[str, Any]:
    """Plans side by side: the median of the measured seconds with lowest and highest, and what was predicted."""
    middles = [median(seconds) for seconds in measured]
    figure = Figure()
    figure.add_bar(
        x=list(names),
        y=middles,
        error_y={
            "type": "data",
            "array": [max(seconds) - middle for seconds, middle in zip(measured, middles, strict=True)],
            "arrayminus": [middle - min(seconds) for seconds, middle in zip(measured, middles, strict=True)],
            "color": NEUTRAL,
        },
        name=f"measured: median of {len(measured[0])}, lowest to highest",
        marker={"color": SIDE_COLORS[0]},
        customdata=[escape(hint) for hint in hints],
        hovertemplate="plan %{x}: <b>%{y:.3f} s</b><br>%{customdata}<extra></extra>",
    )
    figure.add_scatter(
        x=list(names),
        y=list(predicted),
        mode="markers",
        name="predicted from single calls",
        marker={"color": SIDE_COLORS[1], "symbol": "diamond", "size": 11, "line": {"color": "#ffffff", "width": 1}},
        hovertemplate="plan %{x}: <b>%{y:.3f} s</b> predicted<extra></extra>",
    )
    figure.update_xaxes(type="category", title="plan")
    figure.update_yaxes(title="seconds per clip", rangemode="tozero")
    figure.update_layout(height=320, dragmode=False, legend=LEGEND, margin={"l": 64, "r": 16, "t": 52, "b": 48})
    return plain(figure)


def _of_kind(kind: str, read: Sequence[int], own: int, sink: int) -> list[int]:
    past = read[: len(read) - own]
    evicted = len(read) <= read[-1]
    kept = [frame for frame in past if evicted and frame < sink]
    return {OWN: list(read[len(past) :]), SINK: kept, PAST: [frame for frame in past if frame not in kept]}[kind]


def _runs(frames: Sequence[int]) -> list[tuple[int, int]]:
    """The first and last of every stretch of consecutive numbers."""
    if not frames:
        return []
    breaks = [place for place, (one, other) in enumerate(pairwise(frames), 1) if other != one + 1]
    starts, ends = [0, *breaks], [*breaks, len(frames)]
    return [(frames[start], frames[end - 1]) for start, end in zip(starts, ends, strict=True)]


def _range(point: Interval) -> str:
    return f" ({point.low:.3f} to {point.high:.3f}), n = {point.n}" if math.isfinite(point.low) else ""


def _whole(count: int) -> dict[str, Any]:
    """Ticks at whole numbers, as many as have room."""
    return {"dtick": 1} if count <= 8 else {"tickformat": "d", "nticks": 16}


def _write_cells(
    figure: Figure,
    matrix: Sequence[Sequence[float | None]],
    span: tuple[float, float],
    told: Callable[[float], str],
    **where: int,
) -> None:
    """Write each value of a map of SCALE over `span` into its cell, in the ink that is read on its colour: plotly's
    own ink is a dark grey."""
    low, high = span
    for line, values in enumerate(matrix):
        for column, value in enumerate(values):
            if value is None:
                continue
            share = min(1.0, max(0.0, (value - low) / (high - low)))
            red, green, blue = (round(level) for level in unlabel_rgb(sample_colorscale(SCALE, share)[0]))
            font = {"color": ink_on(f"#{red:02x}{green:02x}{blue:02x}"), "size": 12}
            figure.add_annotation(x=column, y=line, text=told(value), showarrow=False, font=font, **where)


def _title(text: str) -> dict[str, Any]:
    return {"text": escape(text), "font": {"size": 12}, "x": 0.01, "xanchor": "left", "y": 0.97}
