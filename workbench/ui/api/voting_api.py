"""The routes of voting under /api/v1. A refusal is a 4xx with `{error}`, one sentence, and is recorded."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from workbench.people.accounts import Account, Accounts, TooManyTries
from workbench.store import StoreUnavailable
from workbench.store.people import SESSION_DAYS
from workbench.store.records import Person
from workbench.votes.questions import ANSWERS, FLAG_KINDS, QUESTIONS
from workbench.votes.voting import NextPair, Refused, VotingService

COOKIE = "annotator"
LARGEST_BODY = 2 * 2**20
PATIENCE_SECONDS = 25.0  # that a first pair is waited for while clips are being made
GONE = "the database does not answer; try again in a moment"
NOT_SAVED = "your vote was NOT saved, because the database does not answer; keep this page open and try again"


class SessionBody(BaseModel):
    """Who one is: a name, with a password where accounts are on, or an invitation."""

    name: str | None = None
    password: str | None = None
    invite: str | None = None


class LogoutBody(BaseModel):
    """Nothing needs to be said."""


class LogoutOut(BaseModel):
    ended: bool


class EndBody(BaseModel):
    name: str = Field(description="of an account or an invited annotator")


class EndOut(BaseModel):
    ended: int = Field(description="sessions and invitations that were open")


class NextPairBody(BaseModel):
    study: str | None = Field(None, description="the default study when left out")


class FlagBody(BaseModel):
    side: str = Field(description="a or b")
    time_seconds: float
    kind: str = Field(description=", ".join(FLAG_KINDS))
    comment: str = ""


class VoteBody(BaseModel):
    assignment: str
    key: str = Field(description="random, new for each vote; the same key again is the same vote")
    answers: dict[str, str] = Field(description="question to a, b, tie or bad")
    watched: float = Field(description="how often both clips were watched; 1 is once through")
    seconds: float = Field(description="from showing the pair to the vote")
    flags: list[FlagBody] = []


class UndoBody(BaseModel):
    assignment: str


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
    for path, run, body, answer in (
        ("/session", routes.session, SessionBody, SessionOut),
        ("/logout", routes.logout, LogoutBody, LogoutOut),
        ("/sessions/end", routes.end_sessions, EndBody, EndOut),
        ("/next-pair", routes.next_pair, NextPairBody, NextPairOut),
        ("/votes", routes.vote, VoteBody, VoteOut),
        ("/votes/undo", routes.undo, UndoBody, UndoOut),
        ("/consent", routes.consent, NextPairBody, VotingOut),
    ):
        lost = NOT_SAVED if run == routes.vote else GONE
        endpoint = guarded(voting, run, lost)
        router.add_api_route(path, endpoint, methods=["POST"], **described(run, body, answer))
    answers = {"response_model": VotingOut, "responses": ERRORS}
    router.add_api_route("/voting", routes.about, methods=["GET"], name="voting", **answers)
    return router


ERRORS = {status: {"model": ErrorOut} for status in (401, 403, 404, 409, 413, 415, 422, 429, 503)}


def described(run: Callable, body: type[BaseModel], answer: type[BaseModel]) -> dict[str, Any]:
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

    async def session(self, request: Request, body: Mapping, person: Person | None) -> Response:
        """Set the annotator's cookie for a name, an account, or an invitation."""
        found, study, door, account = await self._identify(body, request.client.host if request.client else "")
        answer = JSONResponse({"name": found.name, "role": found.role, "study": study})
        if person != found or account:
            secret = await run_in_threadpool(self.voting.open_session, found, door, account)
            https = request.url.scheme == "https"
            age = SESSION_DAYS[door] * 86400
            answer.set_cookie(COOKIE, secret, max_age=age, httponly=True, samesite="lax", secure=https)
        return answer

    async def logout(self, request: Request, body: Mapping, person: Person | None) -> Response:
        """End this session; its cookie opens nothing from now on."""
        secret = request.cookies.get(COOKIE)
        if secret:
            await run_in_threadpool(self.voting.end_session, secret)
        answer = JSONResponse({"ended": secret is not None})
        answer.delete_cookie(COOKIE)
        return answer

    async def end_sessions(self, request: Request, body: Mapping, person: Person | None) -> Response:
        """End all sessions and invitations of a person. For administrators."""
        if self.accounts is None:
            raise Refused(403, "no-accounts", "this server has no accounts; start it with --auth FILE")
        name = body.get("name")
        if not isinstance(name, str) or not name.strip() or "\0" in name:
            raise Refused(422, "name", "name is not one; give that of an account or of an invited annotator")
        return JSONResponse({"ended": await run_in_threadpool(self.voting.end_sessions, name)})

    async def next_pair(self, request: Request, body: Mapping, person: Person | None) -> Response:
        """The pair to judge next; the same one again until it is voted on."""
        person = _known(person)
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = await run_in_threadpool(self.voting.next_pair, person, body.get("study"))
            if not found.waiting:
                return JSONResponse(_pair(found))
            if time.monotonic() > end:
                busy = "the clips of this study are being made; the first ones come in a moment"
                return JSONResponse({"error": busy}, 503, {"Retry-After": "5"})
            await asyncio.sleep(0.5)

    async def vote(self, request: Request, body: Mapping, person: Person | None) -> Response:
        """Take a vote. With status 200 it is safe on disk; otherwise it is not saved."""
        saved = await run_in_threadpool(self.voting.vote, _known(person), body)
        if saved.reveal and self.accounts and person.role == "annotator":
            saved.reveal.pop("compare")  # a page they may not open
        return JSONResponse({"saved": True, "vote": saved.vote, "reveal": saved.reveal})

    async def undo(self, request: Request, body: Mapping, person: Person | None) -> Response:
        """Take back the vote on a pair; the pair then comes again."""
        vote = await run_in_threadpool(self.voting.undo, _known(person), body.get("assignment"))
        return JSONResponse({"undone": True, "vote": vote, "assignment": body["assignment"]})

    async def consent(self, request: Request, body: Mapping, person: Person | None) -> Response:
        """Record that the instructions of a study were read and agreed to."""
        record = await run_in_threadpool(self.voting.study, body.get("study"))
        if not self.voting.settings.read_only:
            await run_in_threadpool(self.voting.store.people.consent, _known(person), record.id)
        return JSONResponse(await run_in_threadpool(self._about, record.id, person))

    async def about(self, request: Request, study: str | None = None) -> Response:
        """What annotators are told before the first pair. Tells nothing of what made the clips."""
        try:
            person = await run_in_threadpool(_person, self.voting, request)
            return JSONResponse(await run_in_threadpool(self._about, study, person))
        except Refused as refused:
            return JSONResponse({"error": refused.sentence}, refused.status)
        except StoreUnavailable:
            return JSONResponse({"error": GONE}, 503)

    async def _identify(self, body: Mapping, address: str) -> tuple[Person, str | None, str, Account | None]:
        """Who this is, the study they were invited to, how they came in, and their account."""
        people = self.voting.store.people
        if isinstance(body.get("invite"), str):
            invited = await run_in_threadpool(people.invited, body["invite"])
            if invited is None:
                raise Refused(403, "invitation", "this invitation is unknown or over; ask who sent it for a new one")
            return *invited, "invitation", None
        if self.accounts is None:
            return await run_in_threadpool(self.voting.named, body.get("name")), None, "name", None
        name, password = body.get("name"), body.get("password")
        account = None
        if isinstance(name, str) and isinstance(password, str) and len(name) <= 200 and len(password) <= 200:
            try:
                account = await self.accounts.check(name, password, address)
            except TooManyTries as error:
                raise Refused(429, "tries", str(error)) from error
        if account is None:
            raise Refused(
                401, "password", "name and password do not belong together; try again, or use your invitation"
            )
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
    try:
        return voting.person(request.cookies.get(COOKIE))
    except Refused:
        return None


