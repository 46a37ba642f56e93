"""The first minute of each role on a fresh data folder, on a desk and on a phone, in a real Chromium.

Pictures of every stop are kept in the folder that the environment variable SCREENSHOTS names, if there is one.
"""

import os
from pathlib import Path

import pytest

from tests.helpers.page_faults import faults
from tests.helpers.page_words import riddles
from workbench.clips.generation import GenerationService
from workbench.lab.drawn_study import make_trial, trial_study
from workbench.settings import Settings
from workbench.ui.frame import PRODUCT
from workbench.ui.live import live_app

SIZES = {"desk": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
FOLD = 700
WIDTHS = {"desk": 1216, "phone": 390}
PLAYER = "#player .wb-player[data-state=ready]"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A new folder with the clips of one study drawn, which for models takes longer than a minute."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), min_watch=0.1, first_run=True)
    make_trial(settings, trial_study(1, id="drawn"))
    with live_app(GenerationService(settings.data_dir), settings) as address:
        yield address


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(params=SIZES)
def visitor(open_page, pictures, request):
    """A visitor with a screen of one size; looks around at every stop."""
    return Visitor(open_page, pictures, request.param)


class Visitor:
    def __init__(self, open_page, pictures: Path, size: str) -> None:
        self.open_page, self.pictures, self.size = open_page, pictures, size
        self.page, self.stops = None, 0

    def comes_to(self, path: str, selector: str):
        self.page = self.open_page(path, selector, viewport=SIZES[self.size])
        return self.page

    def looks(self, role: str, title: str, product: str = f" · {PRODUCT}") -> None:
        """The page is titled, as wide as it should be, and nothing on it keeps people out."""
        self.page.wait_for_function("(title) => document.title === title", arg=title + product)
        self.stops += 1
        name = f"{role}-{self.size}-{self.stops}-{title.lower()}.png"
        self.page.screenshot(path=self.pictures / name, full_page=True)
        assert self.page.evaluate("() => document.documentElement.scrollWidth") <= SIZES[self.size]["width"]
        if product and self.size == "desk":
            assert self.page.evaluate("() => document.querySelector('main').clientWidth") == WIDTHS[self.size]
        assert faults(self.page) == [] and riddles(self.page) == []

    def goes_to(self, title: str, selector: str) -> None:
        self.page.click(f".wb-frame a:text-is('{title}')")
        self.page.wait_for_selector(selector)

    def finds_above_the_fold(self, *selectors: str) -> None:
        bottoms = {
            selector: self.page.locator(selector).first.evaluate(
                "(node) => node.getBoundingClientRect().bottom + window.scrollY"
            )
            for selector in selectors
        }
        assert max(bottoms.values()) <= FOLD, bottoms


def test_a_researcher_sees_two_models_in_step_and_makes_a_clip(visitor):
    page = visitor.comes_to("/", PLAYER)  # nothing pressed: the comparison is there
    assert page.url.endswith("/compare") or "/compare?" in page.url
    page.wait_for_selector("#status [data-state=done]")
    visitor.finds_above_the_fold("#prompt", "#compare", "#side-A input", "#side-A .wb-segments")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    shown = page.eval_on_selector_all("#player .wb-picture", "all => all.map((picture) => picture.dataset.frame)")
    assert shown == ["1", "1"]
    page.wait_for_function("() => location.search.includes('frame_number=2')")
    visitor.looks("researcher", "Compare")
    visitor.goes_to("Generate", "#generate")
    visitor.finds_above_the_fold("#prompt", "#model", "#steps", "#generate")
    page.click("#generate")
    page.wait_for_selector("#status [data-state=done]")
    page.wait_for_selector(PLAYER)
    visitor.looks("researcher", "Generate")


MAIN_BUTTONS = {"grid": "#make", "insight": "#watch", "evaluate": "#run", "studies": "#save"}


@pytest.mark.parametrize(("path", "button"), MAIN_BUTTONS.items(), ids=MAIN_BUTTONS)
def test_the_main_button_is_above_the_fold(visitor, path, button):
    visitor.comes_to(f"/{path}", f"{button}:visible")
    visitor.page.wait_for_function("() => window.formFilled")
    visitor.finds_above_the_fold(button)


def test_the_clips_and_their_bar_fit_the_screen_of_a_desk(open_page):
    page = open_page("/compare", PLAYER, viewport=SIZES["desk"])
    page.wait_for_selector("#status [data-state=done] .wb-facts")
    boxes = [page.locator(f"#player {part}").first.bounding_box() for part in ("canvas", ".wb-bar")]
    canvas, bar = (box["y"] + box["height"] for box in boxes)
    assert bar <= SIZES["desk"]["height"] and canvas <= boxes[1]["y"] + 1 and boxes[0]["width"] >= 300


def test_an_evaluation_opens_with_its_form_and_is_marked_when_others_are_chosen(open_page):
    page = open_page("/compare", PLAYER, viewport=SIZES["desk"])
    made = open_page(page.get_attribute("#status a:has-text('Evaluate these clips')", "href"), "#run")
    made.wait_for_function("() => document.querySelectorAll('.wb-clips input:checked').length === 2")
    chosen = made.locator(".wb-checklist input:checked").count()
    made.click("#run")
    made.wait_for_function("() => location.search.includes('run=')")
    seen = open_page(f"/evaluate{made.evaluate('() => location.search')}", PLAYER)
    seen.wait_for_function("() => document.querySelectorAll('.wb-clips input:checked').length === 2")
    assert seen.inner_text(".wb-count") == "2 clips chosen"
    assert seen.locator(".wb-clips input").nth(1).is_checked()  # what is chosen comes first
    assert seen.locator(".wb-checklist input:checked").count() == chosen
    seen.click(".wb-checklist input:checked >> nth=0")
    seen.wait_for_selector("body[data-stale]")
    seen.click(".wb-checklist input:not(:checked):not(:disabled) >> nth=0")
    seen.wait_for_selector("body:not([data-stale])")


def test_an_annotator_votes_by_keyboard_and_is_told_it_is_saved(visitor):
    page = visitor.comes_to("/vote?study=drawn", "#name")
    visitor.looks("annotator", "Vote", "")
    page.fill("#name", f"Kay {visitor.size}")
    page.keyboard.press("Enter")
    page.wait_for_selector(".vote-answer:not(:disabled)")
    wide = page.evaluate("() => document.querySelector('#vote canvas').getBoundingClientRect().width")
    assert wide >= 170
    visitor.looks("annotator", "Vote", "")
    page.keyboard.press("1")
    page.wait_for_selector("h1:text-is('Thank you!')")
    visitor.looks("annotator", "Vote", "")


def test_a_reviewer_goes_from_a_claim_to_the_clips_behind_it(visitor):
    page = visitor.comes_to("/dashboard", "#status .wb-line")  # empty still: it says what it will hold
    visitor.looks("reviewer", "Dashboard")
    visitor.goes_to("Claims", "#checklist table")
    assert "Of " in page.inner_text("#status") and " confirmed" in page.inner_text("#status")
    visitor.looks("reviewer", "Claims")
    link = page.get_attribute("#checklist a", "href")
    assert link.startswith("/compare?") and "sides=" in link
    visitor.goes_to("Results", "#results-study input")
    page.wait_for_selector("#status .wb-line")
    visitor.looks("reviewer", "Results")
