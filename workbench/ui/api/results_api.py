"""Routes behind the Results page: a study's votes and statistics as files."""

import json
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import Response

from eval.report import harmless
from workbench.common.field_notes import noted
from workbench.common.words import counted
from workbench.store import Store
from workbench.ui.pages.results.view import FILES
from workbench.votes.files import VoteTables, dictionary, file_bytes
from workbench.votes.pair_files import pair_latex, pair_table
from workbench.votes.preferences import Filters, Report, study_report
from workbench.votes.studies import study_from_json
from workbench.votes.voting import describe_system

KINDS = {
    ".csv": "text/csv",
    ".parquet": "application/vnd.apache.parquet",
    ".json": "application/json",
    ".tex": "application/x-tex",
}


def results_router(store: Store) -> APIRouter:
    """`GET /api/v1/results/{study}/{file}`."""
    router = APIRouter(prefix="/api/v1", tags=["results"])

    @router.get("/results/{study}/{file}")
    def exported(
        study: Annotated[str, Path(**noted("id of a study", "small letters, digits and -"))],
        file: Annotated[str, Path(**noted("which file", ", ".join(name for name, _ in FILES)))],
        question: Annotated[
            str, Query(**noted("id of a question, for pairs and report", "one that the study asks"))
        ] = "overall",
        least_checks: Annotated[
            float, Query(**noted("attention checks that annotators must have passed", unit="share", ge=0, le=1))
        ] = 0.0,
        version: Annotated[
            int | None, Query(**noted("version of the protocol; all when left out", "1 or more", ge=1))
        ] = None,
        prompt: Annotated[str, Query(**noted("words that prompts must hold, in any case", max_length=4000))] = "",
    ) -> Response:
        """A study as a file: its pairs of systems as pairs.csv, .tex and .json, votes or flags as .csv and .parquet,
        all as votes.json, its dictionary, the report."""
        if file not in (name for name, _ in FILES):
            raise HTTPException(404, f"there is no file {file[:40]!r}; choose one of {', '.join(n for n, _ in FILES)}")
        tables = VoteTables(store.votes(study), store.flags(study))
        if store.studies.get(study) is None and tables.votes.empty:
            raise HTTPException(404, f"there is no study {study[:40]!r}")
        what, _, ending = file.partition(".")
        if what in ("report", "pairs"):
            _check_protocol(store, tables, study, question, version)
            filters = Filters(question, version, least_checks, prompt)
            report = study_report(tables.votes, tables.flags, filters)
            content = _json(report.to_json()) if what == "report" else _pairs(report, ending, study)
        elif what == "dictionary":
            content = _json(dictionary())
        else:
            content = file_bytes(what, f".{ending}", tables)
        headers = {"Content-Disposition": f'attachment; filename="{file}"', "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type=KINDS[f".{ending}"], headers=headers)

    return router


def _check_protocol(store: Store, tables: VoteTables, study: str, question: str, version: int | None) -> None:
    """A question that nobody was asked, and a version that never was, have no results; an empty table is no answer."""
    newest = store.studies.get(study)
    asked = {each.id for each in study_from_json(newest.definition).asked()} if newest else set()
    asked |= set(tables.votes["question"])
    if question not in asked:
        choices = ", ".join(sorted(asked))
        raise HTTPException(404, f"study {study[:40]!r} asks no question {question[:40]!r}; choose one of {choices}")
    versions = {*map(int, tables.votes["study_version"]), *range(1, newest.version + 1 if newest else 1)}
    if version is not None and version not in versions:
        told = f"study {study[:40]!r} has no version {str(version)[:40]}"
        raise HTTPException(404, f"{told}; choose one of {', '.join(map(str, sorted(versions)))}, or leave it out")


def _pairs(report: Report, ending: str, study: str) -> bytes:
    table = pair_table(report)
    if ending == "csv":
        return harmless(table).to_csv(index=False).encode()
    if ending == "json":
        return (table.to_json(orient="records", double_precision=15, indent=1) + "\n").encode()
    note = f"Study {study}, question {report.filters.question}: {counted(report.votes, 'vote')}"
    return pair_latex(table, describe_system, note).encode()


def _json(content: dict) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=1).encode()
