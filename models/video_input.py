"""Any video as a model's input: its rate, size and number of frames."""

import bisect
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from PIL import Image

from models.specs import ModelSpec


def fit_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Centre-crop an (H, W, 3) uint8 picture to the model's aspect and resize it to `size` (height, width)."""
    height, width = size
    if image.shape[:2] == size:
        return image
    scale = min(image.shape[0] / height, image.shape[1] / width)
    crop_h, crop_w = round(height * scale), round(width * scale)
    top, left = (image.shape[0] - crop_h) // 2, (image.shape[1] - crop_w) // 2
    cropped = Image.fromarray(image[top : top + crop_h, left : left + crop_w])
    return np.asarray(cropped.resize((width, height), Image.Resampling.BOX if scale > 1 else Image.Resampling.BICUBIC))


def fit_frames(
    frames: Iterable[np.ndarray], fps: float, spec: ModelSpec, count: int, times: Sequence[float] = ()
) -> Iterator[np.ndarray]:
    """At most `count` frames (H, W, 3) at the model's rate and size: at every tick the frame that is shown then.

    `times` are the frames' seconds where they are not evenly spaced.
    """
    made, length = 0, fitted_length(len(times), fps, spec.fps, times) if times else math.inf
    for index, frame in enumerate(frames):
        fitted = None
        while made < count and made < length and shown_at(made, fps, spec.fps, times) == index:
            fitted = fit_image(frame, spec.size) if fitted is None else fitted
            yield fitted
            made += 1
        if made == count:
            return


def shown_at(tick: int, fps: float, target: float, times: Sequence[float] = ()) -> int:
    """Which frame of a video at `fps`, or at `times`, is on screen at tick `tick` of `target` ticks a second."""
    if times:
        return bisect.bisect_right(times, tick / target + 1e-6) - 1
    return int(tick * fps / target + 1e-6)


def fitted_length(frames: int, fps: float, target: float, times: Sequence[float] = ()) -> int:
    """How many ticks of `target` a second a video of `frames` at `fps`, or at `times`, lasts: those at which
    `shown_at` is in it. The last of unevenly timed frames stays as long as the one before it."""
    if times:
        return math.ceil((2 * times[-1] - times[-2]) * target - 1e-6)
    return math.ceil((frames - 1e-6) * target / fps)


def notices(
    size: tuple[int, int], frames: int, fps: float, spec: ModelSpec, count: int, times: Sequence[float] = ()
) -> list[str]:
    """What fitting a video of `size` (height, width) changes about it, and about a clip of `count` frames."""
    said = size_notices("video", size, spec.size)
    if times:
        said.append(f"the video's frames are unevenly timed; it is read at the model's {spec.fps} a second")
    elif abs(fps - spec.fps) > 1e-3:
        said.append(f"the video of {fps:g} frames a second is read at the model's {spec.fps}")
    length = fitted_length(frames, fps, spec.fps, times)
    if length < count:
        said.append(f"the video ends after {length} frames at {spec.fps} a second, and so does the clip")
    return said


def size_notices(what: str, size: tuple[int, int], made: tuple[int, int]) -> list[str]:
    """What fitting a picture or a video of `size` (height, width) to a clip of size `made` changes."""
    if size == made:
        return []
    crop = " and cropped to its middle" if size[0] * made[1] != size[1] * made[0] else ""
    return [f"the {what} of {size[1]} x {size[0]} pixels is resized to {made[1]} x {made[0]}{crop}"]
