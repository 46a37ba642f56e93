"""Who may reach what on a server with accounts. Every request is checked, whatever page it seems to come from."""

import json
from collections.abc import Callable, Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.store import StoreUnavailable
from workbench.store.records import Person
from workbench.ui.voting_api import COOKIE
from workbench.voting import Refused, VotingService

OPEN = ("/vote", "/login", "/ui/", "/favicon.ico", "/api/v1/session", "/api/v1/voting", "/api/v1/health")
VOTING = ("/api/v1/next-pair", "/api/v1/votes", "/api/v1/consent", "/api/v1/media/")
JOIN = "/gradio_api/queue/join"
# a reviewer looks at results: pages, media, and whatever the pages read; nothing that makes or changes
CALLS = (
    "/gradio_api/call/",
    "/gradio_api/mcp",
    "/gradio_api/run/",
    "/gradio_api/api/",
    "/gradio_api/upload",
    "/upload",
    "/run/",
    "/call/",
)
LARGEST_JOIN = 2**20


class AccessControl:
    """ASGI middleware: nobody enters without a session, annotators reach the Vote page only, reviewers look.

    `makes(index)` tells whether a page's handler makes or changes something.
    """

    def __init__(self, app: ASGIApp, voting: VotingService, makes: Callable[[int], bool]) -> None:
        self.app, self.voting, self.makes = app, voting, makes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        if scope["type"] == "websocket":  # the workbench has none
            return await send({"type": "websocket.close", "code": 1008})
        request = Request(scope, receive)
        if _under(request.url.path, OPEN):
            return await self.app(scope, receive, send)
        try:
            person = await run_in_threadpool(self.voting.person, _secret(request))
        except Refused:
            return await _strangers(request)(scope, receive, send)
        except StoreUnavailable:
            return await JSONResponse({"error": "the database does not answer"}, 503)(scope, receive, send)
        refusal, receive = await self._check(request, person, receive)
        return await (refusal or self.app)(scope, receive, send)

    async def _check(self, request: Request, person: Person, receive: Receive) -> tuple[Response | None, Receive]:
        """A refusal or None, and the body to be read again."""
        path = request.url.path
        if person.role == "researcher" or _under(path, VOTING):
            return None, receive
        if person.role == "annotator":
            return _refusal(request, "annotators reach the Vote page only"), receive
        if path == JOIN:
            body = await _body(receive)
            makes = body is None or self._makes(body)
            return _refusal(request, "reviewers look at results and make nothing") if makes else None, _replay(body)
        if request.method not in ("GET", "HEAD") and _under(path, CALLS):
            return _refusal(request, "reviewers look at results and make nothing"), receive
        return None, receive

    def _makes(self, body: bytes) -> bool:
        try:
            return self.makes(int(json.loads(body)["fn_index"]))
        except (ValueError, KeyError, TypeError):
            return True


def _under(path: str, places: Sequence[str]) -> bool:
    """Whether `path` is one of `places` or below one."""
    return any(path == place or path.startswith(place if place.endswith("/") else f"{place}/") for place in places)


def _secret(request: Request) -> str | None:
    try:
        morsel = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None


def _strangers(request: Request) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"/login?next={quote(request.url.path)}", 303)
    return JSONResponse({"error": "you are not signed in; open /login in a browser"}, 401)


def _refusal(request: Request, sentence: str) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/vote", 303) if "Vote" in sentence else JSONResponse({"error": sentence}, 403)
    return JSONResponse({"error": sentence}, 403)


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when it is too large to be a page's."""
    content = bytearray()
    while True:
        message = await receive()
        content += message.get("body", b"")
        if len(content) > LARGEST_JOIN:
            return None
        if not message.get("more_body"):
            return bytes(content)


def _replay(body: bytes | None) -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body or b"", "more_body": False}

    return receive
