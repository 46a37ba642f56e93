"""How long a person waits: from the click on Generate to the first picture of the clip on the screen."""

from workbench.clips.generation import GenerationService
from workbench.lab.bench import PROMPT
from workbench.lab.browser import open_browser
from workbench.requests.links.generate import generate_link
from workbench.requests.systems import FFE_STEPS, System
from workbench.settings import Settings
from workbench.ui.live import live_app

SETTLED = 1500  # milliseconds in which the page has joined its events; the app keeps a connection, so it is never idle
# polled by the browser's own clock, frame by frame: a message to Python would be part of the time
CLICK = """() => {
  window.firstPicture = null;
  const began = performance.now();
  const look = () => {
    if (document.querySelector("#player .wb-picture[data-frame]")) window.firstPicture = performance.now() - began;
    else requestAnimationFrame(look);
  };
  document.querySelector("#generate").click();
  look();
}"""


def first_picture_seconds(
    service: GenerationService, model: str, steps: int, *, ffe: bool, frames: int, repeats: int
) -> list[float]:
    """Seconds of `repeats` clicks in a headless Chromium on this machine, each on a page opened anew and for another
    seed, after one that loads the model and is not counted. Raises RequestError where no browser is installed."""
    found = []
    with live_app(service, Settings(data_dir=service.clips.parent)) as url, open_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(180_000)
        for seed in range(repeats + 1):
            system = System(model, steps, FFE_STEPS if ffe else 0)
            page.goto(url + generate_link(system, PROMPT, seed, frames))
            page.wait_for_selector("#generate")
            page.wait_for_timeout(SETTLED)
            page.evaluate(CLICK)
            page.wait_for_function("() => window.firstPicture !== null")
            found.append(page.evaluate("() => window.firstPicture") / 1000)
            page.wait_for_selector("#status [data-state=done]")
    return found[1:]
