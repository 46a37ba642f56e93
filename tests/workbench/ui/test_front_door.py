"""What strangers, other sites and forged calls meet at the front door. Each test fails when its hole opens again."""

import json
import re
from pathlib import Path

import anyio
import pytest
from fastapi.testclient import TestClient
from gradio.routes import App

from tests.helpers.tiny_models import tiny_pipeline
from workbench.clips.generation import GenerationService
from workbench.settings import Settings
from workbench.ui.access.uploads import BadCall, Uploads
from workbench.ui.app import build_app

SECRET = "the secret of another person"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def app(data, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        yield build_app(GenerationService(data, pipelines={"shapes-asd": tiny_pipeline(0)}), Settings(data_dir=data))


@pytest.fixture(scope="module")
def gradio(app) -> App:
    """The mounted pages alone, without the front door."""
    return next(route.app for route in app.routes if hasattr(getattr(route, "app", None), "get_blocks"))


@pytest.fixture
def client(app) -> TestClient:
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


@pytest.fixture
def secret(tmp_path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    return path


def file_object(path: str | Path) -> dict:
    return {"path": str(path), "orig_name": "clip.mp4", "meta": {"_type": "gradio.FileData"}}


def upload(client: TestClient, content: bytes = b"abc", name: str = "a.mp4") -> str:
    answer = client.post("/gradio_api/upload", files={"files": (name, content)})
    assert answer.status_code == 200
    return answer.json()[0]


# files


def test_no_handler_takes_a_file_that_was_not_uploaded(client, gradio, secret):
    """Every handler, hidden ones too, with a forged file in place of every input, bare or in a list."""
    functions = gradio.get_blocks().fns
    for index, function in functions.items():
        forged = [file_object(secret), [file_object(secret)]] * len(function.inputs)
        body = {"fn_index": index, "data": forged[: len(function.inputs)], "session_hash": "forger"}
        if function.inputs:
            assert client.post("/gradio_api/queue/join", json=body).status_code == 403, function.api_name
    assert sum(bool(function.inputs) for function in functions.values()) > 50
    assert not list(Path(gradio.uploaded_file_dir).rglob(secret.name))


@pytest.mark.parametrize(
    "way", ["run/predict", "api/predict", "call/evaluate", "call/v2/evaluate", "component_server"]
)
def test_no_way_of_calling_takes_one(client, secret, way):
    body = {"data": [[file_object(secret)], None, None, None], "clips": [file_object(secret)], "fn_index": 18}
    assert client.post(f"/gradio_api/{way}", json=body).status_code == 403


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "file:///etc/passwd", "http://127.0.0.1/x", "http://example.org/x", "", None, 1, ["x"]]
)
def test_no_address_and_no_path_of_the_server_is_a_file(client, path):
    body = {"data": [[file_object("x") | {"path": path}], None, None, None]}
    assert client.post("/gradio_api/call/evaluate", json=body).status_code == 403


def test_an_upload_of_ones_own_is_taken_and_another_path_beside_it_is_not(client, secret):
    own = upload(client)
    for body, status in (
        ({"data": [[file_object(own)], None, ["nope"], None]}, 200),
        ({"data": [[file_object(own), file_object(secret)], None, None, None]}, 403),
        ({"data": [[file_object(f"{own}/../../x")], None, None, None]}, 403),
    ):
        assert client.post("/gradio_api/call/evaluate", json=body).status_code == status


def test_gradio_itself_refuses_too(gradio, secret):
    """The second lock: without the front door a path outside the folder of uploads is still refused."""
    inner = TestClient(gradio, raise_server_exceptions=False)
    evaluate = next(i for i, each in gradio.get_blocks().fns.items() if each.api_name == "evaluate")
    body = {"fn_index": evaluate, "data": [[file_object(secret)], None, ["sharpness"], None], "session_hash": "x"}
    answer = inner.post("/gradio_api/run/predict", json=body)
    assert answer.status_code == 500
    assert not list(Path(gradio.uploaded_file_dir).rglob(secret.name))


