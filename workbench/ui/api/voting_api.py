"""The routes of voting under /api/v1. A refusal is a 4xx with `{error}`, one sentence, and is recorded."""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from models.prompt_text import unstorable_fault
from workbench.common.field_notes import noted
from workbench.people.accounts import Account, Accounts, TooManyTries
from workbench.store import StoreUnavailable
from workbench.store.people import SESSION_DAYS
from workbench.store.records import Person
from workbench.ui.access.credentials import COOKIE, session_secret
from workbench.votes.bodies import (
    NO_INVITATION,
    NO_LOGIN,
    Body,
    EndBody,
    LogoutBody,
    NextPairBody,
    Refused,
    SessionBody,
    UndoBody,
    VoteBody,
)
from workbench.votes.questions import ANSWERS, FLAG_KINDS
from workbench.votes.voting import NextPair, VotingService

LARGEST_BODY = 2 * 2**20
PATIENCE_SECONDS = 25.0  # that a first pair is waited for while clips are being made
STUDY = Query(**noted("id of a study; the default one when left out", "up to 80 characters"))
GONE = "the database does not answer; try again in a moment"
NOT_SAVED = "your vote was NOT saved, because the database does not answer; keep this page open and try again"


class LogoutOut(BaseModel):
    ended: bool


class EndOut(BaseModel):
    ended: int = Field(description="sessions and invitations that were open")


class QuestionOut(BaseModel):
    id: str
    title: str
    text: str


class SessionOut(BaseModel):
    name: str
    role: str
    study: str | None = Field(None, description="where an invitation leads")


class NextPairOut(BaseModel):
    """`assignment` is null when there is nothing left to vote on; `a` and `b` are media addresses."""

    assignment: str | None
    prompt: str | None
    a: str | None
    b: str | None
    fps: float | None
    frames: int | None
    questions: list[QuestionOut]
    done: int
    wanted: int


class VoteOut(BaseModel):
    """`reveal` tells what made the clips, where the study says so."""

    saved: bool
    vote: str
    reveal: dict[str, Any] | None


class UndoOut(BaseModel):
    undone: bool
    vote: str
    assignment: str


class VotingOut(BaseModel):
    """What the page says before the first pair. `consented` is true once the study was agreed to."""

    title: str
    instructions: str
    consent: str
    consented: bool
    name: str | None
    min_watch: float
    wanted: int
    reveal: bool
    passwords: bool
    flag_kinds: list[str]
    answers: dict[str, str]


class ErrorOut(BaseModel):
    error: str


def voting_router(voting: VotingService, accounts: Accounts | None = None) -> APIRouter:
    """`accounts` None lets everybody in by name, as on one's own machine."""
    router = APIRouter(prefix="/api/v1", tags=["voting"])
    routes = _Routes(voting, accounts)
    for path, run, body, answer, known in (
        ("/session", routes.session, SessionBody, SessionOut, False),
        ("/logout", routes.logout, LogoutBody, LogoutOut, False),
        ("/sessions/end", routes.end_sessions, EndBody, EndOut, False),
        ("/next-pair", routes.next_pair, NextPairBody, NextPairOut, True),
        ("/votes", routes.vote, VoteBody, VoteOut, True),
        ("/votes/undo", routes.undo, UndoBody, UndoOut, True),
        ("/consent", routes.consent, NextPairBody, VotingOut, True),
    ):
        lost = NOT_SAVED if run == routes.vote else GONE
        endpoint = guarded(voting, run, body, lost, known=known)
        router.add_api_route(path, endpoint, methods=["POST"], **described(run, body, answer))
    answers = {"response_model": VotingOut, "responses": ERRORS}
    router.add_api_route("/voting", routes.about, methods=["GET"], name="voting", **answers)
    return router


ERRORS = {status: {"model": ErrorOut} for status in (401, 403, 404, 409, 413, 415, 422, 429, 503)}


def described(run: Callable, body: type[Body], answer: type[BaseModel]) -> dict[str, Any]:
    """How OpenAPI describes a route that reads its body itself, so as to record what it refuses."""
    schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
    parts = schema.pop("$defs", {})
    if "flags" in schema.get("properties", {}):
        schema["properties"]["flags"]["items"] = parts["FlagBody"]
    content = {"application/json": {"schema": schema}}
    return {
        "name": run.__name__,
        "description": run.__doc__,
        "response_model": answer,
        "responses": ERRORS,
        "openapi_extra": {"requestBody": {"required": True, "content": content}},
    }


