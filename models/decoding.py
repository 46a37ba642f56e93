"""Latents to frames, chunk by chunk: in turn with denoising, or beside it. Both give the same frames."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from typing import TypeVar

import numpy as np
import torch

from models.networks.codec import Codec, to_pixels
from models.sampling.rollout import ChunkLatents

T = TypeVar("T")
Decoded = Iterator[tuple[ChunkLatents, np.ndarray]]


def decode_in_turn(chunks: Iterator[ChunkLatents], codec: Codec) -> Decoded:
    """Every chunk with its frames (T, H, W, 3) uint8; the next chunk is begun when it is asked for."""
    decode = codec.run_decoder()
    for chunk in chunks:
        yield chunk, to_pixels(decode(chunk.latents))


def decode_beside(chunks: Iterator[ChunkLatents], codec: Codec) -> Decoded:
    """As `decode_in_turn`, while the next chunk is denoised in a thread of its own. On a GPU decoding has a CUDA
    stream of its own too, which goes first, so that frames come as early as they can."""
    decode, device = codec.run_decoder(), codec.device
    side = _decoding_stream(device) if device.type == "cuda" else None
    for chunk, denoised in made_ahead(_with_events(chunks, device)):
        with torch.cuda.stream(side) if side else nullcontext():
            if side:
                side.wait_event(denoised)
                chunk.latents.record_stream(side)
            frames = to_pixels(decode(chunk.latents))
        yield chunk, frames


def made_ahead(items: Iterator[T]) -> Iterator[T]:
    """The items in order; while one is used, a thread makes the next. An error is raised where its item would have
    come, and closing waits for the item that is being made."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="denoise") as thread:
        following = thread.submit(next, items, end)
        while (item := following.result()) is not end:
            following = thread.submit(next, items, end)
            yield item


@torch.no_grad()
def _with_events(
    chunks: Iterator[ChunkLatents], device: torch.device
) -> Iterator[tuple[ChunkLatents, "torch.cuda.Event | None"]]:
    """Each chunk with the event of its end on the stream that denoises; None on a CPU. Gradients are switched off by
    thread, so here."""
    for chunk in chunks:
        event = torch.cuda.Event() if device.type == "cuda" else None
        if event:
            event.record(torch.cuda.current_stream(device))
        yield chunk, event


@cache
def _decoding_stream(device: torch.device) -> "torch.cuda.Stream":
    """One for each card: the memory that a stream has used is kept for it."""
    return torch.cuda.Stream(device, priority=-1)
