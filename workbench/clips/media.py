"""The one place that writes and reads videos and pictures: clips are (T, H, W, 3) uint8 RGB with `fps`."""

import io
import itertools
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from PIL import Image, UnidentifiedImageError

from eval.video.frame_times import evenly
from eval.video.limits import VARIABLE, limits, open_given
from eval.video.picture import upright_rgb
from eval.video.reader import ALONE, Reading, Unreadable, Video, open_video
from models.types import RequestError
from models.whole_files import replacing

MAX_SIDE = 16_384
MOST_BYTES = 1_500_000_000  # of a clip that is held as a whole
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")  # a short list: Pillow would hand EPS to Ghostscript
SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT
# g=8 without B-frames: a browser seeks to any frame in 5 ms; one thread and bitexact: the same bytes on every machine
X264 = {"crf": "10", "preset": "medium", "g": "8", "bf": "0"}


def encode_mp4(frames: np.ndarray, fps: float, path: Path) -> None:
    """Write `frames` (T, H, W, 3) uint8 RGB as H.264 that browsers play: 4:2:0, BT.709 tags, index at the front.

    Same frames, same bytes. Raises ValueError for other layouts and for odd sizes, which 4:2:0 cannot hold.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise ValueError(f"frames are {frames.dtype} {frames.shape}; a clip is uint8 (T, H, W, 3) with T >= 1")
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise ValueError(f"frames are {width}x{height}; 4:2:0 video needs even sides, so crop or pad by one pixel")
    encode_stream(frames, width, height, fps, path)


def encode_stream(frames: Iterable[np.ndarray], width: int, height: int, fps: float, path: Path) -> None:
    """`encode_mp4` of frames (H, W, 3) that come one by one; `width` and `height` are even."""
    flags = {"movflags": "+faststart", "fflags": "+bitexact"}
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4", options=flags) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=X264)
        _describe(stream.codec_context, width, height)
        for frame in frames:
            for packet in stream.encode(_to_yuv(frame)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def _describe(codec: av.VideoCodecContext, width: int, height: int) -> None:
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG
    codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    codec.thread_count = 1
    codec.flags |= Flags.bitexact


def _to_yuv(frame: np.ndarray) -> av.VideoFrame:
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    return rgb.reformat(
        format="yuv420p",
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        dst_colorspace=Colorspace.ITU709,
        interpolation=SCALING,
        threads=1,
    )


class Footage:
    """A video file as it is meant to be seen, upright, with square pixels and evenly timed, one frame at a time.

    `shape` is (T, H, W, 3), `fps` the rate; iterating decodes (H, W, 3) uint8 RGB anew, in memory that does not grow
    with the length, and may end early where frames are lost. `notices` tell what was assumed or lost, as far as it was
    decoded. With a `reading` that is not ahead little memory is taken where many are iterated at once. Raises
    RequestError for what is not a video or changes its size.
    """

    def __init__(self, path: Path, reading: Reading = ALONE) -> None:
        self.path, self.reading = path, reading
        with self._open() as video:
            facts = video.facts
        rate, self._shown = evenly(facts.times) if facts.times else (facts.fps, range(facts.frames))
        self.shape, self.fps = (len(self._shown), facts.height, facts.width, 3), float(rate)
        self.notices = dict.fromkeys(facts.notices)  # in order, each once

    def __iter__(self) -> Iterator[np.ndarray]:
        with self._open() as video:
            shown = Counter(self._shown)
            for window in video.windows(lambda text: self.notices.update({text: None})):
                for place, frame in enumerate(window.frames, start=window.first):
                    yield from itertools.repeat(frame, shown[place])
            if len(video.sizes) > 1:
                shown = f"{str(self.path)!r} changes its picture size within the file"
                raise RequestError(f"{shown}; give one of one size")

    @contextmanager
    def _open(self) -> Iterator[Video]:
        try:
            with open_video(self.path, self.reading, square=True) as video:
                yield video
        except Unreadable as error:
            raise RequestError(str(error)) from error


def decode_mp4(path: Path) -> tuple[np.ndarray, float]:
    """A whole video as it is meant to be seen: (T, H, W, 3) uint8 RGB, upright, square pixels, evenly timed; its rate.

    Raises RequestError for what is not a video, changes its size, or is too large to hold.
    """
    footage = Footage(path)
    size = math.prod(footage.shape)
    if size > MOST_BYTES:
        raise RequestError(
            f"{str(path)!r} takes {size / 1e9:.1f} GB in memory, and {MOST_BYTES / 1e9:.1f} GB are allowed; "
            "give a shorter or smaller video"
        )
    frames, count = np.empty(footage.shape, np.uint8), 0
    for frame in footage:
        frames[count] = frame
        count += 1
    return frames[:count], footage.fps


def write_lossless(frames: np.ndarray, fps: float, path: Path) -> None:
    """Write (T, H, W, 3) uint8 RGB as FFV1 in Matroska, bit for bit."""
    with replacing(path) as temporary, av.open(str(temporary), "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=round(fps))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "bgr0"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())


def read_lossless(path: Path) -> np.ndarray:
    """What `write_lossless` wrote. Raises RequestError for a file that is gone or something else."""

    def frames() -> Iterator[np.ndarray]:
        with open_given(path) as file, av.open(file, "r") as container:
            for frame in container.decode(video=0):
                yield frame.reformat(format="rgb24").to_ndarray()

    try:
        return np.stack(list(frames()))
    except (OSError, av.FFmpegError, ValueError, IndexError) as error:
        reason = f"{str(path)!r} cannot be read ({_reason(error)})"
        raise RequestError(f"{reason}; it is the video that the clip was made from, put it back") from error


def read_image(path: Path) -> np.ndarray:
    """Read a picture as (H, W, 3) uint8 RGB, upright by its EXIF tag, transparency on white.

    Raises RequestError for a missing file, for what is not a picture, and above the limit `picture_pixels` or 16,384 a
    side.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is lower and refuses
            with open_given(path) as file, Image.open(file, formats=IMAGE_FORMATS) as image:
                _check_size(path, *image.size)
                return upright_rgb(image)
    except RequestError:
        raise
    except Image.DecompressionBombError as error:
        raise RequestError(f"image {str(path)!r} is too large ({_reason(error)}); {_size_rule()}") from error
    except UnidentifiedImageError as error:
        raise RequestError(f"image {str(path)!r} is not a picture; give a {_FORMATS} file") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise RequestError(f"image {str(path)!r} cannot be read ({_reason(error)}); give a {_FORMATS} file") from error


_FORMATS = ", ".join(IMAGE_FORMATS[:-1]) + f" or {IMAGE_FORMATS[-1]}"


def _size_rule() -> str:
    most = f"{limits().picture_pixels:,} pixels ({VARIABLE}=picture_pixels=N allows more)"
    return f"use at most {most} and {MAX_SIDE:,} pixels a side"


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > limits().picture_pixels or max(width, height) > MAX_SIDE:
        raise RequestError(f"image {str(path)!r} is {width}x{height} pixels; {_size_rule()}")


def write_png(path: Path, image: np.ndarray) -> None:
    """Write (H, W, 3) uint8 RGB without loss, whole or not at all."""
    with replacing(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG")


def png_bytes(image: np.ndarray) -> bytes:
    """(H, W, 3) uint8 RGB as a PNG file in memory."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())
