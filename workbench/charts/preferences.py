"""The charts of the Results page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from plotly.graph_objects import Figure

from eval.preferences.anytime import Bar
from eval.preferences.rates import PairRate
from eval.preferences.ratings import Ratings
from eval.statistics.intervals import Interval
from workbench.charts.common import NEUTRAL, SIDE_COLORS, ink_on, plain
from workbench.common.words import counted, percent

OURS, THEIRS = SIDE_COLORS[0], SIDE_COLORS[1]
TIE, BAD = "#9aa3ad", "#5f6873"
ROW, NOTE, TOP, BOTTOM = 54, 24, 64, 48  # pixels
LONGEST = 60  # characters of a label on an axis
FEW = 0.06  # a narrower part of a bar has no room for its number
LEGEND = {"orientation": "h", "y": 1, "yref": "container", "yanchor": "top", "x": 0, "traceorder": "normal"}


@dataclass(frozen=True)
class Stack:
    """A bar: shares of ours, tie, both bad and theirs, which sum to 1 (None: the source does not tell), a hint, and
    a line that is always shown: how many votes, and how sure."""

    label: str
    ours: float
    tie: float | None
    bad: float | None
    theirs: float
    hint: str = ""
    note: str = ""


def stack_of(rate: PairRate, label: str) -> Stack:
    """The votes on a pair as a bar, seen from its first system."""
    share = rate.decisive
    interval = (
        f"; of decisive votes {percent(share.value)} ({percent(share.low)} to {percent(share.high)})" if share else ""
    )
    note = f"n = {rate.votes:,}"
    if share:
        low, high = 100 * share.low, 100 * share.high
        note += f"; preferred in {100 * share.value:.0f} % of {share.n:,} decisive ({low:.0f} to {high:.0f} %)"
    voters = f"{counted(rate.votes, 'vote')} of {counted(rate.annotators, 'annotator')}"
    hint = f"{voters} on {counted(rate.prompts, 'prompt')}{interval}"
    won, tied, bad, lost = (count / rate.votes for count in (rate.wins, rate.ties, rate.bad, rate.losses))
    return Stack(label, won, tied, bad, lost, hint, note)


def preference_bars(stacks: Sequence[Stack], ours: str, theirs: str = "opponent", digits: int = 0) -> dict[str, Any]:
    """One stacked bar an opponent, ours from the left and theirs from the right, as papers print preferences; `digits`
    is how many decimals of a percentage are shown."""
    if not stacks:
        return {}
    figure = Figure()
    labels = [shorten(stack.label) for stack in stacks]
    parts = [
        (f"{ours} preferred", OURS, [stack.ours for stack in stacks]),
        ("no difference", TIE, [stack.tie or 0 for stack in stacks]),
        ("both bad", BAD, [stack.bad or 0 for stack in stacks]),
        (f"{theirs} preferred", THEIRS, [stack.theirs for stack in stacks]),
    ]
    for name, color, shares in parts:
        if name in ("no difference", "both bad") and not any(shares):
            continue
        figure.add_bar(
            y=list(range(len(stacks))),
            x=[100 * share for share in shares],
            orientation="h",
            name=escape(name),
            marker={"color": color},
            text=[f"{round(100 * share, digits):g} %" if share >= FEW else "" for share in shares],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": ink_on(color)},
            customdata=[escape(stack.hint) for stack in stacks],
            hovertemplate=f"%{{x:.1f}} % {escape(name)}<br>%{{customdata}}<extra></extra>",
        )
    figure.add_vline(x=50, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
    figure.update_xaxes(title="% of votes", range=[0, 100])
    _name_above(figure, labels, [stack.note for stack in stacks])
    figure.update_layout(barmode="stack", bargap=0.55, legend=LEGEND, **_box(len(stacks), any(s.note for s in stacks)))
    return plain(figure)


def rating_forest(ratings: Ratings, titles: Mapping[str, str], bootstrap: Mapping[str, Interval]) -> dict[str, Any]:
    """Every system's strength with its interval, best on top, and thin beside it that of the bootstrap."""
    rows = ratings.rows
    figure = Figure()
    reach = 1.3 * max([abs(bound) for row in rows for bound in (row.low, row.high) if np.isfinite(bound)] + [1.0])
    for name, width, lift, bounds in (
        (
            "95 % interval, annotators and prompts as clusters",
            3,
            0.0,
            {row.system: (row.low, row.high) for row in rows},
        ),
        (
            "95 % interval, annotators and prompts drawn again",
            1,
            0.22,
            {k: (v.low, v.high) for k, v in bootstrap.items()},
        ),
    ):
        known = [
            (place, *np.clip(bounds[row.system], -reach, reach))
            for place, row in enumerate(rows)
            if row.system in bounds
        ]
        figure.add_scatter(
            x=[value for _, low, high in known for value in (low, high, None)],
            y=[value for place, _, _ in known for value in (place + lift, place + lift, None)],
            mode="lines",
            line={"color": OURS if not lift else NEUTRAL, "width": width},
            hoverinfo="skip",
            name=name,
        )
    figure.add_scatter(
        x=[row.strength for row in rows],
        y=list(range(len(rows))),
        mode="markers",
        marker={"color": OURS, "size": 10},
        customdata=[
            f"{counted(row.votes, 'vote')}, {row.wins} won, {row.losses} lost, rank {row.rank}" for row in rows
        ],
        hovertemplate="%{x:+.2f}<br>%{customdata}<extra></extra>",
        showlegend=False,
    )
    figure.add_vline(x=0, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
    figure.update_xaxes(
        title="log strength (0 is the mean of all; +1 is 73 % of decisive votes)", range=[-reach, reach]
    )
    _name_above(
        figure,
        [shorten(titles.get(row.system, row.system)) for row in rows],
        [f"n = {row.votes:,}; {row.strength:+z.2f}{_bounds(row.low, row.high)}" for row in rows],
    )
    figure.update_layout(legend=LEGEND, hovermode="closest", **_box(len(rows), noted=True))
    return plain(figure)


def win_matrix(
    ratings: Ratings, titles: Mapping[str, str], seen: Mapping[tuple[str, str], PairRate]
) -> dict[str, Any]:
    """How often the row's system wins over the column's of decisive votes, after the model; hints tell the votes."""
    names = [row.system for row in ratings.rows]
    if len(names) < 2:
        return {}
    labels = [shorten(titles.get(name, name), 36) for name in names]
    shares = [[None if a == b else ratings.expected(a, b) for b in names] for a in names]
    figure = Figure()
    figure.add_heatmap(
        # a guess about two that nobody compared is told where the pointer is, and not drawn
        z=[[_share(shares[i][j], (a, b) in seen) for j, b in enumerate(names)] for i, a in enumerate(names)],
        text=[[_cell(shares[i][j], seen.get((a, b))) for j, b in enumerate(names)] for i, a in enumerate(names)],
        customdata=[[_told(shares[i][j], seen.get((a, b))) for j, b in enumerate(names)] for i, a in enumerate(names)],
        texttemplate="%{text}",
        hovertemplate="%{customdata}<extra></extra>",
        zmin=0,
        zmax=100,
        colorscale=[[0, THEIRS], [0.5, "#e9ecef"], [1, OURS]],
        showscale=False,
        xgap=2,
        ygap=2,
    )
    places = list(range(len(names)))
    figure.update_xaxes(
        tickvals=places, ticktext=[escape(label) for label in labels], side="top", tickangle=-25, showgrid=False
    )
    title = "How often the system of the row is preferred to that of the column<br><span style='font-size:11px'>"
    title += "% of decisive votes after the model, and n votes on the pair</span>"
    _name_rows(figure, labels)
    figure.update_yaxes(showgrid=False)
    heading = {"text": title, "x": 0, "xref": "container", "y": 1, "yanchor": "top", "pad": {"t": 22, "l": 8}}
    margin = {"l": 8, "r": 60, "t": 170, "b": 16}
    figure.update_yaxes(automargin=True)
    figure.update_layout(
        height=190 + 46 * len(names), margin=margin, dragmode=False, title=heading | {"font": {"size": 14}}
    )
    return plain(figure)


def evidence_path(bars: Sequence[tuple[str, Bar]]) -> dict[str, Any]:
    """Evidence over votes on a logarithmic scale, with the bar that it has to pass."""
    figure = Figure()
    for side, (label, bar) in enumerate(bars):
        figure.add_scatter(
            x=list(range(len(bar.path) + 1)),
            y=[0.0, *(value / np.log(10) for value in bar.path)],
            mode="lines",
            name=escape(shorten(label, 60)),
            line={"color": SIDE_COLORS[side % 4], "width": 2},
            hovertemplate="vote %{x}: 10^%{y:.2f}<extra></extra>",
        )
    if not bars:
        return {}
    needed = np.log10(bars[0][1].needed)
    figure.add_hline(
        y=needed, line={"color": NEUTRAL, "dash": "dash"}, annotation_text=f"decided, {bars[0][1].needed:.0f} to 1"
    )
    figure.update_xaxes(title="decisive votes, one per person and prompt", rangemode="tozero")
    figure.update_yaxes(title="evidence (log10 Bayes factor)")
    figure.update_layout(
        height=300, hovermode="closest", dragmode=False, margin={"l": 64, "r": 16, "t": 64, "b": 48}, legend=LEGEND
    )
    return plain(figure)


def votes_per_day(days: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """How many votes that count came on which day, and their sum."""
    if not days:
        return {}
    figure = Figure()
    moments, counts = [day for day, _ in days], [count for _, count in days]
    figure.add_bar(
        x=moments, y=counts, name="votes per day", marker={"color": OURS}, hovertemplate="%{x}: %{y}<extra></extra>"
    )
    figure.add_scatter(
        x=moments,
        y=np.cumsum(counts).tolist(),
        name="total",
        mode="lines+markers",
        line={"color": THEIRS, "width": 2},
        hovertemplate="%{x}: %{y} total<extra></extra>",
    )
    figure.update_xaxes(type="category")
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(height=240, dragmode=False, margin={"l": 48, "r": 16, "t": 48, "b": 40}, legend=LEGEND)
    return plain(figure)


def shorten(label: str, longest: int = LONGEST) -> str:
    return label if len(label) <= longest else f"{label[: longest - 1]}…"


def _cell(share: Interval | None, rate: PairRate | None) -> str:
    """What a field of the matrix says."""
    if share is None:
        return ""
    return f"{100 * share.value:.0f} %<br>n = {rate.votes}" if rate else "no votes"


def _share(share: Interval | None, seen: bool) -> float | None:
    """Percent by which a field is coloured; None leaves it blank."""
    return 100 * share.value if share and seen else None


def _told(share: Interval | None, rate: PairRate | None) -> str:
    if share is None:
        return ""
    told = f"{percent(share.value)} ({percent(share.low)} to {percent(share.high)}) after the model"
    if rate is None:
        return f"{told}<br>no votes on this pair"
    return f"{told}<br>{rate.wins} won, {rate.losses} lost, {rate.ties} no difference, {rate.bad} both bad"


def _name_rows(figure: Figure, labels: Sequence[str]) -> None:
    places = list(range(len(labels)))
    figure.update_yaxes(tickvals=places, ticktext=[escape(label) for label in labels], range=[len(labels) - 0.5, -0.5])


def _bounds(low: float, high: float) -> str:
    return f" ({low:+z.2f} to {high:+z.2f})" if np.isfinite(low) and np.isfinite(high) else " (no bounds yet)"


def _name_above(figure: Figure, labels: Sequence[str], notes: Sequence[str] = ()) -> None:
    """A name above each row instead of beside it, a note under the name: it leaves a phone the whole width."""
    figure.update_yaxes(visible=False, range=[len(labels) - 0.5, -0.6])
    for place, label in enumerate(labels):
        note = f"<br><span style='font-size:11px'>{escape(notes[place])}</span>" if notes and notes[place] else ""
        figure.add_annotation(
            text=escape(label) + note,
            align="left",
            xref="paper",
            x=0,
            xanchor="left",
            y=place,
            yshift=33 if note else 20,
            showarrow=False,
            font={"size": 12},
        )


def _box(rows: int, noted: bool = False) -> dict[str, Any]:
    return {
        "height": TOP + BOTTOM + (ROW + NOTE * noted) * rows,
        "margin": {"l": 16, "r": 16, "t": TOP, "b": BOTTOM},
        "dragmode": False,
    }
