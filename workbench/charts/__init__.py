"""Charts as plain data: what `Plotly.react` takes. The page draws them with the plotly.js of the installed package."""

from workbench.charts.common import plotly_folder
from workbench.charts.comparison import curve_values, frame_curves
from workbench.charts.evaluation import Band, ClipCurves, metric_curves, spread_over_clips

__all__ = [
    "Band",
    "ClipCurves",
    "curve_values",
    "frame_curves",
    "metric_curves",
    "plotly_folder",
    "spread_over_clips",
]
