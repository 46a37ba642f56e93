"""A decoded frame as it is meant to be seen: 8-bit RGB, upright, by the colours that its file tells.

Pixels are those of OpenCV's `VideoCapture`, which VBench reads with. The matrix and the range are the file's own
(BT.601 and limited where it tells none). Wide primaries, PQ and HLG become BT.709, which SDR screens show; other
transfers stay, and one that is not known is taken for BT.709's.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc, Interpolation, VideoReformatter
from PIL import Image, ImageOps

MATRICES = {1: "BT.709", 4: "FCC", 5: "BT.601", 6: "BT.601", 7: "SMPTE 240M", 9: "BT.2020"}
UNKNOWN = (0, 2, 3)  # reserved, or said to be unspecified
OTHER_PRIMARIES = {8: "generic film", 9: "BT.2020", 10: "SMPTE 428", 11: "DCI-P3", 12: "Display P3", 22: "EBU 3213"}
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
# curves for SDR screens that are not BT.709's stay as they are when primaries are converted: OpenCV does the same
KEPT_TRANSFERS = {4: "gamma 2.2", 5: "gamma 2.8", 8: "linear light", 13: "sRGB", 17: "SMPTE 428"}
LIKE_BT709 = (1, 2, 6, 7, 11, 12, 14, 15)
TILT = 2.0  # degrees from a quarter turn that are a writer's rounding
LONGEST_PIXEL = 16
TRANSPARENT = "parts of the picture are transparent; the colours stored there are scored, as VBench does"
ORIENTATION = 0x112  # EXIF


def _transparent(frame: av.VideoFrame) -> bool:
    """Whether a part of a frame lets through what lies behind."""
    if not any(component.is_alpha for component in frame.format.components):
        return False
    return bool(frame.to_ndarray(format="rgba")[..., 3].min() < 255)


class Picture:
    """How the frames of one file become RGB (H, W, 3) uint8 of `width` x `height`: those of the first one.

    `square` stretches pixels that are not square, as players do; without it they stay as stored, as VBench reads.
    `color` names matrix, range and conversion, and says what is assumed. `notices` tell what is unusual.
    """

    def __init__(self, first: av.VideoFrame, aspect: Fraction | None, *, square: bool = False) -> None:
        self.notices: list[str] = []
        self.transposed, self.mirrored, self.upside_down = self._orientation(first)
        width, height = first.width, first.height
        self.aspect = aspect if aspect and 1 / LONGEST_PIXEL <= aspect <= LONGEST_PIXEL else Fraction(1)
        if aspect and aspect > 0 and self.aspect != aspect:
            told = f"{aspect.numerator}:{aspect.denominator}"
            self.notices.append(f"pixels of {told}, as the file tells, are not believed; they are taken as square")
        if self.aspect != 1:
            shown = "shown stretched" if square else "metrics see them as stored, as VBench does; players stretch them"
            self.notices.append(f"pixels are {self.aspect.numerator}:{self.aspect.denominator}, not square; {shown}")
            if square:
                width, height = stretched(width, height, self.aspect)
        self.transparent = _transparent(first)
        if self.transparent:
            self.notices.append(TRANSPARENT)
        self.stored = width, height
        self.width, self.height = (height, width) if self.transposed else (width, height)
        self.reformatter = VideoReformatter()
        self.options: dict[str, Any] = {}
        self.color = self._color(first)
        turned = self.transposed or self.mirrored or self.upside_down
        self.plain = first.format.name == "yuv420p" and self.aspect == 1 and not turned

    def write(self, frame: av.VideoFrame, out: np.ndarray) -> None:
        """Convert into `out` (height, width, 3)."""
        self.transparent = self.transparent or _transparent(frame)
        width, height = self.stored
        # BGR first and bicubic: swscale's other paths round 10-bit video differently from OpenCV's. One thread: new
        # ones for every frame would take longer than the conversion
        bgr = self._converted(frame, width, height)
        (plane,) = bgr.planes
        rows = np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)
        pixels = rows[:, : width * 3].reshape(height, width, 3)
        if self.transposed:
            pixels = pixels.transpose(1, 0, 2)
        pixels = pixels[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]
        turned = self.transposed or self.mirrored or self.upside_down
        cv2.cvtColor(np.ascontiguousarray(pixels) if turned else pixels, cv2.COLOR_BGR2RGB, dst=out)

    def _converted(self, frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
        if self.transfer_unknown:
            frame.color_trc = ColorTrc.BT709
        more: dict[str, Any] = {"format": "bgr24", "interpolation": Interpolation.BICUBIC, "threads": 1}
        return self.reformatter.reformat(frame, width, height, **more, **self.options)

    def _orientation(self, frame: av.VideoFrame) -> tuple[bool, bool, bool]:
        """(transposed, mirrored, upside down), in this order, by the display matrix."""
        data: Any = frame.side_data.get("DISPLAYMATRIX")
        if data is None or len(bytes(data)) < 36:
            return False, False, False
        a, b, _, c, d = (value / 65536 for value in np.frombuffer(bytes(data), np.int32)[:5])
        if not math.hypot(a, b) or not math.hypot(c, d):
            return False, False, False
        angle = math.degrees(math.atan2(b, a)) % 360
        if abs(angle - round(angle / 90) * 90) > TILT:
            self.notices.append(
                f"the file asks to be turned by {angle:.0f} degrees; the nearest quarter turn is shown"
            )
        if abs(b) > abs(a):
            return True, c < 0, b < 0
        return False, a < 0, d < 0

    def _color(self, frame: av.VideoFrame) -> str:
        kind = frame.format.name
        told = self._matrix(frame) if kind.startswith(("yuv", "nv", "p0", "p2", "p4", "gray")) else "RGB"
        made = self._conversion(int(frame.color_primaries), int(frame.color_trc))
        return f"{told}, {made} to BT.709" if made else told

    def _matrix(self, frame: av.VideoFrame) -> str:
        matrix = MATRICES.get(frame.colorspace)
        if matrix is None:
            told = "" if frame.colorspace in UNKNOWN else f" in place of number {int(frame.colorspace)}"
            matrix = f"BT.601 (assumed{told})"
            if told:
                self.notices.append(f"the colour matrix is not one that is known; BT.601 is assumed{told}")
                self.options |= {"src_colorspace": 5}
        full = int(frame.color_range) == 2 or frame.format.name.startswith("yuvj")
        span = "full range" if full else "limited range" + " (assumed)" * (int(frame.color_range) != 1)
        return f"{matrix}, {span}"

    def _conversion(self, primaries: int, transfer: int) -> str:
        """What becomes BT.709, "" for nothing; sets `options`."""
        self.transfer_unknown = transfer not in (*LIKE_BT709, *HDR_TRANSFERS, *KEPT_TRANSFERS)
        if self.transfer_unknown:
            number = f"number {transfer}" + " (logarithmic)" * (transfer in (9, 10))
            self.notices.append(f"the transfer of colours, {number}, is not converted here; it is taken for BT.709's")
        made = [names[tag] for names, tag in ((OTHER_PRIMARIES, primaries), (HDR_TRANSFERS, transfer)) if tag in names]
        if not made:
            return ""
        kept = KEPT_TRANSFERS.get(transfer, "")
        to = ColorTrc(transfer) if kept else ColorTrc.BT709
        self.options |= {"dst_color_trc": to, "dst_color_primaries": ColorPrimaries.BT709}
        stays = f"; the transfer, {kept}, stays, as VBench reads it" if kept else ""
        self.notices.append(f"colours are {' with '.join(made)}; converted to BT.709 for SDR screens{stays}")
        return " with ".join(made)


def stretched(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """The size of a picture once its pixels are square: the longer side of a pixel is kept."""
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def upright_rgb(image: Image.Image, notify: Callable[[str], None] = lambda text: None) -> np.ndarray:
    """A picture of Pillow as (H, W, 3) uint8 RGB, upright by its EXIF tag, transparency on white.

    `notify` is told what was done to its pixels.
    """
    if image.getexif().get(ORIENTATION, 1) in range(2, 9):
        notify("pictures are turned as their EXIF tags ask")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16-bit grey: Pillow would clip it at 255 rather than scale it
        image = Image.fromarray((np.asarray(image).clip(0, 65535) / 257 + 0.5).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getextrema()[3][0] < 255:
            notify("transparent parts of pictures are shown on white")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) of what `upright_rgb` makes of a picture."""
    width, height = image.size
    return (height, width) if image.getexif().get(ORIENTATION, 1) in range(5, 9) else (width, height)
