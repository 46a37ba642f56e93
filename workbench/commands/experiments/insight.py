"""`insight`: what each denoising step changes, what every chunk reads, and what plans cost."""

import argparse
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from models.default_world import DEFAULT
from models.types import RequestError
from workbench.common.console import notice, say, say_json
from workbench.common.words import counted
from workbench.requests.arguments import device
from workbench.requests.prompt_files import read_prompts

EXAMPLE = DEFAULT.prompt


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "insight",
        help="what each step changes, what chunks read, what plans cost",
        description="Watch clips of a few-step causal model: similarity of predictions between denoising steps, the "
        "frames that every chunk reads and attends to, and predicted beside measured seconds.",
        epilog=f'example: python -m workbench insight --prompt "{EXAMPLE}" --seeds 0-15 --json',
    )
    what = parser.add_argument_group("what to watch")
    what.add_argument(
        "--model", default=DEFAULT.asd, help=f"a name from `models`, or path:FILE (default {DEFAULT.asd})"
    )
    what.add_argument("--prompt", action="append", help="what the clip should show; may be given several times")
    what.add_argument("--prompts", type=Path, metavar="F", help="a file, one prompt a line")
    what.add_argument("--seeds", default="0", help="every prompt with each of them, as 7 or 0-15 (default 0)")
    what.add_argument("--frames", type=int, default=49, metavar="N", help="frames of a clip (default 49)")
    how = parser.add_argument_group("how")
    how.add_argument("--steps", type=int, default=4, metavar="N", help="denoising steps a chunk (default 4)")
    how.add_argument("--ffe", action="store_true", help="First-Frame Enhancement (more steps first)")
    how.add_argument("--first-steps", type=int, metavar="N", help="steps of the first chunk with --ffe (default 4)")
    how.add_argument("--step-plan", default="", metavar="N,N,...", help="steps of each chunk by hand")
    how.add_argument(
        "--cost", metavar="PLANS", help='also time plans: "1 1* 4,1" are 1 step, 1 with FFE, and steps by hand'
    )
    how.add_argument("--repeats", type=int, default=3, metavar="N", help="clips of each plan to time (default 3)")
    how.add_argument("--device", type=device, default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Refuse all that can be refused, then watch the clips and time the plans."""
    prompts = _prompts(options)
    if options.first_steps is not None and not options.ffe:
        raise RequestError(f"--first-steps {options.first_steps} counts only with --ffe; add it or drop this")
    from models.registry import weights_digest
    from workbench.clips.generation import GenerationService
    from workbench.commands.generate import open_model
    from workbench.experiments import insight
    from workbench.requests.insight_settings import read_plans, read_settings

    first_steps = (4 if options.first_steps is None else options.first_steps) if options.ffe else 0
    if options.ffe and first_steps < 1:
        raise RequestError(f"--first-steps is {first_steps}; give 1 or more, or drop --ffe")
    settings = read_settings(
        open_model(options.model),
        prompts,
        options.seeds,
        options.steps,
        first_steps,
        options.step_plan,
        options.frames,
    )
    plans = read_plans(options.cost, settings) if options.cost is not None else {}
    pipeline = GenerationService(Path("data"), options.device).pipeline(settings.model)
    insight.check_costs(pipeline, plans, options.repeats)
    for text in insight.check_settings(pipeline, settings):
        notice(text)
    clips = len(settings.requests())
    watching = tqdm(insight.watch(pipeline, settings), total=clips, unit="clip", disable=clips == 1)
    report = {**insight.as_json(_last(watching)), "weights_digest": weights_digest(pipeline.spec)}
    if plans:
        rounds = insight.measure_cost(pipeline, plans, options.repeats)
        model, rows = _last(tqdm(rounds, total=options.repeats, unit="round"))
        report["cost"] = {**insight.cost_json(model, rows), **insight.machine(pipeline)}
    if options.json:
        say_json(report)
    else:
        say("\n".join(tables(report)))
    return 0


def _last(rounds: Iterable[Any]) -> Any:
    (newest,) = deque(rounds, maxlen=1)
    return newest


def _prompts(options: argparse.Namespace) -> list[str]:
    if options.prompt and options.prompts:
        raise RequestError("--prompt and --prompts both say what to watch; give one of them")
    if options.prompts:
        return read_prompts(options.prompts)
    if not options.prompt:
        raise RequestError(f'--prompt is missing; give one, for example --prompt "{EXAMPLE}"')
    return options.prompt


def tables(report: dict[str, Any]) -> list[str]:
    """The report as lines of text."""
    head = ["chunk", "steps", "step 1 to last", "95 % interval", "reads", "attention to chunk 1, 2, ..."]
    rows = [head, *(_row(chunk) for chunk in report["chunks"])]
    made = f"{counted(report['clips'], 'clip')}, {counted(report['forwards'], 'network call')} each"
    lines = [f"{report['model']}, {made}; n counts {report['unit']}", *_aligned(rows)]
    if "cost" in report:
        head = ["steps", "network calls", "predicted s", "measured s (median)", "lowest to highest s", "n"]
        rows = [[f"{plan['plan']}", f"{plan['forwards']}", *_seconds(plan)] for plan in report["cost"]["plans"]]
        lines += ["", *_aligned([head, *rows])]
    return lines


def _row(chunk: dict[str, Any]) -> list[str]:
    point = chunk["first_to_last"]
    value = f"{point['value']:.3f} (n={point['n']})" if point else "one step"
    known = point and point["low"] is not None
    interval = f"{point['low']:.3f} to {point['high']:.3f}" if known else "-"
    paid = " ".join(f"{share:.2f}" for share in chunk["attention"])
    return [str(chunk["chunk"] + 1), str(chunk["steps"]), value, interval, _span(chunk["reads"]), paid]


def _span(frames: list[int]) -> str:
    """`0 7-18`: the frames that are read, in runs."""
    gaps = [k for k in range(1, len(frames)) if frames[k] != frames[k - 1] + 1]
    runs = [frames[start:end] for start, end in zip([0, *gaps], [*gaps, len(frames)], strict=True)]
    return " ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _seconds(plan: dict[str, Any]) -> list[str]:
    spread = f"{plan['low']:.3f} to {plan['high']:.3f}"
    return [f"{plan['predicted']:.3f}", f"{plan['median']:.3f}", spread, str(plan["n"])]


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
