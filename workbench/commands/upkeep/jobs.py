"""`jobs`: work that is under way in a data folder, and what was interrupted."""

import argparse
from dataclasses import asdict
from pathlib import Path

from workbench.common.console import say, say_json
from workbench.requests.arguments import check_data_dir
from workbench.settings import Settings


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "jobs",
        help="work under way, and what was interrupted",
        description="List clips, evaluations and sweeps that are under way, wait, or were interrupted. The app goes "
        "on with clips and evaluations when it starts; a sweep goes on with the same command.",
    )
    parser.add_argument("--data-dir", type=Path, default=Settings.data_dir, metavar="D", help="the app's data folder")
    parser.add_argument("--database-url", metavar="URL", help="the app's database (default: SQLite in --data-dir)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from workbench.clips.generation import GenerationService
    from workbench.scoring.runs import EvaluationService
    from workbench.store import open_store
    from workbench.upkeep.jobs import Jobs

    check_data_dir(options)
    store = open_store(Settings(data_dir=options.data_dir, database_url=options.database_url))
    evaluations, service = EvaluationService(options.data_dir), GenerationService(options.data_dir)
    jobs = Jobs(options.data_dir, store, evaluations, service).all()
    store.close()
    if options.json:
        say_json([asdict(job) for job in jobs])
    else:
        say("\n".join(f"{job.kind:10}  {job.state:11}  {job.says}" for job in jobs) or "nothing is under way")
    return 0
