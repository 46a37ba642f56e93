"""Accounts, roles and invitations on the whole application."""

import asyncio
import json
import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from models.types import RequestError
from tests.conftest import PATIENCE
from tests.helpers.tiny_models import tiny_pipeline
from workbench.__main__ import main
from workbench.clips.generation import GenerationService
from workbench.lab.drawn_study import TRIAL, make_trial, trial_study
from workbench.people.accounts import Accounts, TooManyTries, add_account, read_accounts, remove_account
from workbench.settings import Settings
from workbench.store import open_store
from workbench.store.people import SESSION_DAYS
from workbench.store.records import Session
from workbench.ui.app import build_app, page_handler
from workbench.ui.live import listening

PEOPLE = {"rita": "researcher", "rev": "reviewer", "anna": "annotator", "ada": "admin"}
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
    client = TestClient(app, base_url="http://localhost", follow_redirects=False)
    if name:
        body = {"name": name, "password": PASSWORD}
        assert client.post("/api/v1/session", json=body).json()["role"] == PEOPLE[name]
    return client


def join(client: TestClient, app, module: str, name: str):
    """Call a page's handler as the page does."""
    blocks = next(route.app for route in app.routes if hasattr(getattr(route, "app", None), "get_blocks")).get_blocks()
    index = next(i for i, fn in blocks.fns.items() if page_handler(blocks, i) == f"{module}.{name}")
    return client.post("/gradio_api/queue/join", json={"fn_index": index, "data": [], "session_hash": "x"})


MADE = (("pages.generate", "make"), ("evaluate.page", "cancel"), ("studies.page", "frozen"))
SHOWN = ("results.page", "opened")


def test_strangers_reach_nothing_but_the_door(app):
    client = visitor(app)
    answer = client.get("/models", headers=HTML)
    assert answer.status_code == 303 and answer.headers["location"] == "/login?next=/models"
    for path in ("/config", "/compare", "/api/v1/openapi.json", "/gradio_api/info", "/media/x"):
        assert client.get(path).status_code == 401, path
    assert join(client, app, *SHOWN).status_code == 401
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
    for path in ("/compare", "/models"):
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
    assert {join(client, app, *each).status_code for each in (*MADE, SHOWN)} == {403}


def test_a_reviewer_looks_and_makes_nothing(app):
    client = visitor(app, "rev")
    assert client.get("/compare", headers=HTML).status_code == client.get("/config").status_code == 200
    assert {join(client, app, *each).status_code for each in MADE} == {403}
    assert join(client, app, *SHOWN).status_code == 200
    for path in ("next-pair", "votes", "votes/undo", "consent"):
        assert client.post(f"/api/v1/{path}", json={"study": TRIAL}).status_code == 403, path
    for path in ("cancel", "upload", "reset"):
        assert client.post(f"/gradio_api/{path}", json={}).status_code == 403, path
    assert client.post("/gradio_api/call/generate", json={"data": []}).status_code == 403
    assert client.post("/gradio_api/queue/join", content=b"no json").status_code == 403


def test_a_researcher_does_everything(app):
    client = visitor(app, "rita")
    assert client.get("/config").status_code == 200 and join(client, app, *MADE[0]).status_code == 200


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


def test_a_session_ends_with_its_account_its_role_and_its_password(app, settings):
    """Nothing is restarted: who is removed, demoted or given a new password meets it with the next request."""
    path = settings.auth
    add_account(path, "temp", "researcher", PASSWORD, cost=10)
    client = TestClient(app, base_url="http://localhost")
    assert client.post("/api/v1/session", json={"name": "temp", "password": PASSWORD}).status_code == 200
    assert client.get("/config").status_code == 200
    hashed = next(account.hash for account in read_accounts(path) if account.name == "temp")
    path.write_text(path.read_text().replace(f"temp:researcher:{hashed}", f"temp:annotator:{hashed}"))
    assert client.get("/config").status_code == 403
    add_account(path, "temp", "researcher", "another password", cost=10)
    assert client.get("/config").status_code == 401
    assert client.post("/api/v1/session", json={"name": "temp", "password": "another password"}).status_code == 200
    assert client.get("/config").status_code == 200
    remove_account(path, "temp")
    assert client.get("/config").status_code == 401