def guarded(voting: VotingService, run: Callable, lost: str = GONE) -> Callable:
    """Wraps a route: reads the body, finds the person, tells and records refusals. `lost` is said when the database is
    gone."""

    async def endpoint(request: Request) -> Response:
        person, body, text = None, {}, ""
        try:
            _check_origin(request)
            text = await _read(request)
            body = _object(text)
            person = voting.remembered(request.cookies.get(COOKIE))  # no thread where none is needed
            person = person or await run_in_threadpool(_person, voting, request)
            return await run(request, body, person)
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
        json.dumps(body, ensure_ascii=False).encode()  # a lone surrogate can be neither stored nor answered
    except UnicodeEncodeError as error:
        raise Refused(422, "unreadable", "the request holds half a character; send whole ones") from error
    except (ValueError, RecursionError) as error:
        raise Refused(422, "unreadable", "the request is not JSON; send an object") from error
    if not isinstance(body, dict):
        raise Refused(422, "unreadable", "the request is not an object; send one, as {}")
    return body


def _known(person: Person | None) -> Person:
    if person is None:
        raise Refused(401, "no-session", "you have no session here; give your name on the Vote page first")
    return person


def _pair(found: NextPair) -> dict[str, Any]:
    """Nothing in it differs by what made the clips."""
    questions = [
        {"id": question.id, "title": question.title, "text": question.text}
        for question in (QUESTIONS[name] for name in found.study.questions)
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
