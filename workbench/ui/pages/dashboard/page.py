"""The Dashboard: measured and published leaderboards, charts, prompts, votes, and the ablation."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from models.types import RequestError
from workbench.experiments.ablation_files import FOLDER, read_report
from workbench.leaderboard.files import Board, clip_filter, title_of
from workbench.leaderboard.means import Row, page_order, words_of
from workbench.requests.links.dashboard import FFE, VIEWS, Query, read_cell_key, read_dashboard
from workbench.ui.components.component import SEGMENTS, script_component
from workbench.ui.context import PRIVATE, Context, sentence
from workbench.ui.pages.dashboard import clips as dashboard_clips
from workbench.ui.pages.dashboard import tables as dashboard_tables
from workbench.ui.pages.dashboard import view
from workbench.ui.pages.dashboard import votes as dashboard_votes
from workbench.ui.pages.header import page_header
from workbench.ui.pages.results.page import studies_of
from workbench.votes.studies import DEFAULT_STUDY

STILL = {"still": True}
ABLATION_TABLES = 8
MEASURED = ("leaderboard", "charts", "prompts")  # views that the filters of the form are for
EMPTY_PLAYER = "Press a prompt above, and its clips play here in step."
Update = dict[Any, Any]


@dataclass(frozen=True)
class Form:
    """The controls, by the names of the query's fields."""

    view: gr.Radio
    models: gr.Dropdown
    steps: gr.Dropdown
    ffe: gr.Dropdown
    metrics: gr.Dropdown
    prompt: gr.Textbox
    sweep: gr.Dropdown
    reference: gr.Dropdown
    metric: gr.Dropdown
    row: gr.Dropdown
    study: gr.Dropdown

    @property
    def fields(self) -> list[Any]:
        return list(vars(self).values())

    def query(self, values: tuple, at: str) -> Query:
        """Raises RequestError for steps that are no numbers."""
        found = dict(zip(vars(self), values, strict=True))
        lists: dict[str, Any] = {name: tuple(found[name] or ()) for name in ("models", "metrics")}
        steps = tuple(int(step) for step in found["steps"] or ())
        texts: dict[str, Any] = {name: found[name] or "" for name in found if name not in (*lists, "steps")}
        if texts["view"] != "votes":
            texts["study"] = ""
        return Query(**texts, **lists, steps=steps, at=at or "")


