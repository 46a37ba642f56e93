"""`screenshots`: pictures of the running app, made by driving a real browser through real generations."""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.default_world import DEFAULT
from models.types import RequestError
from workbench.common.console import say
from workbench.lab.browser import find_chromium, open_browser
from workbench.requests.arguments import add_output, device
from workbench.requests.insight_settings import Settings as Watched
from workbench.requests.links.address import address
from workbench.requests.links.compare import compare_query
from workbench.requests.links.dashboard import Query
from workbench.requests.links.generate import generate_link
from workbench.requests.links.insight import insight_link
from workbench.requests.systems import FFE_STEPS, System
from workbench.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Page

FIRST_CHUNK = 1  # where First-Frame Enhancement shows
SIZE = {"width": 1280, "height": 900}
GENERATE = generate_link(System(DEFAULT.asd, 1, FFE_STEPS), DEFAULT.prompts[1], seed=7)
SIDES = (System(DEFAULT.baseline, 1), System(DEFAULT.asd, 1, FFE_STEPS), System(DEFAULT.asd, 4))
COMPARE = address("/compare", compare_query(SIDES, DEFAULT.prompt, seed=7) | {"frame_number": FIRST_CHUNK})
WATCHED = Watched(DEFAULT.asd, (DEFAULT.prompt,), tuple(range(8)), steps=4, frames=73)
INSIGHT = insight_link(WATCHED)
EVALUATED = ["temporal_flickering", "warping_error", "sharpness", *DEFAULT.metrics]
MINUTES = 10 * 60_000


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "screenshots",
        help="picture the pages",
        description="Save generate.png, compare.png, evaluate.png, insight.png and claims.png; of measured clips "
        "dashboard.png and others too.",
    )
    add_output(
        parser,
        "--out",
        folder=True,
        files=lambda folder, options: [
            folder / f"{name}.png" for name in (*PICTURES, *(DASHBOARD_PICTURES if options.measured else ()))
        ],
        default=lambda options: Path("docs/images"),
        metavar="DIR",
        help="folder (default docs/images)",
    )
    parser.add_argument(
        "--measured", type=Path, metavar="D", help="data folder whose clips the Dashboard shows (default: no picture)"
    )
    parser.add_argument(
        "--device", type=device, default=Settings.device, help=f"cpu or cuda (default {Settings.device})"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:

    find_chromium()
    out = options.out or Path("docs/images")
    if options.measured and not (options.measured / "workbench.db").exists():
        raise RequestError(f"--measured {str(options.measured)!r} has no clips; fill it with `ablation` or `sweep`")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        _take(PICTURES, Settings(data_dir=Path(folder), device=options.device), out)
    if options.measured:
        settings = Settings(data_dir=options.measured, device=options.device, read_only=True)
        _take(DASHBOARD_PICTURES, settings, out)
    return 0


def _take(pictures: dict[str, Callable[[Any, str], None]], settings: Settings, out: Path) -> None:
    """Save each as a file of its name."""
    from workbench.clips.generation import GenerationService
    from workbench.ui.live import live_app

    service = GenerationService(settings.data_dir, settings.device)
    with live_app(service, settings) as url, open_browser() as browser:
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(MINUTES)
        for name, shoot in pictures.items():
            shoot(page, url)
            show_whole(page)
            page.screenshot(path=out / f"{name}.png", full_page=True)
            page.set_viewport_size(SIZE)
            say(str(out / f"{name}.png"))


def picture_generate(page: "Page", url: str) -> None:
    page.goto(url + GENERATE)
    page.click("#generate")
    wait_until_done(page)
    pause_at(page, 30)


def show_whole(page: "Page") -> None:
    """Make the window as high as the page, so that nothing stays at its lower edge; what fits itself to the window may
    grow by that."""
    for _ in range(2):
        height = page.evaluate("() => document.documentElement.scrollHeight")
        page.set_viewport_size(SIZE | {"height": height})
        page.wait_for_timeout(500)


def picture_compare(page: "Page", url: str) -> None:
    page.goto(url + COMPARE)  # a link with sides makes them by itself
    wait_until_done(page)
    page.wait_for_selector(".wb-plot .main-svg")
    pause_at(page, FIRST_CHUNK)


def picture_evaluate(page: "Page", url: str) -> None:
    page.click("#status a:has-text('Evaluate these clips')")  # those of the comparison just pictured
    page.wait_for_selector("#metrics .wb-metric")
    page.wait_for_function("() => document.querySelector('#picker .wb-count').innerText === '3 clips chosen'")
    page.click("#metrics button:has-text('None')")
    for name in EVALUATED:
        page.check(f"#metrics input[value={name}]")
    page.click("#run")
    wait_until_done(page)
    page.wait_for_selector(".wb-plot .main-svg")
    pause_at(page, 30)


def picture_insight(page: "Page", url: str) -> None:
    page.goto(url + INSIGHT)  # a link with prompts watches them by itself
    wait_until_done(page)
    page.click("#measure")
    page.wait_for_selector("#cost-status [data-state=done]", timeout=MINUTES)
    for name in ("line", "maps", "reads", "attention", "costs"):
        page.wait_for_selector(f"#chart-{name} .main-svg")
    pause_at(page, 30)


def picture_claims(page: "Page", url: str) -> None:
    page.goto(url + "/claims")
    page.wait_for_selector("#checklist tbody tr")
    page.wait_for_selector("#chart-right .main-svg")


def picture_dashboard(page: "Page", url: str) -> None:
    page.goto(f"{url}/dashboard")
    page.wait_for_selector("#board tbody tr")


def picture_dashboard_charts(page: "Page", url: str) -> None:
    page.goto(url + Query(view="charts").link())
    for name in ("dots", "radar", "speed", "time"):
        page.wait_for_selector(f"#chart-{name} .main-svg")


def picture_dashboard_prompt(page: "Page", url: str) -> None:
    page.goto(url + Query(view="prompts").link())
    page.click("#prompts-grid tbody .wb-open")
    page.wait_for_selector("#player .wb-player[data-state=ready]")
    page.wait_for_selector("#curves .main-svg")
    pause_at(page, 30)


PICTURES: dict[str, Callable[[Any, str], None]] = {
    "generate": picture_generate,
    "compare": picture_compare,
    "evaluate": picture_evaluate,
    "insight": picture_insight,
    "claims": picture_claims,
}
DASHBOARD_PICTURES: dict[str, Callable[[Any, str], None]] = {
    "dashboard": picture_dashboard,
    "dashboard-charts": picture_dashboard_charts,
    "dashboard-prompt": picture_dashboard_prompt,
}


def wait_until_done(page: "Page") -> None:
    """Wait for the finished clip, or fail with the sentence that the page shows."""
    ended = page.wait_for_selector("#status [data-state=done], #status [data-state=error]", timeout=MINUTES)
    if ended.get_attribute("data-state") == "error":
        raise RuntimeError(f"the page says: {ended.inner_text()}")
    page.wait_for_selector("#player .wb-player[data-state=ready]")


def pause_at(page: "Page", frame: int) -> None:
    page.evaluate("(frame) => document.querySelector('#player .wb-player').workbench.seek(frame)", frame)
    page.wait_for_timeout(500)
