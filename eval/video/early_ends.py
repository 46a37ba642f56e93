"""Whether a file ends before its container says: by the size or the seconds that it tells, or by its end mark."""

import mmap
import re
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

TAIL = 2**17  # holds the last page of Ogg and the last packet of MPEG
SEGMENT = b"\x18\x53\x80\x67"
ASF_FACTS = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
MPEG_PACKET = re.compile(rb"\x00\x00\x01[\xbd-\xef](..)", re.DOTALL)
TS_PACKET = 188
BOXES = (b"ftyp", b"styp", b"sidx", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"uuid", b"emsg", b"prft")
SLACK = 0.1  # seconds; writers round


def told_early_end(
    path: Path,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    stamps: Sequence[int | None],
    ends: float,
) -> str:
    """What to tell of a file that was cut short, else "". `stamps` are those of the frames that are shown, `ends` the
    second at which the last packet of any stream ends."""
    reason = _lost_bytes(path, container.format.name, stream, len(stamps))
    known = None not in stamps and len(stamps) > 1
    ticks = np.sort(np.array([stamp for stamp in stamps if stamp is not None]))
    gap = float(np.diff(ticks).mean()) * float(stream.time_base or 0) if known else 0.0
    says = (container.duration or 0) / av.time_base
    timed = known and re.search("matroska|flv", container.format.name)
    if timed and says - max(ends, float(ticks[-1]) * float(stream.time_base or 0) + gap) > 2 * gap + SLACK:
        reason = reason or f"it says {says:.2f} seconds and ends after {ends:.2f}"
    if not reason:
        return ""
    own = _seconds(stream.metadata.get("DURATION", "")) or (says if timed and len(container.streams) == 1 else 0.0)
    most = round(own / gap) if gap else 0
    of = f" of about {most}" if most > len(stamps) else ""
    return f"the file is cut short: {reason}; {len(stamps)}{of} frames are there, and the last may not be whole"


def frames_told(kind: str, stream: av.VideoStream, stamps: Sequence[int | None], hidden: int) -> int:
    """How many frames the container of `kind` says it stores; `stamps` are those of the frames that it gives, of
    which an edit list hides some.

    AVI also counts the ticks of its clock at which nothing new is shown, and mp4 what lies before the first frame that
    an edit list needs, which FFmpeg does not give: there the frames missing are those up to the end that is told.
    """
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) == len(stamps) > 1 and (kind == "avi" or ("mp4" in kind and hidden)):
        gap = (max(known) - min(known)) / (len(known) - 1) if hidden else 1
        ends = (stream.frames if kind == "avi" else stream.duration or 0) - max(known) - gap
        return len(stamps) + max(0, round(ends / gap)) if gap else len(stamps)
    return max(stream.frames, len(stamps))


def _seconds(text: str) -> float:
    """Of Matroska's tag, as 00:00:03.023000000."""
    parts = text.split(":")
    return sum(float(part) * 60**place for place, part in enumerate(reversed(parts))) if len(parts) == 3 else 0.0


def _lost_bytes(path: Path, kind: str, stream: av.VideoStream, count: int) -> str:
    """Why the bytes of a file are not all there, as its container of `kind` tells it."""
    size = path.stat().st_size
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if kind == "gif":
            return "" if _gif_ends(data) else "its end mark is missing"
        if kind == "apng":
            return "" if data.rfind(b"IEND", max(0, len(data) - TAIL)) > 0 else "its end mark is missing"
        if kind == "ogg":
            return "" if _ogg_ends(data) else "its last page is missing"
        if kind in ("mpeg", "mpegts"):
            return "" if _packets_end(data, kind) else "its last packet is not whole"
        says = 0
        if "matroska" in kind:
            says = _matroska_size(data)
        elif kind == "asf" and (place := data.find(ASF_FACTS, 0, TAIL)) >= 0:
            says = int.from_bytes(data[place + 40 : place + 48], "little")
        elif "mp4" in kind and stream.frames != count:
            says = _boxes_size(data)
    return f"{size:,} of {says:,} bytes are there" if says > size else ""


def _gif_ends(data: mmap.mmap) -> bool:
    def after_blocks(place: int) -> int:
        while place < len(data) and data[place]:
            place += data[place] + 1
        return place + 1

    def table(flags: int) -> int:
        return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0

    place = 13 + table(data[10]) if len(data) > 10 else len(data)
    while data[place : place + 1] in (b"\x21", b"\x2c"):  # what is said of a picture, and a picture
        if data[place] == 0x2C:
            place += 9 + table(data[place + 9]) if place + 9 < len(data) else len(data)
        place = after_blocks(place + 2)
    return place < len(data)


def _ogg_ends(data: mmap.mmap) -> bool:
    place = data.rfind(b"OggS", max(0, len(data) - TAIL))
    if place < 0 or place + 27 > len(data):
        return False
    parts = data[place + 27 : place + 27 + data[place + 26]]
    return bool(data[place + 5] & 4) and place + 27 + len(parts) + sum(parts) <= len(data)


def _packets_end(data: mmap.mmap, kind: str) -> bool:
    if kind == "mpegts":
        own = len(data) > TS_PACKET and data[0] == data[TS_PACKET] == 0x47
        return not own or len(data) % TS_PACKET == 0
    start = max(0, len(data) - TAIL)
    ends = [packet.end() + int.from_bytes(packet[1], "big") for packet in MPEG_PACKET.finditer(data, start)]
    return not ends or ends[-1] <= len(data)


def _matroska_size(data: mmap.mmap) -> int:
    """The bytes that a file has by the size of its segment; 0 where it tells none."""
    place = data.find(SEGMENT, 0, TAIL) + len(SEGMENT)
    if place < len(SEGMENT) or place >= len(data) or not data[place]:
        return 0
    length = 9 - data[place].bit_length()
    size = int.from_bytes(data[place : place + length], "big") & (1 << 7 * length) - 1
    return 0 if size == (1 << 7 * length) - 1 else place + length + size


def _boxes_size(data: mmap.mmap) -> int:
    """The bytes that an mp4 has by the sizes of its boxes; what may follow them is not looked at."""
    place = 0
    while place + 16 <= len(data) and data[place + 4 : place + 8] in BOXES:
        size = int.from_bytes(data[place : place + 4], "big")
        size = int.from_bytes(data[place + 8 : place + 16], "big") if size == 1 else size
        if size < 8:  # 0: up to the end
            return 0
        place += size
    return place
