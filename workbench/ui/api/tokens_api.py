"""Access tokens, by which a program acts for an account: made, listed and revoked by somebody who is signed in."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from workbench.store.people import digest, token_name
from workbench.store.records import Person
from workbench.ui.access.credentials import session_secret
from workbench.ui.api.voting_api import ERRORS, described, guarded
from workbench.votes.bodies import NO_TOKEN, Body, Refused, RevokeBody, TokenBody
from workbench.votes.voting import VotingService


class TokenOut(BaseModel):
    id: str = Field(description="by which it is listed and revoked")
    token: str = Field(description="shown this once; send it as `Authorization: Bearer TOKEN`")


class TokenRow(BaseModel):
    id: str
    created_at: str
    expires_at: str


class TokensOut(BaseModel):
    tokens: list[TokenRow]


class RevokeOut(BaseModel):
    revoked: str


def tokens_router(voting: VotingService) -> APIRouter:
    """`POST` and `GET /api/v1/tokens`, `POST /api/v1/tokens/revoke`; they take a cookie, and never a token."""
    router = APIRouter(prefix="/api/v1", tags=["access"])

    def answering(run: Callable) -> Callable:
        async def answer(request: Request, body: Body, person: Person | None) -> Response:
            return JSONResponse(await run_in_threadpool(run, session_secret(request), body))

        answer.__name__, answer.__doc__ = run.__name__, run.__doc__
        return answer

    def make_token(secret: str | None, body: TokenBody) -> dict[str, Any]:
        """Make an access token for the account that is signed in. It is shown this once."""
        account = voting.sessions.account_of(secret)
        token = voting.sessions.open(voting.sessions.person(secret), "token", account, body.days)
        return {"id": token_name(digest(token)), "token": token}

    def revoke_token(secret: str | None, body: RevokeBody) -> dict[str, Any]:
        """End an access token of the account that is signed in."""
        if not voting.sessions.revoke_token(voting.sessions.account_of(secret).name, body.id):
            raise Refused(404, NO_TOKEN.reason, NO_TOKEN.sentence)
        return {"revoked": body.id}

    def list_tokens(request: Request) -> Response:
        """The access tokens of the account that is signed in, without their secrets."""
        try:
            account = voting.sessions.account_of(session_secret(request))
        except Refused as refused:
            return JSONResponse({"error": refused.sentence}, refused.status)
        rows = [vars(token) for token in voting.store.people.tokens(account.name)]
        return JSONResponse({"tokens": rows})

    for path, run, body, answer in (
        ("/tokens", make_token, TokenBody, TokenOut),
        ("/tokens/revoke", revoke_token, RevokeBody, RevokeOut),
    ):
        endpoint = answering(run)
        router.add_api_route(
            path, guarded(voting, endpoint, body), methods=["POST"], **described(endpoint, body, answer)
        )
    router.add_api_route(
        "/tokens", list_tokens, methods=["GET"], name="list_tokens", response_model=TokensOut, responses=ERRORS
    )
    return router
