"""The Results page: what annotators preferred, how sure that is, and what it rests on."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from models.types import RequestError
from workbench.store import Store
from workbench.ui.components.component import form_script, script_component
from workbench.ui.context import PRIVATE, Context, sentence
from workbench.ui.pages.header import page_header
from workbench.ui.pages.results import view
from workbench.ui.pages.studies.page import STUDY_QUEUE
from workbench.votes.preferences import Filters, Report, study_report
from workbench.votes.questions import QUESTIONS
from workbench.votes.studies import DEFAULT_STUDY, study_from_json
from workbench.votes.study_metrics import beside, measure

ALL_CHECKS = [("Everybody", 0.0), ("Half of their checks passed", 0.5), ("All of their checks passed", 1.0)]
STILL = {"still": True}
WRITE_LINK = form_script(
    "(study, question, target, checks) => ({ study, question, target, checks: checks || '' })", "changed"
)
Update = dict[Any, Any]


def build(blocks: gr.Blocks, context: Context) -> None:
    page_header("Results", "What people preferred, how sure that is, and what it rests on.")
    store = context.voting.store
    with gr.Row(equal_height=True):
        study = gr.Dropdown([DEFAULT_STUDY], value=DEFAULT_STUDY, label="Study", elem_id="results-study")
        question = gr.Dropdown(
            [(row.title, row.id) for row in QUESTIONS.values()], value="overall", label="Question", elem_id="question"
        )
        target = gr.Dropdown([], label="Reference system", elem_id="target", allow_custom_value=True)
        checks = gr.Dropdown(ALL_CHECKS, value=0.0, label="Attention checks: count votes of", elem_id="checks")
    again = gr.Button("Recompute", elem_id="again", size="sm")
    status = script_component("status", elem_id="status")
    bars = script_component("chart", options=STILL, elem_id="bars")
    forest = script_component("chart", options=STILL, elem_id="forest")
    ratings = script_component("table", elem_id="ratings")
    matrix = script_component("chart", options=STILL, elem_id="matrix")
    duels = script_component("table", elem_id="duels")
    evidence = script_component("chart", options=STILL, elem_id="evidence")
    quality = script_component("table", elem_id="quality")
    timeline = script_component("chart", options=STILL, elem_id="days")
    people = script_component("table", elem_id="people")
    measuring = gr.Button("Measure the clips that were voted on", elem_id="measure", size="sm")
    progress = script_component("status", elem_id="measured")
    metrics = script_component("table", elem_id="metrics")
    flagged = script_component("table", elem_id="flagged")
    files = script_component("table", elem_id="files")
    with gr.Accordion("Preference studies of the papers, as published", open=True, elem_id="published"):
        for place, (heading, chart) in enumerate(view.published_charts()):
            gr.Markdown(heading)
            script_component("chart", chart, options=STILL, elem_id=f"published-{place}")
    parts = [bars, forest, ratings, matrix, duels, evidence, quality, timeline, people, files]
    outputs = [study, question, target, checks, status, *parts]

    def opened(request: gr.Request) -> Update:
        query = request.query_params
        known = studies_of(store)
        wanted = query.get("study") or (known[0] if known else DEFAULT_STUDY)
        if wanted not in known:
            told = f"study {wanted[:60]!r} is not here; choose one of {', '.join(known)}"
            return {study: gr.update(choices=known), status: {"state": "error", "text": told}}
        asked = query.get("question") if query.get("question") in QUESTIONS else "overall"
        share = {"0.5": 0.5, "1": 1.0, "1.0": 1.0}.get(query.get("checks", ""), 0.0)
        shown = shown_for(wanted, asked, query.get("target"), share)
        return {
            study: gr.update(choices=known, value=wanted),
            question: asked,
            checks: share,
            **shown,
        }

    def shown_for(identity: str, asked: str, seen_from: str | None, share: float) -> Update:
        try:
            report = report_of(store, identity, asked, share)
        except Exception as error:
            return {status: {"state": "error", "text": sentence(error)}}
        choices = view.targets(report)
        systems = [system for _, system in choices]
        chosen = seen_from if seen_from in systems else default_target(store, identity, systems)
        return {
            target: gr.update(choices=choices, value=chosen),
            status: view.headline(report)
            | {"links": [{"label": "Link to this", "url": results_link(identity, asked, chosen, share)}]},
            bars: view.bars(report, chosen or ""),
            forest: view.forest(report),
            ratings: view.ratings_table(report),
            matrix: view.matrix(report),
            duels: view.duels_table(report),
            evidence: view.evidence(report, chosen or ""),
            quality: view.quality_table(report),
            timeline: view.timeline(report),
            people: view.people_table(report),
            files: view.files_table(identity),
        }

    def metrics_for(identity: str, asked: str, share: float) -> Update:
        """After the rest of the page: these take a second or two."""
        try:
            found = beside(store, context.settings.data_dir, identity, Filters(asked, None, share))
        except Exception as error:
            return {progress: {"state": "error", "text": sentence(error, context.settings.data_dir)}}
        line, told = view.measured_line(found), (view.metrics_table(found), view.flagged_table(found))
        return {progress: line, metrics: told[0], flagged: told[1]}

    def measured(identity: str, asked: str, share: float) -> Iterator[Update]:
        try:
            context.check_writable()
            for done, planned in measure(store, context.settings.data_dir, identity):
                text = f"{done} of {planned} clips measured"
                yield {progress: {"state": "running", "text": text, "progress": done / planned}}
            yield metrics_for(identity, asked, share)
        except Exception as error:
            yield {progress: {"state": "error", "text": sentence(error, context.settings.data_dir)}}

    quiet = {"show_progress": "hidden", "concurrency_limit": None, **PRIVATE}
    inputs, rest = [study, question, target, checks], ([study, question, checks], [progress, metrics, flagged])
    blocks.load(opened, None, outputs, **quiet).then(metrics_for, *rest, **quiet)
    gr.on([part.change for part in inputs], None, inputs, None, js=WRITE_LINK, **PRIVATE)
    target.input(shown_for, inputs, outputs, **quiet)
    for event in (study.input, question.input, checks.input, again.click):
        event(shown_for, inputs, outputs, **quiet).then(metrics_for, *rest, **quiet)
    making = {"show_progress": "hidden", **STUDY_QUEUE, **PRIVATE}
    measuring.click(measured, *rest, **making)


def report_of(store: Store, identity: str, question: str, least_checks: float) -> Report:
    """Raises RequestError for votes that are no votes."""
    try:
        return study_report(store.votes(identity), store.flags(identity), Filters(question, None, least_checks))
    except ValueError as error:
        raise RequestError(f"the votes of study {identity!r} cannot be read: {error}") from error


def studies_of(store: Store) -> list[str]:
    """The studies of the store and of imported votes, the default one first."""
    names = {record.id for record in store.studies.all()} | set(store.votes()["study"])
    return sorted(names, key=lambda name: (name != DEFAULT_STUDY, name)) or [DEFAULT_STUDY]


def default_target(store: Store, identity: str, systems: list[str]) -> str | None:
    """The study's first system, which the others were set against; of imported votes the best one."""
    record = store.studies.get(identity)
    if record is not None:
        first = next(iter(_labels(record.definition)), None)
        if first in systems:
            return first
    return systems[0] if systems else None


def _labels(definition: str) -> tuple[str, ...]:
    return study_from_json(definition).labels()


def results_link(study: str, question: str, target: str | None, checks: float) -> str:
    """The address that shows this again."""
    query = {"study": study, "question": question, "target": target or "", "checks": f"{checks:g}"}
    return f"/results?{urlencode({name: value for name, value in query.items() if value})}"
