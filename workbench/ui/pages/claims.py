"""The Claims page: what the papers say, and what the shapes world says to it."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from workbench.charts.claims import long_chart
from workbench.experiments.claims_report import MARKS, told_interval
from workbench.ui.components.component import SEGMENTS, form_script, script_component
from workbench.ui.context import EXAMPLE_PROMPTS, PRIVATE, Context
from workbench.ui.pages.header import page_header
from workbench.words import counted

SHIPPED = Path(__file__).resolve().parents[3] / "assets" / "results" / "claims.json"
FPS = 12
TONES = {"confirmed": "good", "not confirmed": "mute", "reversed": "bad"}
CURVES = (
    ("right", "share of frames right"),
    ("sharpness", "sharpness"),
    ("dynamic_degree_flow", "optical flow, pixels a frame"),
)
COLUMNS = ("Verdict", "Claim", "Published", "Here (95 %)", "n", "See it", "Command")
WORDS = {"confirmed": "confirmed", "not confirmed": "undecided", "reversed": "reversed"}  # for people
EVERY = "all"
WRITE_LINK = form_script(f"(verdict) => ({{ show: ({json.dumps(WORDS)})[verdict] ?? '' }})", "changed")
PLAIN = re.compile(r"(\S+) (\d+\*?)")  # a system alone, with nothing said of pictures, switches or length
NUMBERS = (
    ("right", "All right"),
    ("shape", "Shape"),
    ("direction", "Direction"),
    ("motion", "Motion"),
    ("drift", "Drift"),
    ("path_correlation", "Path"),
    ("frechet", "Fréchet"),
)
SHARES = ("right", "shape", "direction")


def build(blocks: gr.Blocks, context: Context) -> None:
    page_header("Claims", "What the papers claim, measured on the shapes world: confirmed, not confirmed or reversed.")
    status = script_component("status", elem_id="status")
    choice = gr.Radio(
        [(EVERY, EVERY), *((word, verdict) for verdict, word in WORDS.items())],
        value=EVERY,
        label="Show",
        elem_classes=SEGMENTS,
        elem_id="verdicts",
    )
    checklist = script_component("table", elem_id="checklist")
    gr.Markdown(
        "### Thirty seconds\nWhat moves is told to turn round every four chunks and so stays in the picture. "
        "Straight on it reaches the edge after about five seconds, which no training clip shows.",
        elem_classes="wb-figure-title",
    )
    charts = [
        script_component("figure", options={"still": True, "name": f"claims-{name}"}, elem_id=f"chart-{name}")
        for name, _ in CURVES
    ]
    systems = script_component("table", elem_id="systems")

    def load(request: gr.Request) -> list[Any]:
        report = read_report(context.settings.data_dir)
        if report is None:
            text = (
                "No claims have been measured yet; run `python -m workbench claims`, which takes about half an hour."
            )
            return [EVERY, {"state": "idle", "text": text}, *[None] * (len(charts) + 2)]
        seconds = report["long_frames"] / FPS
        figures = [
            long_chart(report["long"], name, title, seconds) if report["long"] else None for name, title in CURVES
        ]
        said = f"{summary(report)} Measured {report['date'][:10]} by {report['command']}."
        verdict = {word: verdict for verdict, word in WORDS.items()}.get(request.query_params.get("show", ""), EVERY)
        shown = [checklist_table(report, verdict), *figures, systems_table(report)]
        return [verdict, {"state": "idle", "text": said}, *shown]

    def filtered(verdict: str) -> dict[str, Any] | None:
        report = read_report(context.settings.data_dir)
        return checklist_table(report, verdict) if report else None

    blocks.load(load, None, [choice, status, checklist, *charts, systems], show_progress="hidden", **PRIVATE)
    choice.input(filtered, choice, checklist, show_progress="hidden", **PRIVATE)
    choice.change(None, choice, None, js=WRITE_LINK, **PRIVATE)


def summary(report: dict[str, Any]) -> str:
    """How the claims came out, in one sentence."""
    counts = {word: sum(row["verdict"] == verdict for row in report["claims"]) for verdict, word in WORDS.items()}
    told = ", ".join(f"{count} {word}" for word, count in counts.items())
    return f"Of {counted(len(report['claims']), 'claim')} of the papers: {told}."


def read_report(data_dir: Path) -> dict[str, Any] | None:
    """The report measured on this machine, or the one that ships; None without either."""
    for path in (data_dir / "claims" / "claims.json", SHIPPED):
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))
    return None


def checklist_table(report: dict[str, Any], verdict: str = EVERY) -> dict[str, Any]:
    rows = [
        [
            {"text": f"{MARKS[row['verdict']]} {WORDS[row['verdict']]}", "tone": TONES[row["verdict"]]},
            row["text"],
            f"{row['published']} ({row['source']})",
            f"{told_interval(row)} {row['unit']}",
            row["n"],
            see_it(row["conditions"]),
            {"text": row["command"], "mono": True},
        ]
        for row in report["claims"]
        if verdict in (EVERY, row["verdict"])
    ]
    return {"caption": "Checklist of claims", "columns": COLUMNS, "rows": rows, "note": report["note"]}


def see_it(conditions: list[str]) -> Any:
    """A link to Compare with the two systems of a claim, where it is about two and nothing else."""
    found = [PLAIN.fullmatch(condition) for condition in conditions]
    if len(found) != 2 or not all(found):
        return ""
    query = {"prompt": EXAMPLE_PROMPTS[0], "sides": ";".join(f"{each[1]}:{each[2]}" for each in found)}
    return {"text": "compare", "href": f"/compare?{urlencode(query)}"}


def systems_table(report: dict[str, Any]) -> dict[str, Any]:
    rows = [
        [row["name"], row["n"], *(_number(row.get(name), name in SHARES) for name, _ in NUMBERS)]
        for row in report["conditions"]
    ]
    columns = ("System", "n", *(title for _, title in NUMBERS))
    note = (
        "Shares in percent with Wilson intervals; motion is mean optical flow in pixels a frame, drift the spread of "
        "sharpness over a clip's fifths, path the correlation of output and input paths, Fréchet the distance to real "
        "clips of the same captions; bootstrap intervals. An empty cell was not asked of that kind of clip."
    )
    return {"caption": "Every system behind the claims", "columns": columns, "rows": rows, "note": note, "dense": True}


def _number(found: dict[str, float] | None, share: bool) -> str:
    if found is None:
        return ""
    value, low, high = (found[name] * (100 if share else 1) for name in ("value", "low", "high"))
    digits = 1 if share else 2
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
