"""`full-size`: one chunk of Wan 2.1 1.3B at 832 x 480 with random weights, timed, beside what the planner says."""

import argparse
import json
import resource
import time

from workbench.commands.generate import read_size
from workbench.console import say, say_json
from workbench.requests.arguments import COUNT, add_output, device


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "full-size",
        help="time a Wan network of full size",
        description="Run one chunk through a network of Wan 2.1's full size with random weights, and compare the "
        "memory it takes with the planner's word. On a GPU it computes in bf16; on a CPU its layers are kept in bf16 "
        "and compute in float32.",
    )
    parser.add_argument("--layers", type=COUNT, default=30, metavar="N", help="transformer layers (default 30)")
    parser.add_argument("--size", default="832x480", metavar="WxH", help="frame size (default 832x480)")
    parser.add_argument("--frames", type=COUNT, default=3, metavar="N", help="latent frames of the chunk (default 3)")
    parser.add_argument("--steps", type=COUNT, default=1, metavar="N", help="network calls (default 1)")
    parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda (default cpu)")
    add_output(parser, "--out", metavar="F.json", help="write the result there too")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Build, run, measure."""
    import torch  # noqa: PLC0415  (seconds to load; --help should not wait for it)

    from models.networks.transformer import CausalVideoTransformer  # noqa: PLC0415
    from models.sampling.rollout import ClipNoise, rollout  # noqa: PLC0415
    from models.sampling.schedulers import StepPlan  # noqa: PLC0415
    from models.wan.load import compact  # noqa: PLC0415
    from models.wan.memory import Shape, parts  # noqa: PLC0415

    height, width = read_size(options.size)
    device = torch.device(options.device)
    before = _peak(torch, device)
    began = time.perf_counter()
    with torch.device("meta"):
        network = CausalVideoTransformer(num_layers=options.layers)
    network = compact(network, device).to_empty(device=device).eval().requires_grad_(False)
    block = 0.02 * torch.randn(2**20, device=device)  # the same million over and over: drawing them all takes minutes
    for parameter in network.parameters():
        for piece in parameter.view(-1).split(len(block)):
            piece.copy_(block[: len(piece)])
    built = time.perf_counter() - began
    shape = (1, 16, height // 8, width // 8)
    cache = network.new_cache(*shape[2:], frames=options.frames)
    plan = StepPlan.uniform((options.frames,), options.steps)
    noise = ClipNoise(torch.Generator().manual_seed(0))
    text = torch.randn(1, 512, 4096, device=device)
    began = time.perf_counter()
    with torch.no_grad():
        chunk = next(rollout(network, plan, text, cache, lambda *place: noise(*place).to(device), shape))
        finite = bool(chunk.latents.isfinite().all())
    seconds = time.perf_counter() - began
    planned = parts(
        Shape(layers=options.layers),
        (height, width),
        options.frames,
        options.frames,
        cache_bytes=2 if device.type == "cuda" else 4,
    )
    result = {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "size": options.size,
        "latent_frames": options.frames,
        "device": options.device,
        "threads": torch.get_num_threads(),
        "seconds_to_build": round(built, 1),
        "seconds_per_forward": round(seconds / options.steps, 2),
        "finite": finite,
        "measured_gb": round((_peak(torch, device) - before) / 1e9, 3),
        "planned_gb": round(planned.denoising, 3),
    }
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if options.json:
        say_json(result)
    else:
        say("\n".join(f"{name:22} {value}" for name, value in result.items()))
    return 0


def _peak(torch, device) -> int:
    """Bytes at the highest so far: of the card, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
