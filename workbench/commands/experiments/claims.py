"""`claims`: what the papers claim, measured on the shapes world."""

import argparse
import json
import os
import shlex
import sys
from collections import defaultdict
from pathlib import Path

from tqdm import tqdm

from models.default_world import MEASURED
from models.types import RequestError
from workbench.common.clock import to_the_second
from workbench.common.console import say, say_json
from workbench.requests.arguments import PROCESSES, add_output
from workbench.settings import Settings


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "claims",
        help="check the papers' claims on the shapes world",
        description="Make and judge held-out captions with every model that a claim compares, and say for each claim "
        "whether it is confirmed, not confirmed or reversed. Run again to go on after an interruption.",
    )
    parser.add_argument("--claims", nargs="+", metavar="ID", help="only these (default: all; --list names them)")
    parser.add_argument("--list", action="store_true", help="list the claims and make nothing")
    parser.add_argument("--prompts", type=int, default=64, help="held-out captions (default 64)")
    parser.add_argument("--few", type=int, default=16, help="captions of what takes long: 30 s clips (default 16)")
    parser.add_argument("--workers", type=PROCESSES, default=os.cpu_count(), help="processes (default: one a core)")
    parser.add_argument(
        "--data-dir", type=Path, default=Settings.data_dir, metavar="D", help="where clips are counted"
    )
    add_output(
        parser,
        "--out",
        files=lambda path, options: [path, path.with_suffix(".md")],
        default=lambda options: options.data_dir / "claims" / "claims.json",
        metavar="F.json",
        help="the report (default: D/claims/claims.json)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    for name, least in (("prompts", 2), ("few", 2), ("workers", 1)):
        if getattr(options, name) < least:
            raise RequestError(f"--{name} {getattr(options, name)} is too few; give {least} or more")
    from models.registry import get_spec, unavailable, weights_digest
    from models.whole_files import write_bytes
    from models.worlds.captions import held_out_captions
    from workbench.experiments import claims as table
    from workbench.experiments.claims_clips import plan_jobs, run_jobs
    from workbench.experiments.claims_report import all_claims, build_report, markdown

    if options.list:
        rows = [{"id": claim.id, "text": claim.text, "source": claim.source} for claim in table.CLAIMS]
        say_json(rows) if options.json else say("\n".join(f"{row['id']:<28}{row['text']}" for row in rows))
        return 0
    for name in options.claims or ():
        if name not in all_claims():
            raise RequestError(f"claim {name!r} is not in the table; choose of {', '.join(all_claims())}")
    chosen = table.CLAIMS
    if options.claims:
        chosen = tuple(claim for claim in table.CLAIMS if claim.id in options.claims)
    conditions = table.conditions(chosen)
    specs = [get_spec(name) for name in dict.fromkeys(condition.model for condition in conditions)]
    for spec in specs:
        if reason := unavailable(spec):
            raise RequestError(f"{spec.name} cannot run here: {reason}; leave its claims out with --claims")
    weights = {spec.name: weights_digest(spec) for spec in specs}
    prompts = held_out_captions(MEASURED.name, options.prompts)
    jobs = plan_jobs(conditions, prompts, weights, min(options.few, options.prompts))
    folder = options.data_dir / "claims"
    found = defaultdict(list)
    running = run_jobs(jobs, folder / "clips.jsonl", workers=options.workers)
    for row in tqdm(running, total=len(jobs), unit="clip", disable=None):
        found[row.condition].append(row)
    clips = {name: sorted(rows, key=lambda row: row.index) for name, rows in found.items()}
    facts = {
        "command": f"python -m workbench {shlex.join(sys.argv[1:])}",
        "date": to_the_second(),
        "weights": weights,
    }
    report = build_report(chosen, clips, prompts, min(options.few, options.prompts), **facts)
    out = options.out or folder / "claims.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(out, (json.dumps(report, indent=1) + "\n").encode())
    write_bytes(out.with_suffix(".md"), markdown(report).encode())
    say_json(report) if options.json else say(markdown(report))
    return 0
