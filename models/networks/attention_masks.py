"""Which token may attend to which: chunk-causal masks (Self Forcing, CausVid) and the teacher-forcing mask."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor


def chunk_layout(latent_frames: int, chunk: int, first: int | None = None) -> tuple[int, ...]:
    """Chunk lengths that cover `latent_frames`: an optional `first` chunk, then chunks of `chunk`; the last may be
    cut."""
    lengths = [first] if first else []
    while sum(lengths) < latent_frames:
        lengths.append(min(chunk, latent_frames - sum(lengths)))
    return tuple(lengths)


@lru_cache(maxsize=64)
def chunk_causal_mask(chunks: tuple[int, ...], tokens_per_frame: int, window: int | None = None) -> Tensor:
    """Boolean (N, N), True = may attend: a query sees everything up to the end of its own chunk.

    `window` limits that to the last `window` latent frames counted back from the end of the chunk.
    """
    frame_end = _chunk_ends(chunks)
    frames = torch.arange(len(frame_end))
    mask = frames[None, :] < frame_end[:, None]
    if window is not None:
        mask &= frames[None, :] >= frame_end[:, None] - window
    return _to_tokens(mask, tokens_per_frame)


@lru_cache(maxsize=16)
def teacher_forcing_mask(chunks: tuple[int, ...], tokens_per_frame: int) -> Tensor:
    """Boolean (2N, 2N) over [clean copy ; noisy copy].

    Clean chunks are chunk-causal among themselves; a noisy chunk sees itself and the clean chunks before it.
    """
    frame_end = _chunk_ends(chunks)
    frames = torch.arange(len(frame_end))
    causal = frames[None, :] < frame_end[:, None]
    same = frame_end[None, :] == frame_end[:, None]
    mask = torch.cat([torch.cat([causal, torch.zeros_like(causal)], 1), torch.cat([causal & ~same, same], 1)], 0)
    return _to_tokens(mask, tokens_per_frame)


def _chunk_ends(chunks: Sequence[int]) -> Tensor:
    """For each frame, the index just past its chunk."""
    lengths = torch.tensor(chunks)
    return lengths.cumsum(0).repeat_interleave(lengths)


def _to_tokens(frame_mask: Tensor, tokens_per_frame: int) -> Tensor:
    return frame_mask.repeat_interleave(tokens_per_frame, 0).repeat_interleave(tokens_per_frame, 1)
