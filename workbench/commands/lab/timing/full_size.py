"""`full-size`: one chunk of Wan 2.1 1.3B at 832 x 480 with random weights, timed, beside what the planner says."""

import argparse
import json

from workbench.common.console import say, say_json
from workbench.requests.arguments import COUNT, add_output, device
from workbench.requests.frame_size import read_size


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "full-size",
        help="time a Wan network of full size",
        description="Run one chunk through a network of Wan 2.1's full size with random weights, and compare the "
        "memory it takes with the planner's word. On a GPU it computes in bf16; on a CPU its layers are kept in bf16 "
        "and compute in float32, or are kept in float32 with --float32, as the app keeps them.",
    )
    parser.add_argument("--layers", type=COUNT, default=30, metavar="N", help="transformer layers (default 30)")
    parser.add_argument("--size", default="832x480", metavar="WxH", help="frame size (default 832x480)")
    parser.add_argument("--frames", type=COUNT, default=3, metavar="N", help="latent frames of the chunk (default 3)")
    parser.add_argument("--steps", type=COUNT, default=1, metavar="N", help="network calls (default 1)")
    parser.add_argument("--decode", action="store_true", help="decode the chunk too, with a full autoencoder")
    parser.add_argument("--float32", action="store_true", help="keep the layers in float32 (CPU only)")
    parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda (default cpu)")
    add_output(parser, "--out", metavar="F.json", help="write the result there too")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and tell."""
    from workbench.lab.peak_memory import measure_full_size

    result = measure_full_size(
        options.layers,
        read_size(options.size),
        options.frames,
        options.steps,
        options.device,
        decode=options.decode,
        float32=options.float32,
    )
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if options.json:
        say_json(result)
    else:
        rows = [(name, value) for name, value in result.items() if not isinstance(value, dict)]
        rows += [(f"planned: {name}", value) for name, value in result["planned_parts_gb"].items() if value]
        say("\n".join(f"{name:22} {value}" for name, value in rows))
    return 0
