"""Comparisons as one file to hand on: a contact sheet as mp4, and a page with player and curves that needs no server.

Both are made from saved clips, so that an address that names clips gives the same file again.
"""

import base64
import html
import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from eval.video.reader import BESIDE_OTHERS
from models.types import RequestError
from workbench.charts import frame_curves, plotly_folder
from workbench.clips.library import StoredClip
from workbench.clips.media import MAX_SIDE, Footage, decode_mp4, encode_stream, png_bytes
from workbench.common.words import counted

LABEL, LINES = 16, 4  # pixels of a label's line, and lines above a tile
BAR = LABEL * LINES
SMALLEST = 192  # pixels a tile is wide at least: text on smaller ones cannot be read
MOST_CLIPS = 64
MOST_SHEET_PIXELS = 3840 * 2160  # of one frame: an encoder holds fifty of them
MOST_PIXELS = 2_000_000_000  # of a sheet over all its frames: two minutes of a core
MOST_PAGE_PIXELS = 400_000_000  # that a page holds, as pictures
# in the order in which they use each other
PLAYER = ("keyboard", "frames", "clock", "flip", "stage", "controls", "player")
SCRIPTS = ("dom", "link", *(f"player/{name}" for name in PLAYER), "charts/chart")
IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
EXPORT = re.compile(r"^export ", re.MULTILINE)


def contact_sheet(clips: Sequence[StoredClip], columns: int, path: Path) -> None:
    """Write the clips side by side, `columns` in a row, each below its label, as one H.264 mp4 at `path`, frame by
    frame: memory does not grow with the length.

    Small clips are enlarged by whole factors with hard pixels; a shorter one holds its last frame. Raises
    RequestError for no clips, too many, clips of several sizes or rates, a sheet too large, or fewer than one column.
    """
    check_clips(clips)
    if columns < 1:
        raise RequestError(f"columns is {columns}; give 1 or more")
    footages = [Footage(clip.path, BESIDE_OTHERS) for clip in clips]
    sizes, rates = {footage.shape[1:3] for footage in footages}, {footage.fps for footage in footages}
    if len(sizes) > 1 or len(rates) > 1:
        raise RequestError(
            f"these clips have {len(sizes)} sizes and {len(rates)} rates; a contact sheet needs one of each"
        )
    tiles = _Tiles(*footages[0].shape[1:3], min(columns, len(clips)), len(clips))
    tiles.check(max(footage.shape[0] for footage in footages))
    for place, clip in enumerate(clips):
        tiles.name(place, f"{clip.label} | {clip.manifest.prompt}")
    height, width = tiles.sheet.shape[:2]
    with ExitStack() as opened:
        frames = [opened.enter_context(closing(iter(footage))) for footage in footages]
        encode_stream(tiles.filled(frames), width, height, rates.pop(), path)


def check_clips(clips: Sequence[StoredClip]) -> None:
    """Raises RequestError for none and for more than fit in one file."""
    if not 1 <= len(clips) <= MOST_CLIPS:
        raise RequestError(f"{len(clips)} clips are asked for; an export holds 1 to {MOST_CLIPS}")


