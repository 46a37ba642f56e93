"""`vote-torture`: kill -9 the server at random moments while people vote, then look for every acknowledged vote."""

import argparse
import tempfile
from pathlib import Path

from tqdm import tqdm

from models.types import RequestError
from workbench.common.console import say, say_json
from workbench.requests.arguments import COUNT, SEED
from workbench.settings import Settings

SERVER_SECONDS, APP_SECONDS = 1.0, 4.0  # a server lives at most so long after it has answered


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "vote-torture",
        help="kill the app while people vote",
        description="Kill -9 the voting server at random moments while people vote, and check that every vote that "
        "was acknowledged is there once, unchanged. Exit code 1 when one is not.",
    )
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="how often to kill it (default 200)")
    parser.add_argument("--voters", type=COUNT, default=8, metavar="N", help="people voting at once (default 8)")
    parser.add_argument("--seed", type=SEED, default=0, help="of the moments (default 0)")
    parser.add_argument(
        "--app",
        action="store_true",
        help="kill the whole app, not its voting routes alone; each start takes seconds",
    )
    parser.add_argument("--database-url", metavar="URL", help="an empty PostgreSQL database (default: new SQLite)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from workbench.lab.drawn_study import make_trial, trial_study
    from workbench.lab.vote_trials import row, torture

    if options.kills < 0 or options.voters < 1:
        raise RequestError(f"--kills {options.kills} and --voters {options.voters} must be 0 or more")
    with tempfile.TemporaryDirectory() as folder, tqdm(total=options.kills, unit="kill") as bar:
        settings = Settings(data_dir=Path(folder), database_url=options.database_url, min_watch=0.0)
        make_trial(settings, trial_study(40))
        longest = APP_SECONDS if options.app else SERVER_SECONDS
        found = torture(settings, options.kills, options.voters, longest, options.seed, bar.update, options.app)
    if options.json:
        say_json(row(found))
    else:
        say(
            f"{found.kills} kills, {found.acknowledged} votes acknowledged ({found.undone} undone, {found.retried} "
            f"requests sent again): {found.lost} lost, {found.twice} there twice, {found.changed} changed, "
            f"{len(found.refused)} wrongly refused, {len(found.damage)} damages"
        )
    return 0 if found.good else 1
