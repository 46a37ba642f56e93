"""A picture of what few steps do: frames of one caption, every system a row."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SHOWN = 7  # frames of a clip: the first, the second latent frame's last, and evenly to the end
TEXT, EDGE = 15, 4  # pixels of letters, and of the gaps around them
PAPER, INK = (255, 255, 255), (30, 30, 30)


def shown_frames(count: int) -> list[int]:
    """The frames that are shown of `count`: closer together at the start of a clip, where few steps cost most."""
    places = np.linspace(0, 1, SHOWN) ** 1.5 * (count - 1)
    return sorted({round(float(place)) for place in places})


def strip_png(caption: str, rows: Sequence[tuple[str, np.ndarray]]) -> bytes:
    """A PNG of labelled clips (T, H, W, 3) uint8 of one size, each a row of frames under their numbers. Raises
    ValueError for none and for several sizes."""
    if len({clip.shape for _, clip in rows}) != 1:
        raise ValueError(f"{len({clip.shape for _, clip in rows})} sizes of clips are given; give clips of one size")
    count, height, width, _ = rows[0][1].shape
    places, font = shown_frames(count), ImageFont.load_default(TEXT)
    margin = EDGE * 3 + max(round(font.getlength(label)) for label, _ in rows)
    head = 2 * (TEXT + 2 * EDGE)
    picture = Image.new("RGB", (margin + len(places) * (width + EDGE), head + len(rows) * (height + EDGE)), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((margin, EDGE), caption, INK, font)
    for column, place in enumerate(places):
        left = margin + column * (width + EDGE)
        draw.text((left, head // 2 + EDGE), f"frame {place + 1}", INK, font)
        for row, (_, clip) in enumerate(rows):
            picture.paste(Image.fromarray(clip[place]), (left, head + row * (height + EDGE)))
    for row, (label, _) in enumerate(rows):
        draw.text((EDGE, head + row * (height + EDGE) + (height - TEXT) // 2), label, INK, font)
    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
