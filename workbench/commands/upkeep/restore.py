"""`restore`: a data folder from what `backup` wrote."""

import argparse
from pathlib import Path

from workbench.common.console import say
from workbench.requests.outputs import check_place
from workbench.settings import Settings
from workbench.upkeep.backup import restore_backup


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "restore",
        help="make a data folder from a backup",
        description="Make a data folder from a backup. Every file is compared with its digest first.",
        epilog="example: python -m workbench restore monday.tar --data-dir data",
    )
    parser.add_argument("file", type=Path, metavar="F.tar", help="what `backup` wrote")
    parser.add_argument(
        "--data-dir", type=Path, default=Settings.data_dir, metavar="D", help="empty, or not there yet"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    check_place(options.data_dir, "--data-dir", folder=True)
    count = restore_backup(options.file, options.data_dir)
    say(f"{options.data_dir}: {count} files")
    return 0
