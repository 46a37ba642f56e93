"""`store-load`: fill a store with as many clips and values as a large study makes, and time what pages ask it."""

import argparse
import tempfile
from pathlib import Path

from workbench.common.console import notice, say, say_json
from workbench.requests.arguments import COUNT
from workbench.settings import Settings


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "store-load",
        help="a large store, timed",
        description="Fill an empty store with made-up clips and values, then time the leaderboard (limit 1 s) and "
        "filters (limit 0.5 s). Exit code 1 when a median is over its limit.",
    )
    parser.add_argument("--clips", type=COUNT, default=100_000, metavar="N", help="default 100,000")
    parser.add_argument("--values", type=COUNT, default=1_000_000, metavar="N", help="default 1,000,000")
    parser.add_argument("--data-dir", type=Path, metavar="D", help="keep it there (default: a folder that is removed)")
    parser.add_argument("--database-url", metavar="URL", help="an empty PostgreSQL database (default: SQLite)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from workbench.lab.store_trials import store_load

    with tempfile.TemporaryDirectory() as folder:
        notice(f"filling a store with {options.clips:,} clips and {options.values:,} values")
        settings = Settings(data_dir=options.data_dir or Path(folder), database_url=options.database_url)
        found = store_load(settings, options.clips, options.values)
    if options.json:
        say_json(found)
    else:
        size = f", {found['bytes'] / 2**20:.0f} MB" if found["bytes"] else ""
        say(f"{found['clips']:,} clips and {found['values']:,} values in {found['fill_seconds']:.1f} s{size};")
        say(f"one value more, with its sums, in {1000 * found['add_seconds']:.0f} ms\n")
        say("| question | rows | median s | of it busy s | longest s | limit s |")
        say("|---|---|---|---|---|---|")
        for row in found["readings"]:
            told = (
                f"{row['rows']:,} | {row['seconds']:.3f} | {row['busy']:.3f} | {row['longest']:.3f} | {row['limit']}"
            )
            say(f"| {row['name']} | {told}{'' if row['good'] else ' **over**'} |")
    return 0 if found["good"] else 1
