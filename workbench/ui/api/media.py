"""Media behind random tokens: an address tells nothing about the clip, its model or its file."""

import asyncio
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

import numpy as np
from fastapi import APIRouter, HTTPException, Request
from fastapi import Path as PathPart
from fastapi.responses import FileResponse, Response
from starlette.concurrency import run_in_threadpool

from workbench.clips.media import png_bytes
from workbench.common.field_notes import noted
from workbench.votes.bodies import Refused
from workbench.votes.voting import VotingService

MAX_TOKENS = 20_000
AT_ONCE = 4 * 2**20  # bytes of a file that is read in one go; others go out piece by piece, a thread's turn for each
MAX_BYTES = 256 * 2**20
TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",
    ".json": "application/json",
    ".png": "image/png",
}


class MadeLater(Protocol):
    """Bytes that are made when they are first asked for; until then and after it takes `nbytes` of memory at most."""

    @property
    def nbytes(self) -> int: ...

    def __call__(self) -> bytes: ...


@dataclass(frozen=True)
class Medium:
    """A file, bytes kept in memory or bytes made later, and its MIME type."""

    content: Path | bytes | MadeLater
    mime: str

    @property
    def size(self) -> int:
        if isinstance(self.content, Path):
            return 0
        return len(self.content) if isinstance(self.content, bytes) else self.content.nbytes


class MediaTokens:
    """Hands out addresses for media; the oldest are forgotten when there are too many or they grow too large."""

    def __init__(self, max_tokens: int = MAX_TOKENS, max_bytes: int = MAX_BYTES) -> None:
        self._media: OrderedDict[str, Medium] = OrderedDict()
        self._bytes = 0
        self._limits = max_tokens, max_bytes
        self._lock = threading.Lock()

    def file(self, path: Path) -> str:
        """The address of a file; its name does not appear in it."""
        return self._add(Medium(path, TYPES[path.suffix.lower()]))

    def sheet(self, frames: np.ndarray) -> str:
        """The address of (T, H, W, 3) uint8 RGB frames as one lossless picture, stacked from top to bottom."""
        return self._add(Medium(png_bytes(frames.reshape(-1, *frames.shape[2:])), "image/png"))

    def later(self, made: MadeLater, mime: str) -> str:
        """The address of what is made when a page first asks for it."""
        return self._add(Medium(made, mime))

    def get(self, token: str) -> Medium | None:
        with self._lock:
            return self._media.get(token)

    def _add(self, medium: Medium) -> str:
        token = secrets.token_urlsafe(16)
        with self._lock:
            self._media[token] = medium
            self._bytes += medium.size
            tokens, size = self._limits
            while len(self._media) > tokens or (self._bytes > size and len(self._media) > 1):
                self._bytes -= self._media.popitem(last=False)[1].size
        return f"/media/{token}"


def media_router(media: MediaTokens, voting: VotingService) -> APIRouter:
    """`GET /media/{token}`, also under `/api/v1`; files answer Range requests. `voting` knows the tokens of copies,
    which are waited for without a thread: many people may wait at once."""
    router = APIRouter(tags=["media"])

    @router.get("/media/{token}")
    @router.get("/api/v1/media/{token}")
    async def read(
        request: Request,
        token: Annotated[str, PathPart(**noted("the random end of a medium's address", "as given"))],
    ) -> Response:
        """A clip, a manifest or a sheet of frames."""
        medium = media.get(token)
        try:
            if medium is None and (coming := await run_in_threadpool(voting.coming, token)):
                await asyncio.gather(asyncio.wrap_future(coming), return_exceptions=True)  # `media` tells why
            medium = medium or await run_in_threadpool(lambda: _found(voting.media(token)))
        except Refused as refused:
            raise HTTPException(refused.status, refused.sentence) from refused
        answer = await run_in_threadpool(_answer, medium, token, "range" in request.headers) if medium else None
        if answer is None:
            raise HTTPException(404, "this medium is no longer on the server; make the clip again")
        return answer

    return router


def _answer(medium: Medium, token: str, part: bool) -> Response | None:
    """The medium, or what a request for a `part` of it asks for; None when its file is gone."""
    # a tag of its own and a fixed date: neither tells when the file was made
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=3600",
        "X-Content-Type-Options": "nosniff",
        "ETag": f'"{token}"',
        "Last-Modified": "Thu, 01 Jan 1970 00:00:00 GMT",
    }
    content = medium.content
    if isinstance(content, Path):
        if not content.is_file():
            return None
        if part or content.stat().st_size > AT_ONCE:
            return FileResponse(content, media_type=medium.mime, headers=headers)
        content = content.read_bytes()
    else:
        headers.pop("Accept-Ranges")
    return Response(content if isinstance(content, bytes) else content(), media_type=medium.mime, headers=headers)


def _found(path: Path | None) -> Medium | None:
    return Medium(path, TYPES[path.suffix.lower()]) if path and path.is_file() else None
