"""What a page shows comes back by its address: after a reload, after Back, and in the profile of somebody else."""

import re
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.conftest import PATIENCE
from tests.helpers.dashboard_data import fill
from tests.helpers.page_words import riddles
from tests.helpers.tiny_models import tiny_pipeline
from workbench.clips.generation import GenerationService
from workbench.clips.media import encode_mp4, write_png
from workbench.lab.drawn_study import make_trial, trial_study
from workbench.scoring.runs import EvaluationService, Plan
from workbench.settings import Settings
from workbench.store import open_store
from workbench.ui.live import live_app

PROMPT = "a+red+circle+moving+right+on+a+black+background"
PLAYER = "#player .wb-player[data-state=ready]"
# what the player's pictures look like, roughly: Generate shows chunks as they are made, and then as they are stored
SEEN = """() => [...document.querySelectorAll('#player canvas')].map((canvas) => {
  const small = new OffscreenCanvas(4, 4).getContext('2d');
  small.drawImage(canvas, 0, 0, 4, 4);
  return [...small.getImageData(0, 0, 4, 4).data];
})"""
NEAR = 12  # of 255
DONE = "#status .wb-line"
GIVEN = "() => document.querySelector('#picture img, #source-preview img')?.naturalWidth ?? 0"
ELSEWHERE = "/api/v1/health"  # another address of this server, which costs a browser nothing


@dataclass(frozen=True)
class Case:
    """A page's address, what a visitor does there, and what is looked at, each a selector or a script."""

    path: str
    ready: str
    does: tuple[tuple[str, ...], ...] = ()
    address: str = ""  # what the address must hold then
    looks: tuple[str, ...] = ()


