"""The whole app behind a real reverse proxy that serves it under a prefix: nothing leaves the prefix or fails."""

import httpx
import numpy as np
import pytest
from gradio_client import Client

from tests.helpers.prefix_proxy import behind_prefix
from tests.helpers.tiny_models import tiny_pipeline
from workbench.clips.generation import GenerationService
from workbench.clips.media import write_png
from workbench.settings import Settings
from workbench.ui.live import live_app
from workbench.ui.pages import PAGES

PREFIX = "/lab/video"
PLAYER = "#player .wb-player[data-state=ready]"
PROMPT = "a red circle moving right on a black background"


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    """The address under the prefix, and the paths that were asked for outside it."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), root_path=PREFIX, first_run=False)
    service = GenerationService(settings.data_dir, pipelines={"shapes-asd": tiny_pipeline(0)})
    with live_app(service, settings) as app_url, behind_prefix(app_url, PREFIX) as proxy:
        yield proxy


@pytest.fixture
def url(proxied):
    """Of the proxy; a test fails where a page or program asks outside the prefix."""
    address, strays = proxied
    strays.clear()
    yield address
    assert strays == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.title)
def test_every_page_and_its_assets_load(open_page, page):
    missing = []
    opened = open_page(page.path, ".wb-frame")
    opened.on("response", lambda answer: missing.append(answer.url) if answer.status >= 400 else None)
    opened.reload()
    opened.wait_for_selector(".wb-frame [aria-current=page]")
    opened.wait_for_timeout(500)
    links = opened.eval_on_selector_all(".wb-frame a[href]:not([href^='#'])", "all => all.map((link) => link.href)")
    assert links and all(f"{PREFIX}/" in link for link in links)
    assert missing == []


def test_a_picture_goes_up_and_the_clip_made_of_it_comes_back(open_page, tmp_path):
    path = tmp_path / "start.png"
    write_png(path, np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    page = open_page("/generate?frames=13", "#generate")
    page.click("#source label:has-text('Picture')")
    page.set_input_files("#picture input[type=file]", path)
    page.wait_for_selector("#picture img")
    page.click("#generate")
    page.wait_for_selector("#status [data-state=done]")
    page.wait_for_selector(PLAYER)


def test_the_programming_interfaces_answer_under_the_prefix(url, tmp_path):
    with httpx.Client(base_url=url, headers={"accept": "text/html"}) as client:
        page = client.get("/compare").text  # without a link to an icon a browser asks the server's root for one
        assert 'rel="icon"' in page.split("</head>")[0] and 'href="/' not in page
        assert client.get("/").headers["location"] == f"{PREFIX}/compare"
        assert f'href="{PREFIX}/compare"' in client.get("/nothing-here").text
        assert client.get("/api/v1/health").json()["status"] == "ok"
        assert "/api/v1/health" in client.get("/api/v1/openapi.json").json()["paths"]
    program = Client(url, verbose=False, download_files=str(tmp_path))
    made = program.predict(prompt=PROMPT, model="shapes-asd", frames=13, api_name="/generate")
    assert made
    assert list(tmp_path.rglob("*.mp4"))  # the clip itself, fetched through the proxy
