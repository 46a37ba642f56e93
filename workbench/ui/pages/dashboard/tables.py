"""The ablation and the published tables on the Dashboard, as its components take them: plain data."""

from collections.abc import Mapping
from typing import Any

from models.registry import list_models
from workbench.charts import (
    Panel,
    Point,
    metric_dots,
)
from workbench.common.words import counted
from workbench.experiments.ablation_files import HEADLINE, Report, notes, row_label, tables
from workbench.published.tables import COLUMNS as PUBLISHED_COLUMNS
from workbench.published.tables import PublishedTable, published_tables


def ablation_tables(report: Report) -> list[dict[str, Any]]:
    """The ablation's tables, as the command prints them."""
    return [{"caption": title, "columns": head, "rows": rows, "dense": True} for title, head, rows in tables(report)]


def ablation_chart(report: Report) -> dict[str, Any]:
    """The headline columns and the share that is all right, a point a system."""
    columns = [each for each in report["columns"] if each["block"] == HEADLINE or each["name"] == "oracle_right"]
    found = []
    for column in columns:
        points = [_ablation_point(row, column) for row in report["rows"]]
        found.append(Panel(column["title"], column["higher_is_better"], points))
    return metric_dots(found)


def _ablation_point(row: Mapping[str, Any], column: Mapping[str, Any]) -> Point:
    cell = row["cells"].get(column["name"])
    if cell is None:
        return Point(row_label(row), float("nan"), float("nan"), float("nan"))
    value, low, high = (column["scale"] * cell[name] for name in ("value", "low", "high"))
    hint = f"{counted(cell['clips'], 'clip')} of {counted(cell['prompts'], 'prompt')}"
    return Point(row_label(row), value, low, high, hint)


def ablation_status(report: Report | None, own: bool) -> dict[str, Any]:
    if report is None:
        text = "The ablation was not made yet: python -m workbench ablation makes it, and this view shows it."
        return {"state": "idle", "text": text}
    worlds = sorted({spec.family for spec in list_models() if spec.name in report["weights"]})
    text = "Whether Adversarial Self-Distillation and First-Frame Enhancement help, at 4, 2 and 1 steps."
    if worlds:  # models that are not registered any more say none
        text += f" Measured on the {' and the '.join(worlds)} world."
    where = [] if own else ["This result comes with the repository; it was not made with the clips of this store."]
    return {"state": "done", "text": text, "notices": [*where, *notes(report)]}


def published_value(table: PublishedTable) -> dict[str, Any]:
    """A published table; every row leads to its source."""
    source = {"text": table.source, "href": table.link}
    return {
        "caption": f"{table.paper}, {table.table}: {table.title} (as published)",
        "columns": [*(PUBLISHED_COLUMNS[name] for name in table.columns), "Source"],
        "rows": [[*(row[name] or "—" for name in table.columns), source] for row in table.rows],
        "note": table.note,
        "dense": True,
    }


def published_values() -> list[dict[str, Any]]:
    return [published_value(table) for table in published_tables()]
