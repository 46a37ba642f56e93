"""The one reader of videos: any kind as a stream of windows, in memory that does not grow with their length.

A file gives the same frames whoever reads it and however many threads decode: as soon as data turn out to be damaged,
one thread goes on. FFmpeg never gets a name to open, only the bytes of a file, and only containers of the list below.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags

from eval.video.early_ends import frames_told, told_early_end
from eval.video.frame_folder import NO_RATE, USUAL_FPS, FrameReader, frame_files, frames_digest
from eval.video.frame_times import TimesOfFrames, own_rate, told_gaps, told_repeats, uneven_times
from eval.video.limits import VARIABLE, limits, over
from eval.video.picture import TRANSPARENT, Picture
from eval.video.stream import WAY_OUT, Unreadable, open_stream, told_faults, told_fields, told_layer, told_streams
from eval.video.windows import Window, made_ahead

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".mpg", ".mpeg", ".ts", ".ogv", ".wmv", ".flv")
UNTIMED = ("h264", "hevc", "mpegvideo", "m4v")  # pictures one after the other, without times
WINDOW_BYTES = 64_000_000  # frames of 4K video come in smaller windows
PACKETS_BYTES = 64_000_000


@dataclass(frozen=True)
class Reading:
    """`threads`: frames decoded at once. Windows hold `frames` frames and are made `ahead` of their use, or then."""

    threads: int = 2
    frames: int = 16
    ahead: bool = True


ALONE = Reading()
# other videos keep the cores busy: least work counts, and that is done on frames that are still in the cache
BESIDE_OTHERS = Reading(threads=1, frames=4, ahead=False)


@dataclass(frozen=True)
class VideoFacts:
    """What the container tells: size as shown, rate, number of frames, and `times` (seconds) where they are uneven.

    `color` says by which matrix, range and conversion pixels become RGB. `playable`: 8-bit 4:2:0 H.264 from time 0,
    upright, as every browser plays it.
    """

    width: int
    height: int
    fps: float
    frames: int
    notices: tuple[str, ...] = ()
    times: tuple[float, ...] = ()
    color: str = ""
    playable: bool = False


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, or of all pictures of a folder. Raises Unreadable."""
    if path.is_dir():
        with told_faults(path):
            return frames_digest(frame_files(path))
    with told_faults(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inspect_video(path: Path) -> VideoFacts:
    """Size, rate and frame count; only the first frame is decoded. Raises Unreadable."""
    with open_video(path) as video:
        return video.facts


@contextmanager
def open_video(path: Path, reading: Reading = ALONE, *, square: bool = False) -> Iterator["Video | FrameFolder"]:
    """A file, or a folder of numbered PNG frames. `square` makes pixels square, for showing.

    Raises Unreadable for what is missing, empty, not a video, over a limit, or without a frame that can be decoded.
    """
    with told_faults(path):
        video = FrameFolder(path, reading) if path.is_dir() else Video(path, reading, square=square)
        try:
            yield video
        finally:
            video.close()


class FrameFolder:
    """A folder of numbered PNG frames, seen as `Video` is. Pictures have no rate: it is `USUAL_FPS`, and said."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self.path, self.reading, self.reader = path, reading, FrameReader(path)
        self.sizes = {(self.reader.width, self.reader.height)}
        told = f"{NO_RATE}; {USUAL_FPS:g} frames a second are taken"
        width, height, count = self.reader.width, self.reader.height, len(self.reader.files)
        notices = told, *self.reader.notices
        self.facts = VideoFacts(width, height, USUAL_FPS, count, notices, color="sRGB, as the pictures have it")

    @property
    def times(self) -> tuple[float, ...]:
        return ()

    def windows(
        self, notify: Callable[[str], None] = lambda text: None, frames: int | None = None
    ) -> Iterator[Window]:
        """As `Video.windows`."""
        made: Any = self.reader.windows(frames or self.reading.frames, Window)
        with closing(made_ahead(made, f"decode {self.path.name}") if self.reading.ahead else made) as windows:
            yield from windows
        for text in self.reader.told:
            notify(text)

    def close(self) -> None:
        """Nothing stays open between two pictures."""


class Video:
    """An open file: what it tells, and its frames once, as windows."""

    def __init__(self, path: Path, reading: Reading, *, square: bool = False) -> None:
        self.path, self.reading, self.limits = path, reading, limits()
        self.joined = False  # files were put together, and times begin anew in the middle
        self.sizes: set[tuple[int, int]] = set()
        self.stamps: list[int | None] = []
        self.whole: int | None = None  # frames before the first damage, where it is known
        self.coded_width = 0  # pixels, with columns that are not shown
        self.ends = 0.0  # seconds; the end of the last packet of any stream
        with open_stream(path, 1, self.limits) as (container, stream):
            self._packets, listed, self._damaged = self._list(container, stream)
            self.base, self.aspect = float(stream.time_base or 0), stream.sample_aspect_ratio
            self._decoder: Any = self._decode()
            self.total = self._told(container, stream, listed) - sum(hidden for _, hidden in listed)
            self.listed = len(listed) - sum(hidden for _, hidden in listed)
            first = next(self._decoder, None)
            if first is None:
                most = f"of at most {self.limits.pixels:,} pixels ({VARIABLE}=pixels=N allows more)"
                raise Unreadable(f"{str(path)!r} holds no frame {most} that can be decoded; {WAY_OUT}")
            self._first = first
            squeezed = self._squeezed(first.width) if self.coded_width > first.width else ""
            self.picture = Picture(first, self.aspect, square=square)
            shown = [stamp for stamp, hidden in listed if not hidden]
            told = [told_streams(container, stream), squeezed, told_layer(stream), told_fields(first)]
            told += self.picture.notices
            if self.total > len(shown):
                told.append(f"the file is cut short: {len(shown)} of {self.total} frames are there")
            else:
                told.append(told_early_end(path, container, stream, shown, self.ends))
            facts = _facts(container, stream, shown, self.picture, len(shown) < len(listed), self.joined)
            self.facts = replace(facts, notices=(*filter(None, told), *facts.notices))
            self._seconds = TimesOfFrames(shown, facts.times, self.base)

    def _list(
        self, container: av.container.InputContainer, stream: av.VideoStream
    ) -> tuple[list[av.Packet] | None, list[tuple[int | None, bool]], bool]:
        """Packets are counted, because headers may be wrong; those of a small file are kept and not read again.

        (packets or None, (time, hidden by an edit list) of each frame, whether any packet is damaged).
        """
        keep = self.path.stat().st_size <= PACKETS_BYTES
        packets, listed, damaged, last = [], [], False, None
        for packet in container.demux():
            if packet.pts is not None and packet.time_base:
                self.ends = max(self.ends, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream.index != stream.index:
                continue
            packets += [packet] * keep
            if packet.size:
                listed.append((packet.pts, packet.is_discard or _shows_nothing(packet, stream.codec_context.name)))
                if packet.is_corrupt and not damaged:
                    damaged, self.whole = True, len(listed) - 1
                self.joined |= None not in (last, packet.dts) and packet.dts < last
                last = packet.dts
            if len(listed) > self.limits.frames:
                raise Unreadable(f"{str(self.path)!r} is too long: {over('frames', len(listed), self.limits.frames)}")
        stamps = [stamp for stamp, _ in listed if stamp is not None]
        seconds = (max(stamps) - min(stamps)) * float(stream.time_base or 0) if stamps else 0
        if seconds > self.limits.seconds:
            raise Unreadable(f"{str(self.path)!r} is too long: {over('seconds', seconds, self.limits.seconds)}")
        return packets if keep else None, listed, damaged or self._told(container, stream, listed) > len(listed)

    @staticmethod
    def _told(
        container: av.container.InputContainer, stream: av.VideoStream, listed: list[tuple[int | None, bool]]
    ) -> int:
        """How many frames the container says it stores."""
        stamps, hidden = [stamp for stamp, _ in listed], sum(hidden for _, hidden in listed)
        return frames_told(container.format.name, stream, stamps, hidden)

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Frames in order. A strict decoder stops at the first damage, where threads would lose and spoil other frames
        than one does; from there one thread goes on and mends what it can."""
        given = 0
        if not self._damaged:
            with closing(self._decoded(self.reading.threads, strict=True)) as frames:
                for frame in frames:
                    yield frame
                    given += 1
            if not self._damaged and given >= self.listed:
                return
        with closing(self._decoded(1, strict=False)) as frames:
            yield from islice(frames, given, None)

    def _decoded(self, threads: int, *, strict: bool) -> Iterator[av.VideoFrame]:
        with open_stream(self.path, threads, self.limits) as (container, stream):
            if strict:
                stream.codec_context.options = stream.codec_context.options | {"err_detect": "explode"}
            given = 0
            for packet in container.demux(stream) if self._packets is None else self._packets:
                try:
                    frames = stream.codec_context.decode(packet if packet.size else None)
                except (av.FFmpegError, EOFError):
                    self._find_damage(given, strict)
                    frames = []
                for frame in frames:
                    if frame.is_corrupt:
                        self._find_damage(given, strict)
                    if strict and self._damaged:
                        return
                    self.coded_width = stream.codec_context.coded_width
                    yield frame
                    given += 1
                if strict and self._damaged:
                    return

    def _squeezed(self, width: int) -> str:
        """What to tell of columns that the file cuts off on the left; "" for none."""
        with open_stream(self.path, 1, self.limits) as (container, stream):
            stream.codec_context.flags &= ~Flags.unaligned
            whole = next(container.decode(stream), None)
        if whole is None or whole.width == width:
            return ""
        left = whole.width - width
        return f"{left} columns that the file cuts off on the left are left out; VBench squeezes them into the picture"

    def _find_damage(self, given: int, strict: bool) -> None:
        self._damaged = True
        if not strict:  # by one thread, so that threads do not change what is told
            self.whole = given if self.whole is None else min(self.whole, given)

    def __iter__(self) -> Iterator[av.VideoFrame]:
        frame = self._first
        while frame is not None:
            self.sizes.add((frame.width, frame.height))
            self.stamps.append(frame.pts)
            yield frame
            frame = next(self._decoder, None)

    @property
    def times(self) -> tuple[float, ...]:
        """Seconds of the frames that were given, once all were, where they are uneven."""
        if len(self.stamps) == self.facts.frames or self.joined:
            return self.facts.times
        return uneven_times(self.stamps, self.base)

    def windows(
        self, notify: Callable[[str], None] = lambda text: None, frames: int | None = None
    ) -> Iterator[Window]:
        """The clip in windows of at most `frames` frames (None: as its reading has it); read ahead they are decoded in
        a thread of their own while earlier ones are looked at.

        What cannot be decoded is left out, and `notify` is told at the end. May be called once; close the iterator
        to stop the decoder early.
        """
        most = WINDOW_BYTES // (self.facts.width * self.facts.height * 3)
        made: Any = self._windows(max(1, min(frames or self.reading.frames, most)))
        with closing(made_ahead(made, f"decode {self.path.name}") if self.reading.ahead else made) as windows:
            count = 0
            for window in windows:
                count = window.first + len(window.frames)
                yield window
        lost = self.total - count
        # without damage, half as many: the two fields of a frame are packets of their own
        told = lost > 0 and (self._damaged or count > lost)
        if told:
            notify(f"{count} of {self.total} frames could be decoded; {lost} {'is' if lost == 1 else 'are'} lost")
        amid = self.whole is not None and self.whole < count  # frames that are there may be wrong, too
        if self._damaged and (amid or not told):
            since = f", from frame {self.whole + 1} of {count} on" if amid else ""
            notify(f"parts of the file are damaged{since}; what is shown of them may be wrong")
        if self.picture.transparent and TRANSPARENT not in self.facts.notices:
            notify(TRANSPARENT)
        if len(self.sizes) > 1:
            notify("the picture size changes within the file; frames are scaled to the first size")

    def _windows(self, size: int) -> Iterator[Window]:
        first, before, frames, last = 0, None, iter(self), 0.0
        while True:
            # into one array: a frame is copied once on its way out of the decoder
            window = np.empty((size, self.facts.height, self.facts.width, 3), np.uint8)
            count = 0
            for slot, frame in zip(window, frames, strict=False):
                self.picture.write(frame, slot)
                count += 1
            times = []
            for stamp in self.stamps[first : first + count] if self.facts.times else ():
                last = self._seconds.of(stamp, last)
                times.append(last)
            if count:
                yield Window(window[:count], first, before, tuple(times))
            if count < size:
                return
            first, before = first + size, window[-1].copy()

    def close(self) -> None:
        self._decoder.close()


def _facts(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    stamps: list[int | None],
    picture: Picture,
    edited: bool,
    joined: bool,
) -> VideoFacts:
    """`stamps` of the frames that are shown; `edited`: others are stored and hidden; `joined`: they begin anew."""
    rate = stream.average_rate or stream.base_rate
    notices = []
    if container.format.name in UNTIMED:  # FFmpeg takes 25 whatever the pictures tell
        rate = stream.codec_context.framerate
    if not rate:
        notices.append(f"the file tells no frame rate; {USUAL_FPS:g} frames a second are assumed")
    fps, base = float(rate or USUAL_FPS), float(stream.time_base or 0)
    known = [stamp for stamp in stamps if stamp is not None]
    times = () if joined else uneven_times(stamps, base)
    own = None if joined else own_rate(stamps, base, fps)
    if edited and own:
        fps = own  # the rate of all that is stored is another
    elif own and not times:
        notices.append(
            f"the file tells {fps:.4g} frames a second, which VBench takes; its frames are {own:.4g} a second"
        )
        fps = own
    if joined:
        notices.append("time stamps go back within the file; frames are taken to be evenly spaced")
    else:
        repeats = told_repeats(stamps) if times or container.format.name != "mpeg" else ""
        notices += filter(None, [repeats, told_gaps(times, fps)])
    plain = (
        stream.codec_context.name == "h264"
        and picture.plain
        and len(known) == len(stamps)
        and min(known) == 0
        and not edited
    )
    size = picture.width, picture.height
    return VideoFacts(*size, fps, len(stamps), tuple(notices), times, picture.color, plain)


def _shows_nothing(packet: av.Packet, codec: str) -> bool:
    """Whether a packet of VP8 only holds what later pictures are made from."""
    return codec == "vp8" and not memoryview(packet)[0] & 0x10
