"""The Dashboard in a running app: its endpoint, its roles, and in a real browser."""

import json

import httpx
import pytest
from gradio_client import Client

from tests.conftest import PATIENCE
from tests.helpers.dashboard_data import METRICS, PROMPTS, SYSTEMS, fill
from tests.helpers.tiny_models import tiny_pipeline
from workbench.clips.generation import GenerationService
from workbench.settings import Settings
from workbench.store import open_store
from workbench.ui.live import live_app


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A read-only server on measured clips."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), read_only=True)
    store = open_store(settings)
    fill(store, seeds=1, data_dir=settings.data_dir)
    store.close()
    pipelines = {"shapes-asd": tiny_pipeline(0), "shapes-self-forcing": tiny_pipeline(1)}
    with live_app(GenerationService(settings.data_dir, pipelines=pipelines), settings) as url:
        yield url


def test_endpoint_and_files_tell_the_same(server):
    client = Client(server, verbose=False)
    filters = {"metrics": list(METRICS), "reference": "shapes-self-forcing:4:0"}
    rows = client.predict(filters, api_name="/leaderboard")
    assert len(rows) == len(SYSTEMS) * len(METRICS)
    query = {"metrics": ",".join(METRICS), "reference": "shapes-self-forcing:4:0"}
    lines = httpx.get(f"{server}/api/v1/leaderboard/leaderboard.csv", params=query).text.splitlines()
    assert len(lines) == len(rows) + 1 and lines[0].split(",") == list(rows[0])
    assert str(rows[0]["mean"])[:8] in lines[1]
    json.dumps(rows, allow_nan=False)
    with pytest.raises(Exception, match="unknown key 'model'"):
        client.predict({"model": "x"}, api_name="/leaderboard")


@pytest.fixture(scope="module")
def page(browser):
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(PATIENCE)
    yield opened
    opened.close()


def test_the_table_begins_on_the_first_screen(server, browser):
    for width, height in ((1440, 900), (390, 844)):
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(f"{server}/dashboard", timeout=PATIENCE)
        page.wait_for_selector("#board tbody tr", timeout=PATIENCE)
        assert page.locator("#board tbody tr").first.bounding_box()["y"] < height
        page.close()


def test_the_page_opens_filters_drills_down_and_its_link_reopens(server, page):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{server}/dashboard?metrics={','.join(METRICS)}&reference=shapes-self-forcing:4:0")
    page.wait_for_selector("#board tbody tr")
    assert page.locator("#board tbody tr").count() == len(SYSTEMS) and "▲" in page.inner_text("#board")

    page.fill("#words textarea, #words input", "blue star")
    page.press("#words textarea, #words input", "Enter")
    page.wait_for_function("() => document.querySelector('#board tbody td').innerText === '1'")  # clips of one prompt
    page.wait_for_function("() => location.search.includes('prompt=blue+star')")

    page.click("#board tbody tr:first-child td:nth-child(3) .wb-open")
    page.wait_for_selector("#prompts-grid tbody .wb-open")
    assert page.locator("#prompts-grid tbody tr").count() == 1
    page.click("#prompts-grid tbody .wb-open")
    page.wait_for_selector("#player .wb-player[data-state=ready]")
    page.wait_for_selector("#curves .main-svg")
    assert page.locator("#player canvas").count() == len(SYSTEMS)
    assert "make this again" not in page.inner_text("#player")  # the server is read-only
    wanted = next(prompt for prompt in PROMPTS if "blue star" in prompt)
    assert wanted in page.inner_text("#clips-status")
    page.wait_for_function("() => location.search.includes('at=a+blue+star')")

    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector("#player .wb-player[data-state=ready]")
    assert (
        wanted in page.inner_text("#clips-status") and page.input_value("#words textarea, #words input") == "blue star"
    )

    page.goto(f"{server}/dashboard?view=charts&metrics={','.join(METRICS)}&metric=sharpness")
    for name in ("dots", "radar", "speed", "time"):
        page.wait_for_selector(f"#chart-{name} .main-svg")
    with page.expect_download() as saved:
        page.click("#chart-dots .wb-save button:has-text('SVG')")
    assert saved.value.suggested_filename == "dashboard-dots.svg"
    page.goto(f"{server}/dashboard?view=nowhere")
    page.wait_for_selector("#status [data-state=error]")
    assert "choose one of leaderboard" in page.inner_text("#status")
    assert not errors
