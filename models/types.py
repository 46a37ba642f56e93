"""The plain data that goes into and comes out of a pipeline."""

from dataclasses import dataclass, field

import numpy as np


class RequestError(ValueError):
    """The user's input is wrong. The message is one sentence: the value, the rule, the way out."""


@dataclass(frozen=True)
class GenerationRequest:
    """One clip to make. The same request gives the same clip on every path.

    `image` (H, W, 3) uint8 RGB of any size turns the request into image-to-video.
    `first_steps` counts only with `ffe`: the steps of the first generated chunk.
    `guidance_scale` None means the model's own default; 1 is off.
    """

    prompt: str
    steps: int = 4
    ffe: bool = False
    first_steps: int = 4
    frames: int = 49
    seed: int = 0
    image: np.ndarray | None = field(default=None, compare=False)
    guidance_scale: float | None = None


@dataclass(frozen=True)
class Chunk:
    """What `pipeline.stream` yields: the frames of one chunk, as soon as they exist.

    `frames` (t, H, W, 3) uint8 RGB; `sigmas` the noise levels the chunk was denoised at (empty for a given image);
    `forwards` network calls for this chunk, clean pass and guidance included; `seconds` since the request began.
    """

    index: int
    chunks: int
    frames: np.ndarray
    sigmas: tuple[float, ...]
    forwards: int
    seconds: float


@dataclass(frozen=True)
class GenerationResult:
    """A finished clip: `frames` (T, H, W, 3) uint8 RGB at `fps`, and how it was made.

    `chunk_frames` pixel frames and `sigmas` noise levels of each chunk; `forwards` network calls in all;
    `first_frame_seconds` until the first frame existed, `seconds` until the last one did.
    """

    frames: np.ndarray
    fps: int
    chunk_frames: tuple[int, ...]
    sigmas: tuple[tuple[float, ...], ...]
    forwards: int
    first_frame_seconds: float
    seconds: float
    notices: tuple[str, ...] = ()
