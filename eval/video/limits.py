"""What a file that a user named may be, and take at most: checked before it is read, decoded or parsed.

$WORKBENCH_LIMITS changes how much.
"""

import errno
import math
import mmap
import os
import stat
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import BinaryIO

VARIABLE = "WORKBENCH_LIMITS"
KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
ENDLESS = ("a pipe", "a socket", "a device")
DANGLING = "a link that leads nowhere"


@dataclass(frozen=True)
class Limits:
    """`pixels` of a frame, `picture_pixels` of a picture that a clip starts from, `frames` and `seconds` of a video,
    `streams` (sound and others, too) of a file.

    `text_bytes` of a prompt list, manifest or other JSON file, `yaml_bytes` of a YAML file, `levels` of tables and
    lists inside each other, `yaml_values` after YAML's aliases are put in full.
    """

    pixels: int = 8192 * 4320
    picture_pixels: int = 64_000_000
    frames: int = 200_000
    seconds: int = 4 * 3600
    streams: int = 64
    text_bytes: int = 64_000_000
    yaml_bytes: int = 4_000_000
    yaml_values: int = 200_000
    levels: int = 64


def limits() -> Limits:
    """The defaults with what `WORKBENCH_LIMITS` says, as `pixels=100000000,frames=500000`.

    Raises ValueError for a name or a number that is none.
    """
    text, found = os.environ.get(VARIABLE, ""), Limits()
    names = [field.name for field in fields(Limits)]
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, number = part.partition("=")
        if name not in names or not (number.isascii() and number.isdigit() and int(number)):
            example = f"{VARIABLE}=pixels=100000000,frames=500000"
            raise ValueError(f"{VARIABLE} has {part[:60]!r}; give whole numbers for {', '.join(names)}, as {example}")
        found = replace(found, **{name: int(number)})
    return found


def over(what: str, found: float, most: int) -> str:
    """Why something is not read: the number, the rule and the way out."""
    named = what.replace("_", " ")
    return f"it has {found:,.0f} {named}, and at most {most:,} are read; {VARIABLE}={what}=N allows more"


def kind_at(path: Path) -> str:
    """What stands at a name, as "a pipe" or "a link that leads nowhere"; "" for nothing."""
    try:
        return KINDS.get(stat.S_IFMT(path.stat().st_mode), "a device")
    except OSError:
        return DANGLING if os.path.islink(path) else ""


def open_given(path: Path) -> BinaryIO:
    """Open a file to read. Raises OSError as `open` does, and for pipes, sockets and devices, which a reader may wait
    for without end. A pipe without a name, which a shell makes for `<(...)`, is read."""
    kind = kind_at(path)
    if kind in ENDLESS and not (kind == "a pipe" and not path.resolve().exists()):
        raise OSError(errno.EINVAL, f"Is {kind}, not a file", str(path))
    return path.open("rb")


# boxes of mp4 and QuickTime that hold others, wherever they stand
HOLDERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"mvex", b"edts", b"udta")
TABLES = (b"stsz", b"stz2", b"stts", b"ctts", b"trun")
SAMPLES_A_FRAME = 20  # sound has a few samples for each frame of the video
MOST_BOXES = 4_000_000  # looked at in seconds; a fragment for each of 200,000 frames has half as many


def told_samples(path: Path) -> float:
    """How many samples the tables of an mp4 or QuickTime file tell of, by the kind of table that tells of the most; 0
    for other files.

    FFmpeg makes room for each when it opens the file, and a table of twenty bytes can tell of billions. Sound that is
    not compressed has a sample for each moment, and FFmpeg makes room for blocks of them: those do not count. Infinite
    for a file of more than `MOST_BOXES` boxes, which nobody counts to the end.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < 16:
            return 0
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            counts = dict.fromkeys(TABLES, 0)
            tracks = _tables(data)
            if tracks is None:
                return math.inf
            for tables in tracks:
                sound = any(kind == b"hdlr" and body[8:12] == b"soun" for kind, body in tables)
                runs = [body for kind, body in tables if kind == b"stts"]
                if sound and len(runs) == 1 and _number(runs[0], 4) == _number(runs[0], 12) == 1:
                    continue
                for kind, body in tables:
                    if kind in TABLES:
                        counts[kind] += _samples(kind, body)
            return max(counts.values())


Box = tuple[bytes, bytes]


def _tables(data: mmap.mmap) -> list[list[Box]] | None:
    """Kind and contents of `TABLES` and of the names of what tracks hold, in a list for each track, and one for all
    that stand outside of tracks; None for more than `MOST_BOXES` boxes."""
    outside: list[Box] = []
    tracks = [outside]
    left = MOST_BOXES

    def walk(place: int, end: int, into: list[Box], depth: int) -> None:
        nonlocal left
        while place + 8 <= end and left:
            left -= 1
            size, kind, start = _number(data, place), data[place + 4 : place + 8], place + 8
            if size == 1:
                size, start = int.from_bytes(data[place + 8 : place + 16], "big"), place + 16
            close = min(place + size if size else end, end)
            if close < start:
                return
            if kind in HOLDERS and depth < 16:
                if kind == b"trak":
                    tracks.append([])
                walk(start, close, tracks[-1] if kind == b"trak" else into, depth + 1)
            elif kind in TABLES or kind == b"hdlr":
                into.append((kind, data[start:close]))
            place = close

    walk(0, len(data), outside, 0)
    return tracks if left else None


def _number(body: bytes | mmap.mmap, place: int) -> int:
    return int.from_bytes(body[place : place + 4], "big")


def _samples(kind: bytes, body: bytes) -> int:
    if kind == b"trun":
        return _number(body, 4)
    if kind in (b"stsz", b"stz2"):
        return _number(body, 8)
    runs = min(_number(body, 4), max(0, len(body) - 8) // 8)
    return sum(_number(body, 8 + 8 * run) for run in range(runs))
