"""What two clips of a comparison differ in: FLIP as a layer of the player, numbers in a table, a sentence of cost."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import cv2
import numpy as np

from eval.video.pair_difference import SHOWN, Visibility, flip_maps, flip_pictures, frame_psnr, frame_ssim
from models.types import GenerationResult
from workbench.clips.media import png_bytes
from workbench.common.words import counted, readable
from workbench.requests.comparison import LETTERS
from workbench.ui.api.media import MediaTokens

MOST_LINES = 32_000  # of pixels in one sheet: browsers read no longer picture
SHARES = {1 / 4: "a quarter of", 1 / 3: "a third of", 1 / 2: "half", 2: "twice", 3: "three times", 4: "four times"}
SAME_SPEED = 0.25  # one run says no more: what else the machine does changes its time by as much


class FlipSheet:
    """FLIP of a pair of clips, frame by frame, worked out once when first asked for.

    Clips wider than a page shows them are reduced to that width first. `nbytes` is what it keeps in memory at most.
    """

    def __init__(self, first: np.ndarray, second: np.ndarray) -> None:
        count = min(len(first), len(second))
        self._pair: tuple[np.ndarray, ...] | None = tuple(_as_shown(frames[:count]) for frames in (first, second))
        self.frames, self.nbytes = count, sum(frames.nbytes for frames in self._pair)
        self._lock = threading.Lock()

    @property
    def lines(self) -> int:
        """How many lines of pixels the picture has."""
        return self.frames * self._pair[0].shape[1] if self._pair else 0

    def __call__(self) -> bytes:
        """One PNG with the frames in FLIP's colours, stacked from top to bottom."""
        return self._worked_out()[0]

    def means(self) -> np.ndarray:
        """(T,) mean over each frame, 0 for no difference."""
        return self._worked_out()[1]

    def _worked_out(self) -> tuple[bytes, np.ndarray]:
        with self._lock:
            if self._pair is not None:
                maps = flip_maps(*self._pair)
                pictures = flip_pictures(maps)
                self._result = png_bytes(pictures.reshape(-1, *pictures.shape[2:])), maps.mean((1, 2))
                self._pair = None
            return self._result


def _as_shown(frames: np.ndarray) -> np.ndarray:
    height, width = frames.shape[1:3]
    if width <= SHOWN:
        return frames
    size = SHOWN, max(1, round(height * SHOWN / width))
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])


def flip_sheets(results: Sequence[GenerationResult]) -> dict[tuple[int, int], FlipSheet]:
    """FLIP of every two sides that play at one rate and size, nothing worked out yet."""
    found = {}
    for i, j in combinations(range(len(results)), 2):
        first, second = results[i], results[j]
        if first.fps == second.fps and first.frames.shape[1:] == second.frames.shape[1:]:
            sheet = FlipSheet(first.frames, second.frames)
            if sheet.lines <= MOST_LINES:
                found[i, j] = sheet
    return found


def flip_value(sheets: dict[tuple[int, int], FlipSheet], media: MediaTokens) -> list[dict[str, Any]]:
    """The layer as the player takes it."""
    return [
        {"pair": list(pair), "url": media.later(sheet, "image/png"), "frames": sheet.frames}
        for pair, sheet in sheets.items()
    ]


@dataclass(frozen=True)
class NumbersFile:
    """The table of numbers as JSON, worked out when a page asks for it. `seen()` is what the eye makes of B."""

    results: Sequence[GenerationResult]
    sheets: dict[tuple[int, int], FlipSheet]
    seen: Callable[[], Visibility | None]

    @property
    def nbytes(self) -> int:
        return sum(result.frames.nbytes for result in self.results)

    def __call__(self) -> bytes:
        return json.dumps(numbers_table(self.results, self.sheets, self.seen())).encode()


def numbers_table(
    results: Sequence[GenerationResult],
    sheets: dict[tuple[int, int], FlipSheet],
    seen: Visibility | None = None,
) -> dict[str, Any]:
    """How far every side is from A, in the numbers that papers give."""
    first, *others = results
    columns: list[list[str]] = []
    for i, other in enumerate(others, 1):
        if other.frames.shape[1:] != first.frames.shape[1:]:
            columns.append(["another size"] * 3)
            continue
        flip = _mean_and_worst(sheets[0, i].means(), max) if (0, i) in sheets else "too long for it"
        psnr = _mean_and_worst(frame_psnr(first.frames, other.frames), min, " dB")
        columns.append([psnr, _mean_and_worst(frame_ssim(first.frames, other.frames), min), flip])
    rows = [[name, *values] for name, values in zip(NUMBERS, zip(*columns, strict=True), strict=True)]
    if seen and seen.jod is not None:
        rows.append(["ColorVideoVDP (10 JOD for no visible difference)", f"{seen.jod:.2f} JOD"])
    return {
        "caption": "How far from A",
        "columns": ["Measure", *(f"{LETTERS[i]} against A" for i in range(1, len(results)))],
        "rows": rows,
        "note": f"{MEANING} {COMPRESSED}",
    }


MEANING = (
    "These say how alike two clips are, not which is better: A is no truth. Clips that show the same thing a little "
    "elsewhere are far apart in all of them."
)
COMPRESSED = "Clips are read from their mp4 files, whose compression is part of these numbers."
NUMBERS = ("PSNR (higher is more alike)", "SSIM (1 for the same)", "FLIP (0 for the same, 1 at most)")


def _mean_and_worst(values: np.ndarray, worst: Any, unit: str = "") -> str:
    """The mean over frames, and the frame that is farthest off."""
    if np.isinf(values).any():
        same = int(np.isinf(values).sum())
        if same == len(values):
            return "the same pixels"
        finite = values[np.isfinite(values)]
        return f"{readable(finite.mean(), 3)}{unit}, and {counted(same, 'frame')} the same"
    extreme = worst(values)
    frame = int(np.flatnonzero(values == extreme)[0])
    return f"{readable(values.mean(), 3)}{unit}, worst {readable(extreme, 3)}{unit} at frame {frame + 1}"


def effort(results: Sequence[GenerationResult]) -> list[str]:
    """What each side costs beside A, network calls and the time of this one run as ratios, one sentence a side."""
    first, *others = results
    return [_beside(LETTERS[i], first, other) for i, other in enumerate(others, 1)]


def _beside(letter: str, first: GenerationResult, other: GenerationResult) -> str:
    if other.forwards == first.forwards:
        return f"{letter} takes as many network calls as A: {first.forwards:,}."
    faster = max(first.seconds, 1e-9) / max(other.seconds, 1e-9)
    calls = other.forwards / max(first.forwards, 1)
    share = next((words for value, words in SHARES.items() if abs(calls / value - 1) < 0.02), "")
    share = share or f"{readable(calls, 2)} times"
    counts = f"{other.forwards:,} to {first.forwards:,}"
    if max(faster, 1 / faster) > 1 + SAME_SPEED and (faster > 1) == (calls > 1):  # a model's first clip takes longer
        times = f"{readable(other.seconds, 2)} s against {readable(first.seconds, 2)} s"
        unlike = f"The times of this run, {times}, do not follow that; make both again for fair ones."
        return f"{letter} takes {share} the network calls of A ({counts}). {unlike}"
    if abs(faster - 1) < SAME_SPEED:
        speed = f"In this run {letter} took about as long as A"
    elif faster > 1:
        speed = f"In this run {letter} was {readable(faster, 2)} times as fast as A"
    else:
        speed = f"In this run {letter} took {readable(1 / faster, 2)} times as long as A"
    return f"{speed}, with {share} the network calls ({counts})."
