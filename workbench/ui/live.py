"""The app on a free port of this machine, in a thread of its own: for screenshots and tests."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from workbench.clips.generation import GenerationService
from workbench.settings import Settings
from workbench.ui.access.proxies import server_config
from workbench.ui.app import build_app, stop_work

PATIENCE = 60.0


@contextmanager
def live_app(service: GenerationService, settings: Settings) -> Iterator[str]:
    """Yield the address of the running app; it stops when the block ends."""
    app = build_app(service, settings)
    try:
        with listening(app) as address:
            yield address
    finally:
        stop_work(app)


@contextmanager
def listening(app: ASGIApp) -> Iterator[str]:
    """Yield the address at which `app` answers until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(server_config(app, log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            _wait(server, thread)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


def _wait(server: uvicorn.Server, thread: threading.Thread) -> None:
    end = time.monotonic() + PATIENCE
    while not server.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise RuntimeError("the app did not start; run `python -m workbench app` to see why")
        time.sleep(0.05)
