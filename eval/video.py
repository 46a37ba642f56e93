"""Reads videos of any kind as a stream of windows, in memory that does not grow with their length.

Pixels are those of OpenCV's `VideoCapture`, which VBench reads with: 8-bit RGB, by the file's colour tags, BT.601
where it has none. `workbench.media.decode_mp4` follows the same tags but interpolates chroma, for showing.
"""

import hashlib
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation

from eval.windows import Window

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".mpg", ".mpeg", ".ts", ".ogv", ".wmv", ".flv")
WINDOW_FRAMES = 16
WINDOW_BYTES = 64_000_000  # frames of 4K video come in smaller windows
WINDOWS_AHEAD = 2  # the decoder may be this far ahead of the metrics
UNEVEN = 0.1  # a gap between frames may differ from the usual one by this share of it


class Unreadable(ValueError):
    """A file that cannot be read as a video, in one sentence that names the file, the reason and the way out."""


@dataclass(frozen=True)
class VideoFacts:
    """What the container tells: size as shown, rate, number of frames, and `times` (seconds) where they are uneven."""

    width: int
    height: int
    fps: float
    frames: int
    notices: tuple[str, ...] = ()
    times: tuple[float, ...] = ()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises Unreadable."""
    with _told(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inspect_video(path: Path) -> VideoFacts:
    """Size, rate and frame count; only the first frame is decoded, and packets are counted: headers may be wrong.

    Raises Unreadable for what is missing, empty, not a video, or without a frame that can be decoded.
    """
    stamps, shown = [], None
    with _open(path) as (container, stream):
        rate, base, told = stream.average_rate or stream.base_rate, float(stream.time_base or 0), stream.frames
        for packet in container.demux(stream):
            if packet.size:
                stamps.append(packet.pts)
            if shown is None:
                shown = next(iter(_decoded(packet)), None)
    if shown is None:
        raise Unreadable(f"{str(path)!r} holds no frame that can be decoded; {_WAY_OUT}")
    width, height = (shown.height, shown.width) if shown.rotation % 180 else (shown.width, shown.height)
    notices = []
    if told > len(stamps):
        notices.append(f"the file is cut short: {len(stamps)} of {told} frames are there")
    if not rate:
        notices.append("the file tells no frame rate; 24 frames a second are assumed")
    fps = float(rate or 24)
    times = _uneven_times(stamps, base)
    if times:
        gaps = np.diff(times) * 1000
        notices.append(f"frames are {gaps.min():.0f} to {gaps.max():.0f} ms apart; rates use {fps:.4g} a second")
    return VideoFacts(width, height, fps, len(stamps), tuple(notices), times)


def _uneven_times(stamps: list[int | None], base: float) -> tuple[float, ...]:
    """Seconds of each frame from the first, or () when they are evenly spaced or not known."""
    if len(stamps) < 3 or None in stamps or not base:
        return ()
    ticks = np.sort(np.array(stamps))
    gaps = np.diff(ticks)
    usual = np.median(gaps)
    # a tick more or less is rounding: WebM counts milliseconds
    if np.abs(gaps - usual).max() <= max(UNEVEN * usual, 1):
        return ()
    return tuple(float(t) for t in (ticks - ticks[0]) * base)


def stream_windows(
    path: Path, video: VideoFacts, notify: Callable[[str], None] = lambda text: None, frames: int = WINDOW_FRAMES
) -> Iterator[Window]:
    """The clip in windows of at most `frames` frames, decoded in a thread of its own while they are looked at.

    `notify` is told what is odd about the frames. Raises Unreadable when not one frame can be decoded; a file that
    breaks off gives the frames before the break and a notice. Close the iterator to stop the decoder.
    """
    frames = max(1, min(frames, WINDOW_BYTES // (video.width * video.height * 3)))
    ahead: queue.Queue = queue.Queue(WINDOWS_AHEAD)
    stop = threading.Event()

    def decode() -> None:
        try:
            with closing(_decode_windows(path, video, notify, frames)) as decoded:
                for window in decoded:
                    if not _put(ahead, window, stop):
                        return
            _put(ahead, None, stop)
        except BaseException as error:  # it is raised where the windows are taken
            _put(ahead, error, stop)

    thread = threading.Thread(target=decode, name=f"decode {path.name}", daemon=True)
    thread.start()
    try:
        while (item := ahead.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


def _put(ahead: queue.Queue, item: object, stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            ahead.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False


def _decode_windows(path: Path, video: VideoFacts, notify: Callable[[str], None], size: int) -> Iterator[Window]:
    first, before = 0, None
    frames = decode_frames(path, video, notify)
    while True:
        # into one array: a frame is copied once on its way out of the decoder
        window = np.empty((size, video.height, video.width, 3), np.uint8)
        count = 0
        for slot, frame in zip(window, frames, strict=False):
            _write_rgb(frame, slot)
            count += 1
            if count == size:
                break
        if count:
            yield Window(window[:count], first, before)
        if count < size:
            return
        first, before = first + size, window[-1].copy()


def decode_frames(path: Path, video: VideoFacts, notify: Callable[[str], None]) -> Iterator[av.VideoFrame]:
    """Every frame that can be decoded, as the decoder gives it; `notify` is told of those that cannot, at the end."""
    broken, count, sizes = 0, 0, set()
    with _open(path) as (container, stream):
        # two frames at once: fastest on two cores, and more threads cost memory
        stream.codec_context.thread_type, stream.codec_context.thread_count = "FRAME", 2
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                broken += 1
                continue
            for frame in frames:
                count += 1
                sizes.add((frame.width, frame.height))
                yield frame
    if broken or count != video.frames:
        notify(f"{count} of {video.frames} frames could be decoded")
    if len(sizes) > 1:
        notify("the picture size changes within the file; frames are scaled to the first size")


def _decoded(packet: av.Packet) -> list[av.VideoFrame]:
    try:
        return packet.decode()
    except av.FFmpegError:
        return []


def _write_rgb(frame: av.VideoFrame, out: np.ndarray) -> None:
    """Convert into `out` (H, W, 3) uint8 RGB, turned upright and scaled to its size."""
    turns = frame.rotation // 90 % 4
    height, width = out.shape[1::-1] if turns % 2 else out.shape[:2]
    # BGR first and bicubic: swscale's other paths round 10-bit video differently from OpenCV's. One thread: PyAV
    # would start new ones for every frame, which takes longer than the conversion
    bgr = frame.reformat(width, height, "bgr24", interpolation=Interpolation.BICUBIC, threads=1)
    (plane,) = bgr.planes
    rows = np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)
    pixels = rows[:, : width * 3].reshape(height, width, 3)
    cv2.cvtColor(np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels, cv2.COLOR_BGR2RGB, dst=out)


@contextmanager
def _open(path: Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    with _told(path), av.open(str(path)) as container:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            raise Unreadable(f"{str(path)!r} has no video stream; {_WAY_OUT}")
        yield container, stream


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turns what the system and the decoder raise into one sentence."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        reason = "it is empty" if path.is_file() and not path.stat().st_size else _reason(error)
        raise Unreadable(f"{str(path)!r} cannot be read as a video ({reason}); {_WAY_OUT}") from error


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


_WAY_OUT = "give a video such as an H.264 mp4"
