"""`train-all`: every model of the tabletop world from nothing, stage after stage."""

import argparse
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from models.types import RequestError
from workbench.common.console import notice, say, say_json
from workbench.requests.arguments import PROCESSES, device

if TYPE_CHECKING:
    from models.training.stages import Stage

POLL_SECONDS = 1.0


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "train-all",
        help="train all models of the tabletop world",
        description="Train the stages of the tabletop world in order, each into runs/STAGE. A stage that is finished "
        "is left alone, one that was stopped goes on; Ctrl-C or --minutes stops all, and the same command goes on",
    )
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="these and what they start from (default: all)")
    parser.add_argument(
        "--jobs", type=PROCESSES, default=1, metavar="N", help="stages to train side by side (default 1)"
    )
    parser.add_argument("--minutes", type=float, metavar="M", help="stop after so long; the same command goes on")
    parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="as for train (default fp32)")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", dest="settings", help="as for train, for every stage"
    )
    parser.add_argument("--list", action="store_true", help="list the stages, what they wait for and how far they are")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from models.training.stages import STAGES, with_what_they_need

    for name in options.stages:
        if name not in STAGES:
            raise RequestError(f"stage {name!r} does not exist; choose of {', '.join(STAGES)}")
    if options.jobs < 1:
        raise RequestError(f"--jobs {options.jobs} trains nothing; give 1 or more")
    if options.minutes is not None and not options.minutes > 0:
        raise RequestError(f"--minutes {options.minutes:g} is no time; give more than 0")
    stages = with_what_they_need(options.stages or list(STAGES))
    if options.list:
        _list(stages, as_json=options.json)
        return 0
    failed = _train(stages, options)
    done = [stage.name for stage in stages if stage.finished]
    if options.json:
        say_json({"finished": done, "failed": failed, "stages": len(stages)})
    else:
        say(f"{len(done)} of {len(stages)} stages are finished")
    for name in failed:
        notice(f"stage {name} failed; runs/{name}/output.txt says why")
    return 1 if failed else 0


def _list(stages: "list[Stage]", *, as_json: bool) -> None:
    rows: list[dict[str, Any]] = [
        {
            "stage": stage.name,
            "recipe": stage.recipe,
            "preset": stage.preset,
            "waits_for": sorted(stage.waits_for),
            "finished": stage.finished,
        }
        for stage in stages
    ]
    if as_json:
        say_json(rows)
        return
    for row in rows:
        state = "finished" if row["finished"] else f"waits for {', '.join(row['waits_for']) or 'nothing'}"
        say(f"{row['stage']:<16}{row['recipe'] + ' ' + row['preset']:<36}{state}")


def _train(stages: "list[Stage]", options: argparse.Namespace) -> list[str]:
    """Train until all is finished, nothing can go on, or the time is over; returns the names of failed stages."""
    end = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    running: dict[str, subprocess.Popen] = {}
    failed: list[str] = []
    try:
        while time.monotonic() < end:
            finished = {stage.name for stage in stages if stage.finished}
            for name in [name for name, process in running.items() if process.poll() is not None]:
                if running.pop(name).returncode:
                    failed.append(name)
            for stage in stages:
                ready = stage.waits_for <= finished and stage.name not in finished | set(failed) | set(running)
                if ready and len(running) < options.jobs:
                    notice(f"training {stage.name} ({stage.recipe}, {stage.preset})")
                    running[stage.name] = _start(stage, options)
            if not running:
                break
            time.sleep(POLL_SECONDS)
    finally:
        # a run that is told to end saves its state first
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()
    return failed


def _start(stage: "Stage", options: argparse.Namespace) -> subprocess.Popen:
    stage.out.mkdir(parents=True, exist_ok=True)
    how = ["--device", options.device, "--precision", options.precision]
    settings = ["--set", *options.settings] if options.settings else []
    command = [sys.executable, "-m", "workbench", "train", stage.recipe, "--preset", stage.preset, *how, *settings]
    goes_on = ["--resume"] if (stage.out / "run.json").exists() else []
    with (stage.out / "output.txt").open("ab") as output:
        return subprocess.Popen(
            [*command, "--out", str(stage.out), *goes_on], stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
