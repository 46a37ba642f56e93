"""Routes that hand a comparison on as one file: `/api/v1/export/sheet.mp4` and `/api/v1/export/page.html`."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import Response

from models.types import RequestError
from workbench.clips.exports import contact_sheet, standalone_page
from workbench.clips.library import Library, StoredClip
from workbench.common.field_notes import noted
from workbench.requests.links.address import address

CLIPS = Query(**noted("clips of the store", "their ids, joined by commas"))


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

    @router.get("/sheet.mp4")
    def sheet(
        clips: Annotated[str, CLIPS],
        columns: Annotated[int, Query(**noted("clips side by side", "1 or more", "clips"))] = 4,
    ) -> Response:
        """Clips of the store, by ids joined by commas, as one mp4 with `columns` in a row."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "sheet.mp4"
            _told(contact_sheet, _found(library, clips), columns, path)
            return _attachment(path.read_bytes(), "video/mp4", "contact-sheet.mp4")

    @router.get("/page.html")
    def page(
        clips: Annotated[str, CLIPS],
        title: Annotated[str, Query(**noted("title of the page", "up to 200 characters; more are cut off"))] = "",
    ) -> Response:
        """Clips of the store, by ids joined by commas, as one page that plays them without a server."""
        text = _told(standalone_page, _found(library, clips), title[:200])
        return _attachment(text.encode(), "text/html; charset=utf-8", "comparison.html")

    return router


def _found(library: Library, clips: str) -> list[StoredClip]:
    return [_told(library.record, identity) for identity in clips.split(",") if identity]


def _told(make: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return make(*arguments)
    except RequestError as error:
        raise HTTPException(400, str(error)) from error


def _attachment(content: bytes, kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type=kind, headers=headers)
