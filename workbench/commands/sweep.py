"""`sweep`: models x steps x FFE x prompts x seeds into the store, clips and values."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from models.default_world import DEFAULT
from models.registry import PREFIX, register
from models.types import RequestError
from workbench.common.console import notice, one_line, say, say_json
from workbench.common.words import counted, duration
from workbench.requests.arguments import PROCESSES, device
from workbench.settings import Settings

LISTS = {
    "models": "names from `models` or path:FILE, with commas between",
    "steps": "denoising steps a chunk, as 1,2,4 or 1-4 (default 1)",
    "ffe": "on, off or both (default off)",
    "first_steps": "steps of the first chunk with FFE (default 4)",
    "prompts": "a file with one prompt a line, or held-out:N for captions that no training showed",
    "seeds": "as 0,1,2 or 0-4 (default 0)",
    "frames": "frames of a clip (default 49)",
    "metrics": "names with commas between, as `evaluate --list` tells them",
    "name": "what the sweep is called",
}
EXAMPLE = (
    f"python -m workbench sweep --models {DEFAULT.asd},{DEFAULT.baseline} --steps 1,2 --prompts held-out:8 --dry-run"
)
SHOWN = 5


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "sweep",
        help="make and score many clips, resumable",
        description="Make a clip for each of models x steps x FFE x prompts x seeds, score it, and keep both in the "
        "store. What is there already is not made again, so that a run that was interrupted is simply started again.",
        epilog=f"example: {EXAMPLE}",
    )
    what = parser.add_argument_group("what to make; flags replace what the file says")
    what.add_argument("plan", nargs="?", type=Path, metavar="PLAN.yaml", help="a table with the keys of these flags")
    for name, told in LISTS.items():
        what.add_argument(f"--{name.replace('_', '-')}", dest=name, metavar=name[0].upper(), help=told)
    how = parser.add_argument_group("how")
    how.add_argument("--dry-run", action="store_true", help="show the plan and what it will cost, and make nothing")
    how.add_argument("--retry", action="store_true", help="try again what failed before")
    how.add_argument("--workers", type=PROCESSES, metavar="N", help="processes (default: one a core; one on a GPU)")
    how.add_argument("--ray", metavar="ADDRESS", help="use the workers of a Ray cluster: host:port, or auto")
    how.add_argument("--device", type=device, default="cpu", help="cpu or cuda (default cpu)")
    how.add_argument("--weights", type=Path, metavar="DIR", help="published weights of metrics")
    to = parser.add_argument_group("where to")
    to.add_argument("--data-dir", type=Path, default=Path("data"), metavar="D", help="clips and store (default data)")
    to.add_argument("--database-url", metavar="URL", help="PostgreSQL, or another SQLite file")
    to.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Refuse all that can be refused first, then make what is missing. 1 when a cell failed."""
    from workbench.store import open_store
    from workbench.sweeps.plan import check_metrics
    from workbench.sweeps.sweep import Sweep, workers_here

    if options.workers is not None and options.workers < 1:
        raise RequestError(f"--workers is {options.workers}; give 1 or more, as many as there are cores")
    if options.weights and not options.weights.is_dir():
        raise RequestError(f"--weights {str(options.weights)!r} is not a folder; give the one that holds the weights")
    plan = plan_from(options)
    check_metrics(plan, options.weights, options.device)
    runner, processors = _runner(options)
    workers = options.workers or processors or workers_here(options.device)
    settings = Settings(options.data_dir, options.database_url, options.device)
    with _readable(settings) if options.dry_run else nullcontext(settings) as database:
        store = open_store(database)
        try:
            sweep = Sweep(plan, settings, store, options.weights)
            if options.dry_run:
                _show_plan(sweep, workers, options)
                return 0
            return _run(sweep, workers, runner, options)
        finally:
            store.close()


@contextmanager
def _readable(settings: Settings) -> Iterator[Settings]:
    """Settings whose database may be opened without making one: an empty one elsewhere where there is none."""
    from workbench.store.database import database_url

    url = database_url(settings.database_url, settings.data_dir)
    if url.get_backend_name() != "sqlite" or Path(url.database or "").is_file():
        yield settings
        return
    with TemporaryDirectory() as folder:
        yield replace(settings, data_dir=Path(folder), database_url=None)


