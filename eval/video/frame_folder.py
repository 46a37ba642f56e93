"""A folder of numbered PNG pictures, read as the video that they are the frames of."""

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from eval.video.limits import limits, over

USUAL_FPS = 24.0
NO_RATE = "pictures have no rate"
NUMBERED = re.compile(r"\d+$")
WINDOW_BYTES = 64_000_000


def frame_files(folder: Path) -> list[Path]:
    """The PNG pictures of a folder in the order of the numbers that end their names; empty unless there are two or
    more and all are numbered, each number once."""
    pictures = [path for path in folder.iterdir() if path.suffix.lower() == ".png" and not path.name.startswith(".")]
    places = {path: NUMBERED.search(path.stem) for path in pictures}
    if len(pictures) < 2 or not all(places.values()):
        return []
    numbers = {path: int(place[0]) for path, place in places.items()}
    return sorted(pictures, key=numbers.get) if len(set(numbers.values())) == len(pictures) else []


def frames_digest(files: list[Path]) -> str:
    """SHA-256 over the bytes of all pictures in their order."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


class FrameReader:
    """Reads the frames of a folder one by one, all of one size, (H, W, 3) uint8 RGB.

    Raises ValueError, in words that say what is wrong, for pictures that cannot be read, differ in size or are over a
    limit.
    """

    def __init__(self, folder: Path) -> None:
        self.files, self.folder = frame_files(folder), folder
        if not self.files:
            raise ValueError("it holds no numbered PNG pictures")
        most = limits()
        if len(self.files) > most.frames:
            raise ValueError(over("frames", len(self.files), most.frames))
        with self._opened(self.files[0]) as picture:
            self.width, self.height = picture.size
        if self.width * self.height > most.pixels:
            raise ValueError(over("pixels", self.width * self.height, most.pixels))

    def __iter__(self) -> Iterator[np.ndarray]:
        for file in self.files:
            with self._opened(file) as picture:
                if picture.size != (self.width, self.height):
                    given = f"{picture.width}x{picture.height}"
                    raise ValueError(f"{file.name} is {given}, and the first picture is {self.width}x{self.height}")
                try:
                    yield np.asarray(picture.convert("RGB"))
                except (OSError, SyntaxError, ValueError) as error:
                    raise ValueError(f"{file.name} is damaged ({error})") from error

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
