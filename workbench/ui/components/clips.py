"""A clip as the player takes it: frames, facts under the picture, downloads."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from models.types import GenerationResult
from workbench.ui.api.media import MediaTokens

SHEET_LIMIT = 48 * 2**20  # bytes of raw frames; longer or larger clips are sent as mp4


def sheet(frames: np.ndarray, media: MediaTokens) -> dict[str, Any]:
    """Frames (t, H, W, 3) uint8 RGB without loss."""
    return {"url": media.sheet(frames), "frames": len(frames)}


def finished_clip(label: str, result: GenerationResult, path: Path, media: MediaTokens, **more: Any) -> dict[str, Any]:
    """A clip that is complete: small ones without loss, so that differences are the models' and not the codec's."""
    clip = {"label": label, "done": True, **more}
    if result.frames.nbytes > SHEET_LIMIT:
        return clip | {"video": media.file(path), "count": len(result.frames)}
    return clip | {"sheets": [sheet(result.frames, media)]}


def chunk_starts(chunk_frames: Sequence[int]) -> list[int]:
    """The first frame of every chunk but the first."""
    return list(accumulate(chunk_frames))[:-1]


def speed_facts(result: GenerationResult) -> list[tuple[str, str]]:
    """What a researcher asks of speed, measured while the clip was made."""
    return [
        ("network calls", str(result.forwards)),
        ("first frame", f"{result.first_frame_seconds:.2f} s"),
        ("speed", f"{len(result.frames) / max(result.seconds, 1e-9):.1f} frames/s"),
        ("total", f"{result.seconds:.2f} s"),
    ]


def file_name(model: str, steps: int, ffe: bool, seed: int) -> str:
    """A download's name without ending: what it is, in words a folder of them can be sorted by."""
    return f"{model}_{steps}{'-ffe' if ffe else ''}_seed{seed}"