def build(blocks: gr.Blocks, context: Context) -> None:
    page_header("Dashboard", "What was measured here, how sure it is, and the clips behind every number.")
    store = context.voting.store
    form, filters_box, focus_box, study_box = _form()
    status = script_component("status", elem_id="status")
    address = script_component("address", elem_id="address")
    at = gr.State("")
    with gr.Column(visible=True, elem_id="view-leaderboard") as leaderboard_box:
        grid = script_component("board", elem_id="board")
    with gr.Column(visible=False, elem_id="view-charts") as charts_box:
        charts = {
            name: _figure(name, title)
            for name, title in (
                ("dots", "Means with 95 % intervals"),
                ("radar", "All metrics at once"),
                ("speed", "Speed and quality"),
                ("time", "Along the clip"),
            )
        }
    with gr.Column(visible=False, elem_id="view-prompts") as prompts_box:
        prompts = script_component("board", elem_id="prompts-grid")
        told = script_component("status", elem_id="clips-status")
        player = script_component("player", options={"bus": "dashboard", "empty": EMPTY_PLAYER}, elem_id="player")
        curves = script_component("chart", options={"bus": "dashboard"}, elem_id="curves")
        clips = script_component("board", elem_id="clips-grid")
    with gr.Column(visible=False, elem_id="view-votes") as votes_box:
        vote_status = script_component("status", elem_id="vote-status")
        matrix = _figure("matrix", "Who wins over whom")
        agreement = _figure("agreement", "Metrics beside people")
        agreement_table = script_component("table", elem_id="agreement-table")
    with gr.Column(visible=False, elem_id="view-ablation") as ablation_box:
        ablation_status = script_component("status", elem_id="ablation-status")
        ablation_chart = _figure("ablation", "ASD, First-Frame Enhancement, steps")
        ablation_tables = [script_component("table", elem_id=f"ablation-{k}") for k in range(ABLATION_TABLES)]
    with gr.Column(visible=False, elem_id="view-published") as published_box:
        gr.Markdown(
            "Figures that papers print. Nothing here was measured with the workbench, and nothing is compared."
        )
        for place, value in enumerate(dashboard_tables.published_values()):
            script_component("table", value, elem_id=f"published-{place}")
    boxes = dict(
        zip(VIEWS, (leaderboard_box, charts_box, prompts_box, votes_box, ablation_box, published_box), strict=True)
    )

    def boxes_update(query: Query, measured: bool) -> Update:
        shown = {box: gr.update(visible=name == query.view) for name, box in boxes.items()}
        return shown | {
            filters_box: gr.update(visible=measured and query.view in MEASURED),
            focus_box: gr.update(visible=measured and query.view in ("charts", "prompts")),
            study_box: gr.update(visible=query.view == "votes"),
        }

    def show(query: Query) -> Update:
        """Everything that the view of a query needs; what belongs to other views is left as it is."""
        known = store.filters()
        measured = bool(known["metrics"])
        update: Update = {at: query.at, address: query.params(), **boxes_update(query, measured)}
        if query.view == "votes":
            return update | votes(query, known["metrics"])
        if query.view == "ablation":
            return update | ablation()
        if query.view == "published":
            return update | {form.view: query.view, status: {}}
        if not measured:
            told = view.empty_status(context.settings.read_only, context.first_run.text)
            return update | {form.view: query.view, status: told}
        reference = (
            query.reference if query.reference in known["systems"] else view.default_reference(known["systems"])
        )
        board = Board(store, clip_filter(query, known), reference)
        metric, first, second = view.focus(board, query) if len(board.table) else ("", None, None)
        row = f"{first[0]}@{first[1]}" if first else ""
        update |= form_update(known, board, replace(query, reference=reference, metric=metric, row=row))
        update[status] = view.status(board, query, query.link())
        if not len(board.table):
            return update | {
                grid: {},
                prompts: {},
                clips: {},
                told: {},
                curves: {},
                **{figure: {} for figure in charts.values()},
            }
        if query.view == "charts":
            drawn = view.charts(board, metric, first, second)
            return update | {charts[name]: value for name, value in drawn.items()}
        if query.view == "prompts":
            return (
                update
                | {prompts: view.prompts_grid(board, metric, first, second)}
                | closely(board, query, metric, first, second)
            )
        return update | {grid: view.leaderboard_grid(board.table)}

    def form_update(known: dict[str, list], board: Board, query: Query) -> Update:
        table = board.table
        lines = [(label, f"{line[0]}@{line[1]}") for line, label in view.labels(table).items()]
        metrics = [(words_of(name).title, name) for name in page_order(known["metrics"])]
        here = set(table["metric"])
        return {
            form.view: query.view,
            form.models: gr.update(choices=known["models"], value=[m for m in query.models if m in known["models"]]),
            form.steps: gr.update(choices=known["steps"], value=[n for n in query.steps if n in known["steps"]]),
            form.ffe: query.ffe,
            form.metrics: gr.update(choices=metrics, value=[m for m in query.metrics if m in known["metrics"]]),
            form.prompt: query.prompt,
            form.sweep: gr.update(
                choices=[("all clips", ""), *((name or key, key) for key, name in known["sweeps"])], value=query.sweep
            ),
            form.reference: gr.update(choices=[(title_of(s), s) for s in known["systems"]], value=query.reference),
            form.metric: gr.update(choices=[row for row in metrics if row[1] in here], value=query.metric or None),
            form.row: gr.update(choices=lines, value=query.row or None),
        }

    def closely(board: Board, query: Query, metric: str, first: Row | None, second: Row | None) -> Update:
        """The clips of the prompt in focus."""
        if not query.at:
            return {told: {}, player: None, curves: {}, clips: {}}
        found = dashboard_clips.clips_at(store, query, board.filters, first, second)
        if found.empty:
            text = f"prompt {query.at[:200]!r} has no clips under these filters; press another, or take a filter away."
            return {told: {"state": "error", "text": text}, player: None, curves: {}, clips: {}}
        return {
            told: dashboard_clips.clip_links(found, query, context.settings.read_only),
            player: dashboard_clips.player_value(context, found, query),
            curves: dashboard_clips.curves_value(board, found, metric),
            clips: dashboard_clips.clips_grid(board, found, metric),
        }

    def votes(query: Query, metrics: list[str]) -> Update:
        known = studies_of(store)
        study = query.study or known[0]
        if study not in known:
            raise RequestError(f"study {study[:60]!r} is not here; choose one of {', '.join(known)}")
        found = dashboard_votes.votes_of(store, study, page_order(metrics))
        return {
            form.view: query.view,
            form.study: gr.update(choices=known, value=study),
            status: {},
            vote_status: found["status"],
            matrix: found["matrix"],
            agreement: found["dots"],
            agreement_table: found["table"],
        }

    def ablation() -> Update:
        found = read_report(context.settings.data_dir)
        report, path = found or (None, None)
        values = dashboard_tables.ablation_tables(report) if report else []
        return {
            form.view: "ablation",
            status: {},
            ablation_status: dashboard_tables.ablation_status(report, own=path is not None and path.parent != FOLDER),
            ablation_chart: dashboard_tables.ablation_chart(report) if report else {},
            **{
                component: values[place] if place < len(values) else {}
                for place, component in enumerate(ablation_tables)
            },
        }

    def answered(make: Callable[[], Query]) -> Update:
        try:
            return show(make())
        except Exception as error:
            return {status: {"state": "error", "text": sentence(error)}}

    def opened(request: gr.Request) -> Update:
        return answered(lambda: read_dashboard(request.query_params))

    def changed(place: str, *values: Any) -> Update:
        return answered(lambda: form.query(values, place))

    def moved(place: str, *values: Any) -> Update:
        """Other filters than those that the prompt in focus was found under."""
        return changed("", *values)

    def pressed(event: gr.EventData, place: str, *values: Any) -> Update:
        def asked() -> Query:
            query = form.query(values, place)
            pressed: dict[str, Any] = read_cell_key(str(event.key))
            return replace(query, view="prompts", **pressed)

        return answered(asked)

    components = [charts[name] for name in charts]
    outputs = [
        *form.fields,
        status,
        address,
        at,
        *boxes.values(),
        filters_box,
        focus_box,
        study_box,
        grid,
        *components,
    ]
    outputs += [prompts, told, player, curves, clips, vote_status, matrix, agreement, agreement_table]
    outputs += [ablation_status, ablation_chart, *ablation_tables]
    quiet = {"show_progress": "hidden", "concurrency_limit": None, **PRIVATE}
    inputs = [at, *form.fields]
    blocks.load(opened, None, outputs, **quiet)
    for field in (form.models, form.steps, form.ffe, form.metrics, form.sweep):
        field.input(moved, inputs, outputs, **quiet)
    for field in (form.view, form.reference, form.metric, form.row, form.study):
        field.input(changed, inputs, outputs, **quiet)
    form.prompt.submit(moved, inputs, outputs, **quiet)
    for table in (grid, prompts):
        table.select(pressed, inputs, outputs, **quiet)


