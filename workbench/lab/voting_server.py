"""Voting alone, without the pages and the models: for trials of the vote path.

`python -m workbench.lab.voting_server --fd N --data-dir D` answers on an open socket. A killed server is replaced at
once, by a fork of a process that has everything loaded; each one's process id is a line of standard output. With
`--app` it is the whole application that is killed and replaced, made anew each time.
"""

import argparse
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from uvicorn import Server

from workbench import __version__
from workbench.settings import Settings
from workbench.store import open_store
from workbench.ui.access.proxies import server_config
from workbench.ui.api.media import MediaTokens, media_router
from workbench.ui.api.voting_api import voting_router
from workbench.votes.study_clips import StudyClips
from workbench.votes.voting import VotingService


def build_voting_app(settings: Settings) -> FastAPI:
    """The routes of voting, exactly as the whole application has them; clips must be there."""
    store = open_store(settings)
    voting = VotingService(store, settings, StudyClips(store, settings.data_dir))
    app = FastAPI(title="ASD Workbench voting", version=__version__, docs_url=None, redoc_url=None)

    @app.get("/api/v1/health")
    def health() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    app.include_router(voting_router(voting))
    app.include_router(media_router(MediaTokens(), voting))
    return app


def serve_voting(settings: Settings, listener: socket.socket) -> None:
    Server(server_config(build_voting_app(settings), log_level="error")).run(sockets=[listener])


def keep_serving(serve: Callable[[], None]) -> None:
    """Serve in a child process, and in another one whenever it dies, until this process is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    child = 0
    try:
        while True:
            child = os.fork()
            if child == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                serve()
                os._exit(0)
            sys.stdout.write(f"{child}\n")
            sys.stdout.flush()
            os.waitpid(child, 0)
    finally:
        if child:
            os.kill(child, signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--database-url")
    parser.add_argument("--app", action="store_true")
    options = parser.parse_args()
    settings = Settings(data_dir=options.data_dir, database_url=options.database_url, min_watch=0.0)
    serve = serve_voting
    if options.app:
        from workbench.ui.server import serve
    keep_serving(partial(serve, settings, socket.socket(fileno=options.fd)))


if __name__ == "__main__":
    main()
