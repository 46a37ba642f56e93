"""The application: FastAPI with the workbench's own routes, and the Gradio pages mounted in it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.staticfiles import StaticFiles
from gradio.routes import App

from workbench import __version__
from workbench.accounts import Accounts
from workbench.charts import plotly_folder
from workbench.first_run import FirstRun
from workbench.generation import GenerationService
from workbench.runs import EvaluationService
from workbench.settings import Settings
from workbench.store import open_store
from workbench.study_clips import StudyClips
from workbench.study_maker import registry_maker
from workbench.ui.access import AccessControl
from workbench.ui.context import EVALUATION_QUEUE, EXAMPLE_PROMPTS, MODEL_QUEUE, Context
from workbench.ui.dashboard_api import dashboard_router
from workbench.ui.endpoints import build_endpoints
from workbench.ui.export_api import export_router
from workbench.ui.frame import PRODUCT, Addresses, page_frame
from workbench.ui.front_door import FrontDoor
from workbench.ui.library import library_router
from workbench.ui.media import media_router
from workbench.ui.pages import PAGES
from workbench.ui.pages.login import login_router
from workbench.ui.pages.studies import STUDY_QUEUE
from workbench.ui.pages.vote import PATH, vote_page_router
from workbench.ui.results_api import results_router
from workbench.ui.selftest import selftest_router
from workbench.ui.theme import THEME
from workbench.ui.voting_api import voting_router
from workbench.voting import VotingService

STATIC = Path(__file__).parent / "static"
MAX_UPLOAD = "256mb"
QUEUE_SIZE = 64
MAKING = tuple(queue["concurrency_id"] for queue in (MODEL_QUEUE, STUDY_QUEUE, EVALUATION_QUEUE))
VOTE = ("People", "Vote", PATH)  # a page of our own, outside Gradio


def build_app(service: GenerationService, settings: Settings) -> FastAPI:
    """The whole application; serve it with any ASGI server."""
    evaluations = EvaluationService(settings.data_dir, settings.clips)
    store = open_store(settings)
    voting = VotingService(store, settings, StudyClips(store, settings.data_dir, registry_maker(service)))
    first_run = FirstRun(settings, store, evaluations, EXAMPLE_PROMPTS)
    context = Context(service, evaluations, settings, voting, first_run)
    accounts = Accounts(settings.auth) if settings.auth else None
    app = FastAPI(
        title=PRODUCT, version=__version__, openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None
    )
    # no origins: only the app's own pages may call it; without this middleware gradio would admit any site
    app.add_middleware(CORSMiddleware, allow_origins=[], allow_methods=["GET", "POST"])

    @app.get("/api/v1/health", tags=["health"])
    def health() -> dict[str, str]:
        """Answers once the server takes requests."""
        return {"status": "ok", "version": __version__}

    app.state.voting, app.state.first_run = voting, first_run
    app.include_router(voting_router(voting, accounts))
    app.include_router(vote_page_router())
    app.include_router(media_router(context.media, voting.media))
    app.include_router(library_router(evaluations))
    app.include_router(export_router(evaluations.library))
    app.include_router(results_router(store))
    app.include_router(dashboard_router(store))
    app.include_router(selftest_router(context.media, settings.data_dir / "selftest"))
    app.mount("/vendor", StaticFiles(directory=plotly_folder()), name="vendor")
    app.mount("/ui", StaticFiles(directory=STATIC), name="ui")
    blocks = build_blocks(context)
    if accounts:
        app.include_router(login_router())
        app.add_middleware(AccessControl, voting=voting, makes=lambda index: makes_clips(blocks, index))
    # only from outside the routes can be seen what every one of them answers
    listed = [*((page.title, page.path) for page in PAGES), VOTE[1:]]
    app.add_middleware(Addresses, pages=listed, prefix=settings.root_path)
    app.add_middleware(FrontDoor)  # the last one added is the first one asked
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
    # only a launched app checks which files its components are given, and a mounted one never counts as launched
    blocks.has_launched = True
    return mounted


def makes_clips(blocks: gr.Blocks, index: int) -> bool:
    """Whether a page's handler does more than read: it uses a model, or is not known."""
    handler = blocks.fns.get(index)
    return handler is None or handler.concurrency_id in MAKING


def build_blocks(context: Context) -> gr.Blocks:
    """All pages in one `gr.Blocks`, each at its own address."""
    main, *others = PAGES
    with _no_servers():
        with gr.Blocks(title=PRODUCT, analytics_enabled=False, delete_cache=(3600, 86400)) as blocks:
            page_frame(main, PAGES, [VOTE])
            main.build(blocks, context)
            build_endpoints(context)
        for page in others:
            with blocks.route(page.title, page.path):
                page_frame(page, PAGES, [VOTE])
                page.build(blocks, context)
    return blocks.queue(max_size=QUEUE_SIZE)


@contextmanager
def _no_servers() -> Iterator[None]:
    """Inside, the end of a page's block makes no server. Gradio makes a whole one there for each page, of all pages
    so far, which takes half of the start; mounting makes the one that serves."""
    kept = vars(App)["create_app"], gr.Blocks.get_config_file
    App.create_app = staticmethod(lambda *args, **kwargs: None)
    gr.Blocks.get_config_file = lambda self: {}
    try:
        yield
    finally:
        App.create_app, gr.Blocks.get_config_file = kept
