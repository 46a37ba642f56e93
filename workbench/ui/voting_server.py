"""Voting alone, without the pages and the models: starts in a second. For trials of the vote path."""

from fastapi import FastAPI

from workbench import __version__
from workbench.settings import Settings
from workbench.store import open_store
from workbench.study_clips import StudyClips
from workbench.ui.media import MediaTokens, media_router
from workbench.ui.voting_api import voting_router
from workbench.voting import VotingService


def build_voting_app(settings: Settings) -> FastAPI:
    """The routes of voting, exactly as the whole application has them; clips must be there."""
    store = open_store(settings)
    voting = VotingService(store, settings, StudyClips(store, settings.data_dir))
    app = FastAPI(title="ASD Workbench voting", version=__version__, docs_url=None, redoc_url=None)

    @app.get("/api/v1/health")
    def health() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    app.include_router(voting_router(voting))
    app.include_router(media_router(MediaTokens(), voting.media))
    return app
