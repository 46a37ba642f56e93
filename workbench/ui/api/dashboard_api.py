"""Routes behind the Dashboard: the leaderboard and its values as files, under the filters of an address."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import Response

from models.types import RequestError
from workbench.common.field_notes import noted
from workbench.leaderboard.files import EXPORTS, board_of
from workbench.requests.links.dashboard import COUNTED, read_dashboard
from workbench.store import Store


def dashboard_router(store: Store) -> APIRouter:
    """`GET /api/v1/leaderboard/{file}` with the query of the page."""
    router = APIRouter(prefix="/api/v1", tags=["leaderboard"])

    @router.get("/leaderboard/{file}", openapi_extra={"parameters": _query_parameters()})
    def exported(file: Annotated[str, Path(**noted("which file", ", ".join(EXPORTS)))], request: Request) -> Response:
        """The table as leaderboard .csv, .parquet or .tex, every value as values .csv or .parquet, published.csv."""
        if file not in EXPORTS:
            raise HTTPException(404, f"there is no file {file[:40]!r}; choose one of {', '.join(EXPORTS)}")
        try:
            query = read_dashboard(request.query_params)
            kind, make = EXPORTS[file]
            content = make(board_of(store, query))
        except RequestError as error:
            raise HTTPException(400, str(error)) from error
        headers = {"Content-Disposition": f'attachment; filename="{file}"', "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type=kind, headers=headers)

    return router


def _query_parameters() -> list[dict]:
    """The query of the page as OpenAPI has it; the page reads it whole, so FastAPI does not see its parts."""
    return [
        {
            "name": name,
            "in": "query",
            "description": what,
            "schema": {"type": "string", "default": "", "x-range": values, "x-unit": ""},
        }
        for name, (what, values) in COUNTED.items()
    ]
