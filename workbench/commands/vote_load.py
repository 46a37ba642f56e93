"""`vote-load`: many annotators voting at once, and how long each vote took to be acknowledged."""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from models.types import RequestError
from workbench.arguments import COUNT
from workbench.console import notice, say, say_json
from workbench.settings import Settings
from workbench.store import open_store
from workbench.studies import DEFAULT_STUDY

PATIENCE = 1800.0  # seconds for the app to make the default study's clips, which must not run beside the trial


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "vote-load",
        help="many annotators voting at once, timed",
        description="Start the app on a temporary folder, wait until it idles, and let annotators vote. With --url "
        "an app that runs already is used; it needs --min-watch 0. Exit code 1 when a vote failed or was lost.",
    )
    parser.add_argument("--annotators", type=COUNT, default=50, metavar="N", help="people voting at once (default 50)")
    parser.add_argument("--seconds", type=float, default=120.0, metavar="S", help="how long (default 120)")
    parser.add_argument("--think", type=float, default=1.0, metavar="S", help="mean pause before a vote (default 1)")
    parser.add_argument("--url", help="an app that runs already")
    parser.add_argument(
        "--study", default=None, metavar="ID", help="with --url: the study (default: the default study)"
    )
    parser.add_argument("--database-url", metavar="URL", help="an empty PostgreSQL database (default: new SQLite)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from workbench.vote_trials import load, row  # noqa: PLC0415  (seconds to load; --help should not wait)

    if options.annotators < 1 or options.seconds <= 0 or options.think < 0:
        raise RequestError("--annotators, --seconds and --think count people and seconds; give more than 0")
    if options.url:
        study = options.study or DEFAULT_STUDY
        found, _ = asyncio.run(load(options.url, options.annotators, options.seconds, options.think, study))
    else:
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(data_dir=Path(folder), database_url=options.database_url, min_watch=0.0)
            with _idle_app(settings) as (url, study):
                trial = load(url, options.annotators, options.seconds, options.think, study)
                found, saved = asyncio.run(trial)
            store = open_store(settings)
            kept = store.votes(study)
            found = replace(found, lost=len(set(saved) - set(kept.vote_id)) + int(kept.duplicated("assignment").sum()))
            store.close()
    if options.json:
        say_json(row(found))
    else:
        say(
            f"{found.annotators} annotators, {found.seconds} s, {found.votes} votes ({found.per_second}/s): "
            f"acknowledged in {found.p50} ms (p50), {found.p95} ms (p95), {found.p99} ms (p99), {found.longest} ms "
            f"(longest); next pair in {found.next_p95} ms (p95); {found.errors} errors, {found.lost} lost"
        )
    return 1 if found.errors or found.lost else 0


@contextmanager
def _idle_app(settings: Settings) -> Iterator[tuple[str, str]]:
    """The whole app in a process of its own, once it has made the default study's clips; and the study to vote on."""
    from workbench.trials import TRIAL, make_trial, trial_study  # noqa: PLC0415

    make_trial(settings, trial_study(200))
    command = [sys.executable, "-m", "workbench", "app", "--port", "0", "--min-watch", "0"]
    command += ["--data-dir", str(settings.data_dir)]
    command += ["--database-url", settings.database_url] if settings.database_url else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        if " at http" not in line:
            raise RuntimeError("the app did not start; run `python -m workbench app` to see why")
        _wait_until_idle(settings)
        yield line.split(" at ")[1].split()[0], TRIAL
    finally:
        process.terminate()
        process.wait(60)


def _wait_until_idle(settings: Settings) -> None:
    from workbench.study_clips import StudyClips  # noqa: PLC0415

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
