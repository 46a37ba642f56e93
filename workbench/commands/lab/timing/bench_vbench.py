"""`bench-vbench`: our network dimensions against VBench's own code, same clips, same random weights, turn by turn."""

import argparse
from pathlib import Path

from workbench.requests.arguments import COUNT

QUICK = "subject_consistency,background_consistency,appearance_style,imaging_quality"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "bench-vbench",
        help="time the network dimensions against VBench's own code",
        description="Score generated clips with full-size networks of random weights, by VBench's functions and by "
        "ours in turn, in one process. Needs checkouts of VBench and DINO, pyiqa, and what VBench imports.",
    )
    parser.add_argument("--vbench", type=Path, required=True, help="checkout of Vchitect/VBench")
    parser.add_argument("--dino", type=Path, required=True, help="checkout of facebookresearch/dino")
    parser.add_argument("--pyiqa", type=Path, required=True, help="folder that holds pyiqa and VBench's other imports")
    parser.add_argument("--dimensions", default=QUICK, help="by commas; default all but the slowest")
    parser.add_argument("--clips", type=COUNT, default=2, help="clips to score (default 2)")
    parser.add_argument("--frames", type=COUNT, default=81, help="frames a clip (default 81)")
    parser.add_argument("--size", default="832x480", help="width x height (default 832x480)")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help="of our networks")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from workbench.lab.vbench_timing import run_timing

    return run_timing(options)