def test_signing_out_ends_the_session_on_the_server(app):
    client = visitor(app, "rita")
    secret = client.cookies["annotator"]
    assert client.post("/api/v1/logout", json={}).json() == {"ended": True}
    client.cookies.set("annotator", secret)
    assert client.get("/config").status_code == 401


def test_an_administrator_ends_what_others_have_open(app):
    client, admin = visitor(app, "rev"), visitor(app, "ada")
    assert visitor(app, "rita").post("/api/v1/sessions/end", json={"name": "rev"}).status_code == 403
    assert admin.post("/api/v1/sessions/end", json={"name": "rev"}).json()["ended"] >= 1
    assert client.get("/config").status_code == 401
    assert admin.post("/api/v1/sessions/end", json={"name": None}).status_code == 422


def test_sessions_are_over_in_time_and_are_those_of_a_door(settings, app):
    store = open_store(settings)
    person = store.people.named("Somebody")
    for door, days in SESSION_DAYS.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(SESSION_DAYS, door, -days)
            assert store.people.of_session(store.people.open_session(Session(person, door))) is None
    client = TestClient(app, base_url="http://localhost")
    client.cookies.set("annotator", store.people.open_session(Session(person, "name")))
    assert client.get("/api/v1/media/x").status_code == 401  # a name alone is nobody where there are accounts
    store.close()


@pytest.mark.parametrize("first", ["invitation", "account"])
def test_an_invitation_is_never_an_account(app, settings, first):
    """An annotator invited by a researcher's name, before or after that account is first used, stays an annotator."""
    name, store = f"nina {first}", open_store(settings)
    add_account(settings.auth, name, "researcher", PASSWORD, cost=10)
    guest, owner = (TestClient(app, base_url="http://localhost") for _ in range(2))
    sign_in = {"name": name, "password": PASSWORD}
    if first == "account":
        assert owner.post("/api/v1/session", json=sign_in).status_code == 200
        with pytest.raises(RequestError, match="has an account"):
            store.people.invite(name, TRIAL)
    else:
        invitation = {"invite": store.people.invite(name, TRIAL)}
        assert guest.post("/api/v1/session", json=invitation).json()["role"] == "annotator"
        assert owner.post("/api/v1/session", json=sign_in).json()["role"] == "researcher"
        assert guest.get("/config").status_code == 403 and owner.get("/config").status_code == 200
        again = TestClient(app, base_url="http://localhost")
        assert again.post("/api/v1/session", json=invitation).json()["role"] == "annotator"
        assert again.get("/config").status_code == 403
        assert store.people.of_account(name).id != store.people.named(name).id
    store.close()


def test_no_secret_reaches_the_log(app, settings, caplog):
    store = open_store(settings)
    invitation = store.people.invite("Logged", TRIAL)
    store.close()
    with caplog.at_level(logging.DEBUG):
        client = visitor(app, "rev")
        secrets = [PASSWORD, invitation, client.cookies["annotator"], "a wrong one"]
        client.post("/api/v1/session", json={"name": "rev", "password": "a wrong one"})
        client.post("/gradio_api/queue/join", json={"fn_index": 0, "data": [PASSWORD, invitation]})
        TestClient(app, base_url="http://localhost").post("/api/v1/session", json={"invite": invitation})
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("workbench")]
    assert ours and not [secret for secret in secrets if secret in " ".join(ours)]


def test_what_one_person_uploaded_no_other_can_name(app):
    path = visitor(app, "rita").post("/gradio_api/upload", files={"files": ("a.mp4", b"abc")}).json()[0]
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    body = {"data": [[file], None, ["no such metric"], None]}
    assert visitor(app, "ada").post("/gradio_api/call/evaluate", json=body).status_code == 403
    assert visitor(app, "rita").post("/gradio_api/call/evaluate", json=body).status_code == 200


