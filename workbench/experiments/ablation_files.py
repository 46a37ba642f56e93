"""The ablation as text for a console, Markdown and LaTeX, and as files."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from models.types import RequestError
from models.whole_files import replacing, write_bytes
from workbench.common.latex import RULE, escape, tabular
from workbench.common.words import counted
from workbench.experiments.ablation_report import BLOCKS, HEADLINE, SURE, verdict
from workbench.published.tables import published_table
from workbench.requests.systems import System

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "results"
NAME = "ablation"
MARKS = {"better": "▲", "worse": "▼", "": ""}
LATEX_MARKS = {"better": r"$^{\uparrow}$", "worse": r"$^{\downarrow}$", "": ""}
Report = Mapping[str, Any]
Table = tuple[str, list[str], list[list[str]]]
"""Title, columns, rows of text."""

NOTE = (
    "Mean (95 % interval, bootstrap over captions). ▲ better and ▼ worse than the baseline of the same steps: "
    "p below {sure} in a paired test over captions (random signs; swapped sides for the Fréchet distance), after Holm "
    "over all comparisons of the headline columns, or of the other columns. n* is n steps with First-Frame "
    "Enhancement: {first} in the first chunk; at {anchor} steps it changes nothing. Real clips are a second rendering "
    "of the same captions."
)
DEFINITIONS = (
    "Quality: subject and background consistency by the shapes CLIP, temporal flickering, and motion smoothness by "
    "flow, in the ranges in which VBench puts its own, equal weights. Semantic: share of colour, shape, direction, "
    "background and number that the oracle finds as asked. Total: (4 quality + semantic) / 5. They stand for VBench's "
    "columns and cannot be compared with them. Fréchet distance: to real clips of the same captions, 36 statistics a "
    "clip, lower is nearer. Drift: standard deviation over five stretches of a clip."
)


def tables(report: Report) -> list[Table]:
    """The paper's layout with the headline columns, all columns by block, and the differences."""
    found = [_headline(report)]
    found += [_block(report, block, title) for block, title in BLOCKS.items()]
    for block, title in {HEADLINE: "headline", **BLOCKS}.items():
        found.append(
            _differences(report, (block,), f"Difference from the baseline of the same steps: {title.lower()}")
        )
    return found


def row_label(row: Mapping[str, Any]) -> str:
    """A row's system in words: "ASD 1*"."""
    if not row["steps"]:
        return "Real clips"
    return System(row["model"], row["steps"], row["first_steps"]).label


def notes(report: Report) -> list[str]:
    """How to read the tables, and what they rest on."""
    told = NOTE.format(sure=SURE, first=report["first_steps"], anchor=report["anchor"])
    weights = ", ".join(f"{name} {digest[:12]}" for name, digest in report["weights"].items())
    made = (
        f"Made by `{report['command']}` on {report['date'][:10]}: {report['prompts']} held-out captions, "
        f"{counted(report['seeds'], 'seed')} each, {counted(report['frames'], 'frame')}; "
        f"{report['comparisons']} comparisons; weights {weights}."
    )
    return [told, DEFINITIONS, made]


def _headline(report: Report) -> Table:
    columns = _columns(report, HEADLINE)
    extra = [column for column in report["columns"] if column["name"] == "oracle_right"]
    head = ["ASD", "FFE", "Steps", *(column["title"] for column in [*columns, *extra])]
    rows = [[*_flags(row), *(_cell(row, column, MARKS) for column in [*columns, *extra])] for row in report["rows"]]
    return "ASD x First-Frame Enhancement x steps", head, rows


def _flags(row: Mapping[str, Any]) -> list[str]:
    if not row["steps"]:
        return ["real", "clips", ""]
    return ["✓" if row["asd"] else "-", "✓" if row["ffe"] else "-", str(row["steps"])]


def _block(report: Report, block: str, title: str) -> Table:
    columns = _columns(report, block)
    rows = [[row_label(row), *(_cell(row, column, MARKS) for column in columns)] for row in report["rows"]]
    return title, ["System", *(column["title"] for column in columns)], rows


def _cell(row: Mapping[str, Any], column: Mapping[str, Any], marks: Mapping[str, str]) -> str:
    cell = row["cells"].get(column["name"])
    if cell is None:
        return "-"
    value, low, high = (_number(cell[part], column) for part in ("value", "low", "high"))
    mark = marks[verdict(column, row["differences"].get(column["name"]))]
    few = f" n={cell['clips']}" if cell["unscored"] else ""
    return f"{value}{mark} ({low} to {high}){few}"


def _number(value: float, column: Mapping[str, Any], sign: str = "") -> str:
    return f"{column['scale'] * value:{sign}.{column['digits']}f}"


