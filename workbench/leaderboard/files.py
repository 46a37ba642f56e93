"""The leaderboard and its values as files."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from eval.report import harmless
from workbench.common.latex import escape, tabular
from workbench.common.words import readable
from workbench.leaderboard.means import (
    conditions_of,
    leaderboard,
    newest_versions,
    page_order,
    usual_metrics,
    verdict,
    words_of,
)
from workbench.published.tables import published_tables
from workbench.requests.links.dashboard import Query
from workbench.requests.systems import label_of
from workbench.store import Store
from workbench.store.records import ClipFilter

PARQUET = "application/vnd.apache.parquet"
MARKS = {"better": "▲", "worse": "▼", "differs": "≠", "": ""}
LATEX_MARKS = {"better": r"$^{\uparrow}$", "worse": r"$^{\downarrow}$", "differs": r"$^{\neq}$", "": ""}


@dataclass(frozen=True)
class Board:
    """What is in the store under `filters`, seen from the system `reference`; read when first asked for."""

    store: Store
    filters: ClipFilter
    reference: str | None = None

    @cached_property
    def rows(self) -> pd.DataFrame:
        return self._read[0]

    @cached_property
    def told(self) -> list[str]:
        """What was left out."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[pd.DataFrame, list[str]]:
        return newest_versions(self.store.leaderboard_rows(self.filters))

    @cached_property
    def conditions(self) -> dict[str, str]:
        return conditions_of(self.store.settings_table())

    @cached_property
    def table(self) -> pd.DataFrame:
        return leaderboard(self.rows, self.conditions, self.reference)

    @cached_property
    def metrics(self) -> list[str]:
        """What the table has, in page order."""
        return page_order(list(self.table["metric"]))

    def values(self) -> pd.DataFrame:
        """Every value behind the table, one row a clip and metric."""
        values, _ = newest_versions(self.store.value_table(self.filters))
        return values.assign(conditions=values["settings"].map(self.conditions))


def clip_filter(query: Query, known: Mapping[str, Sequence]) -> ClipFilter:
    """The filter that a query asks for, of a store that holds `known` (`Store.filters`). Of no metrics the usual ones
    are meant: comparisons are corrected for how many there are, so that those which nobody sees must not count."""
    enhanced = {"": (), "off": (0,), "on": tuple(n for n in known["first_steps"] if n) or (-1,)}[query.ffe]
    return ClipFilter(
        models=query.models,
        steps=query.steps,
        first_steps=enhanced,
        metrics=query.metrics or tuple(usual_metrics(known["metrics"])),
        prompt=query.prompt,
        sweep=query.sweep,
    )


def board_of(store: Store, query: Query) -> Board:
    """The board that a query asks for."""
    return Board(store, clip_filter(query, store.filters()), query.reference or None)


def title_of(system: str) -> str:
    """A system for people, as "ASD 1*"."""
    return label_of(system)


def figure(value: float, sign: str = "") -> str:
    """A number as tables show it."""
    return "-" if value is None or np.isnan(value) else readable(value, sign=sign)


def latex(board: pd.DataFrame) -> str:
    """Lines by system, columns by metric: mean and interval, marked where they differ from the reference."""
    metrics = page_order(list(board["metric"]))
    heads = ["System", "$n$", *(escape(words_of(name).title) for name in metrics)]
    lines = []
    for (system, _), own in board.groupby(["system", "settings"], sort=False):
        cells = {row["metric"]: row for row in own.to_dict("records")}
        row = [escape(title_of(system)), str(int(own["n"].max()))]
        lines.append([*row, *(_latex_cell(cells.get(name)) for name in metrics)])
    return tabular("lr" + "r" * len(metrics), heads, lines)


def _latex_cell(row: Mapping | None) -> str:
    if row is None or np.isnan(row["mean"]):
        return "--"
    mark = LATEX_MARKS[verdict(row["metric"], row["difference"], row["p_holm"])]
    interval = "" if np.isnan(row["low"]) else rf" {{\scriptsize [{figure(row['low'])}, {figure(row['high'])}]}}"
    return f"{figure(row['mean'])}{mark}{interval}"


def published_frame() -> pd.DataFrame:
    """All published figures, one row each, with their sources."""
    rows = [
        {"paper": table.paper, "source": table.source, "link": table.link, **row}
        for table in published_tables()
        for row in table.rows
    ]
    return pd.DataFrame(rows).fillna("")


def _csv(table: pd.DataFrame) -> bytes:
    return harmless(table).to_csv(index=False).encode()


def _parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


# file name: MIME type and what makes it
EXPORTS: dict[str, tuple[str, Callable[[Board], bytes]]] = {
    "leaderboard.csv": ("text/csv", lambda board: _csv(board.table)),
    "leaderboard.parquet": (PARQUET, lambda board: _parquet(board.table)),
    "leaderboard.tex": ("application/x-tex", lambda board: latex(board.table).encode()),
    "values.csv": ("text/csv", lambda board: _csv(board.values())),
    "values.parquet": (PARQUET, lambda board: _parquet(board.values())),
    "published.csv": ("text/csv", lambda board: _csv(published_frame())),
}
