"""The tools of the app over the Model Context Protocol, by the protocol's own client."""

import ast
import asyncio
import base64
import json
import re
from pathlib import Path

import httpx
import pytest
from gradio_client import Client
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from tests.helpers.tiny_models import tiny_pipeline
from workbench.clips.generation import GenerationService
from workbench.people.accounts import add_account, remove_account
from workbench.settings import Settings
from workbench.ui.live import live_app

TOOLS = ("models", "generate", "compare", "evaluate", "leaderboard")
PROMPT = "a red circle moving right on a black background"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def url(data):
    service = GenerationService(data, pipelines={"shapes-asd": tiny_pipeline(0)})
    with live_app(service, Settings(data_dir=data)) as address:
        yield f"{address}/gradio_api/mcp/"


def asked(url: str, name: str = "", arguments: dict | None = None, headers: dict | None = None):
    """The list of tools, or what a tool answers."""

    async def ask():
        async with (
            httpx.AsyncClient(headers=headers, timeout=120) as client,
            streamable_http_client(url, http_client=client) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await (session.call_tool(name, arguments or {}) if name else session.list_tools())

    return asyncio.run(ask())


def test_every_tool_is_there_and_says_what_it_takes(url):
    """Unit, range and default of every parameter, as the protocol's client reads them."""
    tools = {tool.name: tool for tool in asked(url).tools}
    assert set(tools) == set(TOOLS) == set(CALLS)
    for tool in tools.values():
        assert tool.description
        for name, taken in tool.inputSchema["properties"].items():
            assert TOLD.search(taken.get("description", "")), (tool.name, name, taken)
    assert "unit: steps" in tools["generate"].inputSchema["properties"]["steps"]["description"]


TOLD = re.compile(r"Type: .+; unit: .+; range: .+; default: .+[.]$")
SIDES = [{"model": "shapes-asd", "steps": 1}, {"model": "shapes-asd", "steps": 2}]
# arguments for every tool, and what its answer holds; CLIP is one that is made first
CALLS = {
    "models": ({}, "shapes-asd"),
    "generate": ({"model": "shapes-asd", "prompt": PROMPT, "steps": 1, "frames": 13}, PROMPT),
    "compare": ({"prompt": PROMPT, "sides": SIDES, "frames": 13}, "ASD (shapes) 2"),
    "evaluate": ({"clip_ids": ["CLIP"], "metrics": ["sharpness"]}, "sharpness"),
    "leaderboard": ({"filters": {"metrics": ["sharpness"]}}, "[]"),  # nothing of the store is measured
}


def by_protocol(url: str, tool: str, arguments: dict) -> str:
    answer = asked(f"{url}/gradio_api/mcp/", tool, arguments)
    told = json.dumps([getattr(part, "text", "") for part in answer.content])
    assert not answer.isError, told
    return told


def by_gradio(url: str, tool: str, arguments: dict) -> str:
    client = Client(url, verbose=False, download_files=False)
    return json.dumps(client.predict(**arguments, api_name=f"/{tool}"), default=str)


@pytest.mark.parametrize("call", [by_protocol, by_gradio])
def test_every_tool_answers_both_clients(url, data, call):
    for tool, (arguments, expected) in CALLS.items():
        (clip, *_) = [path.stem for path in sorted((data / "clips").glob("*.mp4"))] or [""]
        if "clip_ids" in arguments:
            arguments = arguments | {"clip_ids": [clip]}
        assert expected in call(url.removesuffix("/gradio_api/mcp/"), tool, arguments), tool


def test_a_tool_refuses_in_words(url):
    wrong = asked(url, "generate", {"model": "nope", "prompt": PROMPT})
    assert wrong.isError and "not in the registry" in wrong.content[0].text


CLIP = Path(__file__).parents[2] / "cases" / "base.mp4"
NO_ADDRESS = "never a path or an address"
WRONG_FILES = {
    "/etc/passwd": NO_ADDRESS,
    "file:///etc/passwd": NO_ADDRESS,
    "http://127.0.0.1:1/x.mp4": NO_ADDRESS,
    "": NO_ADDRESS,
    "data:text/plain,x": NO_ADDRESS,
    "data:video/mp4;base64,@@@": "not base64",
    "data:;base64,": "nothing follows",
}


def data_url(content: bytes, kind: str = "video/mp4") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize("file", WRONG_FILES)
def test_no_tool_takes_a_path_or_an_address_for_a_file(url, file):
    """In one sentence that says what is taken, and before anything is asked for or opened."""
    for name, place, arguments in (
        ("evaluate", "clips[1]", {"clips": [data_url(CLIP.read_bytes()), file], "metrics": ["sharpness"]}),
        ("generate", "image", {"model": "shapes-asd", "prompt": PROMPT, "image": file}),
        ("generate", "video", {"model": "shapes-asd", "prompt": PROMPT, "video": file}),
    ):
        answer = asked(url, name, arguments)
        told = answer.content[0].text
        assert answer.isError and told.startswith(f"{place} is {json.dumps(file)}"[:60]), told
        assert WRONG_FILES[file] in told and "\n" not in told, told


def test_tools_take_files_as_data(url):
    """Several in a list, and one by itself; a file that is no video is told in the result."""
    clips = [data_url(CLIP.read_bytes()), data_url(b"no video")]
    answer = asked(url, "evaluate", {"clips": clips, "metrics": ["sharpness"]})
    assert not answer.isError, answer.content
    first, second = ast.literal_eval(answer.content[0].text)["clips"]
    assert first["values"]["sharpness"] > 0 and second["skipped"]
    made = {"model": "shapes-asd", "prompt": PROMPT, "steps": 1, "frames": 13, "video": clips[0]}
    answer = asked(url, "generate", made)
    assert not answer.isError and PROMPT in str(answer.content), answer.content


def test_the_types_of_all_arguments_can_be_looked_up(url):
    """A client that checks arguments by their schema finds all that the schema names."""
    for tool in asked(url).tools:
        assert "$ref" not in json.dumps(tool.inputSchema), tool.name
    files = {tool.name: tool.inputSchema["properties"] for tool in asked(url).tools}
    assert files["evaluate"]["clips"]["items"]["type"] == files["generate"]["video"]["type"] == "string"


# with accounts

PEOPLE = ("researcher", "admin", "reviewer", "annotator")
PASSWORD = "a password"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """An app with accounts, and its auth file."""
    folder = tmp_path_factory.mktemp("guarded")
    for role in PEOPLE:
        add_account(folder / "people", role, role, PASSWORD, cost=10)
    service = GenerationService(folder / "data", pipelines={"shapes-asd": tiny_pipeline(0)})
    with live_app(service, Settings(data_dir=folder / "data", auth=folder / "people")) as address:
        yield address, folder / "people"


def signed_in(address: str, name: str) -> httpx.Client:
    client = httpx.Client(base_url=f"{address}/api/v1", timeout=60)
    assert client.post("/session", json={"name": name, "password": PASSWORD}).is_success
    return client


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def refused(url: str, headers: dict | None) -> bool:
    try:
        asked(url, headers=headers)
    except BaseExceptionGroup as group:
        statuses = {error.response.status_code for error in leaves(group) if hasattr(error, "response")}
        assert statuses and statuses <= {401, 403}, leaves(group)
        return True
    return False


def leaves(group: BaseExceptionGroup) -> list[BaseException]:
    return [leaf for each in group.exceptions for leaf in (leaves(each) if hasattr(each, "exceptions") else [each])]


@pytest.mark.parametrize("role", ["researcher", "admin"])
def test_who_makes_uses_the_tools_by_a_token(guarded, role):
    """By the protocol's own client, and by Gradio's; what waits in a queue and what does not."""
    address, _ = guarded
    made = signed_in(address, role).post("/tokens", json={}).json()
    url, headers = f"{address}/gradio_api/mcp/", bearing(made["token"])
    assert {tool.name for tool in asked(url, headers=headers).tools} == set(TOOLS)
    assert "shapes-asd" in asked(url, "models", headers=headers).content[0].text
    answer = asked(url, "generate", {"model": "shapes-asd", "prompt": PROMPT, "steps": 1, "frames": 13}, headers)
    assert not answer.isError and any(PROMPT in getattr(part, "text", "") for part in answer.content)
    client = Client(address, headers=headers, verbose=False, download_files=False)
    clip, manifest = client.predict(model="shapes-asd", prompt=PROMPT, steps=1, frames=13, api_name="/generate")
    assert clip and manifest["prompt"] == PROMPT


def test_a_token_opens_nothing_once_it_is_revoked_or_its_account_is_gone(guarded):
    address, people = guarded
    add_account(people, "temp", "researcher", PASSWORD, cost=10)
    client, url = signed_in(address, "temp"), f"{address}/gradio_api/mcp/"
    first, second = (client.post("/tokens", json={"days": 1}).json() for _ in range(2))
    listed = client.get("/tokens").json()["tokens"]
    assert {row["id"] for row in listed} == {first["id"], second["id"]}
    assert first["token"] not in str(listed)
    assert client.post("/tokens/revoke", json={"id": first["id"]}).json() == {"revoked": first["id"]}
    assert refused(url, bearing(first["token"])) and not refused(url, bearing(second["token"]))
    assert client.post("/tokens/revoke", json={"id": first["id"]}).status_code == 404
    assert signed_in(address, "admin").post("/tokens/revoke", json={"id": second["id"]}).status_code == 404
    remove_account(people, "temp")
    assert refused(url, bearing(second["token"]))


def test_nobody_else_gets_or_uses_a_token(guarded):
    address, _ = guarded
    url = f"{address}/gradio_api/mcp/"
    assert refused(url, None) and refused(url, bearing("guess"))
    for role in ("reviewer", "annotator"):
        client = signed_in(address, role)
        assert client.post("/tokens", json={}).status_code == 403
        assert refused(url, {"Cookie": f"annotator={client.cookies['annotator']}"})
    client = signed_in(address, "researcher")
    token = client.post("/tokens", json={}).json()["token"]
    cookie = client.cookies["annotator"]
    assert refused(url, bearing(cookie)) and refused(url, {"Cookie": f"annotator={token}"})  # each has its own place
    another = httpx.post(f"{address}/api/v1/tokens", json={}, headers=bearing(token))
    assert another.status_code == 401  # tokens make none
    for days in (0, 366, "1", True, None):
        assert client.post("/tokens", json={"days": days}).status_code == 422
