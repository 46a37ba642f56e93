"""`chaos`: kills, dropped connections and full disks at random; every acknowledged thing must be there once."""

import argparse
from dataclasses import asdict

from tqdm import tqdm

from workbench.console import say, say_json
from workbench.requests.arguments import SEED, whole


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "chaos",
        help="kill, cut off and starve everything at random; nothing may be lost",
        description="Kill -9 the app while people vote, a sweep, and a process that makes and measures clips; drop "
        "connections; fill a small disk during a vote, a sweep and a training (as root). Every acknowledged thing "
        "must be there once, and `doctor` must find nothing. Exit code 1 when something is wrong.",
    )
    parser.add_argument("--kills", type=whole(0, 10_000), default=20, metavar="N", help="kills in all (default 20)")
    parser.add_argument("--seed", type=SEED, default=0, metavar="N", help="of the moments (default 0)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from workbench.lab.chaos import run_chaos  # noqa: PLC0415  (seconds to load; --help should not wait)

    with tqdm(total=options.kills, unit="kill", disable=None) as bar:
        parts = []
        for part in run_chaos(options.kills, options.seed, bar.update):
            parts.append(part)
            if not options.json:
                state = part.left_out or "; ".join(part.faults[:5]) or "nothing lost, doctor finds nothing"
                say(f"{part.name}: {part.kills} cuts, {part.acknowledged} acknowledged: {state}")
    if options.json:
        say_json([asdict(part) for part in parts])
    return 1 if any(part.faults for part in parts) else 0
