"""The Evaluate page: clips from the store, uploads or a folder; metrics over time, tied to the video."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from models.types import RequestError
from workbench.clips.library import LINK, give_prompts
from workbench.clips.search import told_endings
from workbench.common.words import counted
from workbench.requests.links.evaluate import read_evaluate
from workbench.scoring.runs import Plan, Run
from workbench.ui.components.component import (
    FORM_FILLED,
    NEW_ENTRY,
    NOT_STARTED,
    SEGMENTS,
    form_script,
    keep_typed,
    script_component,
    uploaded_files,
)
from workbench.ui.components.prompts import prompts_field
from workbench.ui.context import EVALUATION_QUEUE, PRIVATE, Context, sentence
from workbench.ui.pages.evaluate import view
from workbench.ui.pages.header import page_header

POLL_SECONDS = 0.25
TABLE_SECONDS = 1.0  # how often the tables of a long run are sent again
EMPTY = "The clips play here in step by time once they are evaluated, with their curves below."
WAITING = "() => ({ state: 'running', fresh: true, text: 'Reading the clips', progress: 0 })"
FOLDERS = "Its videos and folders of numbered PNG frames, those of sub-folders too. Begin with {}."
NO_FOLDERS = "This server offers none; start it with --clips DIR."
SETTINGS = """(picked, files, folder, prompts, metrics) => ({
  clips: [...(picked?.chosen ?? [])].sort(), files: (files ?? []).map((file) => file.path), folder, prompts,
  metrics: [...(metrics?.chosen ?? [])].sort(),
})"""
MARK, ASK = form_script(SETTINGS, "mark"), form_script(SETTINGS, "ask")
Update = dict[Any, Any]


def build(blocks: gr.Blocks, context: Context) -> None:
    page_header("Evaluate", "When in a clip does quality break? Metrics over time, tied to the video.")
    roots = list(context.evaluations.library.roots)
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            with gr.Tabs(elem_id="sources"):
                with gr.Tab("Clips made here"):
                    picker = script_component("picker", {"chosen": []}, elem_id="picker")
                with gr.Tab("Upload"):
                    uploads = uploaded_files(label="Video files", height=180, elem_id="uploads")
                with gr.Tab("Folder on the server"):
                    folder = gr.Textbox(
                        label="Folder",
                        placeholder=roots[0] if roots else "",
                        info=FOLDERS.format(" or ".join(roots)) if roots else NO_FOLDERS,
                        elem_id="folder",
                    )
            about = "For clips without a manifest. One for all, or one line for each."
            prompts = prompts_field(label="Prompt of uploads and folder clips", info=about)
        with gr.Column(scale=1, min_width=320):
            metrics = script_component("checklist", elem_id="metrics")
    with gr.Row():
        run = gr.Button("Evaluate", variant="primary", scale=3, elem_id="run")
        again = gr.Button("Go on", visible=False, scale=1, min_width=100, elem_id="go-on")
        stop = gr.Button("Cancel", variant="stop", interactive=False, scale=1, min_width=100, elem_id="cancel")
    status = script_component("status", elem_id="status")
    with gr.Column(visible=False, elem_id="results") as results:
        with gr.Row(equal_height=True):
            shown = gr.Dropdown(
                [],
                label=f"Shown below, up to {view.MOST_SHOWN}",
                multiselect=True,
                max_choices=view.MOST_SHOWN,
                scale=4,
                min_width=280,
                elem_id="shown",
            )
            axis = gr.Radio(
                [view.FRAMES, view.SECONDS],
                value=view.FRAMES,
                label="Time axis",
                elem_classes=SEGMENTS,
                scale=1,
                min_width=200,
                elem_id="axis",
            )
        player = script_component(
            "player", options={"bus": "evaluate", "compare": True, "empty": EMPTY}, elem_id="player"
        )
        chart = script_component("chart", options={"bus": "evaluate"}, elem_id="chart")
        drift = script_component("table", elem_id="drift")
    summary = script_component("table", elem_id="summary")
    scores = script_component("table", elem_id="scores")
    reasons = script_component("table", elem_id="reasons")
    current = gr.State("")
    opening = gr.State({})

    quiet = {"show_progress": "hidden", **PRIVATE}
    # a press while the event before it says its last words waits for its end; gradio would drop it
    parallel = {"concurrency_limit": None, "trigger_mode": "always_last", **quiet}
    making_queue = {**parallel, **EVALUATION_QUEUE}
    buttons = [run, again, stop]
    outputs = [current, status, results, shown, axis, player, chart, drift, summary, scores, reasons, *buttons]

    def ready(found: Run | None = None) -> Update:
        unfinished = found is not None and not found.active and not found.complete
        return {
            run: gr.update(interactive=True),
            stop: gr.update(interactive=False),
            again: gr.update(visible=unfinished),
        }

    def reopen(request: gr.Request) -> Update:
        """What the address asks for: clips to choose, or an evaluation to show."""
        updates: Update = {metrics: view.checklist(context)}
        try:
            found = read_evaluate(request.query_params)
            if "clips" in found:
                known = [context.evaluations.library.stored(clip).id for clip in found["clips"]]
                updates[picker] = {"chosen": known}
                updates[metrics] = view.checklist(context, known)
            if "run" in found:
                context.evaluations.get(found["run"])
                updates[opening] = found
            elif not found and context.first_run.evaluation:
                updates[opening] = {"run": context.first_run.evaluation}  # what this page is for, at first sight
            names = found.get("metrics")
            if opening in updates:  # the form says what was evaluated
                plan = context.evaluations.get(updates[opening]["run"]).plan
                updates[picker] = {"chosen": [clip.id for clip in plan.clips if clip.id and clip.path.is_file()]}
                names = names or plan.metrics
            if names:
                runnable = {m["name"] for g in updates[metrics]["groups"] for m in g["metrics"] if not m["why"]}
                updates[metrics]["chosen"] = [name for name in names if name in runnable]
        except RequestError as error:
            updates[status] = {"state": "error", "text": str(error)}
        return updates

    async def open_linked(found: dict[str, Any]) -> AsyncIterator[Update]:
        if not found:
            yield {run: gr.update()}
            return
        opened = context.evaluations.get(found["run"])
        async for update in watch(opened, found.get("show"), found.get("axis")):
            yield update

    async def start(
        chosen: dict | None, files: list[str] | None, place: str | None, texts: str | None, wanted: dict | None
    ) -> AsyncIterator[Update]:
        try:
            context.check_writable()
            # before the list of metrics has reached the page, none can have been unchosen
            ids = (chosen or {}).get("chosen", [])
            names = wanted["chosen"] if wanted else view.default_metrics(context, ids)
            plan, notice = await asyncio.to_thread(
                make_plan, context, ids, files or [], place or "", texts or "", names
            )
            started = context.evaluations.start(plan)
        except Exception as error:
            yield {status: {"state": "error", "text": sentence(error, *(files or []))}, **ready()}
            return
        async for update in watch(started, notice=notice):
            yield update

    async def go_on(identity: str) -> AsyncIterator[Update]:
        try:
            context.check_writable()
            resumed = context.evaluations.resume(identity)
        except Exception as error:
            yield {status: {"state": "error", "text": sentence(error)}, **ready()}
            return
        async for update in watch(resumed):
            yield update

    async def watch(
        found: Run, wanted: Sequence[int] | None = None, unit: str | None = None, notice: str = ""
    ) -> AsyncIterator[Update]:
        """Follow a run to its end. It does not need us: who closes the tab may come back by the link.

        Each update repeats all that must hold: when two arrive together, gradio's client writes what the second one
        changes into the first one as well, so that what only the first one said is lost.
        """
        told, sent = -1, -TABLE_SECONDS
        while found.active:
            update = following(found)
            if len(found.rows) != told and time.monotonic() - sent >= TABLE_SECONDS:
                update |= tables(found)
                told, sent = len(found.rows), time.monotonic()
            yield update
            await asyncio.sleep(POLL_SECONDS)
        last = view.status(found)
        if notice:
            last["notices"] = [notice, *last.get("notices", [])]
        ended = {current: found.id, status: last, results: gr.update(visible=False), **tables(found), **ready(found)}
        choices = view.shown_choices(found)
        if choices:
            known = {i for _, i in choices}
            picked = [i for i in wanted or [i for _, i in choices] if i in known][: view.MOST_SHOWN]
            unit = unit or view.usual_axis(found, picked)
            ended |= {
                results: gr.update(visible=True),
                shown: gr.update(choices=choices, value=picked),
                axis: unit,
                **await asyncio.to_thread(show, found.id, picked, unit),
            }
        yield ended

    def following(found: Run) -> Update:
        """What the page says while a run is under way."""
        return {
            current: found.id,
            status: view.status(found),
            results: gr.update(visible=False),
            run: gr.update(interactive=False),
            stop: gr.update(interactive=True),
            again: gr.update(visible=False),
        }

    def tables(found: Run) -> Update:
        return {
            summary: view.summary_table(found),
            scores: view.scores_table(found),
            reasons: view.reasons_table(found),
        }

    def show(identity: str, picked: Sequence[int], unit: str) -> Update:
        """Player and chart of the picked clips."""
        found = context.evaluations.get(identity)
        return {
            player: view.player_value(context, found, picked, unit),
            chart: view.chart_value(found, picked, unit),
            drift: view.drift_table(found, picked),
        }

    def show_chart(identity: str, picked: Sequence[int], unit: str) -> Update:
        return {chart: view.chart_value(context.evaluations.get(identity), picked, unit)}

    def cancel(identity: str) -> Update:
        if identity:
            context.evaluations.cancel(identity)
        return {stop: gr.update(interactive=False)}

    form = [picker, uploads, folder, prompts, metrics]
    loaded = blocks.load(reopen, None, [picker, metrics, status, opening], **quiet)
    loaded.then(None, form, None, js=ASK, **quiet)
    gr.on([field.change for field in form], None, form, None, js=MARK, **quiet)
    linked = loaded.then(open_linked, opening, outputs, **parallel)
    keep_typed(loaded, [folder, prompts])
    clicked = run.click(None, None, status, js=WAITING, **quiet).then(None, None, None, js=FORM_FILLED, **quiet)
    anew = clicked.then(None, None, None, js=NEW_ENTRY, **quiet)
    anew.then(None, form, None, js=ASK, **quiet)
    making = anew.then(start, form, outputs, **making_queue)
    resumed = again.click(go_on, current, outputs, **making_queue)
    for event in (linked, making, resumed):
        event.failure(None, status, [status, run, stop], js=NOT_STARTED, **quiet)
    stop.click(cancel, current, stop, queue=False, **quiet)
    shown.input(show, [current, shown, axis], [player, chart, drift], **parallel)
    axis.input(show_chart, [current, shown, axis], chart, **parallel)


def left_out(passed: Counter[str]) -> str:
    """What of a folder is not measured, and why."""
    links, others = passed[LINK], Counter({ending: count for ending, count in passed.items() if ending != LINK})
    told = []
    if others:
        verb = "is no video and was" if others.total() == 1 else "are no videos and were"
        told.append(f"{counted(others.total(), 'other file')} in the folder {verb} left out: {told_endings(others)}.")
    if links:
        verb = "leads out of it and was" if links == 1 else "lead out of it and were"
        told.append(f"{counted(links, 'link')} in the folder {verb} not followed.")
    return " ".join(told)


def make_plan(
    context: Context, ids: Sequence[str], files: Sequence[str], folder: str, prompts: str, metrics: Sequence[str]
) -> tuple[Plan, str]:
    """What the form asks for, and a notice about files that were left out. Raises RequestError."""
    library, notice = context.evaluations.library, ""
    clips = [library.stored(identity) for identity in ids]
    clips += [library.uploaded(Path(path)) for path in files]
    if folder.strip():
        found, passed = library.folder(folder)
        clips += found
        if passed:
            notice = left_out(passed)
    texts = [line.strip() for line in prompts.splitlines() if line.strip()]
    return Plan(tuple(give_prompts(clips, texts)), tuple(metrics)), notice
