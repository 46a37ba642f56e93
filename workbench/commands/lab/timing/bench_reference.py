"""`bench-reference`: our sampler against Self Forcing's own code, same random weights, same noise, turn by turn."""

import argparse
import io
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from models.types import RequestError
from workbench.common.console import say, say_json
from workbench.requests.arguments import COUNT, device
from workbench.requests.frame_size import read_size

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 3  # latent frames of Self Forcing's chunks
LISTS = {4: [1000, 750, 500, 250], 2: [1000, 500], 1: [1000]}  # warped by shift 5, as its configuration has them
SMALL, FULL = "small", "1.3B"
CLOSE = {"float32": 1e-3, "bfloat16": 0.5}  # how far latents of one clip may differ: more is another computation


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "bench-reference",
        help="time our sampler against Self Forcing's own code",
        description="Make latents of one clip by Self Forcing's own sampler and network and by ours in turn, from the "
        "same random weights and noise, both with torch's attention; tell seconds, frames a second, and how far the "
        "latents differ. In bfloat16 on a GPU, in float32 on a CPU. Decoding is left out; `bench` times it.",
    )
    parser.add_argument(
        "--references", type=Path, required=True, metavar="DIR", help="folder whose sf is guandeh17/Self-Forcing"
    )
    parser.add_argument(
        "--network", choices=(SMALL, FULL), default=FULL, help=f"width and layers (default {FULL}); {SMALL}: a trial"
    )
    parser.add_argument("--size", default="832x480", metavar="WxH", help="frame size (default 832x480)")
    parser.add_argument("--chunks", type=COUNT, default=7, metavar="N", help="chunks of three (default 7: 81 frames)")
    parser.add_argument("--steps", type=int, nargs="+", choices=tuple(LISTS), default=[4, 2, 1], help="default 4 2 1")
    parser.add_argument("--repeats", type=COUNT, default=3, metavar="N", help="timed runs after one (default 3)")
    parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if not (options.references / "sf" / "pipeline").is_dir():
        raise RequestError(
            f"--references {str(options.references)!r} has no folder sf with a checkout of guandeh17/Self-Forcing; "
            "clone it there"
        )
    size = read_size(options.size)
    import torch

    if options.device != "cpu" and not torch.cuda.is_available():
        raise RequestError(f"--device {options.device} is not here; choose cpu")
    with torch.no_grad():
        rows = list(_rows(options, size))
    if options.json:
        say_json(rows)
        return 0
    say(f"{'code':<14}{'steps':>6}{'first chunk, s':>16}{'clip, s':>10}{'frames/s':>10}{'latents differ by':>19}")
    for row in rows:
        numbers = f"{row['first_chunk_seconds']:16.2f}{row['seconds']:10.2f}{row['frames_per_second']:10.2f}"
        say(f"{row['code']:<14}{row['steps']:>6}{numbers}{row['difference']:19.2g}")
    return 0


def _rows(options: argparse.Namespace, size: tuple[int, int]) -> Any:
    """One row of each code and step count."""
    import torch

    from models.wan.files import to_network
    from models.wan.load import load_transformer
    from workbench.commands.lab.timing import wan_references as references

    sizes = references.FULL if options.network == FULL else references.SMALL
    dtype = torch.float32 if options.device == "cpu" else torch.bfloat16
    try:
        code = references.reference(options.references, "sf")
    except ImportError as error:
        raise RequestError(f"Self Forcing's code needs {error.name}; run `pip install {error.name}`") from error
    wrapper = references.make_wrapper(code, causal=True, sizes=sizes)
    head_dim = sizes["dim"] // sizes["num_heads"]
    network = load_transformer(to_network(wrapper.model.state_dict()), dtype, head_dim).to(options.device)
    wrapper.to(options.device, dtype)
    height, width = size[0] // 8, size[1] // 8
    frames, shape = CHUNK * options.chunks, (references.CHANNELS[sizes["dim"]], height, width)
    draws = torch.Generator().manual_seed(1)
    noise = torch.randn(1, frames, *shape, generator=draws).to(options.device, dtype)
    text = torch.randn(1, sizes["text_len"], sizes["text_dim"], generator=draws).to(options.device, dtype)
    for steps in options.steps:
        held = (wrapper, text, height // 2 * (width // 2), frames, sizes)
        with redirect_stdout(io.StringIO()):
            sampler = references.make_pipeline(code, *held, denoising_step_list=LISTS[steps])

        def theirs(count: int, sampler: Any = sampler) -> "Tensor":
            torch.manual_seed(2)
            with redirect_stdout(io.StringIO()):  # it tells every timestep
                return sampler.inference(noise[:, :count], [""], return_latents=True)[1]

        def ours(count: int, steps: int = steps) -> "Tensor":
            return _our_latents(network, noise[:, :count], text, steps)

        difference = float((theirs(frames) - ours(frames)).abs().max())
        if not difference <= CLOSE[str(dtype).removeprefix("torch.")]:
            raise RequestError(
                f"the latents differ by {difference:.2g} at {steps} steps, so the codes are not the same"
            )
        for name, make in (("Self Forcing", theirs), ("workbench", ours)):
            first, whole = (
                median(_seconds(make, count, options.device) for _ in range(options.repeats))
                for count in (CHUNK, frames)
            )
            shown = 1 + 4 * (frames - 1)
            yield {
                "code": name,
                "steps": steps,
                "first_chunk_seconds": first,
                "seconds": whole,
                "frames_per_second": shown / whole,
                "n": options.repeats,
                "difference": difference,
            }


def _our_latents(network: Any, noise: "Tensor", text: "Tensor", steps: int) -> "Tensor":
    """Latents (1, T, C, h, w) from `noise`, fresh noise from torch's own generator as Self Forcing draws it."""
    import torch

    from models.sampling.rollout import rollout
    from models.sampling.schedulers import StepPlan

    torch.manual_seed(2)

    def draw(chunk: int, step: int, size: tuple[int, ...]) -> "Tensor":
        if step:
            return torch.randn(size, device=noise.device, dtype=noise.dtype)
        return noise[:, chunk * CHUNK : chunk * CHUNK + size[1]]

    chunks = (CHUNK,) * (noise.shape[1] // CHUNK)
    cache = network.new_cache(*noise.shape[-2:], frames=noise.shape[1])
    parts = rollout(network, StepPlan.uniform(chunks, steps), text, cache, draw, (1, *noise.shape[2:]))
    return torch.cat([part.latents for part in parts], 1)


def _seconds(make: Callable[[int], "Tensor"], frames: int, on: str) -> float:
    import torch

    began = time.perf_counter()
    make(frames)
    if on != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - began
