"""`doctor`: what is wrong with the data, and its repair."""

import argparse
from pathlib import Path

from workbench.common.console import say, say_json
from workbench.requests.arguments import check_data_dir
from workbench.settings import Settings


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "doctor",
        help="check data, clips, weights, encoders",
        description="Check the data folder, its database and clips, the weights and the encoders. Exit code 1 while "
        "something is wrong.",
        epilog="example: python -m workbench doctor --data-dir data --repair",
    )
    parser.add_argument(
        "--data-dir", type=Path, default=Settings.data_dir, metavar="D", help="folder of the app's data"
    )
    parser.add_argument("--database-url", metavar="URL", help="the app's database (default: SQLite in --data-dir)")
    parser.add_argument("--repair", action="store_true", help="mend what can be mended without a loss")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from workbench.store.database import database_url
    from workbench.upkeep.data_check import check_data

    check_data_dir(options)
    database_url(options.database_url, options.data_dir)  # an address that is none is refused, and no finding
    rows = []
    for finding in check_data(Settings(data_dir=options.data_dir, database_url=options.database_url)):
        mended = bool(options.repair and finding.repair)
        if mended:
            finding.repair()
        rows.append({"area": finding.area, "says": finding.says, "safe": finding.repair is not None, "mended": mended})
    left = [row for row in rows if not row["mended"]]
    if options.json:
        say_json(rows)
    else:
        for row in rows:
            end = ": mended" if row["mended"] else "; --repair mends it" if row["safe"] else ""
            say(f"{row['area']}: {row['says']}{end}")
        say(f"{len(left)} things are wrong" if left else "all is well")
    return 1 if left else 0
