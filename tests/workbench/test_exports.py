"""Every file that the pages offer opens as it is: tables in pandas with their numbers as numbers, LaTeX in LaTeX."""

import io
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from eval.preferences.simulation import World, simulate_votes
from eval.preferences.table import FLAG_COLUMNS, check_votes
from tests.helpers.dashboard_data import fill
from tests.helpers.latex_reader import cells_of
from workbench.clips.library import ClipFile
from workbench.experiments.ablation_files import latex, read_report
from workbench.leaderboard.files import EXPORTS as BOARD
from workbench.scoring.results import EXPORTS as EVALUATION
from workbench.scoring.runs import EvaluationService, Plan
from workbench.settings import Settings
from workbench.store import open_store
from workbench.ui.api.dashboard_api import dashboard_router
from workbench.ui.api.library import library_router
from workbench.ui.api.results_api import results_router
from workbench.ui.pages.results.view import FILES

HOSTILE = '=1+1, "50%" of {a_b} & #1 \\ ~ ^'  # a name that a spreadsheet would run and that LaTeX would trip over
ROUTES = {
    "/api/v1/leaderboard/{file}": tuple(BOARD),
    "/api/v1/evaluations/{run}/{file}": tuple(EVALUATION),
    "/api/v1/results/{study}/{file}": tuple(name for name, _ in FILES),
}
EVERY = [(route, file) for route, files in ROUTES.items() for file in files]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """The routes on a store with measured clips, votes, flags, and an evaluation of two clips, one of them damaged."""
    data = tmp_path_factory.mktemp("exports")
    store = open_store(Settings(data_dir=data))
    clips = fill(store, data_dir=data)
    votes = simulate_votes(
        World({HOSTILE: 1.0, "b": 0.0}), np.random.default_rng(2), votes=40, annotators=5, prompts=4
    )
    votes = check_votes(votes.assign(study="s"))
    store.import_votes(votes)
    flag = (votes["vote_id"].iloc[0], "left", 1.0, "freeze", HOSTILE)
    store.import_flags(pd.DataFrame([flag], columns=list(FLAG_COLUMNS)))
    evaluations = EvaluationService(data)
    damaged = data / "damaged.mp4"
    damaged.write_bytes(b"no video")
    files = [ClipFile(path, HOSTILE) for path in (data / clips[0].path, damaged)]
    run = evaluations.start(Plan(tuple(files), ("sharpness",)))
    while run.active:
        time.sleep(0.05)
    app = FastAPI()
    for router in (dashboard_router(store), library_router(evaluations), results_router(store)):
        app.include_router(router)
    with TestClient(app) as opened:
        opened.parts = {"run": run.id, "study": "s"}
        yield opened
    store.close()


def content(client, route: str, file: str) -> bytes:
    answer = client.get(route.format(file=file, **client.parts))
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize("route, file", EVERY, ids=[file for _, file in EVERY])
def test_every_export_opens_without_edits(client, route, file):
    made = content(client, route, file)
    if file.endswith(".tex"):
        heads, *rows = cells_of(made.decode())
        assert heads and rows
    elif file.endswith(".json"):
        assert json.loads(made, parse_constant=pytest.fail)  # NaN and Infinity are no JSON
    else:
        table = pd.read_parquet(io.BytesIO(made)) if file.endswith(".parquet") else pd.read_csv(io.BytesIO(made))
        assert len(table) and table.columns.is_unique
        assert not any(str(name).startswith("Unnamed") for name in table.columns)  # an index that nobody asked for


@pytest.mark.parametrize("file", ["pairs.csv", "pairs.tex", "pairs.json", "report.json"])
def test_what_was_never_asked_has_no_table(client, file):
    for query, told in (
        ({"question": "nope"}, "study 's' asks no question 'nope'; choose one of overall"),
        ({"version": 7}, "study 's' has no version 7; choose one of 1, or leave it out"),
        ({"version": 10**30}, "has no version 1000"),
    ):
        answer = client.get(f"/api/v1/results/s/{file}", params=query)
        assert answer.status_code == 404 and told in answer.json()["detail"], answer.text
    assert client.get(f"/api/v1/results/s/{file}", params={"question": "overall", "version": 1}).status_code == 200


@pytest.mark.parametrize("route, file", [each for each in EVERY if each[1].endswith(".parquet")], ids=str)
def test_the_csv_holds_the_numbers_of_the_parquet_file_as_numbers(client, route, file):
    table = pd.read_parquet(io.BytesIO(content(client, route, file)))
    csv = pd.read_csv(io.BytesIO(content(client, route, file.replace(".parquet", ".csv"))))
    assert list(csv.columns) == list(table.columns) and len(csv) == len(table)
    for name in table.select_dtypes("number"):
        np.testing.assert_allclose(csv[name].to_numpy(float), table[name].to_numpy(float), rtol=1e-12, err_msg=name)


def test_the_ablation_that_comes_along_is_a_latex_table(tmp_path: Path):
    report, _ = read_report(tmp_path)
    heads, *rows = cells_of(latex(report))
    assert heads[:3] == ["ASD", "FFE", "Steps"] and len(rows) == len(report["rows"])