class _Tiles:
    """One picture of a contact sheet, which every frame fills anew: `count` tiles of enlarged frames under lines of
    text, `columns` in a row; its sides are even."""

    def __init__(self, height: int, width: int, columns: int, count: int) -> None:
        self.scale = max(1, -(-SMALLEST // width))
        self.height, self.width, self.columns = height * self.scale + BAR, width * self.scale, columns
        rows = -(-count // columns)
        self.shape = (rows * self.height + rows * self.height % 2, columns * self.width + columns * self.width % 2, 3)

    def check(self, frames: int) -> None:
        """Raises RequestError for a sheet that takes too much memory or time; before it, none of either is taken."""
        height, width, _ = self.shape
        if height * width > MOST_SHEET_PIXELS or max(height, width) > MAX_SIDE:
            rule = f"a contact sheet has at most {MOST_SHEET_PIXELS:,} pixels a frame and {MAX_SIDE:,} a side"
            raise RequestError(f"this one would be {width:,} x {height:,} pixels, and {rule}; give fewer clips")
        if height * width * frames > MOST_PIXELS:
            told = f"this contact sheet would have {height * width * frames:,} pixels in {counted(frames, 'frame')}"
            raise RequestError(f"{told}, and at most {MOST_PIXELS:,} are written; give fewer or shorter clips")

    @cached_property
    def sheet(self) -> np.ndarray:
        return np.zeros(self.shape, np.uint8)

    def name(self, place: int, label: str) -> None:
        """Write a label above a tile."""
        bar = self._tile(place)[:BAR]
        bar[:] = 24
        parts = [part for piece in label.split(" | ") for part in _wrapped(piece, self.width // 7)]
        for i, part in enumerate(parts[:LINES]):
            corner = (4, LABEL * (i + 1) - 4)
            text = np.ascontiguousarray(bar)
            bar[:] = cv2.putText(text, part, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.38, (235, 235, 235), 1, cv2.LINE_AA)

    def filled(self, clips: Sequence[Iterator[np.ndarray]]) -> Iterator[np.ndarray]:
        """The sheet with every clip's next frame, until the longest is over."""
        while True:
            frames = [next(clip, None) for clip in clips]
            if all(frame is None for frame in frames):
                return
            for place, frame in enumerate(frames):
                if frame is not None:
                    self._tile(place)[BAR:] = frame.repeat(self.scale, 0).repeat(self.scale, 1)
            yield self.sheet

    def _tile(self, place: int) -> np.ndarray:
        row, column = divmod(place, self.columns)
        top, left = row * self.height, column * self.width
        return self.sheet[top : top + self.height, left : left + self.width]


def _wrapped(text: str, width: int) -> list[str]:
    # OpenCV's built-in font has ASCII letters only
    plain = text.replace("·", "-").encode("ascii", "replace").decode()
    lines = [""]
    for word in plain.split():
        if len(lines[-1]) + len(word) >= width and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def standalone_page(clips: Sequence[StoredClip], title: str = "") -> str:
    """One HTML file with the clips (lossless as stored), the player of the app, curves, and the manifests.

    It opens from disk without a network. Raises RequestError for no clips, too many or too large ones.
    """
    check_clips(clips)
    held = sum(math.prod(Footage(clip.path).shape[:3]) for clip in clips)
    if held > MOST_PAGE_PIXELS:
        told = f"these clips have {held:,} pixels in all their frames, and one file holds {MOST_PAGE_PIXELS:,}"
        raise RequestError(f"{told}; give fewer or shorter clips")
    read = [decode_mp4(clip.path) for clip in clips]
    labels = [f"{i + 1} · {clip.label}" for i, clip in enumerate(clips)]
    player = {
        "id": "export",
        "fps": max(float(fps) for _, fps in read),
        "total": max(len(frames) for frames, _ in read),
        "ticks": [],
        "clips": [
            {
                "label": label,
                "done": True,
                "fps": float(fps),
                "sheets": [{"url": _data_url(frames), "frames": len(frames)}],
                "facts": [["prompt", clip.manifest.prompt]],
            }
            for label, clip, (frames, fps) in zip(labels, clips, read, strict=True)
        ],
        "autoplay": True,
    }
    chart = frame_curves({label: frames for label, (frames, _) in zip(labels, read, strict=True)}, [])
    manifests = {label: clip.manifest.to_json() for label, clip in zip(labels, clips, strict=True)}
    heading = title or " against ".join(dict.fromkeys(clip.manifest.model for clip in clips))
    return _page(heading, {"player": player, "chart": chart}, manifests)


def _data_url(frames: np.ndarray) -> str:
    content = base64.b64encode(png_bytes(frames.reshape(-1, *frames.shape[2:]))).decode()
    return f"data:image/png;base64,{content}"


def _page(heading: str, values: dict[str, Any], manifests: dict[str, str]) -> str:
    static = Path(__file__).parents[1] / "ui" / "static"
    scripts = "\n".join(_inlined(static / "js" / f"{name}.js") for name in SCRIPTS)
    style = (static / "css" / "workbench.css").read_text()
    details = "\n".join(
        f"<details><summary>{html.escape(label)}</summary><pre>{html.escape(found)}</pre></details>"
        for label, found in manifests.items()
    )
    data = json.dumps(values).replace("<", "\\u003c")  # a prompt must not end the script, or begin one
    plotly = (plotly_folder() / "plotly.min.js").read_text().replace("</script", "<\\/script")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{html.escape(heading)}</title>
<style>{THEME}{style}</style></head><body>
<h1>{html.escape(heading)}</h1>
<div id="player" class="wb-root"></div><div id="chart" class="wb-root"></div>
<h2>How each clip was made</h2>
{details}
<script>{plotly}</script>
<script type="module">
{scripts}
const values = {data};
const still = () => {{}};
const [player, chart] = ["player", "chart"].map((id) => document.getElementById(id));
new Player(player, {{ bus: "export", compare: true }}).show(values.player);
mount(chart, {{ props: {{ value: values.chart, options: {{ bus: "export" }} }}, watch: still, trigger: still }});
</script></body></html>
"""


def _inlined(path: Path) -> str:
    """A module's text without imports and exports: all of them share one scope here. Only the chart keeps `mount`."""
    text = EXPORT.sub("", IMPORT.sub("", path.read_text()))
    return text.replace("function mount(", "function mountPlayer(") if path.stem == "player" else text


THEME = """
:root { --body-text-color: #1f2937; --body-text-color-subdued: #6b7280; --border-color-primary: #e5e7eb;
  --background-fill-primary: #fff; --background-fill-secondary: #f9fafb; --block-background-fill: #fff;
  --button-secondary-background-fill: #f3f4f6; --button-secondary-text-color: #1f2937; --input-background-fill: #fff;
  --color-accent: #2563eb; --link-text-color: #2563eb; --error-text-color: #b91c1c; }
@media (prefers-color-scheme: dark) { :root { --body-text-color: #f3f4f6; --body-text-color-subdued: #9ca3af;
  --border-color-primary: #374151; --background-fill-primary: #111827; --background-fill-secondary: #1f2937;
  --block-background-fill: #1f2937; --button-secondary-background-fill: #374151;
  --button-secondary-text-color: #f3f4f6; --input-background-fill: #1f2937; } }
body { font-family: system-ui, sans-serif; margin: 1.5rem auto; max-width: 1200px; padding: 0 1rem;
  color: var(--body-text-color); background: var(--background-fill-primary); }
pre { overflow: auto; font-size: 12px; }
"""
