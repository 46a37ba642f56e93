"""`vote-load`: many annotators voting at once, and how long each vote took to be acknowledged."""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.types import RequestError
from workbench.common.console import notice, say, say_json
from workbench.requests.arguments import COUNT
from workbench.settings import Settings
from workbench.store import open_store
from workbench.votes.studies import DEFAULT_STUDY

if TYPE_CHECKING:
    from workbench.lab.vote_trials import Load

PATIENCE = 1800.0  # seconds for the app to make the default study's clips, which must not run beside the trial


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "vote-load",
        help="many annotators voting at once, timed",
        description="Start the app on a temporary folder, wait until it idles, and let annotators vote. With --url "
        "an app that runs already is used; it needs --min-watch 0. Afterwards the database is asked whether every "
        "acknowledged vote is there once and no pair was handed out beyond the plan. Exit code 1 when not, when a "
        "request failed, or when votes took longer than --most.",
    )
    parser.add_argument("--annotators", type=COUNT, default=50, metavar="N", help="people voting at once (default 50)")
    parser.add_argument("--seconds", type=float, default=120.0, metavar="S", help="how long (default 120)")
    parser.add_argument("--think", type=float, default=1.0, metavar="S", help="mean pause before a vote (default 1)")
    parser.add_argument(
        "--generation", action="store_true", help="let the app make clips all the while; it is not waited for to idle"
    )
    parser.add_argument("--most", type=float, metavar="MS", help="what the p95 of a vote may be (default: anything)")
    parser.add_argument("--url", help="an app that runs already")
    parser.add_argument(
        "--study", default=None, metavar="ID", help="with --url: the study (default: the default study)"
    )
    parser.add_argument("--database-url", metavar="URL", help="an empty PostgreSQL database (default: new SQLite)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from workbench.lab.vote_trials import row

    if options.annotators < 1 or options.seconds <= 0 or options.think < 0:
        raise RequestError("--annotators, --seconds and --think count people and seconds; give more than 0")
    found = _at(options.url, options) if options.url else _alone(options)
    if options.json:
        say_json(row(found))
    else:
        say(
            f"{found.annotators} annotators, {found.seconds} s, {found.votes} votes ({found.per_second}/s): "
            f"acknowledged in {found.p50} ms (p50), {found.p95} ms (p95), {found.p99} ms (p99), {found.longest} ms "
            f"(longest); next pair in {found.next_p95} ms, both clips in {found.clips_p95} ms (p95); "
            f"{found.generated} clips made meanwhile; {found.errors} errors{_first(found.first_error)}"
        )
        if found.lost is not None:
            say(f"database: {found.lost} votes lost, {found.twice} twice, {found.repeated} pairs beyond the plan")
    return 0 if found.good and (options.most is None or found.p95 <= options.most) else 1


def _first(error: str) -> str:
    return f", as {error!r}" if error else ""


def _at(url: str, options: argparse.Namespace) -> "Load":
    """A load of an app whose database is not ours to ask."""
    return _load(url, options.study or DEFAULT_STUDY, options)[0]


def _alone(options: argparse.Namespace) -> "Load":
    from workbench.lab.vote_trials import check_load

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), database_url=options.database_url, min_watch=0.0)
        with _app(settings, idle=not options.generation) as (url, study):
            found, saved = _load(url, study, options)
        store = open_store(settings)
        try:
            return check_load(store, found, saved, study)
        finally:
            store.close()


def _load(url: str, study: str, options: argparse.Namespace) -> tuple["Load", dict[str, str]]:
    from workbench.lab.vote_trials import generating, load

    calls: AbstractContextManager[list[str]] = generating(url) if options.generation else nullcontext([])
    with calls as made:
        notice(f"{options.annotators} annotators vote for {options.seconds:.0f} s")
        trial = load(url, options.annotators, options.seconds, options.think, study)
        found, saved = asyncio.run(trial)
    return replace(found, generated=len(made)), saved


@contextmanager
def _app(settings: Settings, idle: bool) -> Iterator[tuple[str, str]]:
    """The whole app in a process of its own, once it has made the default study's clips if it shall be `idle`; and the
    study to vote on."""
    from workbench.lab.drawn_study import TRIAL, make_trial, trial_study

    make_trial(settings, trial_study(200))
    command = [sys.executable, "-m", "workbench", "app", "--port", "0", "--min-watch", "0"]
    command += ["--data-dir", str(settings.data_dir)]
    command += ["--database-url", settings.database_url] if settings.database_url else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        if " at http" not in line:
            raise RuntimeError("the app did not start; run `python -m workbench app` to see why")
        if idle:
            _wait_until_idle(settings)
        yield line.split(" at ")[1].split()[0], TRIAL
    finally:
        process.terminate()
        process.wait(60)


def _wait_until_idle(settings: Settings) -> None:
    from workbench.votes.study_clips import StudyClips

    notice("waiting until the app has made the clips of the default study")
    store, end = open_store(settings), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        record = store.studies.get(DEFAULT_STUDY)
        progress = StudyClips(store, settings.data_dir).progress(record) if record else None
        if progress and progress.ready >= progress.planned:
            store.close()
            time.sleep(2)
            return
        time.sleep(1)
    raise RuntimeError("the app did not finish the clips of its default study")
