"""`bench`: how fast the models are here."""

import argparse
import itertools
import json
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from models.default_world import DEFAULT
from models.types import RequestError
from workbench.common.console import notice, say, say_json
from workbench.common.words import read_whole
from workbench.requests.arguments import add_compile, add_output, device
from workbench.requests.frame_size import read_size
from workbench.requests.systems import FFE_STEPS, plan_text

SHORTEST_LONG = 30


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "bench",
        help="measure speed",
        description="Time clips on this machine: first-frame latency, frames a second, cost per chunk, share of what "
        "a matrix product reaches here. With --chunks, time and memory of one long clip instead; with --browser, what "
        "a person waits from the click to the first picture.",
    )
    parser.add_argument(
        "--models",
        nargs="+",
        default=[DEFAULT.baseline, DEFAULT.asd],
        metavar="MODEL",
        help="names from `models`, or path:FILE",
    )
    parser.add_argument("--steps", nargs="+", default=["1", "1*", "2", "4"], metavar="N", help="n* is with FFE")
    parser.add_argument("--frames", type=int, default=49, help="frames a clip (default 49)")
    parser.add_argument("--repeats", type=int, default=5, help="clips timed after the first (default 5)")
    parser.add_argument("--chunks", type=int, metavar="N", help="one clip of N chunks at the first of --steps")
    parser.add_argument("--browser", action="store_true", help="time the app in Chromium, from click to first picture")
    parser.add_argument("--size", metavar="WxH", help="frame size (default: the model's own)")
    parser.add_argument(
        "--decode",
        nargs="+",
        choices=("full", "beside", "tiny", "none"),
        default=["full"],
        help="time clips decoded by the autoencoder in turn with denoising (full) or beside it, by the tiny decoder, "
        "and not at all (default full)",
    )
    add_compile(parser)
    parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda (default cpu)")
    add_output(parser, "--out", metavar="F.json", help="write the numbers as JSON")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    steps = [_steps(text) for text in options.steps]
    if options.repeats < 2:
        raise RequestError(f"--repeats {options.repeats} gives no interval; give 2 or more")
    if options.browser and options.chunks:
        raise RequestError("--browser and --chunks measure different things; give one of them")
    if options.chunks is not None and options.chunks < SHORTEST_LONG:
        raise RequestError(f"--chunks {options.chunks} is too short to compare; give {SHORTEST_LONG} or more")
    from models.pipeline import check_request
    from models.registry import create_pipeline, get_spec
    from models.types import GenerationRequest
    from workbench.commands.generate import open_model
    from workbench.lab import bench

    size = read_size(options.size) if options.size else None
    options.models = [open_model(name) for name in options.models]
    for name in options.models:
        if options.chunks and not get_spec(name).causal:
            raise RequestError(f"{name} makes all frames at once; --chunks is for causal models")
        for count, _ in steps:
            if count not in get_spec(name).steps:
                offered = ", ".join(map(str, get_spec(name).steps))
                raise RequestError(f"steps is {count}; {name} offers {offered}, so choose of these by --steps")
        check_request(get_spec(name), GenerationRequest(bench.PROMPT, *steps[0], frames=options.frames, size=size))
    report: dict[str, Any] = {
        "machine": bench.machine_facts(),
        "limit_gflop_per_second": bench.machine_limit(device=options.device),
    }
    kind = "browser" if options.browser else "long" if options.chunks else "rows"
    report[kind] = rows = []
    for name in options.models:
        if options.browser:
            rows += [_waited(options, name, count, ffe) for count, ffe in tqdm(steps, desc=name, disable=None)]
            continue
        asked = GenerationRequest(bench.PROMPT, *steps[0], frames=options.frames, size=size)
        pipeline = create_pipeline(name, device=options.device, say=notice, asked=asked, compile=options.compile)
        if "tiny" in options.decode and not pipeline.drafts:
            raise RequestError(f"{name} has no tiny decoder here; put taew2_1.safetensors beside it, or drop it")
        if options.chunks:
            count, ffe = steps[0]
            running = bench.long_run(pipeline, count, ffe=ffe, chunks=options.chunks)
            costs = list(tqdm(running, total=options.chunks, unit="chunk", disable=None))
            row = {"model": name, "steps": count, "ffe": ffe, **bench.long_summary(costs)}
            rows.append({**row, "seconds": [round(c.seconds, 5) for c in costs], "memory": [c.memory for c in costs]})
            continue
        for (count, ffe), decode in itertools.product(steps, options.decode):
            how: dict[str, Any] = {
                "ffe": ffe,
                "frames": options.frames,
                "repeats": options.repeats,
                "size": size,
                "decode": decode,
            }
            row = bench.bench_model(pipeline, count, **how)
            rows.append({**row, "share_of_limit": row["gflop_per_second"] / report["limit_gflop_per_second"]})
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    tables = {"browser": _browser_table, "long": _long_table, "rows": lambda _: _table(report)}
    say_json(report) if options.json else say(tables[kind](rows))
    return 0


