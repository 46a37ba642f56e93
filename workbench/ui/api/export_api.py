"""Routes that hand a comparison on as one file: `/api/v1/export/sheet.mp4` and `/api/v1/export/page.html`."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from models.types import RequestError
from workbench.clips.exports import MOST_CLIPS, contact_sheet, standalone_page
from workbench.clips.library import Library, StoredClip
from workbench.common.field_notes import noted
from workbench.requests.links.address import address

CLIPS = Query(**noted("clips of the store", f"1 to {MOST_CLIPS} ids, joined by commas; each counts once"))
PATIENCE_SECONDS = 30.0
BUSY = "other comparisons are being written at this moment; try again soon"


def export_links(clips: list[str], columns: int) -> list[dict[str, str]]:
    """Links to both files for clips of the store by id, as the status line takes them."""
    ids = ",".join(clips)
    return [
        {
            "label": "Contact sheet (mp4)",
            "url": address("/api/v1/export/sheet.mp4", {"clips": ids, "columns": columns}),
        },
        {"label": "One HTML file", "url": address("/api/v1/export/page.html", {"clips": ids})},
    ]


def export_router(library: Library) -> APIRouter:
    router = APIRouter(prefix="/api/v1/export", tags=["export"])
    making = threading.Semaphore(1)  # each takes a core and some hundred megabytes

    async def alone(make: Callable[..., Any], clips: str, *arguments: Any) -> Any:
        """What `make` makes of clips of the store, of one request after the other; who waits takes no thread."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not making.acquire(blocking=False):
            if time.monotonic() > end:
                raise HTTPException(503, BUSY, {"Retry-After": "10"})
            await asyncio.sleep(0.1)
        try:
            return await run_in_threadpool(_told, lambda: make(_found(library, clips), *arguments))
        finally:
            making.release()

    @router.get("/sheet.mp4")
    async def sheet(
        clips: Annotated[str, CLIPS],
        columns: Annotated[int, Query(**noted("clips side by side", "1 or more", "clips"))] = 4,
    ) -> Response:
        """Clips of the store, by ids joined by commas, as one mp4 with `columns` in a row."""
        return _attachment(await alone(_sheet, clips, columns), "video/mp4", "contact-sheet.mp4")

    @router.get("/page.html")
    async def page(
        clips: Annotated[str, CLIPS],
        title: Annotated[str, Query(**noted("title of the page", "up to 200 characters; more are cut off"))] = "",
    ) -> Response:
        """Clips of the store, by ids joined by commas, as one page that plays them without a server."""
        text = await alone(standalone_page, clips, title[:200])
        return _attachment(text.encode(), "text/html; charset=utf-8", "comparison.html")

    return router


def _found(library: Library, clips: str) -> list[StoredClip]:
    """Each clip once, however often it is named. Raises RequestError for one that is not in the store."""
    return [library.record(identity) for identity in dict.fromkeys(clips.split(",")) if identity]


def _sheet(clips: list[StoredClip], columns: int) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sheet.mp4"
        contact_sheet(clips, columns, path)
        return path.read_bytes()


def _told(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except RequestError as error:
        raise HTTPException(400, str(error)) from error


def _attachment(content: bytes, kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type=kind, headers=headers)
