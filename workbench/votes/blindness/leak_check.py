"""By what could somebody tell two sets of clips apart without looking at them? Every channel is named.

The clips of a blind study must differ in what they show and in nothing else: not in name, size, tags, resolution,
rate, duration, border or header.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from models.types import RequestError
from workbench.common.words import percent

SEPARATES = 2.576  # standard errors from chance at which a number tells the sides apart: 1 in 100 by luck
COLOURS = ("color_range", "colorspace", "color_primaries", "color_trc")


@dataclass(frozen=True)
class Finding:
    """One channel. `leaks` tells that the sides can be told apart by it; `says` how, or that they cannot."""

    channel: str
    leaks: bool
    says: str


@dataclass(frozen=True)
class ClipHeader:
    """What a file tells without being watched; `border` is the mean brightness of its outermost pixels, 0 to 255."""

    name: str
    size: int
    tags: tuple[tuple[str, str], ...]
    codec: str
    pixels: str
    resolution: str
    rate: float
    frames: int
    seconds: float
    boxes: str
    border: float


def read_header(path: Path) -> ClipHeader:
    """Raises RequestError for what is not a video."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            codec = stream.codec_context
            frames, borders = 0, []
            for frame in container.decode(stream):
                frames += 1
                if frames % 8 == 1:
                    borders.append(_border(frame.to_ndarray(format="gray")))
            tags = sorted({**container.metadata, **stream.metadata}.items())
            colours = [int(getattr(codec, name)) for name in COLOURS]
            return ClipHeader(
                name=path.name,
                size=path.stat().st_size,
                tags=tuple(tags),
                codec=f"{codec.name} {codec.profile}",
                pixels=f"{codec.pix_fmt} {colours}",
                resolution=f"{codec.width}x{codec.height}",
                rate=float(stream.average_rate or 0),
                frames=frames,
                seconds=round(float((stream.duration or 0) * (stream.time_base or 0)), 4),
                boxes=" ".join(mp4_boxes(path)),
                border=float(np.mean(borders)),
            )
    except (av.FFmpegError, OSError, IndexError, ValueError) as error:
        raise RequestError(f"{path.name} cannot be read as a video ({error}); give an H.264 mp4") from error


def mp4_boxes(path: Path) -> list[str]:
    """The names of a file's outermost boxes in order; empty filling is left out."""
    names, content = [], path.read_bytes()
    offset = 0
    while offset + 8 <= len(content):
        size = int.from_bytes(content[offset : offset + 4])
        name = content[offset + 4 : offset + 8].decode("latin-1")
        names += [name] if name != "free" else []
        if size < 8:
            break
        offset += size
    return names


def leak_check(first: Sequence[Path], second: Sequence[Path]) -> list[Finding]:
    """Compare the files of two sides, the same prompts in the same order, channel by channel.

    Raises RequestError for a file that cannot be read.
    """
    return check_headers([[read_header(path) for path in paths] for paths in (first, second)])


def check_headers(sides: list[list[ClipHeader]]) -> list[Finding]:
    """`leak_check` of files that were read before."""
    return [check(channel, sides) for channel, check in CHANNELS.items()]


def _border(grey: np.ndarray) -> float:
    return float(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]).mean())


def _values(sides: list[list[ClipHeader]], read: Callable[[ClipHeader], Any]) -> list[list[Any]]:
    return [[read(header) for header in side] for side in sides]


def _same(read: Callable[[ClipHeader], Any]) -> Callable[[str, list[list[ClipHeader]]], Finding]:
    """The sides leak when they do not hold the same values."""

    def check(channel: str, sides: list[list[ClipHeader]]) -> Finding:
        first, second = (set(values) for values in _values(sides, read))
        if first == second:
            return Finding(channel, False, "the same on both sides")
        only = [f"only one side has {_shown(value)}" for value in sorted(first ^ second, key=str)[:2]]
        return Finding(channel, True, "; ".join(only))

    return check


def _number(read: Callable[[ClipHeader], float], unit: str) -> Callable[[str, list[list[ClipHeader]]], Finding]:
    """The sides leak when the larger value tells the side more often than chance would (Mann-Whitney)."""

    def check(channel: str, sides: list[list[ClipHeader]]) -> Finding:
        first, second = _values(sides, read)
        share, error = separation(first, second)
        if abs(share - 0.5) <= SEPARATES * error:
            return Finding(channel, False, "does not tell the sides apart")
        larger, mean = ("first", first) if share > 0.5 else ("second", second)
        share = max(share, 1 - share)
        return Finding(
            channel,
            True,
            f"larger on the {larger} side in {percent(share)} of pairs (mean {np.mean(mean):.4g} {unit})",
        )

    return check


def separation(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """How often a value of `first` exceeds one of `second` (ties half), and its standard error were both alike."""
    wins = sum((a > b) + 0.5 * (a == b) for a, b in itertools.product(first, second))
    n, m = len(first), len(second)
    return wins / (n * m), math.sqrt((n + m + 1) / (12 * n * m))


def _names(channel: str, sides: list[list[ClipHeader]]) -> Finding:
    """Random names of one length share no words; a word that all of one side has, and none of the other, leaks."""
    first, second = ([_pieces(header.name) for header in side] for side in sides)
    telling = set.intersection(*first).difference(*second) | set.intersection(*second).difference(*first)
    if len(first) == len(second) == 1:  # any two names differ, random ones too
        telling = set()
    lengths = [{len(header.name) for header in side} for side in sides]
    if telling:
        return Finding(channel, True, f"only one side's names hold {sorted(telling)[0]!r}")
    if not lengths[0] & lengths[1]:
        return Finding(channel, True, "the sides' names differ in length")
    return Finding(channel, False, "names tell nothing")


def _pieces(name: str) -> set[str]:
    stem = name.rpartition(".")[0].lower()
    return {piece for piece in "".join(c if c.isalnum() else " " for c in stem).split() if len(piece) > 1}


def _shown(value: Any) -> str:
    return repr(value)[:80]


CHANNELS: dict[str, Callable[[str, list[list[ClipHeader]]], Finding]] = {
    "name": _names,
    "size": _number(lambda header: header.size, "bytes"),
    "tags": _same(lambda header: header.tags),
    "codec": _same(lambda header: header.codec),
    "pixel format": _same(lambda header: header.pixels),
    "resolution": _same(lambda header: header.resolution),
    "frame rate": _same(lambda header: header.rate),
    "frames": _same(lambda header: header.frames),
    "duration": _same(lambda header: header.seconds),
    "header": _same(lambda header: header.boxes),
    "border pixels": _number(lambda header: header.border, "of 255"),
}
