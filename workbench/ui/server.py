"""Runs the application on a bound socket."""

import importlib
import os
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import uvicorn

from workbench.clips.generation import GenerationService
from workbench.clips.under_way import is_left, mark
from workbench.common.console import notice
from workbench.common.priority import answer_soon
from workbench.settings import Settings
from workbench.ui.access.proxies import server_config
from workbench.ui.app import build_app, stop_work

PREFIX, MARK = "workbench-", "server.json"
KEEP_ALIVE_SECONDS = 75  # longer than browsers and proxies reuse a connection, lest a vote goes into one that closes


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.on_ready()


def serve(settings: Settings, listener: socket.socket, *, on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready` is called when requests are answered.

    Uploads go to a folder of this server alone: in Gradio's usual one lie those of every other app of the machine.
    """
    clear_uploads()
    with TemporaryDirectory(prefix=PREFIX) as folder:
        mark(Path(folder, MARK))
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder, "uploads"))
        _serve(settings, listener, on_ready)


def clear_uploads() -> None:
    """Servers that were killed could not delete what their visitors had uploaded."""
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        own = folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.getuid()
        if own and is_left(folder / MARK):
            shutil.rmtree(folder, ignore_errors=True)


def _serve(settings: Settings, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    answer_soon()
    service = GenerationService(settings.data_dir, settings.device, say=notice, compile=settings.compile)
    app = build_app(service, settings)
    config = server_config(
        app, log_level="warning", timeout_graceful_shutdown=3, timeout_keep_alive=KEEP_ALIVE_SECONDS
    )

    def ready() -> None:
        on_ready()
        if not settings.read_only:
            # pages are there without it; who makes the first clip should not wait for it either
            threading.Thread(target=importlib.import_module, args=("models.pipeline",), daemon=True).start()
            app.state.jobs.go_on()
        # one after the other: what people see first should not share the machine with clips for annotators
        app.state.first_run.start(then=app.state.voting.prepare)

    try:
        _Server(config, ready).run(sockets=[listener])
    except KeyboardInterrupt:
        return  # Ctrl-C is how a server ends; uvicorn has shut down by now
    finally:
        stop_work(app)
