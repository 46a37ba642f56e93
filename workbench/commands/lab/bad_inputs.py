"""`bad-inputs`: wrong command lines and wrong requests by the thousand; each must be refused in one sentence."""

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from models.default_world import DEFAULT
from workbench.common.console import say, say_json
from workbench.requests.arguments import SEED, whole


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "bad-inputs",
        help="wrong input to every command and endpoint",
        description="Run wrong command lines and send wrong requests to a running app, half of each. None may show a "
        "traceback or hang, the pages must work after each, and memory and open files stay flat. Exit code 1 when "
        "something is wrong.",
    )
    parser.add_argument("--count", type=whole(2), default=1000, metavar="N", help="how many in all (default 1000)")
    parser.add_argument("--seed", type=SEED, default=0, metavar="N", help="of the draws (default 0)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from workbench.clips.generation import GenerationService
    from workbench.commands.lab.bad_input_trials import Report, try_commands, try_requests
    from workbench.requests.systems import System
    from workbench.settings import Settings
    from workbench.ui.live import live_app

    report = Report()
    with tqdm(total=options.count, unit="input", disable=None) as bar, tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), min_watch=0.0)
        service = GenerationService(settings.data_dir)
        # good requests among the wrong ones load the models, which is no leak
        service.generate(DEFAULT.asd, System(DEFAULT.asd, 1).request(DEFAULT.prompt, 0, 1))
        with live_app(service, settings) as url:
            try_requests(url, options.count // 2, options.seed, report, bar.update)
        try_commands(options.count - options.count // 2, options.seed, report, bar.update)
    if options.json:
        say_json(asdict(report))
    else:
        growth = f"memory {report.memory[0]:.0f} to {report.memory[-1]:.0f} MB" if report.memory else ""
        say(f"{report.commands} command lines, {report.requests} requests: {len(report.faults)} faults; {growth}")
        say("\n".join(report.faults)) if report.faults else None
    return 1 if report.faults else 0
