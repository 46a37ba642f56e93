"""`prompt-following`: do the models show what held-out captions say, and how far are their clips from real ones?"""

import argparse
import json
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from models.default_world import MEASURED
from models.types import RequestError
from models.whole_files import write_bytes
from models.worlds.captions import held_out_captions
from workbench.common.clock import to_the_second
from workbench.common.console import say, say_json
from workbench.experiments.prompt_following_report import markdown
from workbench.requests.arguments import PROCESSES, SEED, add_output, device
from workbench.scoring import prompt_following as pf

TEACHER, CAUSAL_TEACHER, BASELINE, ASD = MEASURED.teacher, MEASURED.causal_teacher, MEASURED.baseline, MEASURED.asd


REPORT = Path("data/prompt_following.json")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "prompt-following",
        help="score models on held-out captions",
        description="Generate held-out captions with every model from the same seeds, judge the clips with the "
        "oracle, and measure their distance to real clips. Run again to go on after an interruption.",
    )
    parser.add_argument("--models", nargs="+", default=[TEACHER, CAUSAL_TEACHER, BASELINE, ASD], metavar="MODEL")
    parser.add_argument("--steps", nargs="+", type=int, default=[4, 2, 1], help="for few-step models (default 4 2 1)")
    parser.add_argument("--prompts", type=int, default=64, help="captions of one object (default 64)")
    parser.add_argument("--two-objects", type=int, default=0, metavar="N", help="captions of two objects (default 0)")
    parser.add_argument("--images", type=int, default=0, metavar="N", help="captions with a first frame (default 0)")
    parser.add_argument("--seed", type=SEED, default=0, help="caption i is made with seed + i (default 0)")
    parser.add_argument("--frames", type=int, default=49, help="frames per clip (default 49)")
    parser.add_argument("--workers", type=PROCESSES, default=os.cpu_count(), help="processes (default: one a core)")
    parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda (default cpu)")
    add_output(
        parser,
        "--out",
        metavar="F.json",
        default=lambda options: REPORT,
        help=f"the report, as JSON (default {REPORT})",
    )
    add_output(
        parser,
        "--markdown",
        default=lambda options: (options.out or REPORT).with_suffix(".md"),
        metavar="F.md",
        help="the report, as Markdown (default: beside the JSON)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from models.registry import unavailable, weights_digest
    from workbench.requests.catalogue import shipped_model

    counts = {"prompts": options.prompts, "two-objects": options.two_objects, "images": options.images}
    for name, count in counts.items():
        if count < 0:
            raise RequestError(f"{name} is {count}; give a number of captions, 0 for none")
    if not sum(counts.values()):
        raise RequestError("there are no captions to make; give --prompts, --two-objects or --images above 0")
    options.out = options.out or REPORT
    specs = [shipped_model(name, "--models") for name in options.models]
    for spec in specs:
        if reason := unavailable(spec):
            raise RequestError(f"{spec.name} cannot be measured here: {reason}; leave it out with --models")
    world = specs[0].family
    if any(spec.family != world for spec in specs):
        raise RequestError(
            f"--models {' '.join(options.models)} are not all of one world; measure each world by itself"
        )
    digests = {spec.name: weights_digest(spec) for spec in specs}
    rows, differences = _measure(options, specs, digests)
    report = {
        "command": f"python -m workbench {shlex.join(sys.argv[1:])}",
        "date": to_the_second(),
        "world": world,
        "seed": options.seed,
        "frames": options.frames,
        "weights": digests,
        "rows": rows,
        "differences": differences,
    }
    text = markdown(report)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(options.out, (json.dumps(report, indent=1) + "\n").encode())
    write_bytes(options.markdown or options.out.with_suffix(".md"), text.encode())
    if options.json:
        say_json(report)
    else:
        say(text)
    return 0


def _measure(options: argparse.Namespace, specs: list, digests: dict[str, str]) -> tuple[list[dict], list[dict]]:
    counts = {(1, False): options.prompts, (2, False): options.two_objects, (1, True): options.images}
    world = specs[0].family
    captions = {kind: held_out_captions(world, count, kind[0]) for kind, count in counts.items() if count}
    settings = {"seed": options.seed, "frames": options.frames, "world": world}
    real = {
        (kind, draw): pf.real_jobs(kind[0], listed, draw=draw, **settings)
        for kind, listed in captions.items()
        for draw in (0, 1)
    }
    plan = {
        cell: pf.cell_jobs(cell, captions[objects, image], digests[spec.name], **settings)
        for spec in specs
        for objects, image in captions
        for cell in pf.cells(spec, options.steps, objects, image=image)
    }
    jobs = [job for listed in (*real.values(), *plan.values()) for job in listed]
    jobs = list({job.key: job for job in jobs}.values())  # fewer captions with a picture are the first of all
    file = options.out.with_suffix(".clips.jsonl")
    running = pf.run_jobs(jobs, file, workers=options.workers, device=options.device)
    found = {result.key: result for result in tqdm(running, total=len(jobs), unit="clip", disable=None)}

    def results(listed: list[pf.Job]) -> list[pf.ClipResult]:
        return [found[job.key] for job in listed]

    reference = {kind: results(real[kind, 0]) for kind in captions}
    rows = [
        pf.row(pf.Cell(pf.REAL, 0, False, kind[0]), results(real[kind, 1]), reference[kind])
        for kind in captions
        if not kind[1]
    ]
    done = {cell: results(listed) for cell, listed in plan.items()}
    rows += [pf.row(cell, listed, reference[cell.objects, cell.image]) for cell, listed in done.items()]
    return rows, _differences(done, reference)


def _differences(done: dict, reference: dict) -> list[dict]:
    """ASD minus baseline, for every row that both have."""
    found = []
    for cell, results in done.items():
        twin = replace(cell, model=BASELINE)
        if cell.model == ASD and twin in done and len(results) > 1:
            objects = f"{cell.objects} object{'s' * (cell.objects > 1)}" + ", from a picture" * cell.image
            name = f"{cell.system.plan_text}, {objects}"
            found.append(pf.difference(name, results, done[twin], reference[cell.objects, cell.image]))
    return found
