"""What headers of proxies change, over a real connection: nothing, where the owner has not named the proxy."""

import httpx
import pytest

from tests.helpers.tiny_models import tiny_pipeline
from workbench.__main__ import main
from workbench.clips.generation import GenerationService
from workbench.people.accounts import add_account
from workbench.settings import Settings
from workbench.ui.live import live_app

PASSWORD = "correct horse"
EVIL = "evil.example"
NAMES = [f"name {k}" for k in range(8)]


@pytest.fixture(params=[(), ("127.0.0.1",)], ids=["alone", "behind a proxy"], scope="module")
def served(request, tmp_path_factory):
    """A client of an app with accounts, and whether the app was told of a proxy."""
    folder = tmp_path_factory.mktemp("proxies")
    for name in ("rev", *NAMES):
        add_account(folder / "people", name, "reviewer", PASSWORD, cost=10)
    settings = Settings(data_dir=folder / "data", auth=folder / "people", behind_proxy=request.param)
    service = GenerationService(folder / "data", pipelines={"shapes-asd": tiny_pipeline(0)})
    with live_app(service, settings) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client, bool(request.param)


def sign_in(client: httpx.Client, name: str = "rev", password: str = PASSWORD, **headers: str) -> httpx.Response:
    """Signed in by the client's own cookie, when the password is right."""
    client.cookies.clear()
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/api/v1/session", json={"name": name, "password": password}, headers=told)


def test_a_proxy_is_believed_where_it_is_named(served):
    """Only then does its word for https keep the cookie to https, and lead the pages there."""
    client, behind_proxy = served
    answer = sign_in(client, X_Forwarded_Proto="https")
    assert ("Secure" in answer.headers["set-cookie"]) is behind_proxy
    headers = {"Cookie": answer.headers["set-cookie"].partition(";")[0], "X-Forwarded-Proto": "https"}
    client.cookies.clear()
    root = client.get("/config", headers=headers).json()["root"]
    assert root == str(client.base_url.copy_with(scheme="https" if behind_proxy else "http")).rstrip("/")


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "X-Gradio-Server", "Forwarded", "X-Forwarded-Server"])
def test_no_header_names_another_site(served, name):
    client, _ = served
    sign_in(client)
    value = {"Forwarded": f"host={EVIL}", "X-Gradio-Server": f"http://{EVIL}"}.get(name, EVIL)
    for path in ("/config", "/compare", "/login", "/"):
        answer = client.get(path, headers={"Accept": "text/html", name: value})
        assert answer.status_code in (200, 307), path
        assert EVIL not in answer.text + str(answer.headers), path


def test_no_header_lifts_the_limit_on_sign_ins(served):
    """Thirty wrong ones over any names from one address; behind a proxy an address is what the proxy added last."""
    client, behind_proxy = served
    told = {"X_Forwarded_For": "10.0.0.{}", "X_Real_IP": "10.0.0.{}", "Forwarded": "for=10.0.0.{}"}
    if behind_proxy:
        told["X_Forwarded_For"] = "10.0.0.{}, 192.0.2.1"
    statuses = [
        sign_in(client, NAMES[k % 8], "a guess", **{name: text.format(k) for name, text in told.items()}).status_code
        for k in range(32)
    ]
    assert statuses == [401] * 30 + [429] * 2
    other = sign_in(client, X_Forwarded_For="192.0.2.2").status_code
    assert other == (200 if behind_proxy else 429)


@pytest.mark.parametrize("proxy", ["*", "lab.example", "10.0.0.1/8", ""])
def test_what_is_no_address_is_no_proxy(proxy, tmp_path, capsys):
    assert main(["app", "--data-dir", str(tmp_path / "data"), f"--behind-proxy={proxy}"]) == 2
    assert "is not an address or a network" in capsys.readouterr().err
