"""Routes behind the Results page: a study's votes and statistics as files."""

import json

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from workbench.store import Store
from workbench.ui.pages.results.view import FILES
from workbench.votes.files import VoteTables, dictionary, file_bytes
from workbench.votes.preferences import Filters, study_report

KINDS = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet", ".json": "application/json"}


def results_router(store: Store) -> APIRouter:
    """`GET /api/v1/results/{study}/{file}`."""
    router = APIRouter(prefix="/api/v1", tags=["results"])

    @router.get("/results/{study}/{file}")
    def exported(study: str, file: str, question: str = "overall", least_checks: float = 0.0) -> Response:
        """A study as a file: votes or flags as .csv and .parquet, all as votes.json, its dictionary, the report."""
        if file not in (name for name, _ in FILES):
            raise HTTPException(404, f"there is no file {file[:40]!r}; choose one of {', '.join(n for n, _ in FILES)}")
        tables = VoteTables(store.votes(study), store.flags(study))
        if store.studies.get(study) is None and tables.votes.empty:
            raise HTTPException(404, f"there is no study {study[:40]!r}")
        what, _, ending = file.partition(".")
        if what == "report":
            content = _json(study_report(tables.votes, tables.flags, Filters(question, None, least_checks)).to_json())
        elif what == "dictionary":
            content = _json(dictionary())
        else:
            content = file_bytes(what, f".{ending}", tables)
        headers = {"Content-Disposition": f'attachment; filename="{file}"', "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type=KINDS[f".{ending}"], headers=headers)

    return router


def _json(content: dict) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=1).encode()