def plan_from(options: argparse.Namespace):
    """The plan of file and flags. Raises RequestError."""
    from workbench.sweeps.plan import PlanFile, make_plan, read_plan_file

    file = read_plan_file(options.plan) if options.plan else PlanFile(Path(), {}, {})
    flags = {name: getattr(options, name) for name in LISTS if getattr(options, name) is not None}
    if "models" in flags:
        named = [name.strip() for name in flags["models"].split(",")]
        flags["models"] = ",".join(register(name).name if name.startswith(PREFIX) else name for name in named)

    def place(key: str, index: int | None) -> str:
        return f"--{key.replace('_', '-')}: " if key in flags else file.place(key, index)

    return make_plan(file.values | flags, place)


def _runner(options: argparse.Namespace):
    """(how items are run, processors that are known of)."""
    from workbench.sweeps.pool import run_here

    if options.ray is None or options.dry_run:
        return run_here, None
    from workbench.sweeps.ray_cluster import connect, run_on_ray

    return run_on_ray, connect(options.ray)


def _show_plan(sweep, workers: int, options: argparse.Namespace) -> None:
    from workbench.sweeps.cost import cost_rows, estimate, measure

    work = sweep.look()
    rows = cost_rows(sweep.cells, work.items, [state.cell for state in work.failed])
    speeds = measure(work.items, sweep.setup) if work.items else {}
    seconds = estimate(work.items, speeds, workers)
    if options.json:
        told = {"sweep": sweep.id, "name": sweep.plan.name, "cells": len(sweep.cells), "there": work.there}
        told |= {"make": work.clips, "judge": len(work.items) - work.clips, "failed": len(work.failed)}
        told |= {"workers": workers, "seconds": round(seconds, 1), "systems": [asdict(row) for row in rows]}
        say_json(told | {"speeds": {model: asdict(speed) for model, speed in speeds.items()}})
        return
    many = f"{len(sweep.plan.prompts)} prompts x {len(sweep.plan.seeds)} seeds"
    say(f"sweep {sweep.id}: {len(sweep.cells)} cells, {many}")
    say(f"metrics: {', '.join(sweep.plan.metrics)}\n")
    say("| system | network calls a clip | there | to make | to judge | failed before |")
    say("|---|---|---|---|---|---|")
    for row in rows:
        system = f"{row.model}:{row.steps}:{row.first_steps}"
        say(f"| {system} | {row.forwards} | {row.there} | {row.make} | {row.judge} | {row.failed} |")
    for model, speed in speeds.items():
        say(f"\n{model}: {1000 * speed.forward:.0f} ms a network call, {speed.rest:.2f} s a clip for file and metrics")
    say(f"\nabout {duration(seconds)} with {counted(workers, 'worker')}, by speeds measured just now")


def _run(sweep, workers: int, runner, options: argparse.Namespace) -> int:
    work = sweep.begin(retry=options.retry)
    failures = 0
    with tqdm(total=len(work.items), unit="clip", disable=not work.items) as bar:

        def show(item, outcome) -> None:
            nonlocal failures
            failures += bool(outcome.error)
            bar.set_postfix_str(f"{failures} failed" if failures else item.cell.model, refresh=False)
            bar.update()

        report = sweep.run(work, workers, run=runner, on_done=show)
    if options.json:
        failed = [{**asdict(cell), "reason": reason} for cell, reason in report.failed]
        say_json({**asdict(report), "name": sweep.plan.name, "workers": workers, "failed": failed})
    else:
        _say_report(report)
    return 1 if report.failed else 0


def _say_report(report) -> None:
    from workbench.sweeps.sweep import reasons

    rate = f", {(report.made + report.judged) / report.seconds:.2f} clips/s" if report.made + report.judged else ""
    say(
        f"sweep {report.sweep}: {report.cells} cells, {report.made} made, {report.judged} judged only, {report.there} "
        f"there already, {len(report.failed)} failed; {report.values} values in {report.seconds:.1f} s{rate}"
    )
    told = list(reasons(report.failed).items())
    for reason, count in told[:SHOWN]:
        notice(f"{count} failed: {one_line(reason, 400)}")
    if report.failed:
        notice("--retry tries what failed again")
