"""`leak-check`: attack the blindness of voting over HTTP, by everything but the pictures."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from models.types import RequestError
from workbench.common.console import notice, say, say_json
from workbench.settings import Settings
from workbench.votes.studies import DEFAULT_STUDY


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "leak-check",
        help="try to tell the sides of pairs apart without looking",
        description="Serve a study, let annotators keep all they are sent (bytes, sizes, headers, times), and let "
        "guessers learn from it which system made which side. The study's own votes are not touched: the attack goes "
        "to a copy of the database. Exit code 1 when a guesser beats chance.",
    )
    parser.add_argument(
        "--study", metavar="ID", help=f"a study of --data-dir, as {DEFAULT_STUDY!r} (default: one of drawn clips)"
    )
    parser.add_argument("--annotators", type=int, default=4, metavar="N", help="who go through it (default 4)")
    parser.add_argument("--data-dir", type=Path, default=Settings.data_dir, metavar="D", help="folder of the data")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.annotators < 2:
        raise RequestError(f"--annotators {options.annotators} cannot compare notes; give 2 or more")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), min_watch=0.0)
        study = options.study or _drawn(settings)
        if options.study:
            _copy(options.data_dir, settings)
        found = _attack(settings, study, options.annotators)
    rows = [
        {
            "channel": guess.channel,
            "pairs": guess.pairs,
            "decided": guess.decided,
            "right": guess.right,
            "low": guess.interval and round(guess.interval.low, 4),
            "high": guess.interval and round(guess.interval.high, 4),
            "leaks": guess.finding.leaks,
        }
        for guess in found
    ]
    if options.json:
        say_json(rows)
    for guess in [] if options.json else found:
        say(f"{'LEAKS' if guess.finding.leaks else 'blind'}  {guess.channel}: {guess.finding.says}")
    return 1 if any(row["leaks"] for row in rows) else 0


def _drawn(settings: Settings) -> str:
    from workbench.lab.drawn_study import TRIAL, make_trial, trial_study

    make_trial(settings, trial_study(20))
    return TRIAL


def _copy(data_dir: Path, settings: Settings) -> None:
    """The database as it is at this moment, beside the clips of its studies."""
    from workbench.store.database import copy_sqlite
    from workbench.votes.study_clips import FOLDER

    database = data_dir / "workbench.db"
    if not database.is_file():
        raise RequestError(f"{str(database)!r} is not there; name the data folder of an app by --data-dir")
    copy_sqlite(database, settings.data_dir / database.name)
    (settings.data_dir / FOLDER).symlink_to((data_dir / FOLDER).absolute())


def _attack(settings: Settings, study: str, annotators: int) -> list:
    from workbench.lab.leak_trial import keep_everything, told_apart
    from workbench.lab.voting_server import build_voting_app
    from workbench.store import open_store
    from workbench.ui.live import listening

    store = open_store(settings)
    try:
        record = store.studies.get(study)
        if record is None:
            raise RequestError(f"study {study!r} does not exist in this data folder; `studies list` shows which do")
        notice(f"{annotators} annotators go through study {study!r}")
        with listening(build_voting_app(settings)) as url:
            kept = asyncio.run(keep_everything(url, study, annotators))
        if not kept:
            raise RequestError(f"study {study!r} has no pairs yet; wait until its clips are made")
        return told_apart(kept, store, record)
    finally:
        store.close()
