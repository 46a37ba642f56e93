"""The application: FastAPI with the workbench's own routes, and the Gradio pages mounted in it."""

import warnings
import weakref
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.staticfiles import StaticFiles

from workbench import __version__
from workbench.charts import plotly_folder
from workbench.clips.generation import GenerationService
from workbench.people.accounts import Accounts
from workbench.scoring.runs import EvaluationService
from workbench.settings import Settings
from workbench.store import open_store
from workbench.sweeps.first_run import FirstRun
from workbench.ui.access.doors import handler_name
from workbench.ui.access.front_door import FrontDoor
from workbench.ui.access.mcp_clients import CallersClients
from workbench.ui.access.mcp_files import told_schema, with_files
from workbench.ui.access.proxies import Proxies
from workbench.ui.access.refusals import Refusals, tell_unreadable
from workbench.ui.api.dashboard_api import dashboard_router
from workbench.ui.api.endpoints import build_endpoints
from workbench.ui.api.export_api import export_router
from workbench.ui.api.jobs_api import jobs_router
from workbench.ui.api.library import library_router
from workbench.ui.api.media import media_router
from workbench.ui.api.results_api import results_router
from workbench.ui.api.tokens_api import tokens_router
from workbench.ui.api.voting_api import voting_router
from workbench.ui.context import EXAMPLE_PROMPTS, Context
from workbench.ui.frame import PRODUCT, Addresses, page_frame
from workbench.ui.gradio_patches import (
    count_as_launched,
    forget_calls,
    give_tools_clients,
    give_tools_files,
    no_servers,
    tell_unreadable_inputs,
)
from workbench.ui.pages import PAGES
from workbench.ui.pages.login import login_router
from workbench.ui.pages.vote import PATH, vote_page_router
from workbench.ui.selftest import selftest_router
from workbench.ui.theme import THEME
from workbench.upkeep.jobs import Jobs
from workbench.votes.study_clips import StudyClips
from workbench.votes.study_maker import registry_maker
from workbench.votes.voting import VotingService

STATIC = Path(__file__).parent / "static"
MAX_UPLOAD = "256mb"
QUEUE_SIZE = 64
MOST_VISITORS = 500  # whose state is kept; the one not seen for longest is forgotten first
VOTE = ("People", "Vote", PATH)  # a page of our own, outside Gradio


def build_app(service: GenerationService, settings: Settings) -> FastAPI:
    """The whole application; serve it with any ASGI server."""
    evaluations = EvaluationService(settings.data_dir, settings.clips)
    store = open_store(settings)
    accounts = Accounts(settings.auth) if settings.auth else None
    clips = StudyClips(store, settings.data_dir, registry_maker(service))
    voting = VotingService(store, settings, clips, accounts=accounts)
    first_run = FirstRun(settings, store, evaluations, EXAMPLE_PROMPTS)
    jobs = Jobs(settings.data_dir, store, evaluations, service)
    app = FastAPI(
        title=PRODUCT, version=__version__, openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None
    )
    context = Context(service, evaluations, settings, voting, first_run, jobs, openapi=lambda: app.openapi())
    # no origins: only the app's own pages may call it; without this middleware gradio would admit any site
    app.add_middleware(CORSMiddleware, allow_origins=[], allow_methods=["GET", "POST"])

    @app.get("/api/v1/health", tags=["health"])
    async def health() -> dict[str, str]:
        """Answers once the server takes requests."""
        return {"status": "ok", "version": __version__}

    app.state.voting, app.state.first_run, app.state.jobs = voting, first_run, jobs
    # threads that compute while Python ends abort the whole program
    app.state.stop_work = weakref.finalize(app, _stop, (first_run, jobs, clips, evaluations, service))
    app.include_router(voting_router(voting, accounts))
    app.include_router(tokens_router(voting))
    app.include_router(vote_page_router())
    app.include_router(media_router(context.media, voting))
    app.include_router(library_router(evaluations))
    app.include_router(export_router(evaluations.library))
    app.include_router(results_router(store))
    app.include_router(jobs_router(jobs))
    app.include_router(dashboard_router(store))
    app.include_router(selftest_router(context.media, settings.data_dir / "selftest"))
    app.mount("/vendor", StaticFiles(directory=plotly_folder()), name="vendor")
    app.mount("/ui", StaticFiles(directory=STATIC), name="ui")
    blocks = build_blocks(context)
    if accounts:
        app.include_router(login_router())
    app.add_exception_handler(RequestValidationError, tell_unreadable)
    app.add_middleware(Refusals)
    app.add_middleware(
        FrontDoor,
        hosts=[settings.host, *settings.allowed_host],
        voting=voting if accounts else None,
        handler=lambda which: page_handler(blocks, which),
        framed_by=settings.framed_by,
        prefix=settings.root_path,
    )
    # outside all that answers: only it sees what every route answers
    listed = [*((page.title, page.path) for page in PAGES), VOTE[1:]]
    app.add_middleware(Addresses, pages=listed, prefix=settings.root_path)
    app.add_middleware(Proxies, trusted=settings.behind_proxy)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "SSR mode is not supported")  # said even though it is off
        mounted = gr.mount_gradio_app(
            app,
            blocks,
            path="",
            theme=THEME,
            css_paths=[STATIC / "css" / "workbench.css"],
            head=f"<title>{PRODUCT}</title>",  # while it loads; each page then has its own
            footer_links=[],
            run_history=False,
            max_file_size=MAX_UPLOAD,
            ssr_mode=False,
            root_path=settings.root_path or None,
            mcp_server=True,  # the named endpoints as tools, at /gradio_api/mcp
        )
    pages = next(route.app for route in mounted.routes if hasattr(getattr(route, "app", None), "get_blocks"))
    pages.add_exception_handler(RequestValidationError, tell_unreadable)
    count_as_launched(blocks)
    forget_calls(blocks)
    tell_unreadable_inputs(blocks)
    give_tools_clients(blocks, CallersClients)
    give_tools_files(blocks, told_schema, with_files)
    return mounted


def stop_work(app: FastAPI) -> None:
    """End what the app makes in the background, for the next server to go on with."""
    app.state.stop_work()


def _stop(parts: tuple[Any, ...]) -> None:
    for part in parts:
        part.stop()


def page_handler(blocks: gr.Blocks, which: int | str) -> str:
    """A page's handler by its number or its public name, as the list of who may call it writes it; "" for none."""
    if isinstance(which, int):
        found = blocks.fns.get(which)
    else:
        found = next((each for each in blocks.fns.values() if each.api_name == which), None)
    return handler_name(found.fn) if found else ""


def build_blocks(context: Context) -> gr.Blocks:
    """All pages in one `gr.Blocks`, each at its own address."""
    main, *others = PAGES
    with no_servers():
        with gr.Blocks(title=PRODUCT, analytics_enabled=False, delete_cache=(3600, 86400)) as blocks:
            accounts = context.settings.auth is not None
            page_frame(main, PAGES, [VOTE], accounts)
            main.build(blocks, context)
            build_endpoints(context)
        for page in others:
            with blocks.route(page.title, page.path):
                page_frame(page, PAGES, [VOTE], accounts)
                page.build(blocks, context)
    blocks.state_session_capacity = MOST_VISITORS
    return blocks.queue(max_size=QUEUE_SIZE)
