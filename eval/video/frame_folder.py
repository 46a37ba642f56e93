"""A folder of numbered PNG pictures, read as the video that they are the frames of."""

import hashlib
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from eval.video.limits import limits, over
from eval.video.picture import upright_rgb, upright_size

USUAL_FPS = 24.0
NO_RATE = "pictures have no rate"
NUMBERED = re.compile(r"\d+$")
WINDOW_BYTES = 64_000_000
GAPS_TOLD = 3


def frame_files(folder: Path) -> list[Path]:
    """The PNG pictures of a folder in the order of the numbers that end their names; empty unless there are two or
    more and all are numbered, each number once."""
    numbers = _numbers(folder)
    return [] if _fault(numbers) else sorted(numbers, key=lambda path: numbers[path] or 0)


def lacking_frames(folder: Path) -> str:
    """What a folder without `frame_files` does not hold, and why its PNG pictures are no frames of one clip."""
    numbers = _numbers(folder)
    return f"no PNG frames of one clip ({_fault(numbers)})" if numbers else "no numbered PNG frames"


def _numbers(folder: Path) -> dict[Path, int | None]:
    pictures = [path for path in folder.iterdir() if path.suffix.lower() == ".png" and not path.name.startswith(".")]
    places = {path: NUMBERED.search(path.stem) for path in sorted(pictures)}
    return {path: int(place[0]) if place else None for path, place in places.items()}


def _fault(numbers: dict[Path, int | None]) -> str:
    if len(numbers) < 2:
        return "it is a single picture, and two are the least"
    first: dict[int, Path] = {}
    for path, number in numbers.items():
        if number is None:
            return f"the name of {path.name!r} does not end in a number; move it elsewhere"
        if number in first:
            return f"{first[number].name!r} and {path.name!r} have the same number; put each clip into its own folder"
        first[number] = path
    return ""


def _gaps(files: list[Path]) -> str:
    """What to tell of numbers that are missing between others; empty where all are equally far apart."""
    numbers = [int(place[0]) for file in files if (place := NUMBERED.search(file.stem))]
    step = min(later - earlier for earlier, later in pairwise(numbers))
    gaps = [(a + step, max(b - step, a + step)) for a, b in pairwise(numbers) if b - a > step]
    if not gaps:
        return ""
    named = [f"{low} to {high}" if low < high else f"{low}" for low, high in gaps[:GAPS_TOLD]]
    more = f" and {len(gaps) - GAPS_TOLD} more gaps" if len(gaps) > GAPS_TOLD else ""
    return f"frames {', '.join(named)}{more} are missing; what is there is scored as evenly spaced"


def check_files(files: list[Path]) -> None:
    """Raises ValueError for what is no file: to open a pipe would wait without end."""
    for file in files:
        if not file.is_file():
            raise ValueError(f"{file.name} is not a file")


def frames_digest(files: list[Path]) -> str:
    """SHA-256 over the bytes of all pictures in their order. Raises ValueError as `check_files` does."""
    check_files(files)
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


class FrameReader:
    """Reads the frames of a folder one by one, all of one size, (H, W, 3) uint8 RGB.

    `notices` tell what the numbers lack, `told` what was done to pictures, once all were read. Raises ValueError, in
    words that say what is wrong, for pictures that cannot be read, differ in size or are over a limit.
    """

    def __init__(self, folder: Path) -> None:
        self.files, self.folder = frame_files(folder), folder
        self.told: dict[str, None] = {}
        if not self.files:
            raise ValueError(f"it holds {lacking_frames(folder)}")
        self.notices = tuple(filter(None, [_gaps(self.files)]))
        most = limits()
        if len(self.files) > most.frames:
            raise ValueError(over("frames", len(self.files), most.frames))
        check_files(self.files)
        with self._opened(self.files[0]) as picture:
            if picture.width * picture.height > most.pixels:
                raise ValueError(over("pixels", picture.width * picture.height, most.pixels))
            self.width, self.height = upright_size(picture)

    def __iter__(self) -> Iterator[np.ndarray]:
        for file in self.files:
            with self._opened(file) as picture:
                if sorted(picture.size) != sorted((self.width, self.height)):
                    raise self._other_size(file, *picture.size)
                try:
                    frame = upright_rgb(picture, self._tell)
                except (OSError, SyntaxError, ValueError) as error:
                    raise ValueError(f"{file.name} is damaged ({error})") from error
                if frame.shape[:2] != (self.height, self.width):
                    raise self._other_size(file, frame.shape[1], frame.shape[0])
                yield frame

    def _tell(self, text: str) -> None:
        self.told[text] = None

    def _other_size(self, file: Path, width: int, height: int) -> ValueError:
        return ValueError(f"{file.name} is {width}x{height}, and the first picture is {self.width}x{self.height}")

    def windows(self, size: int, make: Callable) -> Iterator:
        """`make(frames, first, before)` of every `size` frames; `before` is the frame just ahead of them."""
        size = max(1, min(size, WINDOW_BYTES // (self.width * self.height * 3)))
        held: list[np.ndarray] = []
        first, before = 0, None
        for frame in self:
            held.append(frame)
            if len(held) == size:
                yield make(np.stack(held), first, before)
                first, before, held = first + size, held[-1], []
        if held:
            yield make(np.stack(held), first, before)

    @staticmethod
    def _opened(file: Path) -> Image.Image:
        try:
            return Image.open(file, formats=("PNG",))
        except (OSError, UnidentifiedImageError, ValueError) as error:
            raise ValueError(f"{file.name} is no PNG picture") from error
        except Image.DecompressionBombError as error:
            raise ValueError(f"{file.name} is too large ({error})") from error
