"""Comparisons as one file to hand on: a contact sheet as mp4, and a page with player and curves that needs no server.

Both are made from saved clips, so that an address that names clips gives the same file again.
"""

import base64
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.types import RequestError
from workbench.charts import frame_curves, plotly_folder
from workbench.clips.library import StoredClip
from workbench.clips.media import decode_mp4, encode_mp4, png_bytes

LABEL = 16  # pixels of a label's line at a scale of 1
SMALLEST = 192  # pixels a tile is wide at least: text on smaller ones cannot be read
MOST_CLIPS = 64
# in the order in which they use each other
PLAYER = ("keyboard", "frames", "clock", "flip", "stage", "controls", "player")
SCRIPTS = ("dom", "link", *(f"player/{name}" for name in PLAYER), "charts/chart")
IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
EXPORT = re.compile(r"^export ", re.MULTILINE)


def contact_sheet(clips: Sequence[StoredClip], columns: int, path: Path) -> None:
    """Write the clips side by side, `columns` in a row, each below its label, as one H.264 mp4 at `path`.

    Small clips are enlarged by whole factors with hard pixels; a shorter one holds its last frame. Raises
    RequestError for no clips, too many, clips of several sizes or rates, or fewer than one column.
    """
    check_clips(clips)
    if columns < 1:
        raise RequestError(f"columns is {columns}; give 1 or more")
    read = [decode_mp4(clip.path) for clip in clips]
    sizes, rates = {frames.shape[1:3] for frames, _ in read}, {float(fps) for _, fps in read}
    if len(sizes) > 1 or len(rates) > 1:
        raise RequestError(
            f"these clips have {len(sizes)} sizes and {len(rates)} rates; a contact sheet needs one of each"
        )
    scale = max(1, -(-SMALLEST // read[0][0].shape[2]))
    length = max(len(frames) for frames, _ in read)
    tiles = [
        _tile(frames, scale, length, f"{clip.label} | {clip.manifest.prompt}")
        for (frames, _), clip in zip(read, clips, strict=True)
    ]
    blank = np.zeros_like(tiles[0])
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    rows[-1] += [blank] * (min(columns, len(tiles)) - len(rows[-1]))
    sheet = np.concatenate([np.concatenate(row, 2) for row in rows], 1)
    pad = [(0, 0), (0, sheet.shape[1] % 2), (0, sheet.shape[2] % 2), (0, 0)]
    encode_mp4(np.pad(sheet, pad), rates.pop(), path)


def check_clips(clips: Sequence[StoredClip]) -> None:
    """Raises RequestError for none and for more than fit in one file."""
    if not 1 <= len(clips) <= MOST_CLIPS:
        raise RequestError(f"{len(clips)} clips are asked for; an export holds 1 to {MOST_CLIPS}")


def _tile(frames: np.ndarray, scale: int, length: int, label: str) -> np.ndarray:
    """(length, H', W', 3): enlarged frames under lines of text."""
    large = frames.repeat(scale, 1).repeat(scale, 2)
    large = np.concatenate([large, large[-1:].repeat(length - len(large), 0)])
    width = large.shape[2]
    parts = [part for piece in label.split(" | ") for part in _wrapped(piece, width // 7)]
    bar = np.full((LABEL * 4, width, 3), 24, np.uint8)
    for i, part in enumerate(parts[:4]):
        place = (4, LABEL * (i + 1) - 4)
        cv2.putText(bar, part, place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, (235, 235, 235), 1, cv2.LINE_AA)
    return np.concatenate([np.broadcast_to(bar, (length, *bar.shape)), large], 1)


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

    It opens from disk without a network. Raises RequestError for no clips or too many.
    """
    check_clips(clips)
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
