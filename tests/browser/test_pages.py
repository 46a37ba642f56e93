"""What holds on every page: the frame around it, one width, a title, and that screen readers can use it."""

import re

import httpx
import pytest

from tests.helpers.page_faults import cut_texts, faults
from tests.helpers.page_words import found_in, riddles
from tests.helpers.tiny_models import tiny_pipeline
from workbench.clips.generation import GenerationService
from workbench.people.accounts import add_account
from workbench.requests.links.compare import compare_link
from workbench.requests.systems import System
from workbench.settings import Settings
from workbench.ui.app import build_app
from workbench.ui.frame import PRODUCT
from workbench.ui.live import listening, live_app
from workbench.ui.pages import PAGES

PROMPT = "a red circle moving right on a black background"
BROWSER = {"accept": "text/html,*/*"}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    service = GenerationService(data, pipelines={"shapes-asd": tiny_pipeline(0)})
    with live_app(service, Settings(data_dir=data)) as address:
        yield address


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.title)
def test_the_frame_is_around_every_page(open_page, page):
    opened = open_page(page.path, ".wb-frame", viewport={"width": 1440, "height": 900}, color_scheme="light")
    opened.wait_for_function("(title) => document.title === title", arg=f"{page.title} · {PRODUCT}")
    opened.wait_for_timeout(1500)
    grounds = []
    for scheme in ("light", "dark"):
        opened.emulate_media(color_scheme=scheme)
        opened.wait_for_timeout(500)
        grounds.append(opened.evaluate("() => getComputedStyle(document.body).backgroundColor"))
        assert faults(opened) == []
    assert grounds[0] != grounds[1]
    assert page.title == "API" or riddles(opened) == []  # programs are spoken to in their own words
    assert opened.inner_text(".wb-frame [aria-current=page]") == page.title
    assert opened.locator("h1").all_inner_texts() == [page.title]
    assert opened.evaluate("() => document.querySelector('main').getBoundingClientRect().width") == 1216


HIDDEN_STEPS = """() => [...document.querySelectorAll('.wb-side-card .wb-segments label')].filter((label) => {
  const box = label.getBoundingClientRect(), card = label.closest('.block').getBoundingClientRect();
  return box.width > 0 && (box.left < card.left || box.right > card.right + 1);
}).map((label) => label.innerText)"""


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("sides", [2, 3, 4])
def test_all_step_counts_of_a_side_are_in_sight(open_page, sides, width):
    systems = [System("shapes-asd", steps) for steps in (4, 1, 2, 3)][:sides]
    page = open_page(compare_link(systems, PROMPT, 0, 1), "#side-A", viewport={"width": width, "height": 900})
    page.wait_for_selector("#player .wb-player[data-state=ready]")
    assert page.locator(".wb-side-card .wb-segments:visible").count() == sides
    assert page.evaluate(HIDDEN_STEPS) == []


@pytest.mark.parametrize(
    "said",
    [
        "chunk 0",
        "frame 0 / 48",
        "67%",
        "one a line",
        "a vote a pair",
        "4 first steps",
        "5 clips in all",
        "cached anew",
        "asd:1*",
        "shapes-asd:1:4",
        "asd:4,1,2",
        "Look again",
        "2.379e+04",
        "-0.0",
        "1 frames",
        "a orange square",
        "t2v",
        "null %",
    ],
)
def test_the_finder_of_odd_words_sees(said):
    assert found_in(said)


@pytest.mark.parametrize(
    "said",
    [
        "chunk 1",
        "frame 1 of 49",
        "67 %",
        "one per line",
        "5 clips",
        "ASD 1*",
        "1 frame",
        "at 10:30",
        "in all of them",
        "2: a",
    ],
)
def test_the_finder_of_odd_words_lets_plain_ones_be(said):
    assert found_in(said) == []


def test_the_vote_page_is_clean_too(open_page):
    opened = open_page("/vote", "#vote h1")
    for scheme in ("light", "dark"):
        opened.emulate_media(color_scheme=scheme)
        assert faults(opened) == []
        # the name of the product is that of a method, and annotators must not think of one
        assert opened.title() == "Vote"


def test_the_bar_has_four_groups_and_the_first_key_skips_it(open_page):
    page = open_page("/models", "#models-table table")
    groups = page.eval_on_selector_all(".wb-nav-group", "all => all.map((group) => group.ariaLabel)")
    assert groups == ["Make", "Measure", "People", "Evidence"]
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Skip to the page"


@pytest.mark.parametrize("path", [page.path for page in PAGES])
def test_a_phone_is_not_scrolled_sideways(open_page, path):
    page = open_page(path, ".wb-frame", viewport={"width": 390, "height": 844})
    page.wait_for_timeout(1000)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert cut_texts(page) == []
    shown = """() => {
      const place = (name) => document.querySelector(name).getBoundingClientRect();
      const [bar, at] = [place('.wb-frame nav'), place('.wb-frame [aria-current]')];
      return at.left >= bar.left && at.right <= bar.right;
    }"""
    assert page.evaluate(shown)  # the bar has scrolled to the page one is on


def test_addresses_people_type_lead_somewhere(url):
    with httpx.Client(base_url=url, headers=BROWSER) as client:
        assert client.get("/").headers["location"] == "/compare"
        assert client.get("/?prompt=a&steps=1").headers["location"] == "/generate?prompt=a&steps=1"
        missing = client.get("/nothing-here")
        assert missing.status_code == 404 and "no page at this address" in missing.text
        assert 'href="/compare"' in missing.text
        assert client.get("/api/v1/nothing", headers={"accept": "*/*"}).json() == {
            "detail": "there is nothing at this address",
            "error": "there is nothing at this address",
        }


@pytest.fixture(scope="module")
def prefixed(tmp_path_factory):
    """The app for people of an auth file, behind a proxy that serves it under /lab and takes the prefix off."""
    data = tmp_path_factory.mktemp("data")
    add_account(data / "people", "rita", "researcher", "a password", cost=10)
    settings = Settings(data_dir=data, root_path="/lab", auth=data / "people")
    app = build_app(GenerationService(data, pipelines={"shapes-asd": tiny_pipeline(0)}), settings)

    async def proxy(scope, receive, send):
        if scope["type"] == "http":
            assert scope["path"].startswith("/lab"), f"{scope['path']} leaves the prefix"
            path = scope["path"].removeprefix("/lab") or "/"
            scope = scope | {"path": path, "raw_path": path.encode()}
        await app(scope, receive, send)

    with listening(proxy) as address:
        yield address


def test_behind_a_proxy_with_a_prefix_pages_make_and_show_clips(browser, prefixed):
    page, problems = browser.new_page(), []
    page.set_default_timeout(180_000)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("response", lambda answer: problems.append(answer.url) if answer.status >= 400 else None)
    page.goto(f"{prefixed}/lab/compare?frames=13&seed=5")
    page.wait_for_url(re.compile("/lab/login[?]next="))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert faults(page) == []
    page.fill("#name", "rita")
    page.fill("#password", "a password")
    page.click("#login button")
    page.wait_for_url("**/lab/compare?*seed=5*frames=13*")  # where the visitor was going, to the last setting
    page.wait_for_selector(".wb-frame")
    page.click(".wb-frame a:has-text('Generate')")
    page.wait_for_url("**/lab/generate*")
    page.wait_for_selector("#generate")
    page.fill("#frames input", "13")
    page.click("#generate")
    page.wait_for_selector("#status [data-state=done]")
    page.wait_for_selector("#player .wb-player[data-state=ready]")
    page.close()
    assert problems == []