CASES = {
    "compare": Case(
        f"/compare?prompt={PROMPT}&frames=13&sides=shapes-asd:1;shapes-asd:2&source=picture&input=PICTURE",
        "#status .wb-facts",  # the last that comes; who leaves earlier breaks off what gradio still sends
        (("press", "2"), ("fill", "#player .wb-scrub", "9")),
        r"source=picture.*frame_number=10&mode=wipe",
        ("#prompt textarea", "#player .wb-readout", "#player [data-mode][aria-pressed=true]", SEEN, GIVEN),
    ),
    "grid": Case(
        f"/grid?prompt={PROMPT}&frames=13&x=steps&xv=1,2&y=first_steps&yv=0,4",
        ".wb-cells[data-state=ready]",
        (("fill", ".wb-cells .wb-scrub", "5"), ("select", "[aria-label='Shade cells by']", "sharpness")),
        r"frame_number=6&shade=sharpness",
        (".wb-cells .wb-readout", ".wb-shade-legend", ".wb-cells table", "#values-X textarea"),
    ),
    "insight": Case(
        f"/insight?model=shapes-asd&prompts={PROMPT}&seeds=0&steps=2&frames=25",
        "#status [data-state=done]",
        looks=(DONE, SEEN),
    ),
    "evaluate": Case(
        "/evaluate?run=RUN",
        PLAYER,
        (("press", "Home"), ("press", "ArrowRight")),
        r"run=RUN&show=0&axis=frames&frame_number=2",
        ("#player .wb-readout", "#summary", SEEN),
    ),
    "dashboard": Case(
        "/dashboard?prompt=blue+star", "#board tbody tr", address=r"prompt=blue\+star", looks=("#board",)
    ),
    "studies": Case("/studies?study=drawn", "#study input", address="study=drawn", looks=("#study input",)),
    "results": Case(
        "/results?study=drawn",
        "#results-study input",
        address="study=drawn",
        looks=("#results-study input", "#question input"),
    ),
    "claims": Case(
        "/claims",
        "#checklist table",
        (("click", "#verdicts label:has-text('undecided')"),),
        "show=undecided",
        ("#verdicts label.selected", "#checklist table"),
    ),
    "jobs": Case("/jobs", "#jobs-table .wb-line", looks=("#jobs-table",)),
    "models": Case("/models", "#models-table table", looks=("#models-table table",)),
    "vote": Case("/vote?study=drawn", "#vote h1", address="study=drawn", looks=("#vote h1",)),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def picture(data):
    path = data / "start.png"
    write_png(path, np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    return path


@pytest.fixture(scope="module")
def url(data):
    store = open_store(Settings(data_dir=data))
    fill(store, seeds=1, data_dir=data)
    store.close()
    make_trial(Settings(data_dir=data), trial_study(1, id="drawn"))
    service = GenerationService(data, pipelines={"shapes-asd": tiny_pipeline(0)})
    with live_app(service, Settings(data_dir=data, first_run=False)) as address:
        yield address


@pytest.fixture(scope="module")
def known(data, picture):
    """What the words in the addresses stand for: a kept picture, a finished evaluation."""
    clip = data / "clip.mp4"
    encode_mp4(np.random.default_rng(1).integers(0, 256, (9, 64, 64, 3), dtype=np.uint8), 12, clip)
    evaluations = EvaluationService(data, ())
    run = evaluations.start(Plan((evaluations.library.uploaded(clip),), ("sharpness",)))
    latest = time.monotonic() + 60
    while run.active and time.monotonic() < latest:
        time.sleep(0.05)
    return {"PICTURE": evaluations.library.uploaded(picture).path.name, "RUN": run.id}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_reload_back_and_a_link_bring_back_what_was_shown(open_page, browser, known, case):
    page = open_page(named(case.path, known), case.ready)
    for what, selector, *given in case.does:
        act(page, what, selector, "".join(given))
    act(page, "wait", named(case.address, known), "")
    if "mode=wipe" not in page.url:  # which draws both clips into one canvas
        until(lambda: drawn(look(page, case)), page, lambda: "a picture stays empty")
    shown, address = look(page, case), page.url
    assert all(shown), shown  # nothing that is looked at is empty
    assert riddles(page) == []
    page.reload()
    again(page, case, shown)
    page.goto(address[: address.index("/", 8)] + ELSEWHERE)
    page.go_back()
    again(page, case, shown)
    other = open_page(address[address.index("/", 8) :], case.ready)
    again(other, case, shown)
    until(lambda: other.url == address, other, lambda: f"{other.url} is not {address}")


def test_the_address_keeps_how_a_link_looks_at_clips_while_they_are_made(open_page):
    link = f"/compare?prompt={PROMPT}&frames=2401&seed=9&sides=shapes-asd:1;shapes-asd:2&frame_number=10&mode=wipe"
    page = open_page(link, "#status [data-state=running]")
    page.wait_for_function("() => window.formFilled")
    page.wait_for_timeout(500)  # longer than the address waits
    assert page.locator("#status [data-state=running]").count() == 1
    assert "frame_number=10" in page.url and "mode=wipe" in page.url
    page.click("#cancel")
    page.wait_for_selector("#status [data-state=idle], #status [data-state=error]")


PLAYING = "[aria-label=Pause]"


def test_the_address_says_how_clips_are_looked_at_while_they_play(open_page, known):
    page = open_page(named(CASES["compare"].path, known), PLAYER)
    if not page.locator(f"#player {PLAYING}").count():
        page.click("#player [aria-label=Play]")
    page.wait_for_selector(f"#player {PLAYING}")
    page.click("#player [data-mode=wipe]")
    act(page, "wait", "mode=wipe", "")
    assert page.locator(f"#player {PLAYING}").count() == 1
    page = open_page(CASES["grid"].path, CASES["grid"].ready)
    page.wait_for_selector(f".wb-cells {PLAYING}")
    page.select_option("[aria-label='Shade cells by']", "sharpness")
    act(page, "wait", "shade=sharpness", "")
    assert page.locator(f".wb-cells {PLAYING}").count() == 1


# a press that makes another result: what the address holds before, the field of the seed, the button
AGAIN = {
    "compare": ("mode=side", "#seed input", "#compare"),
    "insight": ("seeds=0", "#seeds textarea, #seeds input", "#watch"),
}


@pytest.mark.parametrize("name", AGAIN)
def test_back_leads_to_the_result_before(open_page, known, name):
    case, (before, field, button) = CASES[name], AGAIN[name]
    page = open_page(named(case.path, known), case.ready)
    act(page, "wait", before, "")
    until(lambda: drawn(look(page, case)), page, lambda: "a picture stays empty")
    shown = look(page, case)
    page.fill(field, "12")
    page.click(button)
    act(page, "wait", "seeds?=12", "")
    until(lambda: not alike(look(page, case), shown), page, lambda: "the result stays the same")
    page.wait_for_selector(case.ready)
    page.fill(field, "13")  # settings that nothing was made with leave no trace
    page.go_back()
    again(page, case, shown)
    assert not re.search("seeds?=1[23]", page.url)
    page.go_forward()
    act(page, "wait", "seeds?=12", "")


def named(text: str, known: dict[str, str]) -> str:
    for word, name in known.items():
        text = text.replace(word, name)
    return text


def act(page, what: str, selector: str, given: str) -> None:
    if what == "press":
        page.keyboard.press(selector)
    elif what == "click":
        page.click(selector)
    elif what == "fill":
        page.fill(selector, given)
    elif what == "wait":
        until(lambda: re.search(selector, page.url), page, lambda: f"{page.url} does not hold {selector}")
    else:
        page.select_option(selector, given)


def again(page, case: Case, shown: list[Any]) -> None:
    """The page comes to show the same; what it shows instead is told."""
    page.wait_for_selector(case.ready)
    until(lambda: alike(look(page, case), shown), page, lambda: f"{look(page, case)} is not {shown}")


def until(holds: Callable[[], Any], page, told: Callable[[], str]) -> None:
    latest = time.monotonic() + PATIENCE / 1000
    while not holds():
        assert time.monotonic() < latest, told()
        page.wait_for_timeout(100)


def alike(found: Any, shown: Any) -> bool:
    """The same words and as many pictures that look the same."""
    if isinstance(found, list) and isinstance(shown, list):
        return len(found) == len(shown) and all(map(alike, found, shown))
    return found == shown or (isinstance(found, int) and isinstance(shown, int) and abs(found - shown) <= NEAR)


def drawn(found: Any) -> bool:
    """Whether none of the pictures is empty."""
    return not isinstance(found, list) or (any(found) and all(map(drawn, found)))


def look(page, case: Case) -> list[Any]:
    return [page.evaluate(what) if "=>" in what else text_of(page, what) for what in case.looks]


def text_of(page, selector: str) -> str:
    found = page.locator(selector).first
    found.wait_for()
    return found.input_value() if selector.rsplit(" ", 1)[-1] in ("input", "textarea") else found.inner_text()


@dataclass(frozen=True)
class Early:
    """What is typed into a page before its link has been read: where it is, and what the address must hold then."""

    path: str
    field: str
    typed: str
    address: str = ""
    first: str = ""  # what is clicked before


EARLY = {
    "compare": Early(f"/compare?prompt={PROMPT}&seed=7", "#prompt textarea", "a blue star", "prompt=a+blue+star"),
    "generate": Early(f"/generate?prompt={PROMPT}&seed=7", "#prompt textarea", "a blue star", "prompt=a+blue+star"),
    "grid": Early(f"/grid?prompt={PROMPT}&frames=13", "#values-X textarea, #values-X input", "2, 4", "xv=2%2C4"),
    "insight": Early("/insight?seeds=3&frames=25", "#seeds textarea, #seeds input", "5"),
    "studies": Early("/studies?study=drawn", "#study-title textarea, #study-title input", "Mine"),
    "evaluate": Early(
        "/evaluate?metrics=sharpness", "#prompts textarea", "mine", "", "#sources [role=tab]:has-text('Upload')"
    ),
}


@contextmanager
def answers_held_back(browser):
    """A page, and a function that lets the server's answers through."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    waiting, free = [], []

    def hold_back(route) -> None:
        route.continue_() if free else waiting.append(route)

    def let_through() -> None:
        until(lambda: waiting, page, lambda: "the page asks the server for nothing")
        free.append(True)
        for route in waiting:
            route.continue_()

    page.route("**/gradio_api/queue/data*", hold_back)
    yield page, let_through
    page.close()


@pytest.mark.parametrize("early", EARLY.values(), ids=EARLY)
def test_what_is_typed_before_the_link_has_filled_the_form_stays(browser, url, early):
    with answers_held_back(browser) as (page, let_through):
        page.goto(url + early.path)
        if early.first:
            page.click(early.first)
        page.fill(early.field, early.typed)
        let_through()
        page.wait_for_function("() => window.formFilled")
        page.wait_for_timeout(500)
        assert page.locator(early.field).first.input_value() == early.typed
        page.wait_for_function("(part) => location.search.includes(part)", arg=early.address)


def test_numbers_count_as_they_are_typed(open_page):
    page = open_page(f"/generate?prompt={PROMPT}&seed=7&frames=49", "#frames input")
    page.wait_for_function("() => window.formFilled")
    page.fill("#frames input", "1")
    page.press("#frames input", "Enter")  # 13 is the first of the list that begins like it
    act(page, "wait", r"frames=1(&|$)", "")
    assert page.input_value("#frames input") == "1"
    page.fill("#seed input", "1.5")
    page.click("#generate")
    page.wait_for_selector("#status [data-state=error]")
    assert "seed is 1.5; give a whole number" in page.inner_text("#status")


# pages with a main button: a link to settings that its form does not have by itself
PRESSED = {
    "generate": ("/generate?frames=13&seed=11&steps=2", "#generate", "seed=11"),
    "compare": ("/compare?frames=13&seed=11", "#compare", "seed=11"),
    "grid": ("/grid?frames=13&seed=11&prompt=" + PROMPT, "#make", "seed=11"),
    "insight": ("/insight?frames=13&seeds=11", "#watch", "seeds=11"),
    "evaluate": ("/evaluate?metrics=sharpness", "#run", ""),
}


@pytest.mark.parametrize("path, button, address", PRESSED.values(), ids=PRESSED)
def test_a_press_before_the_link_has_filled_the_form_is_carried_out_with_the_links_settings(
    browser, url, path, button, address
):
    with answers_held_back(browser) as (page, let_through):
        page.goto(url + path, wait_until="commit")
        page.click(button)
        page.wait_for_selector("#status [data-state=running], #status .wb-progress")  # it says so at once
        let_through()
        ended = "error" if button == "#run" else "done"  # no clip is chosen there, and it is told
        page.wait_for_selector(f"#status [data-state={ended}]")
        page.wait_for_function("(part) => location.search.includes(part)", arg=address)


# the end of a stream of answers reaches the page late, as on a busy machine
LATE_END = """(() => {
  const plain = window.fetch;
  window.fetch = async (...asked) => {
    const answer = await plain(...asked);
    if (!String(asked[0]?.url ?? asked[0]).includes('/queue/data')) return answer;
    const late = new TransformStream({ async transform(chunk, out) {
      if (new TextDecoder().decode(chunk).includes('close_stream')) {
        window.ending = true;
        await new Promise((next) => setTimeout(next, 2000));
      }
      out.enqueue(chunk);
    } });
    return new Response(answer.body.pipeThrough(late), answer);
  };
})();"""


def test_a_press_while_the_servers_answers_end_is_carried_out(browser, url):
    page, streams = browser.new_page(), []
    page.set_default_timeout(PATIENCE)
    page.on("request", lambda request: streams.append(1) if "/queue/data" in request.url else None)
    for ended in ("requestfinished", "requestfailed"):
        page.on(ended, lambda request: streams.pop() if "/queue/data" in request.url else None)
    page.add_init_script(LATE_END)
    page.goto(f"{url}/generate?frames=13")
    page.wait_for_function("() => window.formFilled && window.ending")
    page.click("#generate")
    page.wait_for_selector("#status [data-state=done]")
    until(lambda: not streams, page, lambda: f"{len(streams)} streams of answers stay open")
    page.close()
