"""What is wrong with a workbench's data, one sentence a finding, and which of it can be mended without a loss."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import av

from eval.video.reader import Unreadable, inspect_video
from models.default_world import DEFAULT
from models.registry import list_models, unavailable
from models.types import RequestError
from workbench.clips.manifest import manifest_path, read_manifest
from workbench.settings import Settings
from workbench.store import Store, StoreUnavailable, open_store

FREE_BYTES = 1_000_000_000
STALE_SECONDS = 3600  # a younger temporary file may be another program's that is at work
ENCODERS = ("libx264", "ffv1")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `repair` mends it and loses nothing; None where a person has to decide."""

    area: str
    says: str
    repair: Callable[[], None] | None = None


def check_data(settings: Settings) -> Iterator[Finding]:
    """Everything that is wrong with the data folder, its database and clips, and with what this machine needs."""
    yield from check_encoders()
    yield from check_weights()
    folder = settings.data_dir
    if not folder.is_dir():
        yield Finding("folder", f"{str(folder)!r} is not there; the app makes it, or name another by --data-dir")
        return
    yield from check_folder(folder)
    try:
        store = open_store(settings)
    except (RequestError, StoreUnavailable) as error:
        yield Finding("database", f"{error}; put a backup back with `restore`")
        return
    try:
        yield from check_store(store, folder)
    except StoreUnavailable as error:
        yield Finding("database", f"{error}; put a backup back with `restore`")
    finally:
        store.close()


def check_encoders() -> Iterator[Finding]:
    for name in ENCODERS:
        try:
            av.codec.Codec(name, "w")
        except ValueError:  # what PyAV raises for an encoder its FFmpeg lacks
            yield Finding("encoders", f"{name} is missing from PyAV's FFmpeg; install the av of requirements.txt")


def check_weights() -> Iterator[Finding]:
    for spec in list_models():
        reason = unavailable(spec)
        if reason and spec.family == DEFAULT.name:  # the models that ship with their weights
            yield Finding("weights", f"{spec.name} cannot run: {reason}")


def check_folder(folder: Path) -> Iterator[Finding]:
    """Space, the right to write, and what killed programs left half written."""
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield Finding("folder", f"{str(folder)!r} cannot be written ({error.strerror}); mend its rights or the disk")
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        yield Finding(
            "folder", f"{free / 1e9:.1f} GB are free at {str(folder)!r}; {FREE_BYTES / 1e9:.0f} GB are wanted"
        )
    for path in sorted(folder.rglob(".*.tmp")):
        if time.time() - path.stat().st_mtime > STALE_SECONDS:
            yield Finding("folder", f"{str(path)!r} was left half written", path.unlink)


def check_store(store: Store, folder: Path) -> Iterator[Finding]:
    """The database by its own check, its sums by its values, and the clips that it names by their files."""
    for text in store.problems():
        yield Finding("database", f"{text}; put a backup back with `restore`")
    if len(store.wrong_sums()):
        says = f"{len(store.wrong_sums())} sums do not agree with the values they are of"
        yield Finding("database", says, store.rebuild_sums)
    for name, path in _named_clips(store, folder):
        yield from check_clip(name, path)


def check_clip(name: str, path: Path) -> Iterator[Finding]:
    """A clip that the database names: there, readable, and beside its manifest where one is there."""
    if not path.is_file():
        yield Finding("clips", f"{name} is in the database and {str(path)!r} is gone; put it back from a backup")
        return
    try:
        inspect_video(path)
    except Unreadable as error:
        yield Finding("clips", str(error))
    beside = manifest_path(path)
    if beside.exists():
        try:
            read_manifest(beside)
        except RequestError as error:
            yield Finding("clips", str(error))


def _named_clips(store: Store, folder: Path) -> Iterator[tuple[str, Path]]:
    table = store.clip_table(limit=None)
    yield from ((f"clip {row.id}", folder / row.path) for row in table.itertuples())
    for study in dict.fromkeys(record.id for record in store.studies.all()):
        yield from ((f"a clip of study {study!r}", folder / clip.file) for clip in store.studies.clips(study))
