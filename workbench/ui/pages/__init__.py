"""The pages of the app, in the order of the navigation bar. A new page is one module here and one row below."""

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from workbench.ui.context import Context
from workbench.ui.pages import api, claims, generate, grid, jobs, models
from workbench.ui.pages.compare import page as compare
from workbench.ui.pages.dashboard import page as dashboard
from workbench.ui.pages.evaluate import page as evaluate
from workbench.ui.pages.insight import page as insight
from workbench.ui.pages.results import page as results
from workbench.ui.pages.studies import page as studies


@dataclass(frozen=True)
class Page:
    """`build(blocks, context)` runs inside the page's own route; `group` is where the bar shows it. The first row is
    the page that Gradio keeps at "/"."""

    title: str
    path: str
    group: str
    build: Callable[[gr.Blocks, Context], None]


PAGES = (
    Page("Generate", "/generate", "Make", generate.build),
    Page("Compare", "/compare", "Make", compare.build),
    Page("Grid", "/grid", "Make", grid.build),
    Page("Insight", "/insight", "Make", insight.build),
    Page("Evaluate", "/evaluate", "Measure", evaluate.build),
    Page("Dashboard", "/dashboard", "Measure", dashboard.build),
    Page("Jobs", "/jobs", "Measure", jobs.build),
    Page("Studies", "/studies", "People", studies.build),
    Page("Results", "/results", "People", results.build),
    Page("Claims", "/claims", "Evidence", claims.build),
    Page("Models", "/models", "Evidence", models.build),
    Page("API", "/api", "Evidence", api.build),
)
