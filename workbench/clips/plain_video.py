"""Video whose bytes tell nothing but its pictures: H.264 of plain samples in an mp4 that is a function of its shape.

Every macroblock is I_PCM, so every picture takes the same number of bytes whatever it shows, and every byte that is
not a sample is the same in all files of one shape. Browsers play it as they play any H.264 (ITU-T H.264 7.3.5, mb_type
25; ISO/IEC 14496-12 and -15 for the file).
"""

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import BinaryIO, NamedTuple

import numpy as np

SIDE = 16  # of a macroblock
LOWEST, HIGHEST = 1, 254  # of a sample: two zeros in a row would call for an escape byte, and change the length
I_PCM = b"\x0d\x00"  # mb_type 25 as Exp-Golomb code, and zeros up to the next byte
MACROBLOCK = SIDE * SIDE * 3 // 2
# (level_idc, macroblocks a second, macroblocks a picture, bits a second): Table A-1, the first that holds the video
LEVELS = (
    (31, 108_000, 3_600, 14_000_000),
    (41, 245_760, 8_192, 50_000_000),
    (51, 983_040, 36_864, 240_000_000),
    (62, 16_711_680, 139_264, 800_000_000),
)


class Planes(NamedTuple):
    """Pictures in 4:2:0, uint8 BT.709 of limited range: `y` (T, H, W), `u` and `v` (T, H/2, W/2)."""

    y: np.ndarray
    u: np.ndarray
    v: np.ndarray


def plain_size(count: int, width: int, height: int, fps: float) -> int:
    """Bytes of a file of this shape."""
    length = _picture_length(width, height)
    return len(_file_head(count, width, height, fps, length)) + count * length


