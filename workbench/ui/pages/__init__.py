"""The pages of the app, in the order of the navigation bar. A new page is one module here and one row below."""

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from workbench.ui.context import Context
from workbench.ui.pages import claims, compare, dashboard, evaluate, generate, grid, insight, models, results, studies


@dataclass(frozen=True)
class Page:
    """`build(blocks, context)` runs inside the page's own route; the first page is at "/"."""

    title: str
    path: str
    build: Callable[[gr.Blocks, Context], None]


PAGES = (
    Page("Generate", "/", generate.build),
    Page("Compare", "/compare", compare.build),
    Page("Grid", "/grid", grid.build),
    Page("Insight", "/insight", insight.build),
    Page("Evaluate", "/evaluate", evaluate.build),
    Page("Studies", "/studies", studies.build),
    Page("Results", "/results", results.build),
    Page("Dashboard", "/dashboard", dashboard.build),
    Page("Claims", "/claims", claims.build),
    Page("Models", "/models", models.build),
)