class _Routes:
    """What each route does with a body that is a JSON object, and with the person of the cookie, if there is one."""

    def __init__(self, voting: VotingService, accounts: Accounts | None) -> None:
        self.voting, self.accounts = voting, accounts

    async def session(self, request: Request, body: SessionBody, person: Person | None) -> Response:
        """Set the annotator's cookie for a name, an account, or an invitation."""
        found, study, door, account = await self._identify(body, request.client.host if request.client else "")
        answer = JSONResponse({"name": found.name, "role": found.role, "study": study})
        if person != found or account:
            secret = await run_in_threadpool(self.voting.sessions.open, found, door, account)
            https = request.url.scheme == "https"
            age = SESSION_DAYS[door] * 86400
            answer.set_cookie(COOKIE, secret, max_age=age, httponly=True, samesite="lax", secure=https)
        return answer

    async def logout(self, request: Request, body: LogoutBody, person: Person | None) -> Response:
        """End this session; its cookie opens nothing from now on."""
        secret = session_secret(request)
        if secret:
            await run_in_threadpool(self.voting.sessions.end, secret)
        answer = JSONResponse({"ended": secret is not None})
        answer.delete_cookie(COOKIE)
        return answer

    async def end_sessions(self, request: Request, body: EndBody, person: Person | None) -> Response:
        """End all sessions and invitations of a person. For administrators."""
        if self.accounts is None:
            raise Refused(403, "no-accounts", "this server has no accounts; start it with --auth FILE")
        return JSONResponse({"ended": await run_in_threadpool(self.voting.sessions.end_all, body.name)})

    async def next_pair(self, request: Request, body: NextPairBody, person: Person) -> Response:
        """The pair to judge next; the same one again until it is voted on."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = await run_in_threadpool(self.voting.next_pair, person, body.study)
            if not found.waiting:
                return JSONResponse(_pair(found))
            if time.monotonic() > end:
                busy = "the clips of this study are being made; the first ones come in a moment"
                return JSONResponse({"error": busy}, 503, {"Retry-After": "5"})
            await asyncio.sleep(0.5)

    async def vote(self, request: Request, body: VoteBody, person: Person) -> Response:
        """Take a vote. With status 200 it is safe on disk; otherwise it is not saved."""
        saved = await run_in_threadpool(self.voting.vote, person, body)
        if saved.reveal and self.accounts and person.role == "annotator":
            saved.reveal.pop("compare")  # a page they may not open
        return JSONResponse({"saved": True, "vote": saved.vote, "reveal": saved.reveal})

    async def undo(self, request: Request, body: UndoBody, person: Person) -> Response:
        """Take back the vote on a pair; the pair then comes again."""
        vote = await run_in_threadpool(self.voting.undo, person, body)
        return JSONResponse({"undone": True, "vote": vote, "assignment": body.assignment})

    async def consent(self, request: Request, body: NextPairBody, person: Person) -> Response:
        """Record that the instructions of a study were read and agreed to."""
        record = await run_in_threadpool(self.voting.study, body.study)
        if not self.voting.settings.read_only:
            await run_in_threadpool(self.voting.store.people.consent, person, record.id)
        return JSONResponse(await run_in_threadpool(self._about, record.id, person))

    async def about(self, request: Request, study: Annotated[str | None, STUDY] = None) -> Response:
        """What annotators are told before the first pair. Tells nothing of what made the clips."""
        try:
            person = await run_in_threadpool(_person, self.voting, request)
            return JSONResponse(await run_in_threadpool(self._about, study, person))
        except Refused as refused:
            return JSONResponse({"error": refused.sentence}, refused.status)
        except StoreUnavailable:
            return JSONResponse({"error": GONE}, 503)

    async def _identify(self, body: SessionBody, address: str) -> tuple[Person, str | None, str, Account | None]:
        """Who this is, the study they were invited to, how they came in, and their account."""
        people = self.voting.store.people
        if body.invite is not None:
            invited = await run_in_threadpool(people.invited, body.invite)
            if invited is None:
                raise Refused(403, "invitation", NO_INVITATION)
            return *invited, "invitation", None
        if self.accounts is None:
            return await run_in_threadpool(self.voting.sessions.named, body.name or ""), None, "name", None
        account = None
        if body.name is not None and body.password is not None:
            try:
                account = await self.accounts.check(body.name, body.password, address)
            except TooManyTries as error:
                raise Refused(429, "tries", str(error)) from error
        if account is None:
            raise Refused(401, "password", NO_LOGIN)
        found = await run_in_threadpool(people.of_account, account.name)
        return replace(found, role=account.role), None, "account", account

    def _about(self, identity: Any, person: Person | None) -> dict[str, Any]:
        record = self.voting.study(identity)
        study = self.voting.definition(record.id, record.version)
        consented = bool(person) and self.voting.store.people.has_consented(person, record.id)
        return {
            "title": study.title,
            "instructions": study.instructions,
            "consent": study.consent,
            "consented": consented,
            "name": person.name if person else None,
            "min_watch": self.voting.settings.min_watch,
            "wanted": study.pairs_per_annotator,
            "reveal": study.reveal,
            "passwords": self.accounts is not None,
            "flag_kinds": list(FLAG_KINDS),
            "answers": ANSWERS,
        }


def _person(voting: VotingService, request: Request) -> Person | None:
    secret = session_secret(request)
    try:
        return voting.sessions.person(secret)
    except Refused:
        return None


def guarded(
    voting: VotingService, run: Callable, body_type: type[Body], lost: str = GONE, *, known: bool = False
) -> Callable:
    """Wraps a route: reads and checks the body, finds the person, tells and records refusals. `lost` is said when the
    database is gone. With `known`, nobody gets in without a session."""

    async def endpoint(request: Request) -> Response:
        person, body, text = None, {}, ""
        try:
            _check_origin(request)
            text = await _read(request)
            body = _object(text)
            person = voting.sessions.remembered(session_secret(request))  # no thread where none is needed
            person = person or await run_in_threadpool(_person, voting, request)
            if known and person is None:
                sentence = "you have no session here; give your name on the Vote page first"
                raise Refused(401, "no-session", sentence)
            return await run(request, body_type.read(body), person)
        except Refused as refused:
            assignment = body.get("assignment")
            await run_in_threadpool(voting.record_refusal, person, refused, _without_secrets(text), assignment)
            return JSONResponse({"error": refused.sentence}, refused.status)
        except StoreUnavailable as error:
            logging.getLogger(__name__).error("%s failed: %s", run.__name__, error)
            return JSONResponse({"error": lost, "saved": False}, 503)

    endpoint.__name__ = run.__name__
    return endpoint


def _check_origin(request: Request) -> None:
    """Another site's page may not act for the visitor: its requests name another origin, or are not JSON."""
    origin = request.headers.get("origin")
    if origin and urlsplit(origin).netloc != request.headers.get("host"):
        raise Refused(403, "origin", "this request comes from another site; use the Vote page")
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise Refused(415, "content-type", "the request is not JSON; send content-type application/json")


