"""What annotators are sent: a copy of a clip for one side of one assignment, of which no byte comes again.

The pictures get noise below what can be seen, drawn for each copy, and go into `workbench.clips.plain_video`, whose
length and heads depend on nothing that is shown. Both copies of a pair are made together, and neither is given out
before the other is there, so that waiting tells nothing either.
"""

import hashlib
import itertools
import logging
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np

from models.types import RequestError
from models.whole_files import replacing
from workbench.clips.plain_video import HIGHEST, LOWEST, Planes, plain_size, write_plain
from workbench.common.priority import make_way
from workbench.store.records import Assignment, Clip

FOLDER = "shown"  # below the data folder; whatever lies there can be made again
AT_A_TIME = 16  # pictures
SMALLEST_BOX = 8
MOST_BYTES = 2 * 2**30  # of all copies; the oldest are removed, and made again when somebody asks
SWEEP_SHARE = 8  # what may be written, as 1/n of that, before the folder is looked through again
WORKERS = 2


class BlindCopies:
    """The copies of a data folder, which several processes may share."""

    def __init__(self, data_dir: Path, most_bytes: int = MOST_BYTES) -> None:
        self.data_dir, self.most_bytes = data_dir, most_bytes
        self._pool = ThreadPoolExecutor(WORKERS, "blind copies", make_way)
        self._making: dict[str, Future] = {}
        self._unswept = most_bytes  # of an earlier run much may be there
        self._lock = threading.Lock()

    def begin(self, given: Assignment) -> None:
        """Make the copies of an assignment in the background, so that they are there when they are asked for."""
        self.coming(given)

    def coming(self, given: Assignment) -> Future | None:
        """What is done once both copies are there, or cannot be made; None when there is nothing to wait for."""
        return None if all(path.is_file() for path in self._paths(given)) else self._start(given)

    def path(self, given: Assignment, token: str, make: bool = True) -> Path:
        """The copy behind a token of an assignment, as soon as both are there; without `make` it may be missing.

        Raises RequestError when a clip of the pair is gone or no video, OSError when the copy cannot be written.
        """
        if make and (coming := self.coming(given)):
            coming.result()
        paths = self._paths(given)
        return paths[token == given.right_token]

    def _paths(self, given: Assignment) -> tuple[Path, Path]:
        folder = self.data_dir / FOLDER
        return folder / f"{given.left_token}.mp4", folder / f"{given.right_token}.mp4"

    def _start(self, given: Assignment) -> Future:
        with self._lock:
            if given.id not in self._making:
                self._making[given.id] = self._pool.submit(self._make, given)
            return self._making[given.id]

    def _make(self, given: Assignment) -> None:
        try:
            paths = self._paths(given)
            paths[0].parent.mkdir(parents=True, exist_ok=True)
            tokens = given.left_token, given.right_token
            write_copies(self.data_dir, (given.left, given.right), tokens, paths)
            self._sweep(sum(path.stat().st_size for path in paths))
        except Exception as error:  # whoever asks for a copy is told; here nobody waits
            logging.getLogger(__name__).warning("the copies of assignment %s failed: %s", given.id, error)
            raise
        finally:
            with self._lock:
                self._making.pop(given.id, None)

    def _sweep(self, written: int) -> None:
        """Remove the oldest copies when there are too many."""
        with self._lock:
            self._unswept += written
            if self._unswept < self.most_bytes // SWEEP_SHARE:
                return
            self._unswept = 0
        found = []
        for path in (self.data_dir / FOLDER).glob("*.mp4"):
            try:
                found.append((path.stat().st_mtime, path.stat().st_size, path))
            except FileNotFoundError:  # another process has swept as well
                continue
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self.most_bytes * (SWEEP_SHARE - 1) // SWEEP_SHARE:
                return
            path.unlink(missing_ok=True)
            total -= size


def write_copies(data_dir: Path, clips: tuple[Clip, Clip], tokens: tuple[str, str], paths: tuple[Path, Path]) -> None:
    """Write copies of two clips, of equal length in frames and bytes. The same clip and token give the same copy, and
    who knows the token alone cannot tell the noise, since the clip's id, which is random, is nowhere told.

    Raises RequestError for a clip that cannot be read.
    """
    count = min(clip.frames for clip in clips)
    sizes = [plain_size(count, clip.width, clip.height, clip.fps) for clip in clips]
    for clip, size, token, path in zip(clips, sizes, tokens, paths, strict=True):
        seed = hashlib.sha256(f"{clip.id} {token}".encode()).digest()
        pictures = _noisy(
            _pictures(data_dir / clip.file, count), np.random.Generator(np.random.SFC64(int.from_bytes(seed)))
        )
        filling = max(sizes) - size + SMALLEST_BOX if min(sizes) < max(sizes) else 0
        with replacing(path, durable=False) as temporary, temporary.open("wb") as out:
            try:
                write_plain(out, pictures, count, clip.width, clip.height, clip.fps, filling)
            except RequestError:
                raise
            except ValueError as error:
                raise RequestError(f"{clip.file} is not the clip that was measured ({error}); remake it") from error


def _pictures(path: Path, count: int) -> Iterator[Planes]:
    """The first `count` pictures of a display copy, some at a time."""
    try:
        with av.open(str(path)) as container:
            frames = itertools.islice(container.decode(video=0), count)
            while some := [_in_420(frame) for frame in itertools.islice(frames, AT_A_TIME)]:
                yield Planes(*(np.stack([_plane(frame.planes[k]) for frame in some]) for k in range(3)))
    except (OSError, av.FFmpegError, IndexError) as error:
        raise RequestError(f"{path.name} cannot be shown ({error}); put it back from a backup") from error


def _in_420(frame: av.VideoFrame) -> av.VideoFrame:
    return frame if frame.format.name == "yuv420p" else frame.reformat(format="yuv420p")


def _plane(plane: av.video.plane.VideoPlane) -> np.ndarray:
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def _noisy(pictures: Iterable[Planes], rng: np.random.Generator) -> Iterator[Planes]:
    """Every sample a level up or down, one time in four each, or as it was."""
    for some in pictures:
        yield Planes(*(_with_noise(plane, rng) for plane in some))


def _with_noise(plane: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    drawn = np.frombuffer(rng.bytes(plane.size), np.uint8).reshape(plane.shape)
    return np.clip(plane, LOWEST + 1, HIGHEST - 1) + (drawn & 1) - (drawn >> 7)
