"""The Vote page in a real Chromium, on drawn clips: a whole study by keyboard, and nothing told before a vote."""

import re
import time

import pytest
from fastapi.staticfiles import StaticFiles
from playwright.sync_api import Page, expect

from tests.conftest import PATIENCE
from tests.helpers.page_faults import faults
from workbench.lab.drawn_study import make_trial, trial_study
from workbench.lab.voting_server import build_voting_app
from workbench.settings import Settings
from workbench.store import open_store
from workbench.ui.app import STATIC
from workbench.ui.live import listening
from workbench.ui.pages.vote import vote_page_router
from workbench.votes.blindness.blind_copies import FOLDER

PAIRS = 20
HOSTILE = (
    "a <img src=x onerror='window.hacked=1'> ${window.hacked=2} {{value}} </script><script>window.hacked=3</script>"
)
TELLING = re.compile(
    r"shapes-|self.?forcing|\basd\b|\bffe\b|first.?steps|\d steps?\b|:[124]:[04]|digest|degraded|libx264", re.I
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    made = Settings(data_dir=tmp_path_factory.mktemp("vote-page"), min_watch=0.5)
    make_trial(made, trial_study(PAIRS, id="keys", degraded=1, identical=1))
    make_trial(made, trial_study(2, id="told", reveal=True, questions=("overall", "motion")))
    make_trial(made, trial_study(1, id="hostile", prompts=(HOSTILE,), title=HOSTILE, instructions=HOSTILE))
    make_trial(made, trial_study(3, id="gone"))
    make_trial(made, trial_study(1, id="reader"))
    return made


@pytest.fixture(scope="module")
def url(settings):
    app = build_voting_app(settings)
    app.include_router(vote_page_router())
    app.mount("/ui", StaticFiles(directory=STATIC))
    with listening(app) as address:
        yield address


@pytest.fixture
def votes(settings):
    store = open_store(settings)
    yield lambda study: store.votes(study)
    store.close()


def enter(browser, url: str, study: str, name: str, **options) -> Page:
    """Open the page, give a name and agree."""
    page = browser.new_page(viewport=options.pop("viewport", {"width": 1100, "height": 850}), **options)
    page.set_default_timeout(PATIENCE)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
    page.goto(f"{url}/vote?study={study}")
    page.fill("#name", name)
    page.keyboard.press("Enter")
    return page


def wait_unlocked(page: Page) -> None:
    page.wait_for_selector(".vote-answer:not(:disabled)")


def state(page: Page) -> dict:
    return page.evaluate(
        """() => { const { state, pair, player } = document.getElementById('vote').workbench;
        return { state, done: pair?.done, assignment: pair?.assignment, frame: player?.clock.frame }; }"""
    )


def press(page: Page, key: str, done: int) -> None:
    """Answer, and wait until the next pair, or the end, says that `done` votes are counted."""
    wait_unlocked(page)
    page.keyboard.press(key)
    expect(page.locator(".vote-count, .vote-done p").first).to_contain_text(f"{done} of {PAIRS} done", timeout=120_000)


def test_a_whole_study_by_keyboard_with_a_reload_and_an_undo(browser, url, votes):
    page = enter(browser, url, "keys", "Kay")
    keys = ["1", "2", "3", "4", "ArrowLeft", "ArrowRight", "ArrowDown", "ArrowUp", "1", "2"]
    for done, key in enumerate(keys, 1):
        press(page, key, done)
    wait_unlocked(page)
    before = state(page)
    page.reload()
    wait_unlocked(page)
    assert state(page)["assignment"] == before["assignment"] and state(page)["done"] == 10
    page.keyboard.press("u")
    expect(page.locator(".vote-count")).to_contain_text(f"9 of {PAIRS}", timeout=120_000)
    for done, key in enumerate(["3"] + ["1"] * (PAIRS - 10), 10):
        press(page, key, done)
    expect(page.locator("h1")).to_have_text("Thank you!")
    rows = votes("keys")
    assert len(rows) == PAIRS + 1 and rows.undone.sum() == 1 and rows[~rows.undone].assignment.nunique() == PAIRS
    assert list(rows.answer[:10]) == ["a", "b", "tie", "bad"] * 2 + ["a", "b"]
    assert (rows.watched_seconds >= 0.5 * 13 / 12 - 1e-6).all() and (rows.seconds > 0).all()
    assert page.problems == []
    page.close()


def test_nothing_before_a_vote_tells_the_clips_apart(browser, url, settings):
    """Everything that reaches the browser until the first vote, headers and bytes, over several annotators."""
    store = open_store(settings)
    sides: dict[str, list[dict]] = {}
    for k in range(6):
        page = enter(browser, url, "keys", f"watched {k}")
        told = []
        page.wait_for_selector("[data-state=ready]")
        page.on("response", lambda response, told=told: told.append(response))
        page.reload()  # from the first byte on, as somebody who comes back sees it
        page.wait_for_selector("[data-state=ready]")
        media = {}
        for response in told:
            headers = {name: value for name, value in response.all_headers().items() if name not in ("date", "etag")}
            if "/media/" in response.url:
                body = response.body()
                media[response.url.rpartition("/")[2]] = {"headers": headers, "bytes": len(body), "body": body}
                text = ""
            elif response.url.startswith("blob:"):  # the bytes of a clip again, as the player has them
                text = ""
            else:
                text = response.text() if response.ok else ""
            seen = [*TELLING.findall(f"{response.url.replace('study=keys', '')} {headers}")]
            seen += [] if response.url.endswith((".js", ".css")) else TELLING.findall(text)
            assert not seen, (response.url, seen)
        given = store.ballots.assignment(state(page)["assignment"])
        for token, clip in ((given.left_token, given.left), (given.right_token, given.right)):
            sides.setdefault(clip.system, []).append(media[token] | {"first": list(media).index(token)})
        assert media[given.left_token]["headers"] == media[given.right_token]["headers"]
        assert media[given.left_token]["bytes"] == media[given.right_token]["bytes"]
        for clip in (given.left, given.right):
            for medium in media.values():
                assert clip.id.encode() not in medium["body"] and b"shapes" not in medium["body"]
        assert page.problems == []
        page.close()
    assert set(sides) == set(trial_study().systems)
    store.close()


def test_scripts_of_the_page_hold_no_names():
    """What the page loads beside the answers: its own scripts, which are the same for every pair."""
    page = (STATIC / "js" / "vote" / "vote.js").read_text()
    wanted, found = {STATIC / "js" / "vote" / "vote.js"}, set()
    while wanted - found:
        path = (wanted - found).pop()
        found.add(path)
        text = path.read_text()
        wanted |= {(path.parent / place).resolve() for place in re.findall(r'from "(\.[^"]+)"', text)}
        assert not re.search(r"shapes-|self.?forcing|\basd\b|\bffe\b|first_steps", text, re.I), path
    assert STATIC / "js" / "vote" / "vote_player.js" in found and "innerHTML" not in page


def test_voting_waits_until_enough_was_watched(browser, url, votes):
    page = enter(browser, url, "keys", "Hasty")
    page.wait_for_selector("[data-state=ready]")
    page.evaluate("() => document.getElementById('vote').workbench.player.clock.pause()")
    locked = page.locator(".vote-answer:disabled").count()
    page.keyboard.press("1")
    if locked:
        expect(page.locator(".vote-live")).to_have_text("Please watch both videos first.")
        assert state(page)["state"] == "voting" and state(page)["done"] == 0
    page.keyboard.press("Space")
    press(page, "1", 1)
    page.close()


def test_reveal_flags_and_several_questions(browser, url, settings, votes):
    page = enter(browser, url, "told", "Rea")
    wait_unlocked(page)
    page.keyboard.press("f")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("b")
    page.keyboard.press("3")
    expect(page.locator(".vote-tools")).to_contain_text("1 flagged")
    page.keyboard.press("1")
    page.keyboard.press("4")
    page.wait_for_selector(".vote-reveal")
    assert "ASD 1*" in page.inner_text(".vote-reveal")
    assert page.get_attribute(".vote-reveal a", "href").startswith("/compare?prompt=trial+")
    page.keyboard.press("Enter")
    wait_unlocked(page)
    rows = votes("told").set_index("question")
    assert rows.answer.to_dict() == {"overall": "a", "motion": "bad"}
    store = open_store(settings)
    (flag,) = store.flags("told").to_dict("records")
    assert (flag["side"], flag["kind"]) == ("right", "freeze")
    store.close()
    assert page.problems == []
    page.close()


def test_keys_pressed_faster_than_the_page_is_painted_all_count(browser, url):
    """A closed dialog keeps the focus until the next paint, and must not swallow what is meant for the page."""
    page = enter(browser, url, "told", "Rapid")
    wait_unlocked(page)
    left = page.evaluate(
        """(keys) => { for (const key of keys)
          document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
        const { answers, flags, state } = document.getElementById('vote').workbench;
        return { answers, flags: flags.map(({ side, kind }) => side + kind), state }; }""",
        list("fb314"),
    )
    assert left == {"answers": {"overall": "a", "motion": "bad"}, "flags": ["bfreeze"], "state": "sending"}
    page.wait_for_selector(".vote-reveal")
    page.keyboard.press("2")
    expect(page.locator(".vote-live")).to_have_text("Press Enter for the next pair.")
    page.close()


def test_hostile_text_is_text_and_a_phone_shows_it_all(browser, url):
    page = enter(browser, url, "hostile", HOSTILE[:60], viewport={"width": 390, "height": 844})
    page.wait_for_selector("[data-state=ready]")
    assert page.inner_text("q").strip('"“”') == HOSTILE and page.evaluate("() => window.hacked") is None
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    boxes = [box.bounding_box() for box in page.locator("canvas").all()]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[0]["width"] == boxes[1]["width"]
    assert sum(box["width"] for box in boxes) > 0.95 * 390  # the clips fill the phone
    assert page.locator(".vote-answer").last.bounding_box()["y"] < 844  # and all answers are on the first screen
    assert page.locator(".vote-answer").count() == 4
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_screen_reader_can_vote_from_the_name_to_the_thanks(browser, url, scheme):
    options = {"color_scheme": scheme, "viewport": {"width": 390, "height": 844}}
    page = browser.new_page(**options)
    page.goto(f"{url}/vote?study=reader")
    page.wait_for_selector("#name")
    assert faults(page) == []
    page.close()
    page = enter(browser, url, "reader", f"Reader {scheme}", **options)
    page.wait_for_selector("[data-state=ready]")
    assert faults(page) == []
    wait_unlocked(page)
    assert faults(page) == []
    page.keyboard.press("1")
    page.wait_for_selector(".vote-done")
    assert faults(page) == []
    page.close()


def test_a_vote_without_an_answer_is_said_to_be_not_saved_and_sent_again(browser, url, votes):
    page = enter(browser, url, "keys", "Unlucky")
    wait_unlocked(page)
    dropping = True
    page.route("**/api/v1/votes", lambda route: route.abort() if dropping else route.continue_())
    page.keyboard.press("1")
    expect(page.locator("[role=alert]")).to_contain_text("Not saved yet", timeout=PATIENCE)
    dropping = False
    expect(page.locator(".vote-count")).to_contain_text(f"1 of {PAIRS}", timeout=PATIENCE)
    page.close()


def test_a_clip_that_is_gone_is_told_and_another_pair_comes(browser, url, settings, votes):
    store, gone = open_store(settings), []
    page = enter(browser, url, "told", "Guest")  # signed in, on another study
    page.wait_for_selector("[data-state=ready]")

    def remove(route):
        if not gone:
            given = store.ballots.of_token(route.request.url.rpartition("/")[2])
            copies = [settings.data_dir / FOLDER / f"{token}.mp4" for token in (given.left_token, given.right_token)]
            end = time.monotonic() + PATIENCE / 1000
            while not all(copy.is_file() for copy in copies) and time.monotonic() < end:
                time.sleep(0.05)
            for file in (*copies, *(settings.data_dir / clip.file for clip in (given.left, given.right))):
                file.unlink()
            gone.append(given.id)
        route.continue_()

    page.route("**/api/v1/media/*", remove)
    page.goto(f"{url}/vote?study=gone")
    page.get_by_role("button", name="I agree").click()
    expect(page.locator("[role=alert]")).to_contain_text("so here is another pair", timeout=PATIENCE)
    wait_unlocked(page)
    assert gone and state(page)["assignment"] != gone[0]
    page.keyboard.press("1")
    expect(page.locator(".vote-count")).to_contain_text("1 of 3", timeout=PATIENCE)
    assert list(votes("gone").answer) == ["a"]
    assert [text for text in page.problems if "404" not in text] == []
    page.close()
    store.close()


def test_both_clips_are_in_step_on_every_paint(browser, url):
    page = enter(browser, url, "keys", "Stepper")
    page.wait_for_selector("[data-state=ready]")
    frames = page.evaluate(
        """async () => { const seen = []; const end = performance.now() + 1500;
        while (performance.now() < end) { await new Promise(requestAnimationFrame);
          seen.push([...document.querySelectorAll('.wb-picture')].map((node) => node.dataset.frame)); }
        return seen; }"""
    )
    assert len(frames) > 3 and all(a == b for a, b in frames) and len({a for a, _ in frames}) > 3
    page.close()
