"""Reads videos of any kind as a stream of windows, in memory that does not grow with their length.

Pixels are those of OpenCV's `VideoCapture`, which VBench reads with: 8-bit RGB, by the file's colour tags, BT.601
where it has none. `workbench.media.decode_mp4` follows the same tags but interpolates chroma, for showing.
"""

import hashlib
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation

from eval.windows import Window

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".mpg", ".mpeg", ".ts", ".ogv", ".wmv", ".flv")
WINDOW_BYTES = 64_000_000  # frames of 4K video come in smaller windows
PACKETS_BYTES = 64_000_000
WINDOWS_AHEAD = 2  # the decoder may be this far ahead of the metrics
UNEVEN = 0.1  # a gap between frames may differ from the usual one by this share of it


@dataclass(frozen=True)
class Reading:
    """`threads`: frames decoded at once. Windows hold `frames` frames and are made `ahead` of their use, or then."""

    threads: int = 2
    frames: int = 16
    ahead: bool = True


ALONE = Reading()
# other videos keep the cores busy: least work counts, and that is done on frames that are still in the cache
BESIDE_OTHERS = Reading(threads=1, frames=4, ahead=False)


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
    """Size, rate and frame count; only the first frame is decoded. Raises Unreadable."""
    with open_video(path) as video:
        return video.facts


def stream_windows(path: Path, facts: VideoFacts | None = None) -> Iterator[Window]:
    """A file's windows, for who needs nothing else of it. Raises Unreadable."""
    with open_video(path) as video:
        yield from video.windows()


@contextmanager
def open_video(path: Path, reading: Reading = ALONE) -> Iterator["Video"]:
    """Raises Unreadable for what is missing, empty, not a video, or without a frame that can be decoded."""
    with _open(path, reading.threads) as (container, stream):
        video = Video(path, container, stream, reading)
        try:
            yield video
        finally:
            video.close()


class Video:
    """An open file: what it tells, and its frames once, as windows."""

    def __init__(
        self, path: Path, container: av.container.InputContainer, stream: av.VideoStream, reading: Reading
    ) -> None:
        self.path, self.reading = path, reading
        self.broken = 0
        self.sizes: set[tuple[int, int]] = set()
        # packets are counted, because headers may be wrong; those of a small file are kept and not read again
        keep = path.stat().st_size <= PACKETS_BYTES
        stamps, packets = [], []
        for packet in container.demux(stream):
            stamps += [packet.pts] * bool(packet.size)
            packets += [packet] * keep
        self._decoder = self._decode(packets if keep else self._read_again())
        first = next(self._decoder, None)
        if first is None:
            raise Unreadable(f"{str(path)!r} holds no frame that can be decoded; {_WAY_OUT}")
        self._frames = chain([first], self._decoder)
        self.facts = _facts(stream, stamps, first)

    def _decode(self, packets: Iterable[av.Packet]) -> Iterator[av.VideoFrame]:
        for packet in packets:
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.broken += 1
                continue
            for frame in frames:
                self.sizes.add((frame.width, frame.height))
                yield frame

    def _read_again(self) -> Iterator[av.Packet]:
        with _open(self.path, self.reading.threads) as (container, stream):
            yield from container.demux(stream)

    def windows(
        self, notify: Callable[[str], None] = lambda text: None, frames: int | None = None
    ) -> Iterator[Window]:
        """The clip in windows of at most `frames` frames (None: as its reading has it); read ahead they are decoded in
        a thread of their own while earlier ones are looked at.

        What cannot be decoded is left out, and `notify` is told at the end. May be called once; close the iterator
        to stop the decoder early.
        """
        most = WINDOW_BYTES // (self.facts.width * self.facts.height * 3)
        made = self._windows(max(1, min(frames or self.reading.frames, most)))
        with closing(_ahead(made, f"decode {self.path.name}") if self.reading.ahead else made) as windows:
            count = 0
            for window in windows:
                count = window.first + len(window.frames)
                yield window
        if self.broken or count != self.facts.frames:
            notify(f"{count} of {self.facts.frames} frames could be decoded")
        if len(self.sizes) > 1:
            notify("the picture size changes within the file; frames are scaled to the first size")

    def _windows(self, size: int) -> Iterator[Window]:
        first, before = 0, None
        while True:
            # into one array: a frame is copied once on its way out of the decoder
            window = np.empty((size, self.facts.height, self.facts.width, 3), np.uint8)
            count = 0
            for slot, frame in zip(window, self._frames, strict=False):
                _write_rgb(frame, slot)
                count += 1
            if count:
                yield Window(window[:count], first, before)
            if count < size:
                return
            first, before = first + size, window[-1].copy()

    def close(self) -> None:
        self._decoder.close()


def _facts(stream: av.VideoStream, stamps: list[int | None], shown: av.VideoFrame) -> VideoFacts:
    width, height = (shown.height, shown.width) if shown.rotation % 180 else (shown.width, shown.height)
    rate = stream.average_rate or stream.base_rate
    fps = float(rate or 24)
    notices = []
    if stream.frames > len(stamps):
        notices.append(f"the file is cut short: {len(stamps)} of {stream.frames} frames are there")
    if not rate:
        notices.append("the file tells no frame rate; 24 frames a second are assumed")
    times = _uneven_times(stamps, float(stream.time_base or 0))
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


def _ahead(items: Generator[Window], name: str) -> Iterator[Window]:
    """The same items, made in a thread of its own a little ahead of their use; what it raises is raised here."""
    made: queue.Queue = queue.Queue(WINDOWS_AHEAD)
    stop = threading.Event()

    def put(item: object) -> None:
        while not stop.is_set():
            try:
                return made.put(item, timeout=0.1)
            except queue.Full:
                continue

    def make() -> None:
        try:
            with closing(items):
                for item in items:
                    put(item)
                    if stop.is_set():
                        return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=make, name=name, daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


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
def _open(path: Path, threads: int) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    with _told(path), av.open(str(path)) as container:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            raise Unreadable(f"{str(path)!r} has no video stream; {_WAY_OUT}")
        # more threads cost memory
        stream.codec_context.thread_type, stream.codec_context.thread_count = "FRAME", threads
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
