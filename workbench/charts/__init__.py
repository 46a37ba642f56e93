"""Charts as plain data: what `Plotly.react` takes. The page draws them with the plotly.js of the installed package."""

from workbench.charts.common import page_of, plotly_folder
from workbench.charts.comparison import curve_values, frame_curves
from workbench.charts.dashboard import (
    OverTime,
    Panel,
    Point,
    Speed,
    metric_dots,
    over_time,
    radar,
    share_dots,
    speed_quality,
)
from workbench.charts.drift import Curve, drift_lines
from workbench.charts.evaluation import Band, ClipCurves, metric_curves, spread_over_clips
from workbench.charts.insight import MOST_MAPS, attention_map, cost_bars, reading_map, similarity_line, similarity_maps
from workbench.charts.preferences import (
    Stack,
    evidence_path,
    preference_bars,
    rating_forest,
    stack_of,
    votes_per_day,
    win_matrix,
)

__all__ = [
    "MOST_MAPS",
    "Band",
    "ClipCurves",
    "Curve",
    "OverTime",
    "Panel",
    "Point",
    "Speed",
    "Stack",
    "attention_map",
    "cost_bars",
    "curve_values",
    "drift_lines",
    "evidence_path",
    "frame_curves",
    "metric_curves",
    "metric_dots",
    "over_time",
    "page_of",
    "plotly_folder",
    "preference_bars",
    "radar",
    "rating_forest",
    "reading_map",
    "share_dots",
    "similarity_line",
    "similarity_maps",
    "speed_quality",
    "spread_over_clips",
    "stack_of",
    "votes_per_day",
    "win_matrix",
]
