"""The Results page: what annotators preferred, how sure that is, and what it rests on."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from models.types import RequestError
from workbench.requests.links.results import MOST_WORDS, read_results, results_link
from workbench.store import Store
from workbench.ui.components.component import form_script, script_component
from workbench.ui.context import PRIVATE, Context, sentence
from workbench.ui.pages.header import page_header
from workbench.ui.pages.results import view
from workbench.ui.pages.studies.page import STUDY_QUEUE
from workbench.votes.preferences import Filters, Report, study_report
from workbench.votes.questions import QUESTIONS, question_title
from workbench.votes.studies import DEFAULT_STUDY, study_from_json
from workbench.votes.study_metrics import beside, measure

ALL_CHECKS = [("Everybody", 0.0), ("Half of their checks passed", 0.5), ("All of their checks passed", 1.0)]
STILL = {"still": True}
WRITE_LINK = form_script(
    "(study, question, target, checks, version, prompt) =>"
    " ({ study, question, target, checks: checks || '', version: version || '', prompt })",
    "changed",
)
EVERY_VERSION = ("All versions", 0)
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
        version = gr.Dropdown([EVERY_VERSION], value=0, label="Version", elem_id="version", min_width=110)
        prompt = gr.Textbox(
            label="Prompts that contain", placeholder="all prompts", elem_id="prompt-words", max_length=MOST_WORDS
        )
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
    outputs = [study, question, target, checks, version, prompt, status, *parts]

    def opened(request: gr.Request) -> Update:
        asked, known = read_results(request.query_params), studies_of(store)
        wanted = asked["study"] or (known[0] if known else DEFAULT_STUDY)
        if wanted not in known:
            told = f"study {wanted[:60]!r} is not here; choose one of {', '.join(known)}"
            return {study: gr.update(choices=known), status: {"state": "error", "text": told}}
        names = ("question", "target", "checks", "version", "prompt")
        shown = shown_for(wanted, *(asked[name] for name in names))
        return {
            study: gr.update(choices=known, value=wanted),
            checks: asked["checks"],
            prompt: asked["prompt"],
            **shown,
        }

    def shown_for(identity: str, asked: str, seen_from: str | None, share: float, edition: int, words: str) -> Update:
        try:
            questions = questions_of(store, identity)
            asked = asked if asked in questions else next(iter(questions))
            filters = Filters(asked, edition or None, share, words or "")
            report = report_of(store, identity, filters)
            if edition and edition not in report.versions:
                filters, edition = replace(filters, version=None), 0
                report = report_of(store, identity, filters)
        except Exception as error:
            return {status: {"state": "error", "text": sentence(error)}}
        choices = view.targets(report)
        systems = [system for _, system in choices]
        chosen = seen_from if seen_from in systems else default_target(store, identity, systems)
        link = results_link(
            identity, filters.question, chosen or "", filters.least_checks, filters.version, filters.prompt
        )
        return {
            target: gr.update(choices=choices, value=chosen),
            question: gr.update(choices=[(title, name) for name, title in questions.items()], value=asked),
            version: gr.update(choices=[EVERY_VERSION, *((str(n), n) for n in report.versions)], value=edition),
            status: view.headline(report, chosen or "") | {"links": [{"label": "Link to this", "url": link}]},
            bars: view.bars(report, chosen or ""),
            forest: view.forest(report),
            ratings: view.ratings_table(report),
            matrix: view.matrix(report),
            duels: view.duels_table(report),
            evidence: view.evidence(report, chosen or ""),
            quality: view.quality_table(report),
            timeline: view.timeline(report),
            people: view.people_table(report),
            files: view.files_table(identity, filters),
        }

    def metrics_for(identity: str, asked: str, share: float, edition: int, words: str) -> Update:
        """After the rest of the page: these take a second or two."""
        try:
            filters = Filters(asked, edition or None, share, words or "")
            found = beside(store, context.settings.data_dir, identity, filters)
        except Exception as error:
            return {progress: {"state": "error", "text": sentence(error, context.settings.data_dir)}}
        line, told = view.measured_line(found), (view.metrics_table(found), view.flagged_table(found))
        return {progress: line, metrics: told[0], flagged: told[1]}

    def measured(identity: str, asked: str, share: float, edition: int, words: str) -> Iterator[Update]:
        try:
            context.check_writable()
            for done, planned in measure(store, context.settings.data_dir, identity):
                text = f"{done} of {planned} clips measured"
                yield {progress: {"state": "running", "text": text, "progress": done / planned}}
            yield metrics_for(identity, asked, share, edition, words)
        except Exception as error:
            yield {progress: {"state": "error", "text": sentence(error, context.settings.data_dir)}}

    quiet = {"show_progress": "hidden", "concurrency_limit": None, **PRIVATE}
    inputs = [study, question, target, checks, version, prompt]
    rest = [study, question, checks, version, prompt], [progress, metrics, flagged]
    blocks.load(opened, None, outputs, **quiet).then(metrics_for, *rest, **quiet)
    gr.on([part.change for part in inputs], None, inputs, None, js=WRITE_LINK, **PRIVATE)
    target.input(shown_for, inputs, outputs, **quiet)
    filtered = (study.input, question.input, checks.input, version.input, prompt.submit, prompt.blur)
    for event in (*filtered, again.click):
        event(shown_for, inputs, outputs, **quiet).then(metrics_for, *rest, **quiet)
    making = {"show_progress": "hidden", **STUDY_QUEUE, **PRIVATE}
    measuring.click(measured, *rest, **making)


def questions_of(store: Store, identity: str) -> dict[str, str]:
    """What the study asks, and what its votes answer, with their titles."""
    record = store.studies.get(identity)
    asked = study_from_json(record.definition).question_ids() if record else ()
    names = dict.fromkeys([*asked, *sorted(set(store.votes(identity)["question"]))]) or {"overall": None}
    return {name: question_title(name) for name in names}


def report_of(store: Store, identity: str, filters: Filters) -> Report:
    """Raises RequestError for votes that are no votes."""
    try:
        return study_report(store.votes(identity), store.flags(identity), filters)
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
