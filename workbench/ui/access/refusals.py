"""What FastAPI and Gradio refuse in their own ways, told as all else is here: a status of 4xx and a sentence."""

import errno
import json
import logging
from contextlib import suppress
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.ui.access.doors import GRADIO

CALLS = (f"{GRADIO}run/", f"{GRADIO}api/")  # calls that are answered at once
GRADIOS_OWN = (GRADIO, "/static/", "/assets/", "/svelte/")
SENSELESS = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)
NO_SENSE = "the request is none that the app's pages make, and cannot be answered; the API page says what is taken"
STREAMS = (f"{GRADIO}queue/data", f"{GRADIO}call/")
# how Gradio begins a stream in which nothing will come, before it breaks the stream off
NOTHING_COMES = (b'"session_not_found":true', b'event: error\ndata: "404: Not Found"')
NOTHING = "there is nothing at this address"
UNKNOWN_STREAM = "no call with answers to come has this id; send the call first, then listen with the id of its answer"
SUBJECTS = ("Input ", "String ", "Value ", "List ", "Dictionary ")  # that pydantic's sentences begin with


class Refusals:
    """ASGI middleware around Gradio: a call that ends in a sentence was refused, where Gradio says 500; a stream of
    answers that nobody waits for is not there, where Gradio breaks it off."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and scope["method"] == "POST" and path.startswith(CALLS):
            return await self._understood(scope, receive, _refusing(send))
        if scope["type"] == "http" and scope["method"] == "GET" and path.startswith(STREAMS):
            return await self._listen(scope, receive, send)
        if scope["type"] == "http" and path.startswith(GRADIOS_OWN):
            return await self._understood(scope, receive, send)
        await self.app(scope, receive, send)

    async def _understood(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request that no page makes may raise anything in Gradio's routes, which look at nothing before."""
        held: list[Message] = []

        async def watch(message: Message) -> None:
            if held or (message["type"] == "http.response.start" and message["status"] == 500):
                held.append(message)
            else:
                await send(message)

        try:
            await self.app(scope, receive, watch)
        except SENSELESS as error:
            if not held:  # the answer has begun
                raise
            logging.getLogger(__name__).warning("%s %s: %r", scope["method"], scope["path"][:200], error)
            return await told(400, NO_SENSE)(scope, receive, send)
        except OSError as error:
            if not held or error.errno != errno.ENAMETOOLONG:
                raise
            return await told(404, NOTHING)(scope, receive, send)
        for message in held:
            await send(message)

    async def _listen(self, scope: Scope, receive: Receive, send: Send) -> None:
        start, empty = None, False

        async def watch(message: Message) -> None:
            nonlocal start, empty
            if message["type"] == "http.response.start":
                start = message
                return
            empty = empty or (start is not None and any(mark in message.get("body", b"") for mark in NOTHING_COMES))
            if empty:
                return
            if start is not None:
                await send(start)
                start = None
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception:
            if not empty:
                raise
        if empty:
            await told(404, UNKNOWN_STREAM)(scope, receive, send)


def told(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence, "detail": sentence}, status)


async def tell_unreadable(request: Request, error: Exception) -> Response:
    """The first thing that is wrong with a request's parameters or body, as a sentence; FastAPI's handler for it."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    return told(422, fault_sentence(faults[0]) if faults else "the request cannot be read; the API page says how")


def fault_sentence(fault: dict[str, Any]) -> str:
    """One fault that pydantic found: the name, the value, the rule and the way out."""
    name = ".".join(str(part) for part in fault["loc"][1:]) or "the request"
    if fault["type"] == "missing":
        return f"{name} is missing; the API page says what is taken"
    rule = next((f"it {fault['msg'].removeprefix(each)}" for each in SUBJECTS if fault["msg"].startswith(each)), "")
    return (
        f"{name} is {shown(fault.get('input'))}, and {rule or fault['msg'].lower()}; the API page says what is taken"
    )


def shown(value: Any) -> str:
    """A value as JSON, as far as a sentence has room for it."""
    return json.dumps(value, default=repr)[:60]


def _refusing(send: Send) -> Send:
    start: Message | None = None

    async def refuse(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start" and message["status"] == 500:
            start = message
            return
        if start is not None:
            with suppress(ValueError, KeyError, TypeError):
                if isinstance(json.loads(message["body"])["error"], str):
                    start = {**start, "status": 422}
            await send(start)
            start = None
        await send(message)

    return refuse
