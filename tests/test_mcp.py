"""The tools of the app over the Model Context Protocol, by the protocol's own client."""

import asyncio
import json

import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from models.pipeline import tiny_pipeline
from workbench.generation import GenerationService
from workbench.settings import Settings
from workbench.ui.live import live_app

TOOLS = ("models", "generate", "compare", "evaluate", "leaderboard")
PROMPT = "a red circle moving right on a black background"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    service = GenerationService(data, pipelines={"shapes-asd": tiny_pipeline(0)})
    with live_app(service, Settings(data_dir=data)) as address:
        yield f"{address}/gradio_api/mcp/"


def asked(url: str, name: str = "", arguments: dict | None = None):
    """The list of tools, or what a tool answers."""

    async def ask():
        async with streamable_http_client(url) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            return await (session.call_tool(name, arguments or {}) if name else session.list_tools())

    return asyncio.run(ask())


def test_every_tool_is_there_and_says_what_it_takes(url):
    tools = {tool.name: tool for tool in asked(url).tools}
    assert set(tools) == set(TOOLS)
    taken = tools["generate"].inputSchema["properties"]
    assert "default 4" in taken["steps"]["description"]
    assert "0 (kept as it is) to 1" in taken["strength"]["description"]
    for tool in tools.values():
        assert tool.description and all(each.get("description") for each in tool.inputSchema["properties"].values())


def test_the_tools_answer(url):
    rows = asked(url, "models").content[0].text
    assert "shapes-asd" in rows
    made = asked(url, "generate", {"model": "shapes-asd", "prompt": PROMPT, "steps": 1, "frames": 13})
    assert not made.isError and any(PROMPT in getattr(part, "text", "") for part in made.content)
    sides = [{"model": "shapes-asd", "steps": 1}, {"model": "shapes-asd", "steps": 2}]
    both = asked(url, "compare", {"prompt": PROMPT, "sides": sides, "frames": 13})
    assert not both.isError and "ASD 2" in json.dumps([getattr(part, "text", "") for part in both.content])
    assert not asked(url, "leaderboard").isError
    wrong = asked(url, "generate", {"model": "nope", "prompt": PROMPT})
    assert wrong.isError and "not in the registry" in wrong.content[0].text


@pytest.mark.parametrize("file", ["/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/x.mp4"])
def test_no_tool_takes_a_path_or_an_address_for_a_file(url, file):
    """A tool's call comes back through the front door, where only uploads are files."""
    for name, arguments in (
        ("evaluate", {"clips": [file], "metrics": ["sharpness"]}),
        ("generate", {"model": "shapes-asd", "prompt": PROMPT, "image": file}),
    ):
        answer = asked(url, name, arguments)
        assert answer.isError, name