def test_what_one_person_uploaded_no_other_can_fetch(app):
    """By no way of writing its path; who has uploaded the same file has it as well."""
    rita, ada = visitor(app, "rita"), visitor(app, "ada")
    given = {"files": ("mine.mp4", b"mine alone")}
    path = rita.post("/gradio_api/upload", files=given).json()[0]
    folder, _, name = path.rpartition("/")
    ways = [
        path,
        f"/{path}",
        f"{folder}/./{name}",
        f"{folder}/../{Path(folder).name}/{name}",
        path.replace("m", "%6d"),
    ]
    for way in ways:
        answer = ada.get(f"/gradio_api/file={way}")
        assert answer.status_code in (403, 404) and b"mine" not in answer.content, way
    assert rita.get(f"/gradio_api/file={path}").content == b"mine alone"
    assert ada.post("/gradio_api/upload", files=given).json() == [path]
    assert ada.get(f"/gradio_api/file={path}").content == b"mine alone"


def test_guessing_passwords_is_slowed(tmp_path):
    for name in ("ann", *(f"ann {k}" for k in range(5))):
        add_account(tmp_path / "people", name, "annotator", PASSWORD, cost=10)
    accounts = Accounts(tmp_path / "people")

    async def guess() -> None:
        assert await accounts.check("ann", PASSWORD)
        for k in range(10):
            assert await accounts.check("ann", f"guess {k}") is None
        with pytest.raises(TooManyTries):
            await accounts.check("ann", PASSWORD)  # for a minute
        assert await accounts.check("ann", PASSWORD, "10.0.0.2")  # from elsewhere, guessing shuts nobody out
        for k in range(30):
            assert await accounts.check(f"ann {k % 5}", "guess", "10.0.0.3") is None
        with pytest.raises(TooManyTries):
            await accounts.check("ann", PASSWORD, "10.0.0.3")

    asyncio.run(guess())


@pytest.mark.alone
def test_wrong_passwords_stall_nobody(tmp_path):
    """Ninety at once: few are looked at, one after the other, and everything else is answered meanwhile."""
    add_account(tmp_path / "people", "ann", "annotator", PASSWORD, cost=14)
    accounts = Accounts(tmp_path / "people")

    async def storm() -> float:
        guesses = [asyncio.create_task(accounts.check("ann", f"guess {k}")) for k in range(90)]
        longest, seen = 0.0, time.monotonic()
        while not all(guess.done() for guess in guesses):
            await asyncio.sleep(0.001)
            longest, seen = max(longest, time.monotonic() - seen), time.monotonic()
        answers = await asyncio.gather(*guesses, return_exceptions=True)
        assert sum(isinstance(answer, TooManyTries) for answer in answers) >= 80
        return longest

    assert asyncio.run(storm()) < 1.0


def test_the_file_holds_no_password_and_a_new_one_replaces_the_old(tmp_path):
    path = tmp_path / "people"
    add_account(path, "ann", "annotator", PASSWORD, cost=10)
    add_account(path, "ann", "researcher", "another one", cost=10)
    (account,) = read_accounts(path)
    assert account.role == "researcher" and PASSWORD not in path.read_text() and path.stat().st_mode & 0o077 == 0
    assert asyncio.run(Accounts(path).check("ann", PASSWORD)) is None
    assert asyncio.run(Accounts(path).check("ann", "another one"))


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
        ("a" * 81, "annotator", PASSWORD, "1 to 80 letters"),
    ):
        with pytest.raises(RequestError, match=word):
            add_account(tmp_path / "people", name, role, password)
    assert not (tmp_path / "people").exists()


def test_the_login_page_names_no_models(app):
    assert "shapes" not in visitor(app).get("/login").text + json.dumps(dict(visitor(app).get("/login").headers))


def test_tokens_by_the_command_line(app, settings, capsys):
    """Made once, listed without its secret, used, revoked."""
    data = ["--data-dir", str(settings.data_dir)]
    assert main(["accounts", "token", str(settings.auth), "ada", *data]) == 0
    token = capsys.readouterr().out.strip()
    client = TestClient(app, base_url="http://localhost", headers={"Authorization": f"Bearer {token}"})
    assert client.get("/config").status_code == 200
    assert client.post("/api/v1/next-pair", json={}).status_code == 401  # a program does not vote
    assert main(["accounts", "tokens", "ada", *data]) == 0
    listed = capsys.readouterr().out
    assert token not in listed
    assert main(["accounts", "revoke", "ada", listed.split()[0], *data]) == 0
    app.state.voting.sessions.end_all("nobody")  # another process hears of it within seconds; this one now
    assert client.get("/config").status_code == 401


