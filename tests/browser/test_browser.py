"""The pages in a real Chromium. Frame numbers are read back from the pixels of coded clips."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.video.pair_difference import flip_maps, flip_pictures
from models.default_world import DEFAULT, MEASURED
from tests.helpers.tiny_models import tiny_pipeline
from workbench.clips.generation import GenerationService
from workbench.clips.media import encode_mp4
from workbench.experiments.claims import CLAIMS
from workbench.settings import Settings
from workbench.ui.live import live_app
from workbench.ui.selftest import FRAMES

PLAYER = "#player .wb-player"
LINK = "/compare?prompt=a+red+circle+moving+right+on+a+black+background&seed=5&frames=25&sides={sides}"
SIDES = "shapes-self-forcing:1:0,shapes-asd:2:0,shapes-asd:1:4"
HOSTILE = "a <img src=x onerror='window.hacked=1'> ${window.hacked=2} {{value}} ` \\"
# shows the coded clips of the self-test in a page's own player
SHOW_CODED = """async (kind) => {
  const player = document.querySelector('#player .wb-player').workbench;
  const spec = await (await fetch('/api/v1/selftest')).json();
  window.spec = spec;
  const video = (url) => ({ video: url, count: spec.frames });
  const sheet = (url) => ({ sheets: [{ url, frames: spec.frames }] });
  const sources = kind === 'video' ? spec.videos.map(video) : spec.sheets.map(sheet);
  const clips = sources.map((source, i) => ({ label: `coded ${i}`, done: true, ...source }));
  await player.show({ id: `coded-${kind}`, fps: spec.fps, total: spec.frames, ticks: [1, 13, 25, 37], clips });
}"""
CODES = """async () => {
  const { codes } = await import('/ui/js/selftest.js');
  return codes(document.querySelector('#player .wb-player').workbench, window.spec);
}"""
WATCH_PLAYING = """async (paints) => {
  const { codes } = await import('/ui/js/selftest.js');
  const player = document.querySelector('#player .wb-player').workbench;
  const seen = [];
  player.clock.play();
  while (seen.length < paints) { await new Promise(requestAnimationFrame); seen.push(codes(player, window.spec)); }
  player.clock.pause();
  return seen;
}"""
PIXELS = """() => [...document.querySelectorAll('#player canvas')].map((canvas) =>
  [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data].join())"""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def url(data):
    pipelines = {"shapes-asd": tiny_pipeline(0), "shapes-self-forcing": tiny_pipeline(1)}
    with live_app(GenerationService(data, pipelines=pipelines), Settings(data_dir=data)) as address:
        yield address


def wait_done(page) -> None:
    page.wait_for_selector("#status [data-state=done]")
    page.wait_for_selector(f"{PLAYER}[data-state=ready]")


def frame_of(page) -> int:
    return page.evaluate(f"() => document.querySelector('{PLAYER}').workbench.clock.frame")


def coded_page(open_page, kind: str = "sheets"):
    page = open_page("/compare", PLAYER)
    page.evaluate(SHOW_CODED, kind)
    page.wait_for_selector(f"{PLAYER}[data-state=ready]")
    return page


def test_a_phone_shows_everything_without_sideways_scrolling(open_page):
    for path, selector in (
        ("/generate", "#generate"),
        (LINK.format(sides=SIDES), f"{PLAYER}[data-state=ready]"),
        ("/evaluate", ".wb-metric"),
        ("/models", "table"),
    ):
        page = open_page(path, selector, viewport={"width": 390, "height": 800})
        page.wait_for_timeout(500)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_a_phone_shows_the_rest_of_a_row_on_request(open_page):
    licence = "#models-table tbody tr:first-child [data-label=Licence]"
    page = open_page("/models", "#models-table table", viewport={"width": 390, "height": 800})
    button = page.locator("#models-table .wb-more button").first
    assert not page.is_visible(licence) and button.get_attribute("aria-expanded") == "false"
    button.click()
    assert page.is_visible(licence) and button.get_attribute("aria-expanded") == "true"
    button.click()
    assert not page.is_visible(licence)
    wide = open_page("/models", "#models-table table")
    assert wide.is_visible(licence) and not wide.is_visible("#models-table .wb-more")


def test_generate_plays_chunks_while_later_ones_are_made(open_page):
    page = open_page("/generate?frames=97&steps=4&ffe=0", PLAYER)
    page.wait_for_function("() => document.querySelector('#frames input').value === '97'")
    page.evaluate(
        f"""() => {{ window.seen = []; const player = document.querySelector('{PLAYER}').workbench;
        setInterval(() => window.seen.push([player.clock.available, player.clock.playing]), 5); }}"""
    )
    page.click("#generate")
    wait_done(page)
    page.wait_for_function("() => window.seen.at(-1)[0] === 97")
    partial = {available for available, playing in page.evaluate("() => window.seen") if playing and available < 97}
    assert partial and partial <= {1 + 12 * n for n in range(8)}
    assert (
        page.locator("#status a[download$='.mp4']").count()
        == page.locator("#status a[download$='.json']").count()
        == 1
    )
    assert re.search(r"model=asd.*steps=4.*ffe=0.*seed=7.*frames=97", page.url)


def test_generate_link_restores_the_form(open_page):
    link = "/generate?model=shapes-self-forcing&prompt=a+blue+star&steps=3&ffe=2&seed=11&frames=13"
    page = open_page(link, "#generate")
    page.wait_for_function("() => document.querySelector('#prompt textarea').value === 'a blue star'")
    assert page.input_value("#seed input") == "11" and page.input_value("#frames input") == "13"
    assert page.input_value("#model input") == "Self Forcing (baseline, shapes)"
    assert page.inner_text("#steps label.selected") == "3" and page.inner_text("#first-steps label.selected") == "2"
    assert page.is_checked("#ffe input")


def test_a_press_right_after_a_link_makes_the_links_clip(open_page):
    page = open_page(
        "/generate?prompt=a+blue+star+moving+up+on+a+white+background&steps=3&ffe=0&seed=0&frames=13", "#generate"
    )
    page.evaluate("() => document.querySelector('#generate').click()")  # ahead of the server's word on the link
    wait_done(page)
    address = page.get_attribute("#status a[download$='.json']", "href")
    made = page.evaluate("async (address) => (await fetch(address)).json()", address)
    assert made["prompt"].startswith("a blue star") and made["seed"] == 0 and made["frames"] == 13


def test_errors_are_sentences_and_the_page_goes_on(open_page):
    page = open_page("/generate?frames=13", "#generate")
    page.fill("#prompt textarea", "")
    page.click("#generate")
    page.wait_for_selector("#status [data-state=error]")
    assert "prompt is empty" in page.inner_text("#status [role=alert]")
    page.fill("#prompt textarea", "a red zeppelin moving right on a black background")
    page.click("#generate")
    wait_done(page)
    assert "zeppelin" in page.inner_text("#status .wb-notice")


def test_a_wrong_link_is_told(open_page):
    page = open_page("/generate?model=nope", "#status [data-state=error]")
    assert "'nope' is not in the registry" in page.inner_text("#status")
    page = open_page("/compare?prompt=x&sides=shapes-asd:9:0,shapes-asd:1:0", "#status [data-state=error]")
    assert "steps 9" in page.inner_text("#status")


def test_picture_to_video_in_the_browser(open_page, tmp_path, world_clip):
    Image.fromarray(world_clip[0]).save(tmp_path / "first.png")
    (tmp_path / "fake.png").write_text("not a picture")
    page = open_page("/generate?frames=13", "#generate")
    page.click("#source label:has-text('Picture')")
    page.set_input_files("#picture input[type=file]", tmp_path / "fake.png")
    page.wait_for_timeout(1500)
    page.click("#generate")
    page.wait_for_selector("#status [data-state=error]")
    assert "'fake.png' is not a picture" in page.inner_text("#status")
    page = open_page("/generate?frames=13", "#generate")
    page.click("#source label:has-text('Picture')")
    page.set_input_files("#picture input[type=file]", tmp_path / "first.png")
    page.wait_for_selector("#picture img")
    page.click("#generate")
    wait_done(page)
    page.wait_for_function("() => /input=.*mode=/.test(location.search)")
    again = open_page(page.url[page.url.index("/generate") :], "#source-preview img")  # the link has it
    again.click("#generate")
    again.wait_for_function("(url) => location.href === url", arg=page.url)
    again.click("#steps label:has-text('2')")
    again.wait_for_selector("body[data-stale]")


def test_video_to_video_in_the_browser(open_page, tmp_path, world_clip):
    encode_mp4(world_clip.repeat(2, 0).repeat(4, 1).repeat(4, 2), 24, tmp_path / "large.mp4")
    (tmp_path / "fake.mp4").write_text("not a video")
    for name in ("fake.mp4", "large.mp4"):
        page = open_page("/generate?frames=25", "#generate")
        page.click("#source label:has-text('Video')")
        page.set_input_files("#video input[type=file]", tmp_path / name)
        page.wait_for_selector(f"#video :text('{name.partition('.')[0]}')")
        page.click("#generate")
        if name == "large.mp4":
            wait_done(page)
            said = page.inner_text("#status")
            assert "256 x 256 pixels is resized to 128 x 128" in said and "24 frames a second" in said
        else:
            page.wait_for_selector("#status [data-state=error]")
            assert "fake.mp4" in page.inner_text("#status") and str(tmp_path) not in page.inner_text("#status")


def test_a_source_that_was_not_given_is_told(open_page):
    page = open_page("/generate?frames=13", "#generate")
    page.click("#source label:has-text('Video')")
    page.click("#generate")
    page.wait_for_selector("#status [data-state=error]")
    assert "there is no video to start from" in page.inner_text("#status")


def test_the_first_frame_is_seen_while_later_ones_are_made(open_page):
    """A one-step clip of 40 chunks: its first picture is on screen long before the clip is done."""
    page = open_page("/generate?model=shapes-asd&steps=1&ffe=4&frames=469&seed=3", "#generate")
    page.evaluate(
        """() => {
          window.seen = null;
          const began = performance.now();
          const look = () => {
            const found = document.querySelector("#player .wb-picture[data-frame]");
            if (found) window.seen = performance.now() - began;
            else requestAnimationFrame(look);
          };
          document.querySelector("#generate").click();
          look();
        }"""
    )
    page.wait_for_function("() => window.seen !== null")
    assert page.locator("#status [data-state=running]").count() == 1
    wait_done(page)


def test_the_claims_are_listed_with_their_intervals(open_page):
    page = open_page("/claims", "#checklist tbody tr")
    assert page.locator("#checklist tbody tr").count() == len(CLAIMS)
    assert page.locator("#systems tbody tr").count() > 20
    page.wait_for_selector("#chart-right .main-svg")
    assert "to" in page.inner_text("#checklist tbody tr:first-child")


def test_text_never_becomes_markup(open_page):
    page = open_page("/generate?frames=13", "#generate")
    page.fill("#prompt textarea", HOSTILE)
    page.click("#generate")
    wait_done(page)
    base = page.url.split("generate?")[0]
    page.goto(base + "compare?frames=13&sides=shapes-asd:1:0,shapes-asd:1:4&prompt=" + HOSTILE)
    wait_done(page)
    assert page.evaluate("() => window.hacked") is None


def test_cancel_stops_and_leaves_nothing(open_page, data):
    page = open_page("/generate?frames=3001&steps=4&ffe=0&seed=99", "#generate")
    page.wait_for_function("() => document.querySelector('#frames input').value === '3001'")
    before = set((data / "clips").glob("*"))
    page.click("#generate")
    page.wait_for_selector(f"{PLAYER}[data-state=ready]")
    page.click("#cancel:not([disabled])")
    page.wait_for_function("() => document.querySelector('#status').innerText.includes('Cancelled')")
    page.wait_for_timeout(2000)
    assert "Cancelled" in page.inner_text("#status") and page.is_enabled("#generate")
    assert set((data / "clips").glob("*")) == before


def test_what_is_on_screen_is_marked_while_the_next_is_made_and_when_that_is_cancelled(open_page):
    page = open_page(LINK.format(sides=SIDES), f"{PLAYER}[data-state=ready]")
    wait_done(page)

    def says(text: str) -> None:
        page.wait_for_function(
            """([player, text]) => {
            const { display, content } = getComputedStyle(document.querySelector(player), '::before');
            return text ? display === 'block' && content.includes(text) : display !== 'block'; }""",
            arg=[PLAYER, text],
        )

    says("")
    page.click("#more button")
    page.fill("#frames input", "3001")
    page.press("#frames input", "Tab")
    says("The settings have changed since this was made.")
    page.click("#compare")
    says("This was made before.")
    page.click("#cancel:not([disabled])")
    says("The settings have changed since this was made.")
    page.fill("#frames input", "25")
    page.press("#frames input", "Tab")
    says("")
    page.fill("#frames input", "13")
    page.press("#frames input", "Tab")
    page.click("#compare:not([disabled])")
    wait_done(page)
    says("")


@pytest.mark.parametrize("kind", ["sheets", "video"])
def test_every_way_to_a_frame_shows_that_frame_on_all_clips(open_page, kind):
    page = coded_page(open_page, kind)
    last = FRAMES - 1
    ways = [
        (lambda: page.click("[aria-label='First frame']"), 0),
        (lambda: page.click("[aria-label='Next frame']"), 1),
        (lambda: page.click("[aria-label='Next frame']"), 2),
        (lambda: page.click("[aria-label='Previous frame']"), 1),
        (lambda: page.keyboard.press("End"), last),
        (lambda: page.keyboard.press(","), last - 1),
        (lambda: page.keyboard.press("Home"), 0),
        (lambda: page.keyboard.press("Shift+ArrowRight"), 1),
        (lambda: page.keyboard.press("Shift+ArrowRight"), 13),
        (lambda: page.keyboard.press("ArrowRight"), 14),
    ]
    for go, frame in ways:
        go()
        assert page.evaluate(CODES) == [frame, frame]
    for frame in np.random.default_rng(0).permutation(FRAMES)[:20].tolist():
        page.fill(f"{PLAYER} .wb-scrub", str(frame))
        assert page.evaluate(CODES) == [frame, frame]
        assert f"frame {frame + 1} of {FRAMES} " in page.inner_text(".wb-readout")


@pytest.mark.parametrize("kind", ["sheets", "video"])
def test_clips_stay_in_step_while_playing(open_page, kind):
    page = coded_page(open_page, kind)
    seen = page.evaluate(WATCH_PLAYING, 200)
    assert all(a == b is not None for a, b in seen)
    assert len({a for a, _ in seen}) > 10  # it moved; how many frames are shown is up to the machine


def test_looping_a_range_stays_inside_it(open_page):
    page = coded_page(open_page)
    page.fill(f"{PLAYER} .wb-scrub", "20")
    page.keyboard.press("[")
    page.fill(f"{PLAYER} .wb-scrub", "26")
    page.keyboard.press("]")
    shown = {a for a, _ in page.evaluate(WATCH_PLAYING, 120)}
    assert len(shown) > 1 and shown <= set(range(20, 27))


def test_without_loop_playing_ends_on_the_last_frame(open_page):
    page = coded_page(open_page)
    page.keyboard.press("l")
    page.fill(f"{PLAYER} .wb-scrub", str(FRAMES - 8))
    page.keyboard.press("Space")
    page.wait_for_function(f"() => !document.querySelector('{PLAYER}').workbench.clock.playing")
    assert page.evaluate(CODES) == [FRAMES - 1] * 2


def test_difference_is_exact_and_gain_multiplies_it(open_page):
    page = coded_page(open_page)
    sides = [np.array(p.split(","), int) for p in page.evaluate(PIXELS)]
    expected = np.abs(sides[0] - sides[1]).reshape(-1, 4)[:, :3]
    page.keyboard.press("3")
    for gain in (4, 8, 16):
        page.select_option("[aria-label=Gain]", str(gain))
        (shown,) = [np.array(p.split(","), int).reshape(-1, 4)[:, :3] for p in page.evaluate(PIXELS)]
        assert np.array_equal(shown, np.minimum(expected * gain, 255))
    assert expected.any()


def test_wipe_shows_one_clip_left_and_the_other_right(open_page):
    page = coded_page(open_page)
    left, right = [np.array(p.split(","), int).reshape(64, 64, 4) for p in page.evaluate(PIXELS)]
    page.keyboard.press("2")
    page.fill("[aria-label='Wipe position']", "25")
    (shown,) = [np.array(p.split(","), int).reshape(64, 64, 4) for p in page.evaluate(PIXELS)]
    assert np.array_equal(shown, np.concatenate([left[:, :16], right[:, 16:]], axis=1))


def test_a_click_on_the_chart_seeks_all_players(open_page):
    page = open_page(LINK.format(sides="shapes-self-forcing:1:0,shapes-asd:1:0"), ".wb-plot .main-svg")
    wait_done(page)
    page.keyboard.press("Space")  # it plays by itself; the first click comes while it stands
    for frame in (3, 17, 24, 9):
        click_chart(page, frame)
        page.wait_for_function(
            f"(frame) => document.querySelector('{PLAYER}').workbench.clock.frame === frame", arg=frame
        )
    page.keyboard.press("Space")
    click_chart(page, 12)  # while playing
    page.wait_for_timeout(300)
    assert frame_of(page) == 12
    assert abs(playhead(page) - chart_x(page, 12)) < 2


def chart_x(page, frame: int) -> float:
    """Where a frame is on the chart, in pixels of the window; its axis counts from 1."""
    return page.evaluate(
        """(frame) => { const plot = document.querySelector('.wb-plot'); const layout = plot._fullLayout;
        return plot.getBoundingClientRect().left + layout._size.l + layout.xaxis.d2p(frame + 1); }""",
        frame,
    )


def playhead(page) -> float:
    return page.evaluate(
        "() => { const b = document.querySelector('.wb-playhead').getBoundingClientRect(); return b.left + 1; }"
    )


def click_chart(page, frame: int) -> None:
    page.locator(".wb-plot").scroll_into_view_if_needed()
    box = page.locator(".wb-plot .nsewdrag").first.bounding_box()
    page.mouse.move(chart_x(page, frame), box["y"] + box["height"] / 2)
    page.wait_for_timeout(150)
    page.mouse.click(chart_x(page, frame), box["y"] + box["height"] / 2)


def test_a_link_reopens_the_same_comparison_to_the_frame(open_page):
    page = open_page(LINK.format(sides=SIDES), ".wb-plot .main-svg")
    wait_done(page)
    page.keyboard.press("2")
    page.fill(f"{PLAYER} .wb-scrub", "17")
    page.wait_for_function("() => /frame_number=18/.test(location.search) && /mode=wipe/.test(location.search)")
    address, pixels = page.url, page.evaluate(PIXELS)
    again = open_page(address[address.index("/compare") :], ".wb-plot .main-svg")
    wait_done(again)
    again.wait_for_function(f"() => document.querySelector('{PLAYER}').workbench.clock.frame === 17")
    assert again.evaluate(PIXELS) == pixels
    assert again.locator("[data-mode=wipe][aria-pressed=true]").count() == 1
    again.click("#more button")
    assert again.input_value("#seed input") == "5" and again.inner_text("#columns label.selected") == "3 sides"
    assert again.inner_text("#side-B label.selected") == "2"
    assert again.url == address
    older = open_page(
        address[address.index("/compare") :].replace("frame_number=18", "frame=17"), ".wb-plot .main-svg"
    )
    wait_done(older)
    older.wait_for_function(f"() => document.querySelector('{PLAYER}').workbench.clock.frame === 17")
    older.wait_for_function("(address) => location.href === address", arg=address)  # written as links are now


def test_compare_shows_facts_curves_and_what_differs(open_page):
    page = open_page(LINK.format(sides=SIDES), ".wb-plot .main-svg")
    wait_done(page)
    facts = page.locator(f"{PLAYER} figcaption").all_inner_texts()
    assert len(facts) == 3 and all(
        "network calls" in text and "first frame" in text and "frames/s" in text for text in facts
    )
    assert "steps=2&ffe=0" in page.locator(f"{PLAYER} figcaption a", has_text="open in Generate").nth(1).get_attribute(
        "href"
    )
    assert page.locator(".wb-plot .scatterlayer .trace").count() == 6
    assert "steps" in page.inner_text("#recipes") and "ffe" in page.inner_text("#recipes")
    page.keyboard.press("Home")
    first, second, _ = [np.array(p.split(","), np.uint8).reshape(64, 64, 4)[..., :3] for p in page.evaluate(PIXELS)]
    page.keyboard.press("5")
    page.wait_for_selector(f"{PLAYER} .wb-flip-legend")
    page.wait_for_function(f"() => document.querySelector('{PLAYER} .wb-waiting').hidden")
    (shown,) = [np.array(p.split(","), np.uint8).reshape(64, 64, 4)[..., :3] for p in page.evaluate(PIXELS)]
    assert np.array_equal(shown, flip_pictures(flip_maps(first[None], second[None]))[0]) and shown.any()
    page.click("#numbers-panel button")
    page.wait_for_selector("#numbers table")
    assert page.locator("#numbers thead th").all_inner_texts() == ["Measure", "B against A", "C against A"]
    page.click("[data-mode=blink]")
    page.select_option("[aria-label='First of the pair']", "2")
    page.keyboard.press("x")
    assert page.locator(f"{PLAYER} canvas").count() == 1


def test_four_columns_can_be_chosen_by_hand(open_page):
    page = open_page("/compare?frames=13", "#compare")
    page.click("#columns label:has-text('4')")
    page.wait_for_selector("#side-D")
    page.click("#side-D label:has-text('2')")
    page.click("#compare")
    wait_done(page)
    assert page.locator(f"{PLAYER} canvas").count() == 4


def test_the_self_test_finds_this_browser_exact(open_page):
    page = open_page("/compare", "#selftest-panel")
    page.click("#selftest-panel button")
    page.click(".wb-run-selftest")
    page.wait_for_selector(".wb-report[data-done]")
    result = page.evaluate("() => document.querySelector('#selftest .wb-root').workbench.result")
    assert result["native"]["right"] == result["native"]["of"]
    assert result["seeks"]["right"] == result["seeks"]["of"]
    assert result["play"]["inStep"] == result["play"]["of"] > 30


def test_a_grid_plays_in_step_shades_its_cells_and_opens_a_pair(open_page):
    page = open_page("/grid", "#cells .wb-cells")
    page.fill("#frames input", "13")
    page.press("#prompt textarea", "Enter")
    page.wait_for_selector("#cells .wb-cells[data-state=ready]")
    page.wait_for_selector("#status [data-state=done]")
    assert page.locator(".wb-cell").count() == 6
    page.fill(".wb-cells .wb-scrub", "9")
    shown = page.eval_on_selector_all(".wb-cell canvas", "all => all.map((canvas) => canvas.dataset.frame)")
    assert shown == ["9"] * 6
    page.select_option("[aria-label='Shade cells by']", "sharpness")
    notes = page.locator(".wb-cell .wb-note").all_inner_texts()
    assert len(notes) == 6 and all(float(note.replace(",", "")) > 0 for note in notes)
    legend = page.locator(".wb-shade-legend span").all_inner_texts()
    ends = [float(text.split()[1].replace(",", "")) for text in legend]
    values = [float(note.replace(",", "")) for note in notes]
    assert ends == [min(values), max(values)]
    page.click(".wb-cell >> nth=2", modifiers=["Shift"])
    page.click(".wb-cell >> nth=4")
    page.wait_for_selector(".wb-cells-pair .wb-player[data-state=ready]")
    assert page.locator(".wb-cells-pair canvas").count() == 2
    page.wait_for_function(
        "() => /xv=1%2C2%2C4.*frame_number=10.*shade=sharpness.*ref=2.*cell=4/.test(location.search)"
    )
    again = open_page(page.url.removeprefix(re.match(r"https?://[^/]+", page.url)[0]), ".wb-cells[data-state=ready]")
    again.wait_for_selector(".wb-cells-pair .wb-player[data-state=ready]")
    frames = again.eval_on_selector_all(".wb-cell canvas", "all => all.map((canvas) => canvas.dataset.frame)")
    assert frames == ["9"] * 6 and again.locator(".wb-shade-legend span").count() == 2
    assert again.get_attribute(".wb-cell >> nth=2", "data-reference") == "true" and again.url == page.url
    again.fill("#frames input", "17")
    again.press("#frames input", "Tab")
    again.wait_for_selector("body[data-stale]")


def test_a_comparison_handed_on_as_one_file_plays_without_a_server(open_page, browser, tmp_path):
    page = open_page(LINK.format(sides=SIDES), f"{PLAYER}[data-state=ready]")
    page.wait_for_selector("#status [data-state=done]")
    with page.expect_download() as download:
        page.click("text=One HTML file")
    file = tmp_path / "comparison.html"
    download.value.save_as(file)
    alone, problems = browser.new_page(), []
    alone.set_default_timeout(120_000)
    alone.on("pageerror", lambda error: problems.append(str(error)))
    alone.on("request", lambda request: problems.append(request.url) if request.url.startswith("http") else None)
    alone.goto(f"file://{file}")
    alone.wait_for_selector("#player.wb-player[data-state=ready]")
    alone.wait_for_selector("#chart .wb-plot .main-svg")
    alone.evaluate("() => document.getElementById('player').workbench.seek(7)")
    alone.wait_for_function("() => document.querySelectorAll(`#player .wb-picture[data-frame='7']`).length === 3")
    alone.close()
    assert problems == []


def test_a_prompt_switches_on_the_way_and_the_address_tells_it(open_page):
    page = open_page("/generate", PLAYER)
    page.click("#timeline button")
    page.fill("#plan textarea", "2,1")
    page.fill("#switches textarea", "9: a blue star moving left on a gray background")
    page.click("#generate")
    page.wait_for_selector("#status [data-state=error]")
    assert "chunk 9; 49 frames can switch at chunks 2 to 5" in page.inner_text("#status")
    page.fill("#switches textarea", "2: a blue star moving left on a gray background")
    page.click("#generate")
    page.wait_for_selector("#status [data-state=done]")
    page.wait_for_function(
        "() => location.search.includes('switches=2%3A+a+blue') && location.search.includes('plan=2%2C1')"
    )
    again = open_page(page.url.removeprefix(re.match(r"https?://[^/]+", page.url)[0]), PLAYER)
    again.wait_for_function("() => document.querySelector('#plan textarea')?.value === '2,1'")


def choose(page, field: str, title: str) -> None:
    page.click(f"{field} input")
    page.click(f"[role=option]:has-text('{title}')")


def test_a_prompt_follows_the_world_of_the_model_and_what_was_typed_is_held_against_it(open_page):
    page = open_page("/generate", PLAYER)
    choose(page, "#model", "ASD against real clips")
    page.wait_for_function("(text) => document.querySelector('#prompt textarea').value === text", arg=MEASURED.prompt)
    page.fill("#prompt textarea", "a red circle moving right over grass")
    page.click("#seed input")
    page.wait_for_selector("#prompt-notice :text('words this model does not know: over, grass')")
    page.fill("#prompt textarea", DEFAULT.prompt)
    choose(page, "#model", "ASD against real clips")
    page.wait_for_function("(text) => document.querySelector('#prompt textarea').value === text", arg=MEASURED.prompt)
    assert not page.is_visible("#prompt-notice")
    linked = open_page("/generate?model=shapes-asd", PLAYER)
    linked.wait_for_function(
        "(text) => document.querySelector('#prompt textarea').value === text", arg=MEASURED.prompt
    )


def test_a_link_keeps_its_prompt_and_says_what_of_it_will_be_missing(open_page):
    page = open_page("/generate?model=shapes-asd&prompt=a+red+ball", PLAYER)
    page.wait_for_selector("#prompt-notice :text('words this model does not know: ball')")
    assert page.input_value("#prompt textarea") == "a red ball"


def test_presets_of_a_comparison_keep_the_world_that_is_chosen(open_page):
    page = open_page("/compare", PLAYER)
    choose(page, "#side-A", "CausVid, causal teacher")
    page.wait_for_function("(text) => document.querySelector('#prompt textarea').value === text", arg=MEASURED.prompt)
    page.click("#presets button:has-text('Baseline and ASD, 1 step')")
    page.wait_for_function("() => document.querySelector('#side-B input').value === 'ASD (shapes)'")
    assert page.input_value("#side-A input") == "Self Forcing (baseline, shapes)"


def test_clips_of_two_sizes_are_only_shown_side_by_side(open_page):
    page = open_page("/models", "#models-table table")
    views = """async (sizes) => {
      const { Stage } = await import('/ui/js/player/stage.js');
      const stage = new Stage(document.createElement('div'));
      stage.setClips(sizes.map((size) => ({ label: size, size, frames: [] })));
      return stage.modes().join();
    }"""
    assert page.evaluate(views, ["64x64", "64x64"]) == "side,wipe,difference,blink"
    assert page.evaluate(views, ["64x64", "128x128"]) == "side"
    assert page.evaluate(views, ["64x64", "128x128", "64x64"]) == "side,wipe,difference,blink"