def _waited(options: argparse.Namespace, name: str, steps: int, ffe: bool) -> dict[str, Any]:
    from workbench.clips.generation import GenerationService
    from workbench.lab.browser_latency import first_picture_seconds

    with TemporaryDirectory() as folder:
        service = GenerationService(Path(folder), options.device)
        found = first_picture_seconds(service, name, steps, ffe=ffe, frames=options.frames, repeats=options.repeats)
    return {"model": name, "steps": steps, "ffe": ffe, "frames": options.frames, "first_picture_seconds": found}


def _steps(text: str) -> tuple[int, bool]:
    steps = read_whole(text.removesuffix("*"))
    if steps is None:
        raise RequestError(f"--steps {text[:40]!r} is no step count; write 1, 2 or 4, with a star for FFE, as 1*")
    return steps, text.endswith("*")


def _table(report: dict[str, Any]) -> str:
    machine = report["machine"]
    lines = [
        f"{machine['cpu']}, {machine['threads']} threads, load {machine['load_before']:.1f} before; matrix products "
        f"reach {report['limit_gflop_per_second']:.0f} gigaflops a second",
        "",
        "| model | steps | decode | first frame, s (95 %) | clip, s (95 %) | frames/s | forwards | of the limit | n |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        first, whole = row["first_frame_seconds"], row["seconds"]
        share = f"{100 * row['share_of_limit']:.0f} %" if row["gflop"] else "not counted"
        lines.append(
            f"| {row['model']} | {_plan(row)} | {row['decode']} | {_told(first)} | "
            f"{_told(whole)} | {row['frames_per_second']:.1f} | {row['forwards']} | {share} | {whole['n']} |"
        )
    return "\n".join(lines)


def _plan(row: dict[str, Any]) -> str:
    return plan_text(row["steps"], FFE_STEPS * row["ffe"])


def _told(summary: dict[str, float]) -> str:
    return f"{summary['mean']:.3f} ({summary['low']:.3f} to {summary['high']:.3f})"


def _browser_table(rows: list[dict[str, Any]]) -> str:
    lines = ["| model | steps | click to first picture, median, s | longest, s | n |", "|---|---|---|---|---|"]
    for row in rows:
        found = row["first_picture_seconds"]
        steps = _plan(row)
        lines.append(f"| {row['model']} | {steps} | {median(found):.3f} | {max(found):.3f} | {len(found)} |")
    return "\n".join(lines)


def _long_table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| model | steps | chunks | chunk, ms, about the tenth | at the end | ratio | memory then, MB | growth, MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['model']} | {_plan(row)} | {row['chunks']} | "
            f"{1000 * row['chunk_seconds_at_tenth']:.1f} | {1000 * row['chunk_seconds_at_end']:.1f} | "
            f"{row['time_ratio']:.3f} | {row['memory_at_tenth'] / 1e6:.0f} | {row['memory_growth'] / 1e6:.1f} |"
        )
    return "\n".join(lines)