def _form() -> tuple[Form, gr.Column, gr.Row, gr.Row]:
    shown = gr.Radio(
        [(title, name) for name, title in VIEWS.items()],
        value="leaderboard",
        label="View",
        elem_classes=SEGMENTS,
        elem_id="view",
    )
    with gr.Column(visible=False, elem_id="filters") as filters_box:
        with gr.Row(equal_height=True):
            models = gr.Dropdown([], label="Models (empty for all)", multiselect=True, min_width=220, elem_id="models")
            steps = gr.Dropdown([], label="Steps (empty for all)", multiselect=True, min_width=120, elem_id="steps")
            ffe = gr.Dropdown(
                [(title, name) for name, title in FFE.items()], value="", label="FFE", min_width=120, elem_id="ffe"
            )
            sweep = gr.Dropdown([("all clips", "")], value="", label="Sweep", min_width=140, elem_id="sweep")
        with gr.Row(equal_height=True):
            metrics = gr.Dropdown(
                [],
                label="Metrics (empty for the usual ones)",
                multiselect=True,
                scale=2,
                min_width=260,
                elem_id="metrics",
            )
            prompt = gr.Textbox(label="Filter prompts", min_width=160, elem_id="words")
            reference = gr.Dropdown([], label="Reference", min_width=180, elem_id="reference")
    with gr.Row(visible=False, equal_height=True, elem_id="focus") as focus_box:
        metric = gr.Dropdown([], label="Metric in focus", min_width=220, elem_id="metric")
        row = gr.Dropdown([], label="System in focus", min_width=220, elem_id="row")
    with gr.Row(visible=False, elem_id="study-row") as study_box:
        study = gr.Dropdown([DEFAULT_STUDY], value=DEFAULT_STUDY, label="Study", elem_id="study")
    form = Form(shown, models, steps, ffe, metrics, prompt, sweep, reference, metric, row, study)
    return form, filters_box, focus_box, study_box


def _figure(name: str, title: str) -> gr.HTML:
    gr.Markdown(f"### {title}", elem_classes="wb-figure-title")
    return script_component("figure", options={**STILL, "name": f"dashboard-{name}"}, elem_id=f"chart-{name}")
