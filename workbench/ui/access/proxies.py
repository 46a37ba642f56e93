"""What a proxy tells of the visitor behind it: believed of proxies that the owner has named, and of nobody else."""

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


def server_config(app: ASGIApp, **options: Any) -> uvicorn.Config:
    """How every server of the workbench runs. By itself uvicorn believes such headers of all programs of this
    machine."""
    return uvicorn.Config(app, proxy_headers=False, **options)
