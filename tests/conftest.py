"""Shared fixtures: a tiny pipeline of the real classes, a service on a temporary folder, a rendered clip."""

import os
import re
import secrets
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator

# before torch loads; inherited by the processes tests start, so that all of them split sums alike; one thread, because
# several workers of pytest share the cores
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import pytest
import torch

from models.pipeline import VideoPipeline
from models.types import RequestError
from models.worlds.shapes import Caption, Combination, render, sample_scene
from tests.helpers.postgresql_server import PostgresqlServer, find_postgresql
from tests.helpers.tiny_models import tiny_pipeline
from workbench.clips.generation import GenerationService
from workbench.lab.browser import find_chromium, open_browser
from workbench.settings import Settings
from workbench.store import Store, open_store

PATIENCE = 180_000  # milliseconds for anything in a browser: slow machines take a minute for a page of charts
PROMPT = "a red circle moving right on a black background"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what drives a browser. It has a second try, for a browser on a crowded machine is late in many ways; the
    summary names what needed it."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session", autouse=True)
def threads() -> None:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture(scope="session")
def tiny() -> VideoPipeline:
    """Random weights at tiny width; registered nowhere but in tests."""
    return tiny_pipeline()


@pytest.fixture
def service(tmp_path, tiny) -> GenerationService:
    """A service whose only loaded model is `tiny-random`, storing below `tmp_path`."""
    return GenerationService(tmp_path / "data", pipelines={"tiny-random": tiny})


@pytest.fixture(scope="session")
def world_clip() -> np.ndarray:
    """A rendered clip (49, 64, 64, 3) uint8 of `PROMPT`."""
    caption = Caption((Combination("red", "circle", "right"),), "black")
    return render(sample_scene(caption, np.random.default_rng(0)))


def png_that_says(width: int, height: int) -> bytes:
    """A PNG whose header tells a size and which holds next to nothing, as a decompression bomb does."""

    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + part(b"IDAT", zlib.compress(bytes(64))) + part(b"IEND", b"")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A running PostgreSQL server; tests that need it are skipped where it is not installed."""
    if find_postgresql() is None:
        pytest.skip("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    server = PostgresqlServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def new_database(request) -> Callable[[], str | None]:
    """Makes the address of a fresh, empty database of each kind."""
    if request.param == "sqlite":
        return lambda: None
    server = request.getfixturevalue("postgresql")
    return lambda: server.new_database(f"test_{secrets.token_hex(6)}")


@pytest.fixture
def store_settings(new_database, tmp_path) -> Settings:
    """Settings with a fresh, empty database of each kind."""
    return Settings(data_dir=tmp_path / "data", database_url=new_database())


@pytest.fixture
def store(store_settings) -> Iterator[Store]:
    opened = open_store(store_settings)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium; tests that need it are skipped where it is not installed."""
    try:
        find_chromium()
        pytest.importorskip("playwright.sync_api").expect.set_options(timeout=PATIENCE)
    except RequestError as error:
        pytest.skip(str(error))
    with open_browser() as opened:
        yield opened


FORGET = "if (!sessionStorage.getItem('begun')) { localStorage.clear(); sessionStorage.setItem('begun', '1'); }"
# what gradio says where a page is left while it still receives: such a page was loaded more than once
BROKEN_OFF = re.compile("^AbortError|Connection errored out")


@pytest.fixture(scope="module")
def profile(browser):
    """One profile for the pages of a module, which then keep the scripts that the browser has compiled."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def open_page(browser, url, profile):
    """Opens a page of the module's `url`, with `options` in a profile of its own; when the test ends, the console must
    have stayed clean and every request gone to this server."""
    problems, pages, loads = [], [], Counter()

    def open_(path: str, selector: str, viewport: dict[str, int] | None = None, **options):
        page = browser.new_page(**options) if options else profile.new_page()
        page.set_viewport_size(viewport or {"width": 1280, "height": 900})
        if not pages:
            page.add_init_script(FORGET)  # what the test before has left
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: problems.append((page, message.text)) if is_problem(message) else None)
        page.on("pageerror", lambda error: problems.append((page, str(error))))
        page.on(
            "request", lambda request: problems.append((page, request.url)) if is_foreign(request.url, url) else None
        )
        page.on("domcontentloaded", lambda _: loads.update([page]))
        pages.append(page)
        page.goto(url + path)
        page.wait_for_selector(selector)
        return page

    yield open_
    for page in pages:
        page.close()
    profile.clear_cookies()
    assert [text for page, text in problems if loads[page] < 2 or not BROKEN_OFF.search(text)] == []


def is_problem(message) -> bool:
    # gradio's own client warns this way at the end of every upload
    return message.type in ("error", "warning") and message.text != "Method not implemented."


def is_foreign(address: str, url: str) -> bool:
    return not address.startswith((url, "data:", "blob:"))