def write_plain(
    out: BinaryIO, pictures: Iterable[Planes], count: int, width: int, height: int, fps: float, filling: int = 0
) -> None:
    """Write `count` pictures of even sides, which come some at a time; samples lie in 1..254. An empty box of
    `filling` bytes, none or at least 8, ends the file.

    Raises ValueError for zeros among the samples, and for another number of pictures.
    """
    rows, columns = -(-height // SIDE), -(-width // SIDE)
    out.write(_file_head(count, width, height, fps, _picture_length(width, height)))
    written = 0
    for some in pictures:
        for blocks in _macroblocks(some, rows, columns):
            content = b"".join((_picture_head(written), memoryview(blocks).cast("B")[len(I_PCM) :], b"\x80"))
            if b"\0\0" in content:
                raise ValueError(f"samples are 0; give {LOWEST} to {HIGHEST}")
            out.write(struct.pack(">I", len(content)) + content)
            written += 1
    if written != count:
        raise ValueError(f"{written} pictures came, and {count} were announced")
    if filling:
        out.write(struct.pack(">I", filling) + b"free" + bytes(filling - 8))


def _picture_length(width: int, height: int) -> int:
    """Bytes of a picture with its length before it; the first macroblock's head is part of the picture's."""
    blocks = -(-height // SIDE) * -(-width // SIDE)
    return 4 + len(_picture_head(0)) + blocks * (len(I_PCM) + MACROBLOCK) - len(I_PCM) + 1


def _macroblocks(pictures: Planes, rows: int, columns: int) -> np.ndarray:
    """(T, rows, columns, bytes): macroblocks with their heads; pictures are continued beyond their edges."""
    blocks = np.empty((len(pictures.y), rows, columns, len(I_PCM) + MACROBLOCK), np.uint8)
    blocks[..., : len(I_PCM)] = np.frombuffer(I_PCM, np.uint8)
    start = len(I_PCM)
    for plane, side in zip(pictures, (SIDE, SIDE // 2, SIDE // 2), strict=True):
        count, height, width = plane.shape
        if (height, width) != (rows * side, columns * side):
            plane = np.pad(plane, ((0, 0), (0, rows * side - height), (0, columns * side - width)), "edge")
        tiles = plane.reshape(count, rows, side, columns, side).transpose(0, 1, 3, 2, 4)
        blocks[..., start : start + side * side] = tiles.reshape(count, rows, columns, -1)
        start += side * side
    return blocks


# the bit stream


def _ue(value: int) -> str:
    """An unsigned Exp-Golomb code as bits."""
    code = f"{value + 1:b}"
    return "0" * (len(code) - 1) + code


def _bytes(bits: str) -> bytes:
    padded = bits + "0" * (-len(bits) % 8)
    return int(padded, 2).to_bytes(len(padded) // 8)


def _picture_head(number: int) -> bytes:
    """The head of an instantaneous refresh picture's only slice, up to the samples of the first macroblock."""
    idr = _ue(number % 2)  # two in a row must differ
    # first_mb, slice_type I, pps, frame_num, idr_pic_id, no marking, qp delta 0, no deblocking, mb_type
    return b"\x65" + _bytes(_ue(0) + _ue(7) + _ue(0) + "0000" + idr + "00" + _ue(0) + _ue(1) + _ue(25))


def _sequence_head(width: int, height: int, rate: Fraction, level: int) -> bytes:
    """The sequence parameter set, Constrained Baseline with what a player needs to know of colours and time."""
    rows, columns = -(-height // SIDE), -(-width // SIDE)
    right, bottom = (columns * SIDE - width) // 2, (rows * SIDE - height) // 2
    crop = "1" + _ue(0) + _ue(right) + _ue(0) + _ue(bottom) if right or bottom else "0"
    colours = "1" + f"{5:03b}" + "0" + "1" + f"{1:08b}" * 3
    timing = "1" + f"{rate.denominator:032b}{2 * rate.numerator:032b}" + "1"
    reorder = "1" + "1" + _ue(0) * 2 + _ue(16) * 2 + _ue(0) + _ue(1)
    vui = "1" + f"1{1:08b}" + "0" + colours + "0" + timing + "00" + "0" + reorder
    size = _ue(columns - 1) + _ue(rows - 1) + "11" + crop
    bits = f"{66:08b}{0xC0:08b}{level:08b}" + _ue(0) + _ue(0) + _ue(2) + _ue(1) + "0" + size + vui + "1"
    return b"\x67" + _escaped(_bytes(bits))


def _picture_parameters() -> bytes:
    bits = _ue(0) * 2 + "00" + _ue(0) * 3 + "000" + _ue(0) * 3 + "100" + "1"
    return b"\x68" + _bytes(bits)


def _escaped(content: bytes) -> bytes:
    """With an escape byte wherever a start code could be seen."""
    out, zeros = bytearray(), 0
    for byte in content:
        if zeros == 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


# the file


def _box(name: str, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + name.encode() + content


def _full_box(name: str, flags: int, *parts: bytes) -> bytes:
    return _box(name, struct.pack(">I", flags), *parts)


def _numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


MATRIX = _numbers(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def _file_head(count: int, width: int, height: int, fps: float, length: int) -> bytes:
    """Everything before the first sample, of which there are `count`, each `length` bytes."""
    start = 0
    for _ in range(2):  # the index holds the place where it ends itself
        index = _index(count, width, height, fps, length, start)
        start = len(index) + 16
    return index + struct.pack(">I", 1) + b"mdat" + struct.pack(">Q", 16 + count * length)


def _index(count: int, width: int, height: int, fps: float, length: int, start: int) -> bytes:
    rate = Fraction(fps).limit_denominator(1001)
    scale, ticks = rate.numerator * 1000, rate.denominator * 1000
    duration = count * ticks
    entry = _sample_entry(width, height, rate, length)
    table = _box(
        "stbl",
        _full_box("stsd", 0, _numbers(1), entry),
        _full_box("stts", 0, _numbers(1, count, ticks)),
        _full_box("stsc", 0, _numbers(1, 1, count, 1)),
        _full_box("stsz", 0, _numbers(length, count)),
        _full_box("stco", 0, _numbers(1, start)),
    )
    media = _box(
        "mdia",
        _full_box("mdhd", 0, _numbers(0, 0, scale, duration), b"\x55\xc4\0\0"),
        _full_box("hdlr", 0, _numbers(0), b"vide", bytes(12), b"\0"),
        _box("minf", _full_box("vmhd", 1, bytes(8)), _box("dinf", _references()), table),
    )
    times = _numbers(0, 0, 1, 0, duration)
    track = _full_box("tkhd", 3, times, bytes(16), MATRIX, _numbers(width << 16, height << 16))
    fixed = b"\1\0", bytes(10), MATRIX, bytes(24), _numbers(2)
    movie = _full_box("mvhd", 0, _numbers(0, 0, scale, duration, 0x10000), *fixed)
    kind = _box("ftyp", b"isom", _numbers(512), b"isomiso2avc1mp41")
    return kind + _box("moov", movie, _box("trak", track, media))


def _references() -> bytes:
    return _full_box("dref", 0, _numbers(1), _full_box("url ", 1))


def _sample_entry(width: int, height: int, rate: Fraction, length: int) -> bytes:
    level = _level(width, height, rate, length)
    sequence, picture = _sequence_head(width, height, rate, level), _picture_parameters()
    settings = bytes((1, 66, 0xC0, level, 0xFF, 0xE1)) + _parameter_set(sequence) + b"\1" + _parameter_set(picture)
    fixed = bytes(6) + b"\0\1" + bytes(16) + struct.pack(">HH", width, height) + _numbers(0x480000, 0x480000, 0)
    fixed += b"\0\1" + bytes(32) + b"\0\x18\xff\xff"
    return _box("avc1", fixed, _box("avcC", settings), _box("colr", b"nclx", struct.pack(">HHHB", 1, 1, 1, 0)))


def _parameter_set(content: bytes) -> bytes:
    return struct.pack(">H", len(content)) + content


def _level(width: int, height: int, rate: Fraction, length: int) -> int:
    blocks = -(-height // SIDE) * -(-width // SIDE)
    needs: Sequence[float] = blocks * rate, blocks, 8 * length * rate
    fitting = (level for level, *most in LEVELS if all(a <= b for a, b in zip(needs, most, strict=True)))
    return next(fitting, LEVELS[-1][0])
