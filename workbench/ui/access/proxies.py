"""What a proxy tells of the visitor behind it: believed of proxies that the owner has named, and of nobody else."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

# Gradio reads some of them by itself, whoever sent them
TOLD = (b"forwarded", b"x-forwarded-", b"x-real-ip", b"x-gradio-server")


class Proxies:
    """ASGI middleware that puts the visitor's address and scheme, as a proxy of `trusted` tells them, into the scope.
    Behind it such headers are gone; the name that was called is `Host` alone, which the front door checks."""

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self.app = app
        self.reading: Any = ProxyHeadersMiddleware(self._without_headers, list(trusted))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.app if scope["type"] == "lifespan" else self.reading)(scope, receive, send)

    async def _without_headers(self, scope: Scope, receive: Receive, send: Send) -> None:
        kept = [(name, value) for name, value in scope["headers"] if not name.lower().startswith(TOLD)]
        await self.app({**scope, "headers": kept}, receive, send)


def is_fault(record: logging.LogRecord) -> bool:
    """Whether a line of uvicorn's log tells of a fault. A page that is open when its server ends is none: its stream
    is waited for, and then cancelled."""
    count = str(record.msg).startswith("Cancel %s running task")
    return not (count or (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)))


def server_config(app: ASGIApp, **options: Any) -> uvicorn.Config:
    """How every server of the workbench runs. By itself uvicorn believes such headers of all programs of this machine,
    and calls it an error when a page is open as the server ends."""
    config = uvicorn.Config(app, proxy_headers=False, **options)  # sets up the loggers
    logging.getLogger("uvicorn.error").addFilter(is_fault)
    return config