async def _read(request: Request) -> str:
    """The body, up to a limit far above what a vote needs."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > LARGEST_BODY:
            raise Refused(413, "too-large", f"the request is over {LARGEST_BODY:,} bytes; write less")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Refused(422, "unreadable", "the request is not UTF-8 text; send JSON") from error


def _object(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(422, "unreadable", "the request is not JSON; send an object") from error
    if not isinstance(body, dict):
        raise Refused(422, "unreadable", "the request is not an object; send one, as {}")
    if fault := unstorable_fault(body):
        raise Refused(422, "unreadable", f"the request {fault}; take it out")
    return body


def _pair(found: NextPair) -> dict[str, Any]:
    """Nothing in it differs by what made the clips."""
    questions = [
        {"id": question.id, "title": question.title, "text": question.text} for question in found.study.asked()
    ]
    given = found.assignment
    if given is None:
        shown: dict[str, Any] = dict.fromkeys(("assignment", "prompt", "a", "b", "fps", "frames"))
    else:
        sides = {"a": f"/api/v1/media/{given.left_token}", "b": f"/api/v1/media/{given.right_token}"}
        frames = min(given.left.frames, given.right.frames)
        shown = {"assignment": given.id, "prompt": given.prompt, **sides, "fps": given.left.fps, "frames": frames}
    return shown | {"questions": questions, "done": found.done, "wanted": found.wanted}


def _without_secrets(text: str) -> str:
    """A refused body may hold a password or an invitation; those are not kept."""
    return "" if '"password"' in text or '"invite"' in text else text
