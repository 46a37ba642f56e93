"""`bench-train`: how fast the recipes of the tabletop world train here."""

import argparse
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from models.types import RequestError
from workbench.common.console import say, say_json
from workbench.requests.arguments import COUNT, device

# recipe, preset, and the first of the steps to time: past warm-ups, where all that a step does is done
ROWS = [
    ("teacher", "tabletop", 3000),
    ("ode-init", "tabletop", 100),
    ("causal-teacher", "tabletop", 100),
    ("self-forcing", "tabletop", 100),
    ("self-forcing", "tabletop-one-step", 100),
    ("asd", "tabletop", 100),
    ("causvid", "tabletop", 100),
    ("aad1", "tabletop", 100),
    ("video-autoencoder", "tabletop", 100),
]


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "bench-train",
        help="measure the speed of training",
        description="Time steps of each recipe at its real sizes, with random weights, and tell what share of the "
        "rate of a matrix product, timed in the same run, they reach.",
    )
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="these recipes only (default: all that train)")
    parser.add_argument("--steps", type=COUNT, default=6, metavar="N", help="steps timed (default 6)")
    parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="as for train (default fp32)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    known = dict.fromkeys(row[0] for row in ROWS)
    for name in options.recipes:
        if name not in known:
            raise RequestError(f"recipe {name!r} is not timed; choose of {', '.join(known)}")
    if options.steps < 1:
        raise RequestError(f"--steps {options.steps} times nothing; give 1 or more")
    from workbench.commands.training.train import use_device
    from workbench.lab.training_speed import speeds

    hardware = use_device(options.device)
    rows = [row for row in ROWS if not options.recipes or row[0] in options.recipes]
    with TemporaryDirectory() as folder:
        found = speeds(rows, Path(folder), steps=options.steps, precision=options.precision)
        speeds_found = list(tqdm(found, "recipes", total=len(rows), leave=False))
    if options.json:
        say_json({"hardware": hardware, "rows": [asdict(row) | {"share": row.share} for row in speeds_found]})
        return 0
    say(f"{hardware}, {options.precision}\n")
    say("| recipe, preset | s a step | examples/s | GFLOP a step | GFLOP/s | matrix product | share |")
    say("|---|---|---|---|---|---|---|")
    for row in speeds_found:
        cells = [
            f"`{row.recipe}`, `{row.preset}`",
            f"{row.seconds:.2f}",
            f"{row.batch / row.seconds:.1f}" if row.batch else "",
            f"{row.gflop:.0f}",
            f"{row.gflops:.0f}",
            f"{row.matmul_gflops:.0f}",
            f"{row.share:.0%}",
        ]
        say(f"| {' | '.join(cells)} |")
    return 0
