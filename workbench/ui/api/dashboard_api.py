"""Routes behind the Dashboard: the leaderboard and its values as files, under the filters of an address."""

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from models.types import RequestError
from workbench.leaderboard.files import EXPORTS, Board
from workbench.store import Store
from workbench.ui.pages.dashboard.query import Query, read_query


def board_of(store: Store, query: Query) -> Board:
    """The board that a query asks for."""
    return Board(store, query.filters(store.filters()), query.reference or None)


def dashboard_router(store: Store) -> APIRouter:
    """`GET /api/v1/leaderboard/{file}` with the query of the page."""
    router = APIRouter(prefix="/api/v1", tags=["leaderboard"])

    @router.get("/leaderboard/{file}")
    def exported(file: str, request: Request) -> Response:
        """The table as leaderboard .csv, .parquet or .tex, every value as values .csv or .parquet, published.csv."""
        if file not in EXPORTS:
            raise HTTPException(404, f"there is no file {file[:40]!r}; choose one of {', '.join(EXPORTS)}")
        try:
            query = read_query(request.query_params)
            kind, make = EXPORTS[file]
            content = make(board_of(store, query))
        except RequestError as error:
            raise HTTPException(400, str(error)) from error
        headers = {"Content-Disposition": f'attachment; filename="{file}"', "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type=kind, headers=headers)

    return router
