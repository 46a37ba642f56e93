"""`first-sight`: how long a newcomer waits from `git clone` to two clips whose difference can be seen."""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from models.types import RequestError
from workbench.common.console import say, say_json
from workbench.lab.browser import find_chromium, open_browser

HERE = Path(__file__).resolve().parents[3]
MINUTES = 30 * 60.0
PARTS = ("git clone", "install", "start the app", "open the page, make clips")
# both sides of the player show a picture, and not the same one
DIFFERS = """() => {
  if (!document.querySelector('#player .wb-player[data-state=ready]')) return false;
  const shown = [...document.querySelectorAll('#player canvas')].map((canvas) => canvas.toDataURL());
  return shown.length > 1 && shown[0] !== shown[1];
}"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "first-sight",
        help="time from clone to the first visible difference",
        description="Clone the repository into a temporary folder, run `make app` there, and wait in a real browser "
        "until the start page shows two clips that differ. Prints the seconds of every part.",
    )
    parser.add_argument("--source", default=str(HERE), metavar="URL", help="what to clone (default: this repository)")
    parser.add_argument(
        "--installed", action="store_true", help="use this program's environment instead of installing a new one"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    find_chromium()
    for program in ("git", "make"):
        if shutil.which(program) is None:
            raise RequestError(f"{program} is not on the PATH; install it, for example `apt-get install {program}`")
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(options.source, Path(folder) / "clone", installed=options.installed)
    if options.json:
        say_json(seconds)
    else:
        for name, value in seconds.items():
            say(f"{name:<28}{value:8.1f} s")
    return 0


def measure(source: str, clone: Path, *, installed: bool) -> dict[str, float]:
    """Seconds of every part and of all; raises RequestError for a part that fails."""
    marks = [time.monotonic()]

    def done(*command: str) -> None:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            last = (made.stderr.strip().splitlines() or ["no message"])[-1]
            raise RequestError(f"{' '.join(command[:2])} failed: {last[:200]}")

    done("git", "clone", "--quiet", source, str(clone))
    marks.append(time.monotonic())
    if installed:
        (clone / ".venv").symlink_to(HERE / ".venv")
    else:
        done("make", "-C", str(clone), ".venv/installed")
    marks.append(time.monotonic())
    with served(clone) as url, open_browser() as browser:
        marks.append(time.monotonic())
        page = browser.new_page()
        page.goto(url)
        page.wait_for_function(DIFFERS, timeout=1000 * MINUTES)
        marks.append(time.monotonic())
    return named_parts(marks)


def named_parts(marks: Sequence[float]) -> dict[str, float]:
    """Seconds of every part and of all, from the moments at which the parts began and the last one ended."""
    parts = {name: end - start for name, (start, end) in zip(PARTS, pairwise(marks), strict=True)}
    return parts | {"clone to first difference": marks[-1] - marks[0]}


@contextmanager
def served(clone: Path) -> Iterator[str]:
    """The address of the clone's app with a fresh data folder, once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    arguments = ["-o", ".venv/installed", "app", f"PORT={port}", f"ARGS=--data-dir {clone / 'first-sight-data'}"]
    log = clone.with_suffix(".log")
    with log.open("wb") as told:
        command = ["make", "-C", str(clone), *arguments]
        app = subprocess.Popen(command, start_new_session=True, stdout=told, stderr=subprocess.STDOUT)
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + MINUTES
    try:
        while not _answers(url):
            if app.poll() is not None or time.monotonic() > end:
                said = (log.read_text(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
                raise RequestError(
                    f"`make app` did not come to serve; run it in a fresh clone to see why: {said[:200]}"
                )
            time.sleep(0.1)
        yield url
    finally:
        os.killpg(app.pid, signal.SIGTERM)
        app.wait()


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/api/v1/health", timeout=5) as answer:
            return answer.status == 200
    except (URLError, OSError):
        return False
