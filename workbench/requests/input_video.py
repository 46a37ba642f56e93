"""A video file as what a clip starts from."""

from contextlib import closing
from pathlib import Path

import numpy as np

from eval.video.reader import Unreadable, open_video
from models.specs import ModelSpec
from models.types import RequestError
from models.video_input import fit_frames, notices


def read_video(path: Path, spec: ModelSpec, frames: int) -> tuple[np.ndarray, list[str]]:
    """A video file of any kind at the model's size and rate, at most `frames` frames, and what was changed about it.

    Only what is needed is decoded, and no more than a few frames are held at full size. Raises RequestError.
    """
    try:
        # the windows are closed before the file: their decoder may be ahead of what is needed
        with open_video(path, square=True) as video, closing(video.windows()) as windows:
            facts = video.facts
            rest = (frame for window in windows for frame in window.frames)
            fitted = list(fit_frames(rest, facts.fps, spec, frames, facts.times))
    except Unreadable as error:
        raise RequestError(str(error)) from error
    if not fitted:
        raise RequestError(f"{str(path)!r} holds no frame that can be decoded; give a video such as an H.264 mp4")
    said = [*facts.notices, *notices((facts.height, facts.width), facts.frames, facts.fps, spec, frames, facts.times)]
    return np.stack(fitted), said