def _differences(report: Report, blocks: Sequence[str], title: str) -> Table:
    """A line a system, a column a number: difference, interval and corrected p."""
    columns = [column for column in report["columns"] if column["block"] in blocks]
    rows = [
        [row_label(row), *(_difference(row, column) for column in columns)]
        for row in report["rows"]
        if row["differences"]
    ]
    return title, ["System", *(column["title"] for column in columns)], rows


def _difference(row: Mapping[str, Any], column: Mapping[str, Any]) -> str:
    found = row["differences"].get(column["name"])
    if found is None:
        return "-"
    value, low, high = (_number(found[part], column, "+") for part in ("value", "low", "high"))
    return f"{value}{MARKS[verdict(column, found)]} ({low} to {high}) p {_p(found['p_holm'])}"


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def _columns(report: Report, block: str) -> list[Mapping[str, Any]]:
    return [column for column in report["columns"] if column["block"] == block]


def published_rows() -> Table:
    """The paper's own Table 2, apart from everything measured here."""
    table = published_table("ASD", "Table 2")
    names = ("total", "quality", "semantic")
    rows = [
        [
            "✓" if row["model"] == "ASD" else "-",
            "✓" if row["setting"] == "FFE" else "-",
            row["steps"],
            *(row[n] for n in names),
        ]
        for row in table.rows
    ]
    return (
        f"As published, on Wan 2.1 1.3B with VBench ({table.source})",
        ["ASD", "FFE", "Steps", "Total", "Quality", "Semantic"],
        rows,
    )


def markdown(report: Report) -> str:
    found = [*tables(report)[:1], published_rows(), *tables(report)[1:]]
    parts = [f"**{table[0]}**\n\n{_markdown_table(table)}" for table in found]
    return "\n\n".join([*parts, *notes(report)]) + "\n"


def headline_markdown(report: Report) -> str:
    """The paper's layout alone, and how it was made."""
    return f"{_markdown_table(_headline(report))}\n\n{notes(report)[-1]}\n"


def _markdown_table(table: Table) -> str:
    _, head, rows = table
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def console(report: Report) -> str:
    """Tables with columns of equal width."""
    parts = []
    for title, head, rows in tables(report):
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        lines = [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in [head, *rows]
        ]
        rule = "  ".join("-" * width for width in widths)
        parts.append("\n".join([title, lines[0].rstrip(), rule, *(line.rstrip() for line in lines[1:])]))
    return "\n\n".join([*parts, *notes(report)]) + "\n"


def latex(report: Report) -> str:
    """The headline table as LaTeX, ready for a paper."""
    columns = _columns(report, HEADLINE)
    columns += [column for column in report["columns"] if column["name"] == "oracle_right"]
    heads = ["ASD", "FFE", "Steps", *(escape(column["title"]) for column in columns)]
    lines: list[list[str] | str] = []
    steps = None
    for row in report["rows"]:
        if steps is not None and row["steps"] != steps:
            lines.append(RULE)
        steps = row["steps"]
        flags = [r"$\surd$" if flag == "✓" else escape(flag) for flag in _flags(row)]
        lines.append([*flags, *(_latex_cell(row, column) for column in columns)])
    return tabular("ccc" + "r" * len(columns), heads, lines, notes(report)[-1])


def _latex_cell(row: Mapping[str, Any], column: Mapping[str, Any]) -> str:
    cell = row["cells"].get(column["name"])
    if cell is None:
        return "--"
    value, low, high = (_number(cell[part], column) for part in ("value", "low", "high"))
    mark = LATEX_MARKS[verdict(column, row["differences"].get(column["name"]))]
    return rf"{value}{mark} {{\scriptsize [{low}, {high}]}}"


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


def write_files(report: Report, clips: pd.DataFrame, folder: Path) -> list[Path]:
    """All forms of the result in `folder`, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    texts: dict[str, Callable[[Report], str]] = {
        "json": lambda found: json.dumps(found, indent=1, ensure_ascii=False) + "\n",
        "md": markdown,
        "tex": latex,
    }
    for ending, make in texts.items():
        write_bytes(folder / f"{NAME}.{ending}", make(report).encode())
    _write_parquet(clips, folder / f"{NAME}.parquet")
    return [folder / f"{NAME}.{ending}" for ending in (*texts, "parquet")]


def read_report(data_dir: Path) -> tuple[dict[str, Any], Path] | None:
    """The ablation made in this data folder, else the one that comes with the repository, with its file."""
    for folder in (data_dir / "ablation", FOLDER):
        path = folder / f"{NAME}.json"
        if path.is_file():
            try:
                return json.loads(path.read_text(encoding="utf-8")), path
            except (OSError, ValueError) as error:
                raise RequestError(f"{path.name} of the ablation cannot be read ({error}); make it again") from error
    return None
