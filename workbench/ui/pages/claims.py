"""The Claims page: what the papers say, and what the embedded world says to it."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from models.default_world import MEASURED
from workbench.charts.claims import long_chart
from workbench.common.words import counted, fixed
from workbench.experiments.claims_report import MARKS, NOTE, condition_label, told_interval
from workbench.requests.links.claims import WORDS, read_claims
from workbench.requests.links.compare import compare_link
from workbench.requests.links.generate import generate_link
from workbench.requests.links.insight import steps_link
from workbench.requests.systems import System
from workbench.requests.timeline import read_switches
from workbench.ui.components.component import SEGMENTS, form_script, script_component
from workbench.ui.context import PRIVATE, Context
from workbench.ui.pages.header import page_header

SHIPPED = Path(__file__).resolve().parents[3] / "assets" / "results" / "claims.json"
FPS = 12
TONES = {"confirmed": "good", "not confirmed": "mute", "reversed": "bad"}
CURVES = (
    ("right", "share of frames right"),
    ("sharpness", "sharpness"),
    ("dynamic_degree_flow", "optical flow, pixels per frame"),
)
COLUMNS = ("Verdict", "Claim", "Published", "Here (95 %)", "n", "See it", "Command")
BRIEF = ("Verdict", "Claim", "Here (95 %)", "See it")
EVERY = "all"
WRITE_LINK = form_script(f"(verdict) => ({{ show: ({json.dumps(WORDS)})[verdict] ?? '' }})", "changed")
LINKED = re.compile(  # what a link can make: clips from text
    r"(?P<model>\S+) (?P<plan>\d+\*?)(?P<kind>, 30 s|, step by step|, prompt switch \((?P<cache>\w+)\))?"
)
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
    page_header("Claims", f"What the papers claim, measured on the {MEASURED.name} world.")
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
        lines = [{**row, "name": condition_label(row["name"])} for row in report["long"] or ()]
        figures = [long_chart(lines, name, title, seconds) if lines else None for name, title in CURVES]
        said = f"{summary(report)} Measured {report['date'][:10]} by {report['command']}."
        verdict = read_claims(request.query_params) or EVERY
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
            f"{row['published']}; {row['source']}",
            told_interval(row),
            row["n"],
            see_it(row["conditions"], report["long_frames"]),
            {"text": row["command"], "mono": True},
        ]
        for row in report["claims"]
        if verdict in (EVERY, row["verdict"])
    ]
    return {"caption": "Checklist of claims", "columns": COLUMNS, "rows": rows, "note": NOTE, "brief": BRIEF}


def see_it(conditions: Sequence[str], long_frames: int) -> Any:
    """A link to the clips of a claim: two systems on Compare, one on Generate or, step by step, on Insight. No link
    makes clips that start from a picture or a video."""
    found = [LINKED.fullmatch(condition) for condition in conditions]
    if not all(found):
        return {"text": "By the command only: starts from a picture or video", "tone": "mute"}
    prompt, kind = MEASURED.prompt, found[0]["kind"] or ""
    if kind == ", step by step":
        steps = int(found[0]["plan"].rstrip("*"))
        return {"text": "Look at the steps", "href": steps_link(found[0]["model"], prompt, steps)}
    caches = [each["cache"] for each in found if each["cache"]]
    frames = long_frames if kind == ", 30 s" else None
    switches = read_switches(f"2: {MEASURED.switch}", caches[0]) if caches else ()
    sides = [System.read(f"{each['model']}:{each['plan']}") for each in found]
    if len(set(sides)) == 2:
        return {"text": "Compare the two", "href": compare_link(sides, prompt, frames=frames, switches=switches)}
    return {"text": "Make such a clip", "href": generate_link(sides[0], prompt, frames=frames, switches=switches)}


def systems_table(report: dict[str, Any]) -> dict[str, Any]:
    rows = [
        [condition_label(row["name"]), row["n"], *(_number(row.get(name), name in SHARES) for name, _ in NUMBERS)]
        for row in report["conditions"]
    ]
    columns = ("System", "n", *(title for _, title in NUMBERS))
    note = (
        "Shares in percent with Wilson intervals; motion is mean optical flow in pixels per frame, drift the spread "
        "of sharpness over a clip's fifths, path the correlation of output and input paths, Fréchet the distance to "
        "real clips of the same captions; bootstrap intervals."
    )
    return {"caption": "Every system behind the claims", "columns": columns, "rows": rows, "note": note, "dense": True}


def _number(found: dict[str, float] | None, share: bool) -> str:
    if found is None:
        return "not measured"
    value, low, high = (found[name] * (100 if share else 1) for name in ("value", "low", "high"))
    digits = 1 if share else 2
    return f"{fixed(value, digits)} ({fixed(low, digits)} to {fixed(high, digits)})"
