"""The one credential of a request: a browser's cookie or a program's access token, read here and nowhere else."""

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Scope

from workbench.votes.bodies import Refused

COOKIE = "annotator"
DECIDED = "workbench.credential"  # where a request's scope holds it, so that whoever asks gets the same
TWO = "this request bears more than one credential; send either an access token or the cookie of one session"


@dataclass(frozen=True)
class Credential:
    """What stands for a person: the secret of a session, or of an access token."""

    secret: str
    by_token: bool


def credential_of(scope: Scope) -> Credential | None:
    """What a request is sent with, decided once; None for nothing. Raises Refused for two that differ, because who is
    let in would then not be who acts."""
    if DECIDED not in scope:
        headers = Headers(scope=scope)
        found = {Credential(token, True) for token in _tokens(headers)}
        found |= {Credential(secret, False) for secret in _cookies(headers)}
        if len(found) > 1:
            raise Refused(400, "credentials", TWO)
        scope[DECIDED] = next(iter(found), None)
    return scope[DECIDED]


def session_secret(request: Request) -> str | None:
    """The cookie's secret where a request is sent with a cookie: what tokens do not open asks for it."""
    credential = credential_of(request.scope)
    return credential.secret if credential and not credential.by_token else None


def _tokens(headers: Headers) -> list[str]:
    parts = [header.partition(" ") for header in headers.getlist("authorization")]
    return [token.strip() for kind, _, token in parts if kind.lower() == "bearer" and token.strip()]


def _cookies(headers: Headers) -> list[str]:
    pairs = [pair.partition("=") for header in headers.getlist("cookie") for pair in header.split(";")]
    values = [value.strip().strip('"') for name, _, value in pairs if name.strip() == COOKIE]
    return [value for value in values if value]
