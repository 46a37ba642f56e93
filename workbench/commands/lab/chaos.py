"""`chaos`: kills, dropped connections and full disks at random; every acknowledged thing must be there once."""

import argparse
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from models.types import RequestError
from workbench.common.console import say, say_json
from workbench.requests.arguments import SEED, whole
from workbench.requests.outputs import check_place


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "chaos",
        help="kill, cut off and starve everything at random; nothing may be lost",
        description="Kill -9 the app while people vote on lines that drop, a sweep, and a process that makes and "
        "measures clips; drop connections; fill a small disk during a vote, a sweep and a training (as root). Every "
        "acknowledged thing must be there once, and `doctor` must find nothing. Exit code 1 when something is wrong.",
    )
    parser.add_argument("--kills", type=whole(0, 10_000), default=20, metavar="N", help="kills in all (default 20)")
    parser.add_argument("--seed", type=SEED, default=0, metavar="N", help="of the moments (default 0)")
    parser.add_argument("--journal", type=Path, metavar="FILE", help="write down every round that ended (JSON lines)")
    parser.add_argument("--resume", action="store_true", help="go on with --journal, up to --kills in all")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    _check_journal(options)
    from workbench.lab.chaos_rounds import run_chaos

    with tqdm(total=options.kills, unit="kill", disable=None) as bar:
        parts = []
        for part in run_chaos(options.kills, options.seed, options.journal, bar.update):
            parts.append(part)
            if not options.json:
                state = part.left_out or "; ".join(part.faults[:5]) or "nothing lost, doctor finds nothing"
                say(f"{part.name}: {part.kills} cuts, {part.acknowledged} acknowledged: {state}")
    if options.json:
        say_json([asdict(part) for part in parts])
    return 1 if any(part.faults for part in parts) else 0


def _check_journal(options: argparse.Namespace) -> None:
    if options.resume and not options.journal:
        raise RequestError("--resume goes on with a journal; give the same --journal as before")
    if options.journal:
        check_place(options.journal, "--journal", folder=False)
        there, shown = options.journal.exists(), repr(str(options.journal))
        if there and not options.resume:
            raise RequestError(f"{shown} exists; go on with it by --resume, or choose another --journal")
        if options.resume and not there:
            raise RequestError(f"--resume finds no {shown} to go on with; begin without it")
