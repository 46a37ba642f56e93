"""The front door: every request to the application passes it, whatever page it seems to come from."""

import json
import logging
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from urllib.parse import unquote_to_bytes, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.requests.links.people import login_link
from workbench.store import StoreUnavailable
from workbench.ui.access.credentials import credential_of
from workbench.ui.access.doors import ADMIN, ANNOTATOR, GRADIO, LOOKING, MAKERS, NOBODY, is_call, may_pass
from workbench.ui.access.refusals import NOTHING, told
from workbench.ui.access.uploads import BadCall, Uploads
from workbench.votes.bodies import Refused
from workbench.votes.voting import VotingService

OWN_API = "/api/v1/"  # routes of ours read their bodies themselves; all others that take a body are Gradio's
UPLOAD = "/gradio_api/upload"
FILE = f"{GRADIO}file="
LARGEST_CALL = 8 * 2**20
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/?#@\[\]\\]+)(?::(\d{0,5}))?")  # RFC 9110: a name or address, and a port
PORTS = range(1, 2**16)
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
SAFE = ("GET", "HEAD", "OPTIONS")
# Gradio's pages need inline scripts and eval; nothing comes from another site or goes to one
PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors {}"
)
FILE_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"  # what somebody uploaded runs nothing
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


class FrontDoor:
    """ASGI middleware that asks, in this order: is the host one of ours, does the request come from our own pages,
    who, with one credential, sends it, is this door open to them, and does it name only files that they have uploaded.

    `voting` is None where there are no accounts; everybody may do everything then. `handler` gives a page's handler,
    as LOOKING names it, by its number or its name. `framed_by` are sites that may show the pages inside their own,
    `prefix` is one that a proxy has taken off.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Sequence[str],
        voting: VotingService | None,
        handler: Callable[[int | str], str],
        framed_by: Sequence[str] = (),
        prefix: str = "",
    ) -> None:
        self.app, self.voting, self.handler, self.uploads = app, voting, handler, Uploads()
        self.prefix = prefix
        self.hosts = {*LOOPBACK, *(host.lower() for host in hosts)}
        self.policy = PAGE_POLICY.format(" ".join(["'self'", *framed_by]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":  # the workbench has no web sockets
            return await send({"type": "websocket.close", "code": 1008})
        request = Request(scope, receive)
        path = _path(scope)
        send = self._with_headers(path, send)
        refusal = self._check_origin(request) or _check_address(scope) or _check_credentials(scope)
        if refusal:
            return await refusal(scope, receive, send)
        try:
            role, owner = await self._who(request)
        except StoreUnavailable:
            return await told(503, "the database does not answer; try again in a moment")(scope, receive, send)
        if not may_pass(role, scope["method"], path):
            return await _closed(request, role, self.prefix)(scope, receive, send)
        if path.startswith(FILE) and self.uploads.is_of_others(owner, path.removeprefix(FILE)):
            return await told(403, "another person has uploaded this file; upload it yourself")(scope, receive, send)
        with suppress(ClientDisconnect):  # who left in the middle of a request waits for no answer
            await self._pass(scope, receive, send, role, owner)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, role: str, owner: str) -> None:
        path = _path(scope)
        if scope["method"] in SAFE or path.startswith(OWN_API):
            return await self.app(scope, receive, send)
        if path == UPLOAD:
            return await self.app(scope, receive, self._remembering(owner, send))
        try:
            body = self.uploads.checked(owner, await _body(receive))
            if role not in MAKERS and not (is_call(path) and self._looks(path, json.loads(body))):
                raise BadCall("reviewers look at results and make nothing; ask a researcher")
        except BadCall as refused:
            logging.getLogger(__name__).warning("refused %s %s: %s", scope["method"], path, refused)
            return await told(403, str(refused))(scope, receive, send)
        await self.app(_of_length(scope, len(body)), _replay(body, receive), send)

    def _looks(self, path: str, call: object) -> bool:
        """Whether a call runs a handler that only shows what is there."""
        number = call.get("fn_index") if isinstance(call, dict) else None
        if path.startswith(f"{GRADIO}call/"):
            return number is None and self.handler(path.rsplit("/", 1)[-1]) in LOOKING
        return type(number) is int and self.handler(number) in LOOKING

    def _check_origin(self, request: Request) -> Response | None:
        """Another site's name may not lead here, and its pages may not act for whoever looks at them."""
        host = request.headers.get("host", "").lower()
        name = _host_name(host)
        if not name:
            return told(421, f"the request's Host, {host[:80]!r}, is no host; use the address of this server")
        if name not in self.hosts:
            shown = name[:80]
            return told(421, f"{shown!r} is not a name of this server; start it with --allowed-host {shown}")
        if request.method in SAFE:
            return None
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
        if (origin and _site(origin) != host) or site not in ("same-origin", "none"):
            return told(403, "this request comes from another site; use the pages of this server")
        return None

    async def _who(self, request: Request) -> tuple[str, str]:
        """The role of whoever sends this now, and a name for what they upload."""
        if self.voting is None:
            return ADMIN, ""
        given = credential_of(request.scope)
        if given is None:
            return NOBODY, ""
        try:
            known = self.voting.sessions.remembered(given.secret, given.by_token)
            known = known or await run_in_threadpool(self.voting.sessions.person, given.secret, given.by_token)
        except Refused:
            return NOBODY, ""
        return known.role, known.id

    def _with_headers(self, path: str, send: Send) -> Send:
        """Adds to every answer what tells browsers to be careful; a page's own rules stay."""
        policy = FILE_POLICY if path.startswith((FILE, "/media/", "/api/v1/media/")) else self.policy

        async def careful(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in {**HEADERS, "Content-Security-Policy": policy}.items():
                    headers.setdefault(name, value)
            await send(message)

        return careful

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


def _check_address(scope: Scope) -> Response | None:
    """No database and no file knows a name with a null character; neither is asked."""
    if "\0" in scope["path"] or "\0" in unquote_to_bytes(scope["query_string"]).decode(errors="replace"):
        return told(404, "this address holds a null character (%00), and nothing is there; take it out")
    return None


def _check_credentials(scope: Scope) -> Response | None:
    """Whom this door lets in is who acts behind it: a request has one credential, or none."""
    try:
        credential_of(scope)
    except Refused as refused:
        return told(refused.status, refused.sentence)
    return None


def _path(scope: Scope) -> str:
    """The path as routes see it: decoded, and without a prefix that a proxy leaves."""
    root = scope.get("root_path", "")
    return scope["path"].removeprefix(root) if root else scope["path"]


def _closed(request: Request, role: str, prefix: str) -> Response:
    """People who look for a page are led to one that is open to them."""
    looks = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    if role == NOBODY:
        if looks:
            wanted = prefix + _path(request.scope) + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(prefix + login_link(wanted), 303)
        return told(401, "you are not signed in; open /login in a browser")
    if role == ANNOTATOR:
        return RedirectResponse(f"{prefix}/vote", 303) if looks else told(403, "annotators reach the Vote page only")
    if role == ADMIN and request.method in SAFE:
        return told(404, NOTHING)
    return told(403, f"this is not open to a {role}; ask whoever runs this server")


def _site(origin: str) -> str:
    """Host and port of an Origin header; "" for what is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _host_name(host: str) -> str:
    """What a Host header names, less its port; "" for what is no host, and for a port that cannot be."""
    parts = HOST.fullmatch(host)
    return parts[1] if parts and int(parts[2] or 80) in PORTS else ""


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