def test_nobody_acts_by_a_cookie_behind_a_token_of_another(app):
    """Neither in the one's name nor in the other's, at the routes that ask who acts and at those that look."""
    made = visitor(app, "rita").post("/api/v1/tokens", json={}).json()
    before = {name: visitor(app, name).get("/api/v1/tokens").json() for name in ("rita", "ada")}
    for name in PEOPLE:
        client = visitor(app, name)
        client.headers["Authorization"] = f"Bearer {made['token']}"
        for path in ("next-pair", "votes", "consent", "tokens", "tokens/revoke", "sessions/end", "session", "logout"):
            answer = client.post(f"/api/v1/{path}", json={"id": made["id"], "name": name})
            assert answer.status_code == 400 and "more than one credential" in answer.json()["error"], path
        for path in ("/api/v1/tokens", "/api/v1/voting", "/config"):
            assert client.get(path).status_code == 400, path
        del client.headers["Authorization"]
        assert client.get("/api/v1/voting").json()["name"] == name
    assert before == {name: visitor(app, name).get("/api/v1/tokens").json() for name in ("rita", "ada")}


@pytest.mark.parametrize(
    "words, said",
    [
        (["token", "AUTH", "anna"], "access tokens are for a researcher or admin"),
        (["token", "AUTH", "nobody"], "is not in"),
        (["token", "AUTH", "ada", "--days", "0"], "from 1 to 36500"),
        (["token", "AUTH", "ada", "--days", "10000000"], "from 1 to 36500"),
        (["invite", "zed", "--url", "http://localhost", "--days", "10000000"], "from 1 to 36500"),
        (["revoke", "ada", "x"], "has no access token 'x'"),
    ],
)
def test_tokens_that_cannot_be_are_refused(settings, capsys, words, said):
    words = [str(settings.auth) if word == "AUTH" else word for word in words]
    assert main(["accounts", *words, "--data-dir", str(settings.data_dir)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, said",
    [
        (["zoe", "--study", "nope"], "there is no study 'nope' here; `studies list` shows which there are"),
        (["z" * 200], "use 1 to 80 letters"),
        ([" "], "use 1 to 80 letters"),
        (["z\u202ey"], "use 1 to 80 letters"),
        *(
            (["zoe", "--url", url], "is no address of an app; give one as https://lab.example")
            for url in ("javascript:alert(1)", "lab.example", "https://", "https://a.example?x=", "https://a@b", "//x")
        ),
    ],
)
def test_an_invitation_that_leads_nowhere_is_not_made(settings, capsys, words, said):
    assert main(["accounts", "invite", *words, "--data-dir", str(settings.data_dir)]) == 2
    told = capsys.readouterr()
    assert said in told.err and not told.out


@pytest.mark.parametrize("url", ["https://lab.example/wb/", "http://[::1]:7860", "http://127.0.0.1:7860"])
def test_an_invitation_is_made_for_a_study_that_is_there(settings, capsys, url):
    assert (
        main(["accounts", "invite", "Zoe", "--study", TRIAL, "--url", url, "--data-dir", str(settings.data_dir)]) == 0
    )
    assert capsys.readouterr().out.startswith(f"{url.rstrip('/')}/vote?invite=")


@pytest.fixture(scope="module")
def address(app):
    with listening(app) as url:
        yield url


@pytest.mark.parametrize("name, width", [("rita", 1280), ("rita", 390), ("anna", 390)])
def test_people_sign_out_by_a_button(browser, address, name, width):
    """In the frame of every page, and on the Vote page; what was open is closed afterwards."""
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.set_default_timeout(PATIENCE)
    votes = PEOPLE[name] == "annotator"
    page.goto(f"{address}/{f'vote?study={TRIAL}' if votes else 'login?next=/models'}")
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    button = page.get_by_role("button", name="Sign out")
    button.wait_for()
    box = button.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    button.click()
    page.wait_for_url("**/login")
    page.goto(f"{address}/models")
    page.wait_for_url("**/login?next=/models")
    page.close()
