"""How fast a model is on this machine: first-frame latency, frames a second, cost per chunk, share of the machine's
limit; and what becomes of time and memory over hundreds of chunks.
"""

import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from eval.statistics.intervals import bootstrap_mean
from models.default_world import DEFAULT
from models.pipeline import VideoPipeline
from models.types import Chunk, GenerationRequest
from workbench.clips.generation import library_versions
from workbench.requests.systems import FFE_STEPS

PROMPT = DEFAULT.prompt
TENTH = 9
"""Index of the chunk that later ones are compared with: by then the window is full and the machine warm."""
STRETCH = 10
# by the autoencoder in turn with denoising, by it beside denoising, by the tiny decoder, and latents alone
DECODES = ("full", "beside", "tiny", "none")


@dataclass(frozen=True)
class ChunkCost:
    """A chunk of a long clip: seconds since the chunk before, and memory of the process after it in bytes."""

    index: int
    seconds: float
    memory: int


def bench_model(
    pipeline: VideoPipeline,
    steps: int,
    *,
    ffe: bool,
    frames: int,
    repeats: int,
    size: tuple[int, int] | None = None,
    decode: str = "full",
) -> dict[str, Any]:
    """Make the same clip `repeats` times after one that is not counted; seconds carry n and a 95 % interval. `decode`
    is one of `DECODES`. Operations of large models are not counted: attention written out does not fit."""
    spec = pipeline.spec
    request = GenerationRequest(PROMPT, steps, ffe, FFE_STEPS, frames, 0, size=size)
    flops = 0 if spec.family == "wan" else count_flops(pipeline, request)
    runs = [_timed(pipeline, request, decode) for _ in range(repeats + 1)][1:]
    whole = [chunks[-1].seconds for chunks in runs]
    first = [chunks[0].seconds for chunks in runs]
    per_chunk = [np.diff([0.0, *(chunk.seconds for chunk in chunks)]) for chunks in runs]
    return {
        "model": spec.name,
        "steps": steps,
        "ffe": ffe,
        "decode": decode,
        "frames": frames,
        "forwards": sum(chunk.forwards for chunk in runs[0]),
        "first_frame_seconds": _summary(first),
        "seconds": _summary(whole),
        "frames_per_second": frames / float(np.mean(whole)),
        "chunk_seconds": [float(np.mean(column)) for column in zip(*per_chunk, strict=True)],
        "gflop": flops / 1e9,
        "gflop_per_second": flops / 1e9 / float(np.mean(whole)),
    }


@torch.no_grad()
def _timed(pipeline: VideoPipeline, request: GenerationRequest, decode: str) -> list[Chunk]:
    """The chunks of a clip with the seconds until each was there."""
    if decode in ("full", "beside"):
        before, pipeline.decodes_beside = pipeline.decodes_beside, decode == "beside"
        try:
            return list(pipeline.stream(request))
        finally:
            pipeline.decodes_beside = before
    if decode == "tiny":
        return list(takewhile(lambda chunk: chunk.draft, pipeline.stream(request, drafts=True)))
    began, chunks, device = time.perf_counter(), [], next(pipeline.transformer.parameters()).device
    for chunk in pipeline.latents(request):
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # the card has only been told what to do
        took, nothing = time.perf_counter() - began, np.empty((0, 0, 0, 3), np.uint8)
        chunks.append(Chunk(chunk.index, 0, nothing, chunk.sigmas, chunk.forwards, took))
    return chunks


def _summary(seconds: list[float]) -> dict[str, float]:
    found = bootstrap_mean(seconds)
    return {"mean": found.value, "low": found.low, "high": found.high, "n": found.n, "median": median(seconds)}


def count_flops(pipeline: VideoPipeline, request: GenerationRequest) -> int:
    """Floating-point operations of a clip, decoding included, as PyTorch counts matrix products and convolutions."""
    # the fused attention of CPUs is not in PyTorch's table; written out it is
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        list(pipeline.stream(request))
    return counter.get_total_flops()


def machine_limit(seconds: float = 1.0, device: str = "cpu") -> float:
    """Gigaflops a second that a large float32 matrix product reaches on `device`, with the threads torch uses now."""
    a, b = torch.randn(2048, 2048, device=device), torch.randn(2048, 2048, device=device)
    a @ b
    best, until = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        (a @ b)[0, 0].item()  # a GPU has finished only when a number arrives
        best = max(best, 2 * 2048**3 / (time.perf_counter() - began) / 1e9)
    return best


def long_run(pipeline: VideoPipeline, steps: int, *, ffe: bool, chunks: int) -> Iterator[ChunkCost]:
    """Stream a clip of `chunks` chunks and keep none of its frames."""
    spec = pipeline.spec
    frames = 1 + 4 * (spec.first_chunk - 1 + spec.chunk * (chunks - 1))
    before = 0.0
    for chunk in pipeline.stream(GenerationRequest(PROMPT, steps, ffe, FFE_STEPS, frames, 0)):
        yield ChunkCost(chunk.index, chunk.seconds - before, resident_bytes())
        before = chunk.seconds


def long_summary(costs: list[ChunkCost]) -> dict[str, Any]:
    """How the last chunks compare with those about the tenth: medians of a stretch of ten, and memory between them."""
    early = costs[TENTH : TENTH + STRETCH]
    late = costs[-STRETCH:]
    then, now = (median(cost.seconds for cost in part) for part in (early, late))
    thirds = np.array_split([cost.seconds for cost in costs[TENTH:]], 3)
    return {
        "chunks": len(costs),
        "chunk_seconds_at_tenth": then,
        "chunk_seconds_at_end": now,
        "time_ratio": now / then,
        "median_seconds_by_third": [float(np.median(part)) for part in thirds],
        "memory_at_tenth": early[0].memory,
        "memory_at_end": costs[-1].memory,
        "memory_growth": costs[-1].memory - early[0].memory,
    }


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def machine_facts() -> dict[str, Any]:
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_before": os.getloadavg()[0],
        "libraries": library_versions(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
