"""The front door: every request to the application passes it, whatever page it seems to come from."""

import logging
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.ui.uploads import BadCall, Uploads

OWN_API = "/api/v1/"  # routes of ours, which read their bodies themselves; all others that take a body are Gradio's
UPLOAD = "/gradio_api/upload"
LARGEST_CALL = 8 * 2**20
EVERYBODY = ""  # who owns an upload where there are no accounts


class FrontDoor:
    """ASGI middleware. Calls to Gradio may name no files but those that their sender has uploaded."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.uploads = app, Uploads()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":  # the workbench has no web sockets
            return await send({"type": "websocket.close", "code": 1008})
        owner = EVERYBODY
        request = Request(scope, receive)
        if request.method in ("GET", "HEAD", "OPTIONS") or request.url.path.startswith(OWN_API):
            return await self.app(scope, receive, send)
        if request.url.path.rstrip("/") == UPLOAD:
            return await self.app(scope, receive, self._remembering(owner, send))
        try:
            body = self.uploads.checked(owner, await _body(receive))
        except BadCall as refused:
            logging.getLogger(__name__).warning("refused %s %s: %s", request.method, request.url.path, refused)
            return await JSONResponse({"error": str(refused), "detail": str(refused)}, 403)(scope, receive, send)
        return await self.app(_of_length(scope, len(body)), _replay(body, receive), send)

    def _remembering(self, owner: str, send: Send) -> Send:
        """Passes an upload's answer on, and remembers the paths in it before anybody can use them."""
        status, content = 0, bytearray()

        async def remember(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            if message["type"] == "http.response.body" and status == 200:
                content.extend(message.get("body", b""))
                if not message.get("more_body"):
                    with suppress(ValueError):
                        self.uploads.add_answer(owner, bytes(content))
            await send(message)

        return remember


async def _body(receive: Receive) -> bytes:
    content = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadCall("the request broke off")
        content += message.get("body", b"")
        if len(content) > LARGEST_CALL:
            raise BadCall(f"the request is over {LARGEST_CALL:,} bytes; send less")
        if not message.get("more_body"):
            return bytes(content)


def _of_length(scope: Scope, length: int) -> Scope:
    headers = [(name, value) for name, value in scope["headers"] if name not in (b"content-length", b"content-type")]
    headers += [(b"content-length", str(length).encode()), (b"content-type", b"application/json")]
    return {**scope, "headers": headers}


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once, and after it whatever the visitor does next."""
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
