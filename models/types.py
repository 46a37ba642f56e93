"""The plain data that goes into and comes out of a pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

CACHES = ("keep", "recache", "reset")
COMPILE = ("off", "layers", "graphs")


class RequestError(ValueError):
    """The user's input is wrong. The message is one sentence: the value, the rule, the way out."""


@dataclass(frozen=True)
class PromptSwitch:
    """From chunk `chunk` (1 is the second) on, `prompt` is what the clip shows.

    `cache` says what becomes of the chunks before it: "keep" leaves them as the old prompt wrote them, "recache" puts
    them into the cache again under the new one, "reset" forgets them, as at a cut.
    """

    chunk: int
    prompt: str
    cache: str = "keep"


@dataclass(frozen=True)
class GenerationRequest:
    """One clip to make. The same request gives the same clip on every path.

    `image` (H, W, 3) uint8 RGB of any size turns the request into image-to-video.
    `first_steps` counts only with `ffe`: the steps of the first generated chunk.
    `guidance_scale` None means the model's own default; 1 is off.
    `video` (T, H, W, 3) uint8 RGB at `video_fps`, of any size and length, turns it into video-to-video: every chunk
    starts from the video's, noised to `strength` (0 leaves it as it is, 1 forgets it).
    `step_plan` gives the steps of each generated chunk by hand, the last number for all that follow; `steps` and `ffe`
    do not count then. `size` (height, width) is the model's own where it is None.
    """

    prompt: str
    steps: int = 4
    ffe: bool = False
    first_steps: int = 4
    frames: int = 49
    seed: int = 0
    image: np.ndarray | None = field(default=None, compare=False)
    guidance_scale: float | None = None
    step_plan: tuple[int, ...] = ()
    switches: tuple[PromptSwitch, ...] = ()
    video: np.ndarray | None = field(default=None, compare=False)
    video_fps: float = 12.0
    strength: float = 0.9
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Chunk:
    """What `pipeline.stream` yields: the frames of one chunk, as soon as they exist.

    `frames` (t, H, W, 3) uint8 RGB; `sigmas` the noise levels the chunk was denoised at (empty for a given image);
    `forwards` network calls for this chunk, clean pass and guidance included; `seconds` since the request began. A
    `draft` is a quick look, and the same chunk comes again.
    """

    index: int
    chunks: int
    frames: np.ndarray
    sigmas: tuple[float, ...]
    forwards: int
    seconds: float
    draft: bool = False


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

    @classmethod
    def joined(cls, chunks: Sequence["Chunk"], fps: int, notices: Sequence[str]) -> "GenerationResult":
        """Streamed chunks as one clip."""
        return cls(
            frames=np.concatenate([chunk.frames for chunk in chunks]),
            fps=fps,
            chunk_frames=tuple(len(chunk.frames) for chunk in chunks),
            sigmas=tuple(chunk.sigmas for chunk in chunks),
            forwards=sum(chunk.forwards for chunk in chunks),
            first_frame_seconds=chunks[0].seconds,
            seconds=chunks[-1].seconds,
            notices=tuple(notices),
        )
