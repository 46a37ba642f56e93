"""`sweep-torture`: kill -9 a sweep at random and start it again; or lose a node of a Ray cluster; or time workers."""

import argparse
import tempfile
from pathlib import Path

from tqdm import tqdm

from models.types import RequestError
from workbench.common.console import say, say_json
from workbench.requests.arguments import COUNT, PROCESSES, SEED
from workbench.settings import Settings


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "sweep-torture",
        help="kill a sweep at random; nothing may be torn, missing or twice",
        description="Kill -9 a sweep of the shapes world (13 frames, one step) at random moments and start it again, "
        "then check that every cell is there once, whole, with its values. Exit code 1 when one is not.",
    )
    parser.add_argument("--clips", type=COUNT, default=512, metavar="N", help="cells of the sweep (default 512)")
    parser.add_argument("--kills", type=int, default=20, metavar="N", help="how often to kill it (default 20)")
    parser.add_argument("--workers", type=PROCESSES, default=2, metavar="N", help="processes, or actors (default 2)")
    parser.add_argument("--longest", type=float, default=2.0, metavar="S", help="most seconds to a kill (default 2)")
    parser.add_argument("--seed", type=SEED, default=0, help="of the moments (default 0)")
    parser.add_argument(
        "--ray", action="store_true", help="on a Ray cluster of two nodes here, one of which is killed"
    )
    parser.add_argument("--scaling", action="store_true", help="time one worker against --workers, without kills")
    parser.add_argument("--database-url", metavar="URL", help="an empty PostgreSQL database (default: new SQLite)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from workbench.lab import sweep_trials as trials

    if options.clips < 1 or options.kills < 0 or options.workers < 1:
        raise RequestError("--clips and --workers are 1 or more, --kills 0 or more; give such numbers")
    with tempfile.TemporaryDirectory() as folder, tqdm(total=options.kills, unit="kill") as bar:
        settings = Settings(data_dir=Path(folder), database_url=options.database_url)
        if options.scaling:
            found = trials.scaling(Path(folder), trials.sweep_flags(options.clips), options.workers)
        elif options.ray:
            found = trials.lose_a_node(settings, trials.sweep_flags(options.clips), options.workers)
        else:
            limits = {"workers": options.workers, "longest": options.longest, "seed": options.seed}
            found = trials.torture(
                settings, trials.sweep_flags(options.clips), options.kills, **limits, on_kill=bar.update
            )
    if options.json:
        say_json(trials.row(found))
    else:
        say(_told(found))
    return 0 if found.good else 1


def _told(found) -> str:
    if hasattr(found, "speedup"):
        same = "the same, bit for bit" if found.good else "NOT the same"
        return (
            f"{found.clips} clips on {found.cores} cores: {found.rate_of_one} clips/s with one worker, {found.rate} "
            f"with {found.workers}, {found.speedup} times as many; clips and values are {same}"
        )
    return (
        f"{found.kills} kills, {found.cells} cells in {found.seconds:.0f} s: {found.missing} missing, {found.twice} "
        f"twice, {found.torn} torn, {found.unknown_files} files unknown, {found.without_values} without values, "
        f"{found.wrong_sums} wrong sums, {len(found.damage)} damages; {found.left_behind} temporary files left behind"
    )
