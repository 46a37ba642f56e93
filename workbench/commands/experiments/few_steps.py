"""`few-steps`: what few steps cost, in distance to real clips of held-out captions."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from models.types import RequestError
from workbench.common.clock import to_the_second
from workbench.common.console import say, say_json
from workbench.requests.arguments import PROCESSES, SEED, add_output, device
from workbench.requests.outputs import check_place
from workbench.settings import Settings

if TYPE_CHECKING:
    from eval.realism.real_clips import Row
    from workbench.experiments.few_steps import FrameRow
    from workbench.requests.systems import System


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "few-steps",
        help="distance to real clips by model and steps, with intervals",
        description="Make held-out captions with every system and compare the clips with real ones: Fréchet distance, "
        "texture spectrum, two-sample accuracy, and the oracle where the world has one. Run again to go on after an "
        "interruption, and with --overwrite to add systems or captions to a finished table. drift.html charts the "
        "distances over time beside those of real clips.",
    )
    parser.add_argument("--world", choices=["tabletop", "shapes"], default="tabletop", help="default: tabletop")
    parser.add_argument(
        "--systems", nargs="*", metavar="S", help="as asd:1* or asd:2 (default: all models of the world, 1 1* 2 2* 4)"
    )
    parser.add_argument("--captions", type=int, default=128, metavar="N", help="held-out captions (default 128)")
    parser.add_argument(
        "--seed", type=SEED, default=0, metavar="N", help="caption i is made with seed + i (default 0)"
    )
    parser.add_argument("--frames", type=int, default=49, metavar="N", help="frames per clip, 4k + 1 (default 49)")
    parser.add_argument(
        "--strip", type=SEED, metavar="I", help="also write strip.png: frames of caption I by every system"
    )
    parser.add_argument(
        "--workers", type=PROCESSES, default=os.cpu_count(), metavar="N", help="processes (default: cores)"
    )
    parser.add_argument(
        "--device", type=device, default=Settings.device, help=f"cpu or cuda (default {Settings.device})"
    )
    parser.add_argument("--data-dir", type=Path, default=Settings.data_dir, metavar="D", help="where clips are kept")
    add_output(
        parser,
        "--out",
        folder=True,
        files=lambda folder, options: [
            folder / name
            for name in ("few-steps.json", "drift.html", *(["strip.png"] if options.strip is not None else []))
        ],
        default=lambda options: options.data_dir / "few-steps",
        metavar="DIR",
        help="folder of the result (default: D/few-steps)",
    )
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from models.worlds.captions import held_out_captions
    from workbench.experiments import few_steps

    for name, least in (("captions", few_steps.LEAST), ("seed", 0), ("frames", 1), ("workers", 1)):
        if getattr(options, name) < least:
            raise RequestError(f"--{name} {getattr(options, name)} is too low; give {least} or more")
    if options.frames % 4 != 1:
        raise RequestError(f"--frames {options.frames} is not 4k + 1; give 1, 5, 9 and so on")
    if options.strip is not None and options.strip >= options.captions:
        raise RequestError(f"--strip {options.strip} is no caption; they are 0 to {options.captions - 1}")
    systems = _systems(options)
    weights = _weights(options.world, systems)
    prompts = held_out_captions(options.world, options.captions)
    jobs = few_steps.plan_jobs(options.world, systems, prompts, weights, options.seed, options.frames)
    folder = options.out or options.data_dir / "few-steps"
    check_place(folder, "--out" if options.out else "--data-dir", folder=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{str(folder)!r} cannot be made ({error.strerror}); choose another folder") from error
    running = few_steps.run_jobs(
        jobs, folder / "clips.jsonl", options.data_dir, workers=options.workers, device=options.device
    )
    found = {each.key: each for each in tqdm(running, total=len(jobs), unit="clip", disable=None)}
    table = few_steps.build_table([found[job.key] for job in jobs])
    facts = {
        "command": f"python -m workbench {shlex.join(sys.argv[1:])}",
        "date": to_the_second(),
        "world": options.world,
        "captions": len(prompts),
        "weights": weights,
    }
    from models.whole_files import write_bytes

    report = facts | asdict(table)
    write_bytes(folder / "few-steps.json", (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode())
    write_bytes(folder / "drift.html", _drift_page(table.drift, options.world).encode())
    if options.strip is not None:
        write_bytes(folder / "strip.png", few_steps.strip(jobs, options.strip, options.data_dir, options.device))
    say_json([asdict(row) for row in table.rows]) if options.json else say(_text(table.rows))
    return 0


def _systems(options: argparse.Namespace) -> list["System"]:
    from models.registry import list_models, unavailable
    from workbench.experiments.few_steps import plans_of
    from workbench.requests.catalogue import shipped_model
    from workbench.requests.systems import System

    if options.systems is None:
        here = [s for s in list_models() if s.family == options.world and "t2v" in s.tasks and not unavailable(s)]
        return [planned for spec in here for planned in plans_of(spec)]
    systems = list(dict.fromkeys(map(System.read, options.systems)))
    for planned in systems:
        spec = shipped_model(planned.model, "--systems")
        if spec.family != options.world or "t2v" not in spec.tasks:
            raise RequestError(
                f"--systems {planned.model!r} makes no clips of the {options.world} world from text; leave it out"
            )
        if reason := unavailable(spec):
            raise RequestError(f"--systems {planned.model!r} cannot run here ({reason}); leave it out")
        if spec.few_step and not planned.plan and planned.steps not in spec.steps:
            offered = ", ".join(map(str, spec.steps))
            raise RequestError(f"--systems {planned.model}:{planned.steps} is not offered; choose steps of {offered}")
    return systems


def _weights(world: str, systems: Sequence["System"]) -> dict[str, str]:
    """Digests by model, and that of the autoencoder of the reconstructions."""
    from eval.video.reader import file_digest
    from models.registry import get_spec, weights_digest
    from workbench.experiments.few_steps import RECONSTRUCTIONS, autoencoder_folder

    found = {planned.model: weights_digest(get_spec(planned.model)) for planned in systems}
    files = sorted(autoencoder_folder(world).glob("*.safetensors"))
    return found | ({RECONSTRUCTIONS: file_digest(files[0])} if files else {})


def _drift_page(rows: Sequence["FrameRow"], world: str) -> str:
    """A page of its own with the chart of each metric over time; it asks no network for anything."""
    from eval.realism.real_clips import TITLES
    from models.worlds.training_worlds import WORLDS
    from workbench.charts import Curve, drift_lines, page_of
    from workbench.experiments.few_steps import ORACLE, REAL

    titles = TITLES | {ORACLE: "Clips that show what was asked, in the four seconds from here"}
    groups: dict[tuple[str, str], list[FrameRow]] = {}
    for row in rows:
        groups.setdefault((row.metric, row.system), []).append(row)
    curves = [
        Curve(system, metric, *zip(*((at.frame, at.mean, at.low, at.high) for at in group), strict=True))
        for (metric, system), group in groups.items()
    ]
    chart = drift_lines(curves, titles, fps=WORLDS[world].fps, reference=REAL)
    return page_of(chart)


def _text(rows: Sequence["Row"]) -> str:
    """A line a system, a column a metric."""
    from eval.realism.real_clips import TITLES

    metrics, systems = (list(dict.fromkeys(getattr(row, of) for row in rows)) for of in ("metric", "system"))
    cells = {(row.system, row.metric): f"{row.mean:.3g} ({row.low:.3g} to {row.high:.3g})" for row in rows}
    lines = [["system", *(TITLES.get(metric, metric) for metric in metrics), "n"]]
    counts = {row.system: row.n for row in rows}
    lines += [[name, *(cells.get((name, m), "-") for m in metrics), str(counts[name])] for name in systems]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
