"""`ablation`: the ASD paper's Table 2 on the shapes world, with intervals and tests."""

import argparse
import os
import shlex
import sys
import time
from contextlib import closing
from pathlib import Path

from tqdm import tqdm

from models.default_world import MEASURED
from models.types import RequestError
from workbench.common.clock import to_the_second
from workbench.common.console import say, say_json
from workbench.requests.arguments import PROCESSES, SEED, add_output, device
from workbench.settings import Settings
from workbench.store import open_store


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "ablation",
        help="ASD x FFE x steps, with intervals",
        description="Make and judge held-out captions with the baseline and with ASD, with and without First-Frame "
        "Enhancement, at 2 steps and at 1, and at 4 as anchor. Run again to go on after an interruption.",
    )
    parser.add_argument("--prompts", type=int, default=64, help="held-out captions (default 64)")
    parser.add_argument("--seeds", type=int, default=1, help="seeds a caption (default 1)")
    parser.add_argument("--seed", type=SEED, default=0, help="caption i is made with seed + i (default 0)")
    parser.add_argument("--frames", type=int, default=49, help="frames a clip (default 49)")
    parser.add_argument("--workers", type=PROCESSES, default=os.cpu_count(), help="processes (default: one a core)")
    parser.add_argument("--data-dir", type=Path, default=Settings.data_dir, metavar="D", help="clips, database")
    parser.add_argument("--database-url", metavar="URL", help="SQLAlchemy URL (default: SQLite in --data-dir)")
    parser.add_argument(
        "--device", type=device, default=Settings.device, help=f"cpu or cuda (default {Settings.device})"
    )
    add_output(
        parser,
        "--out",
        folder=True,
        files=lambda folder, options: [folder / f"ablation.{ending}" for ending in ("json", "md", "tex", "parquet")],
        default=lambda options: options.data_dir / "ablation",
        metavar="DIR",
        help="folder of the results (default: D/ablation)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of the tables")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    for name, least in (("prompts", 1), ("seeds", 1), ("frames", 9), ("workers", 1), ("seed", 0)):
        if getattr(options, name) < least:
            raise RequestError(f"--{name} {getattr(options, name)} is too few; give {least} or more")
    from models.registry import get_spec, unavailable, weights_digest
    from models.worlds.captions import held_out_captions
    from workbench.experiments import ablation
    from workbench.experiments.ablation_files import console, write_files
    from workbench.experiments.ablation_report import build_report, clip_table

    specs = [get_spec(name) for name in (ablation.BASELINE, ablation.ASD)]
    for spec in specs:
        if reason := unavailable(spec):
            raise RequestError(f"{spec.name} cannot run here: {reason}; the ablation needs it")
    weights = {spec.name: weights_digest(spec) for spec in specs}
    prompts = held_out_captions(MEASURED.name, options.prompts)
    jobs = ablation.plan_jobs(prompts, options.seeds, seed=options.seed, frames=options.frames, weights=weights)
    started, judged = time.perf_counter(), {}
    running = ablation.run_jobs(jobs, options.data_dir, workers=options.workers, device=options.device)
    for row in tqdm(running, total=len(jobs), unit="clip", disable=None):
        judged[row.key] = row
    facts = {
        "command": f"python -m workbench {shlex.join(sys.argv[1:])}",
        "date": to_the_second(),
        "prompts": len(prompts),
        "seeds": options.seeds,
        "seed": options.seed,
        "frames": options.frames,
        "first_steps": ablation.FIRST_STEPS,
        "anchor": ablation.ANCHOR,
        "weights": weights,
        "minutes_of_making": round((time.perf_counter() - started) / 60, 1),
    }
    settings = Settings(data_dir=options.data_dir, database_url=options.database_url)
    with closing(open_store(settings)) as store:
        ablation.store_clips(store, list(judged.values()), options.data_dir)
    report = build_report(jobs, judged, **facts)
    folder = options.out or options.data_dir / "ablation"
    files = write_files(report, clip_table(jobs, judged), folder)
    if options.json:
        say_json(report)
    else:
        say(console(report))
        say("Files: " + ", ".join(map(str, files)))
    return 0
