"""Any video as browsers can show it: small clips without loss, others as H.264 that seeks to the frame."""

from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from eval.video.reader import VideoFacts, inspect_video, open_video
from workbench.clips.media import encode_stream

LOSSLESS_LIMIT = 48 * 2**20  # bytes of raw frames
LONGEST_COPY = 1200  # frames; encoding more keeps the visitor waiting
LARGEST_SIDE = 960
PLAYABLE = (".mp4", ".m4v", ".mov")


@dataclass(frozen=True)
class Display:
    """What a player shows of a clip: frame k at `k / fps`, either `frames` in memory or the file `video`.

    `count` is how many frames there are to show; `note` says what is not shown.
    """

    fps: float
    count: int
    frames: np.ndarray | None = None
    video: Path | None = None
    note: str = ""


def make_display(path: Path, digest: str, folder: Path) -> Display:
    """Prepare a clip for the player; copies are kept in `folder` by the file's `digest`.

    Raises eval.video.reader.Unreadable for what is not a video.
    """
    with open_video(path, square=True) as video:
        facts = video.facts
        if facts.frames * facts.width * facts.height * 3 <= LOSSLESS_LIMIT:
            shown = np.concatenate([window.frames for window in video.windows()])
            return Display(facts.fps, len(shown), frames=shown)
    if _plays_as_it_is(path, facts):
        return Display(facts.fps, facts.frames, video=path)
    copy = folder / f"{digest}.mp4"
    if not copy.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _encode_copy(path, copy)
    made = inspect_video(copy)
    note = f"the player shows the first {made.frames} frames" if facts.frames > LONGEST_COPY else ""
    return replace(Display(made.fps, made.frames, video=copy), note=note)


def first_frame(path: Path) -> np.ndarray:
    """The first picture of a clip (H, W, 3) uint8 RGB. Raises eval.video.reader.Unreadable."""
    with open_video(path, square=True) as video, closing(video.windows(frames=1)) as windows:
        return next(windows).frames[0]


def _plays_as_it_is(path: Path, facts: VideoFacts) -> bool:
    """Every browser plays 8-bit 4:2:0 H.264 in mp4; evenly timed from 0, frame k of the file is frame k on screen."""
    if path.suffix.lower() not in PLAYABLE or facts.times or facts.notices:
        return False
    return facts.playable


def _encode_copy(path: Path, copy: Path) -> None:
    with open_video(path, square=True) as video, closing(video.windows()) as windows:
        shrink = min(1.0, LARGEST_SIDE / max(video.facts.width, video.facts.height))
        width, height = (max(2, round(side * shrink / 2) * 2) for side in (video.facts.width, video.facts.height))
        frames = islice((frame for window in windows for frame in window.frames), LONGEST_COPY)
        fitted = (cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames)
        encode_stream(fitted, width, height, video.facts.fps, copy)
