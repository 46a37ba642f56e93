"""`backup`: a data folder as one file."""

import argparse
from pathlib import Path

from workbench.common.console import say
from workbench.requests.arguments import add_output, check_data_dir
from workbench.settings import Settings
from workbench.upkeep.backup import write_backup


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "backup",
        help="save the data folder as one file",
        description="Save the database, clips and all else of a data folder; the app may go on meanwhile.",
        epilog="example: python -m workbench backup --data-dir data --out monday.tar",
    )
    parser.add_argument(
        "--data-dir", type=Path, default=Settings.data_dir, metavar="D", help="folder of the app's data"
    )
    parser.add_argument("--database-url", metavar="URL", help="the app's database (default: SQLite in --data-dir)")
    add_output(parser, "--out", required=True, metavar="F.tar", help="the backup")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    check_data_dir(options)
    options.out.absolute().parent.mkdir(parents=True, exist_ok=True)
    count = write_backup(options.data_dir, options.out, options.database_url)
    say(f"{options.out}: {count} files")
    return 0
