"""One video stream of a file, opened for the decoder: bounded, by its bytes and never by its name."""

import math
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.container.streams import StreamContainer
from av.stream import Disposition

from eval.video.limits import MOST_BOXES, SAMPLES_A_FRAME, Limits, over, told_samples

# no playlists, no lists of other files, no devices; nothing in a file is opened by name
CONTAINERS = "mov,mp4,matroska,webm,avi,gif,mpeg,mpegts,mpegvideo,ogg,asf,flv,h264,hevc,ivf,m4v,yuv4mpegpipe,apng"
LAYER = "the file has a layer of transparency; the colours stored beneath it are scored, as VBench does"
INTERLACED = "the video is interlaced; a frame is scored as it is stored, with both of its fields in one picture"
WAY_OUT = "give a video such as an H.264 mp4"


class Unreadable(ValueError):
    """A file that cannot be read as a video, in one sentence that names the file, the reason and the way out."""


def _chosen(streams: StreamContainer) -> av.VideoStream | None:
    """The video stream that players show: never the picture of a cover, and the file's own default before others."""
    own = [stream for stream in streams.video if not stream.disposition & Disposition.attached_pic]
    best = streams.best("video")
    return next((stream for stream in own if stream is best), next(iter(own), None))


def told_streams(container: InputContainer, stream: av.VideoStream) -> str:
    """What to tell of a file with several video streams; empty for one."""
    streams = container.streams.video
    if len(streams) < 2:
        return ""
    place = streams.index(stream) + 1
    first = ", and VBench reads number 1" if place > 1 else ""
    size = f"{stream.codec_context.width}x{stream.codec_context.height}"
    return f"the file has {len(streams)} video streams; number {place}, of {size}, is scored{first}"


def told_fields(frame: av.VideoFrame) -> str:
    """What to tell of a video whose pictures were taken in two halves, one after the other."""
    return INTERLACED if frame.interlaced_frame else ""


def told_layer(stream: av.VideoStream) -> str:
    """WebM keeps transparency as a second picture in each block, which FFmpeg's own decoders leave out."""
    return LAYER if stream.metadata.get("alpha_mode") == "1" else ""


@contextmanager
def open_stream(path: Path, threads: int, most: Limits) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    """The container of a file and the stream in it that is scored, to be decoded by `threads`. Raises Unreadable."""
    options = {
        "format_whitelist": CONTAINERS,
        "protocol_whitelist": "none",
        "max_streams": str(most.streams),
        "max_pixels": str(most.pixels),
    }
    if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
        raise Unreadable(f"{str(path)!r} is not a file; {WAY_OUT}")
    samples = told_samples(path) if path.is_file() else 0
    if samples == math.inf:
        raise Unreadable(f"{str(path)!r} is not read: it has more than {MOST_BOXES:,} boxes; {WAY_OUT}")
    if samples > SAMPLES_A_FRAME * most.frames:
        raise Unreadable(f"{str(path)!r} is too long: {over('frames', samples, most.frames)}")
    # the bytes and not the name: a name could be an address, a list of files or a device to FFmpeg
    with path.open("rb") as file, av.open(file, options=options, buffer_size=2**18) as container:
        stream = _chosen(container.streams)
        if stream is None:
            cover = " beside the picture of its cover" if container.streams.video else ""
            raise Unreadable(f"{str(path)!r} has no video stream{cover}; {WAY_OUT}")
        if len(container.streams) > most.streams:
            raise Unreadable(f"{str(path)!r} is not read: {over('streams', len(container.streams), most.streams)}")
        codec = stream.codec_context
        if codec is None:
            raise Unreadable(f"{str(path)!r} is coded in a way that cannot be decoded here; {WAY_OUT}")
        if codec.width * codec.height > most.pixels:
            size = f"{codec.width}x{codec.height}"
            reason = over("pixels", codec.width * codec.height, most.pixels)
            raise Unreadable(f"{str(path)!r} is {size}: {reason}")
        codec.options = {"max_pixels": str(most.pixels)}
        codec.flags |= Flags.unaligned  # or columns that are cut off on the left are shown
        # more threads cost memory
        codec.thread_type, codec.thread_count = "FRAME", threads
        yield container, stream


@contextmanager
def told_faults(path: Path) -> Iterator[None]:
    """Turns what the system and the decoder raise into one sentence."""
    try:
        yield
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, Unreadable):
            raise
        reason = "it is empty" if path.is_file() and not path.stat().st_size else _reason(error)
        raise Unreadable(f"{str(path)!r} cannot be read as a video ({reason}); {WAY_OUT}") from error


def _reason(error: BaseException) -> str:
    if isinstance(error, av.ArgumentError):  # of the list of containers
        return "its format is none of those that are read here"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())
