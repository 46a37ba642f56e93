"""Accounts, roles and invitations on the whole application."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from models.pipeline import tiny_pipeline
from models.types import RequestError
from workbench.accounts import Accounts, add_account, read_accounts
from workbench.generation import GenerationService
from workbench.settings import Settings
from workbench.store import open_store
from workbench.trials import TRIAL, make_trial, trial_study
from workbench.ui.app import MAKING, build_app

PEOPLE = {"rita": "researcher", "rev": "reviewer", "anna": "annotator"}
PASSWORD = "correct horse"
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    folder = tmp_path_factory.mktemp("access")
    for name, role in PEOPLE.items():
        add_account(folder / "people.txt", name, role, PASSWORD, cost=10)
    made = Settings(data_dir=folder / "data", auth=folder / "people.txt", min_watch=0.0)
    make_trial(made, trial_study(2))
    return made


@pytest.fixture(scope="module")
def app(settings):
    return build_app(GenerationService(settings.data_dir, pipelines={"shapes-asd": tiny_pipeline(0)}), settings)


def visitor(app, name: str | None = None) -> TestClient:
    client = TestClient(app, follow_redirects=False)
    if name:
        body = {"name": name, "password": PASSWORD}
        assert client.post("/api/v1/session", json=body).json()["role"] == PEOPLE[name]
    return client


def join(client: TestClient, app, queue: str | None):
    """Call a page's handler of one of the queues of making, or of none of them, as the page does."""
    blocks = next(route.app for route in app.routes if hasattr(getattr(route, "app", None), "get_blocks")).get_blocks()
    index = next(
        i for i, fn in blocks.fns.items() if (fn.concurrency_id if fn.concurrency_id in MAKING else None) == queue
    )
    body = {"fn_index": index, "data": [], "session_hash": "x"}
    return client.post("/gradio_api/queue/join", json=body)


def test_strangers_reach_nothing_but_the_door(app):
    client = visitor(app)
    answer = client.get("/", headers=HTML)
    assert answer.status_code == 303 and answer.headers["location"] == "/login?next=/"
    for path in ("/config", "/compare", "/api/v1/openapi.json", "/gradio_api/info", "/media/x"):
        assert client.get(path).status_code == 401, path
    assert join(client, app, MAKING[0]).status_code == 401
    assert client.get("/login").status_code == client.get("/vote").status_code == 200
    assert client.get("/api/v1/health").status_code == 200


@pytest.mark.parametrize(
    "body", [{"name": "rita"}, {"name": "rita", "password": "wrong"}, {"name": "x", "password": "y"}]
)
def test_a_name_alone_opens_nothing_here(app, settings, body):
    answer = visitor(app).post("/api/v1/session", json=body)
    assert answer.status_code == 401 and "password" in answer.json()["error"]
    store = open_store(settings)
    assert "wrong" not in str(store.refusals(5).body.tolist())
    store.close()


def test_an_annotator_reaches_the_vote_page_only(app):
    client = visitor(app, "anna")
    given = client.post("/api/v1/next-pair", json={"study": TRIAL}).json()
    assert client.get(given["a"]).status_code == 200
    for path in ("/", "/compare", "/models"):
        assert client.get(path, headers=HTML).headers["location"] == "/vote", path
    for path in (
        "/config",
        "/api/v1/openapi.json",
        "/api/v1/selftest",
        "/gradio_api/info",
        "/vote/../config",
        "/votes",
    ):
        assert client.get(path).status_code in (403, 404), path
    assert {join(client, app, queue).status_code for queue in (*MAKING, None)} == {403}


def test_a_reviewer_looks_and_makes_nothing(app):
    client = visitor(app, "rev")
    assert client.get("/", headers=HTML).status_code == client.get("/config").status_code == 200
    assert {join(client, app, queue).status_code for queue in MAKING} == {403} and "studies" in MAKING
    assert join(client, app, None).status_code != 403
    assert client.post("/gradio_api/call/generate", json={"data": []}).status_code == 403
    assert client.post("/gradio_api/queue/join", content=b"no json").status_code == 403


def test_a_researcher_does_everything(app):
    client = visitor(app, "rita")
    assert client.get("/config").status_code == 200 and join(client, app, "studies").status_code != 403


def test_an_invitation_is_enough_and_leads_to_its_study(app, settings):
    command = [sys.executable, "-m", "workbench", "accounts", "invite", "Ina", "--study", TRIAL]
    command += ["--data-dir", str(settings.data_dir), "--url", "https://lab.example/"]
    link = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.strip()
    assert link.startswith("https://lab.example/vote?invite=")
    client = visitor(app)
    answer = client.post("/api/v1/session", json={"invite": link.partition("=")[2]}).json()
    assert answer == {"name": "Ina", "role": "annotator", "study": TRIAL}
    assert client.post("/api/v1/next-pair", json={"study": TRIAL}).json()["assignment"]
    assert client.get("/config").status_code == 403
    assert visitor(app).post("/api/v1/session", json={"invite": "guess"}).status_code == 403


def test_guessing_passwords_is_slowed(tmp_path):
    add_account(tmp_path / "people", "ann", "annotator", PASSWORD, cost=10)
    accounts = Accounts(tmp_path / "people")
    assert accounts.check("ann", PASSWORD)
    assert not any(accounts.check("ann", f"guess {k}") for k in range(10))
    assert accounts.check("ann", PASSWORD) is None  # for a minute


def test_the_file_holds_no_password_and_a_new_one_replaces_the_old(tmp_path):
    path = tmp_path / "people"
    add_account(path, "ann", "annotator", PASSWORD, cost=10)
    add_account(path, "ann", "researcher", "another one", cost=10)
    (account,) = read_accounts(path)
    assert account.role == "researcher" and PASSWORD not in path.read_text() and path.stat().st_mode & 0o077 == 0
    assert Accounts(path).check("ann", PASSWORD) is None and Accounts(path).check("ann", "another one")


@pytest.mark.parametrize(
    "line", ["ann", "ann:annotator:plain", "ann:king:scrypt$14$00$00", ":annotator:scrypt$14$00$00"]
)
def test_a_wrong_line_is_named(tmp_path, line):
    path = Path(tmp_path / "people")
    path.write_text(f"# people\n{line}\n")
    with pytest.raises(RequestError, match="line 2"):
        read_accounts(path)


def test_short_passwords_and_odd_names_are_refused(tmp_path):
    for name, role, password, word in (
        ("ann", "annotator", "short", "at least 8"),
        ("a:b", "annotator", PASSWORD, "colon"),
        ("ann", "king", PASSWORD, "choose"),
    ):
        with pytest.raises(RequestError, match=word):
            add_account(tmp_path / "people", name, role, password)
    assert not (tmp_path / "people").exists()


def test_the_login_page_names_no_models(app):
    assert "shapes" not in visitor(app).get("/login").text + json.dumps(dict(visitor(app).get("/login").headers))