@pytest.mark.parametrize("body", [b"no json", b"[" * 100_000, b'{"a":' * 100 + b"1" + b"}" * 100, b"\xff\xfe"])
def test_what_cannot_be_read_is_refused_in_a_sentence(client, body):
    answer = client.post("/gradio_api/queue/join", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 403 and answer.json()["error"].endswith(("object", "one"))


def test_the_checked_body_is_the_one_that_is_read():
    """A key given twice is what the check saw, whichever of the two a later reader would prefer."""
    uploads = Uploads()
    uploads.add("ann", ["/tmp/own"])
    twice = b'{"data": [{"path": "/etc/passwd", "path": "/tmp/own", "url": "http://x", "is_stream": true}]}'
    assert json.loads(uploads.checked("ann", twice)) == {
        "data": [{"path": "/tmp/own", "meta": {"_type": "gradio.FileData"}}]
    }
    assert uploads.checked("ann", twice).count(b"path") == 1
    with pytest.raises(BadCall, match="not uploaded"):
        uploads.checked("bob", twice)


def test_the_oldest_uploads_are_forgotten():
    uploads = Uploads(most=2)
    uploads.add("ann", ["1", "2", "3"])
    assert [uploads.holds("ann", each) for each in "123"] == [False, True, True]


# what cannot be read

EVALUATE = [None, None, ["sharpness"], None]


def sentence_of(answer) -> str:
    assert 400 <= answer.status_code < 500, answer.text
    told = answer.json()["error"]
    assert isinstance(told, str) and "\n" not in told and "pydantic" not in told and "/tmp" not in told, told
    return told


@pytest.mark.parametrize(
    "clips",
    ["clip.mp4", ["clip.mp4"], [1], 1, {"url": "http://127.0.0.1/x"}, [{"url": "file:///x", "meta": {}}], [None]],
)
@pytest.mark.parametrize("way", ["run/evaluate", "api/evaluate"])
def test_what_is_no_upload_is_told_in_a_sentence(client, caplog, capsys, clips, way):
    answer = client.post(f"/gradio_api/{way}", json={"data": [clips, *EVALUATE[1:]]})
    told = sentence_of(answer)
    assert told.startswith("clips is ") and "upload the file" in told
    assert "Traceback" not in caplog.text + "".join(capsys.readouterr())


@pytest.mark.parametrize("body", [{"data": 5}, {"data": [], "fn_index": "x"}, {"data": None}])
def test_a_call_of_another_shape_is_told_in_a_sentence(client, body):
    assert "and it should be a valid" in sentence_of(client.post("/gradio_api/run/generate", json=body))


def test_an_upload_that_was_cleared_away_is_told(client):
    path = upload(client)
    Path(path).unlink()
    answer = client.post("/gradio_api/run/evaluate", json={"data": [[file_object(path)], *EVALUATE[1:]]})
    assert "upload it again" in sentence_of(answer)


@pytest.mark.parametrize("given", [-1000, 10**9, "x", [0], 1.5, {}])
def test_every_handler_refuses_what_its_fields_cannot_take(client, gradio, capsys, given):
    """A sentence, or an answer: in no field of any page does a value of another kind end in a fault."""
    seen = 0
    for index, function in gradio.get_blocks().fns.items():
        if any(type(block).__name__ in ("File", "Image", "Dataset", "UploadButton") for block in function.inputs):
            body = {"fn_index": index, "data": [given] * len(function.inputs), "session_hash": "x"}
            answer = client.post("/gradio_api/run/predict", json=body)
            assert answer.status_code == 200 or sentence_of(answer), function.api_name
            seen += 1
    assert seen > 4 and "Traceback" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "path, told",
    [
        ("/api/v1/clips?offset=1e3", 'offset is "1e3", and it should be a valid integer'),
        ("/api/v1/results/s/report.json?least_checks=nan", "least_checks is "),
        ("/api/v1/results/s/report.json?version=0", "and it should be greater than or equal to 1"),
        ("/api/v1/export/sheet.mp4", "clips is missing; the API page says what is taken"),
        ("/api/v1/export/sheet.mp4?clips=x&columns=x", 'columns is "x"'),
        ("/gradio_api/queue/data", "session_hash is missing"),
        ("/gradio_api/queue/data?session_hash=x", "no call with answers to come"),
        ("/gradio_api/call/models/x", "no call with answers to come"),
    ],
)
def test_parameters_that_cannot_be_read_are_told_in_a_sentence(client, caplog, path, told):
    answer = client.get(path)
    assert told in sentence_of(answer)
    assert answer.json()["detail"] == answer.json()["error"] and "Traceback" not in caplog.text


# hosts and origins


