"""A data folder as one file, and back: the database by its own means, every other file with its digest."""

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from eval.video.limits import open_given
from models.types import RequestError
from models.whole_files import replacing
from workbench import __version__
from workbench.store.database import copy_sqlite, database_url
from workbench.votes.blindness.blind_copies import FOLDER as COPIES

CONTENTS = "contents.json"
DATABASE = "workbench.db"
FORMAT = "asd-workbench backup"
BLOCK = 1 << 20


def write_backup(data_dir: Path, out: Path, url: str | None = None) -> int:
    """Write all of `data_dir` to the tar file `out`, and return the number of files; the app may be running.

    The database is copied first, as it is at one moment: what it names is there, for files come before their rows.
    Raises RequestError for a folder without a database, for one in PostgreSQL, and for `out` inside the folder.
    """
    if database_url(url, data_dir).get_backend_name() != "sqlite":
        raise RequestError("backup copies SQLite; save a PostgreSQL database with pg_dump, and its data folder by tar")
    database = Path(database_url(url, data_dir).database)
    if not database.is_file():
        raise RequestError(f"{str(database)!r} is not there; name the data folder of an app by --data-dir")
    if out.resolve().is_relative_to(data_dir.resolve()):
        raise RequestError(f"--out {str(out)!r} lies in the data folder itself; choose a place outside of it")
    digests: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as temporary, replacing(out) as whole, tarfile.open(whole, "w") as archive:
        copy = Path(temporary) / DATABASE
        copy_sqlite(database, copy)
        for name, path in [(DATABASE, copy), *_files(data_dir, database)]:
            digest = _add(archive, name, path)
            if digest:
                digests[name] = digest
        contents = {"format": FORMAT, "version": __version__, "files": digests}
        content = json.dumps(contents, ensure_ascii=True, indent=1).encode()
        member = tarfile.TarInfo(CONTENTS)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return len(digests)


def restore_backup(file: Path, data_dir: Path) -> int:
    """Make the data folder `data_dir`, which is empty or not there, from a backup; return the number of files.

    All of it is compared with its digests before the folder gets its name. Raises RequestError for a folder that
    holds something, and for a file that is damaged or no backup.
    """
    if data_dir.exists() and (not data_dir.is_dir() or any(data_dir.iterdir())):
        raise RequestError(f"{str(data_dir)!r} holds something already; name an empty --data-dir, nothing is replaced")
    try:
        opened = open_given(file)
    except OSError as error:
        raise RequestError(f"{str(file)!r} cannot be read ({error.strerror}); give what `backup` wrote") from error
    data_dir.absolute().parent.mkdir(parents=True, exist_ok=True)
    beside = tempfile.TemporaryDirectory(dir=data_dir.absolute().parent, prefix=f".{data_dir.name}.")
    with opened, beside as temporary:
        folder = Path(temporary) / "data"
        folder.mkdir()
        try:
            with tarfile.open(fileobj=opened, mode="r:") as archive:
                found = {member.name: _take(archive, member, folder) for member in archive if member.isfile()}
            if CONTENTS not in found:
                raise ValueError(f"it holds no {CONTENTS}")
            contents = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
            asked = dict(contents["files"])
        except OSError as error:
            raise RequestError(f"{str(file)!r} cannot be read or written out ({error.strerror or error})") from error
        except (tarfile.TarError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise RequestError(f"{str(file)!r} is damaged or no backup ({error}); give what `backup` wrote") from error
        found.pop(CONTENTS)
        wrong = sorted(name for name in asked.keys() | found.keys() if asked.get(name) != found.get(name))
        if wrong:
            raise RequestError(f"{str(file)!r} is damaged: {wrong[0]!r} is not what was saved; use another backup")
        (folder / CONTENTS).unlink()
        if data_dir.exists():
            data_dir.rmdir()
        folder.rename(data_dir)
    return len(asked)


def _files(data_dir: Path, database: Path) -> Iterator[tuple[str, Path]]:
    own = {database.with_name(database.name + ending).resolve() for ending in ("", "-wal", "-shm", "-journal")}
    for path in sorted(data_dir.rglob("*")):
        temporary = path.name.startswith(".") and path.name.endswith(".tmp")
        temporary |= path.parent == data_dir / COPIES  # they can be made again
        if path.is_file() and not path.is_symlink() and not temporary and path.resolve() not in own:
            yield path.relative_to(data_dir).as_posix(), path


def _add(archive: tarfile.TarFile, name: str, path: Path) -> str:
    """The digest of what was added; "" for a file that was removed meanwhile."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            archive.addfile(archive.gettarinfo(arcname=name, fileobj=file), file)
    except FileNotFoundError:
        return ""
    return digest


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise ValueError(f"{member.name!r} would leave the folder")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with archive.extractfile(member) as source, path.open("xb") as target:
        while block := source.read(BLOCK):
            digest.update(block)
            target.write(block)
    return digest.hexdigest()
