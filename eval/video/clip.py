"""The one thing every judge looks at: frames, their rate and the prompt they were made for."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Clip:
    """`frames` (T, H, W, 3) uint8 RGB at `fps`; `prompt` is empty when nobody asked for anything in words."""

    frames: np.ndarray
    fps: float
    prompt: str = ""

    def __post_init__(self) -> None:
        check_frames(self.frames)
        if not self.fps > 0:
            raise ValueError(f"fps={self.fps} is not a frame rate; give a number above 0")

    @property
    def seconds(self) -> float:
        return len(self.frames) / self.fps


def check_frames(frames: np.ndarray) -> None:
    """Raise ValueError unless `frames` is a clip in the project's layout: (T, H, W, 3) uint8, at least one frame."""
    shape, dtype = getattr(frames, "shape", None), getattr(frames, "dtype", type(frames).__name__)
    if shape is None or len(shape) != 4 or shape[-1] != 3 or 0 in shape:
        raise ValueError(f"frames of shape {shape} are not a clip; give (T, H, W, 3) with at least one frame")
    if dtype != np.uint8:
        raise ValueError(f"frames of type {dtype} are not a clip; give uint8 RGB in 0..255")