SOME_HOST = re.compile(r"[a-z0-9.]+(:[1-9][0-9]{,3})?")


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:7860", "localhost.evil.example", "127.0.0.1.nip.io", ""),
        *("127.0.0.1:1@evil", "localhost:evil", "localhost/x", "[::1]x", "[::1", "local host"),
        *("127.0.0.1:99999", "localhost:0"),
    ],
)
def test_a_foreign_name_does_not_lead_here(client, host):
    """A page of another site whose name was bent to this machine reads nothing and changes nothing."""
    for path in ("/api/v1/health", "/config", "/media/x"):
        told = client.get(path, headers={"Host": host})
        assert told.status_code == 421 and ("--allowed-host" in told.text) == bool(SOME_HOST.fullmatch(host))
    assert client.post("/api/v1/session", json={"name": "x"}, headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    "path", ["/media/%00", "/api/v1/media/a%00b", "/api/v1/voting?study=%00", "/compare?prompt=%00"]
)
def test_an_address_with_a_null_character_leads_nowhere(client, path):
    """PostgreSQL answers such a name with an error, and so would the file system."""
    answer = client.get(path)
    assert answer.status_code == 404 and "null character" in answer.json()["error"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7860", "127.0.0.1:1", "[::1]:7860"])
def test_this_machine_has_its_names(client, host):
    assert client.get("/api/v1/health", headers={"Host": host}).status_code == 200


def test_more_names_are_given_at_the_start(data):
    settings = Settings(data_dir=data, allowed_host=("Lab.example",), framed_by=("https://huggingface.co",))
    app = build_app(GenerationService(data, pipelines={"shapes-asd": tiny_pipeline(0)}), settings)
    answer = TestClient(app).get("/api/v1/health", headers={"Host": "lab.example:80"})
    assert answer.status_code == 200
    assert "frame-ancestors 'self' https://huggingface.co" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/gradio_api/upload", "/gradio_api/queue/join", "/api/v1/session", "/api/v1/votes"])
def test_another_sites_page_changes_nothing(client, path, headers):
    if path.endswith("upload"):
        answer = client.post(path, files={"files": ("a.mp4", b"abc")}, headers=headers)
    else:
        answer = client.post(path, json={"name": "x"}, headers=headers)
    assert answer.status_code == 403 and "another site" in answer.json()["error"]


def test_our_own_pages_do(client):
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/v1/session", json={"name": "x"}, headers=own).status_code == 200


# headers and state


def test_every_answer_tells_browsers_to_be_careful(client):
    for path in ("/compare", "/api/v1/health", "/nothing", "/vote", "/config"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "same-origin", path
        assert "frame-ancestors" in headers["content-security-policy"], path


def test_an_uploaded_page_runs_nothing(client):
    path = upload(client, b"<script>alert(1)</script>", "page.html")
    headers = client.get(f"/gradio_api/file={path}").headers
    assert headers["content-security-policy"].startswith("sandbox") and "attachment" in headers["content-disposition"]


def test_the_state_of_visitors_is_bounded(gradio):
    assert gradio.get_blocks().state_holder.capacity <= 500


@pytest.mark.parametrize("path", ["/api/v1/votes", "/api/v1/clips", "/gradio_api/upload", "/gradio_api/queue/join"])
def test_who_leaves_in_the_middle_of_a_request_raises_nothing(app, path):
    parts = iter([{"type": "http.request", "body": b'{"assignm', "more_body": True}, {"type": "http.disconnect"}])
    sent = []

    async def receive() -> dict:
        return next(parts)

    async def send(message: dict) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"100")]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": path.encode()}
    scope |= {"query_string": b"", "headers": headers, "scheme": "http", "server": ("localhost", 80), "root_path": ""}
    anyio.run(app, scope | {"client": ("127.0.0.1", 5)}, receive, send)
    assert not any(message.get("status") == 200 for message in sent)


SENSELESS = [{"fn_index": number, "data": [], "session_hash": "x"} for number in (-1, 10_000, 1e20)] + [None, [], 3]


@pytest.mark.parametrize("path", ["queue/join", "run/predict", "api/models", "run/nothing", "cancel", "reset"])
@pytest.mark.parametrize("body", SENSELESS, ids=str)
def test_a_call_that_no_page_makes_ends_in_a_sentence(client, caplog, path, body):
    answer = client.post(f"/gradio_api/{path}", json=body)
    assert 400 <= answer.status_code < 500 and answer.json()
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("path", ["/static/", "/assets/", "/svelte/", "/gradio_api/file=", "/gradio_api/static/"])
def test_a_name_too_long_for_a_file_is_not_there(client, path):
    assert 400 <= client.get(path + 5000 * "a").status_code < 500


def test_an_upload_without_a_name_ends_in_a_sentence(client):
    kind = "multipart/form-data; boundary=x"
    content = b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\nabc\r\n--x--\r\n'
    answer = client.post("/gradio_api/upload", content=content, headers={"content-type": kind})
    assert 400 <= answer.status_code < 500 and answer.json()["error"]
