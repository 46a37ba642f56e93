"""What commands may write: never over what they read, and over other files only when that was asked for."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile

from models.types import RequestError


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path], flag: str, *, overwrite: bool) -> None:
    """Raises RequestError, naming the file, for an output that is one of `inputs`, by whatever name, or exists.

    `flag` is the option that named the outputs; `overwrite` allows files that exist and are not read.
    """
    there = [path for path in outputs if path.exists()]
    if not there:
        return
    read = {_identity(path): path for path in inputs if path.exists()}
    for path in there:
        if _identity(path) in read:
            source = read[_identity(path)]
            raise RequestError(f"{flag} would write over {str(source)!r}, which is read here; choose another name")
    if not overwrite:
        raise RequestError(f"{str(there[0])!r} exists; choose another {flag}, or write over it with --overwrite")


def check_place(path: Path, flag: str, *, folder: bool | None) -> None:
    """Raises RequestError unless `path` can be a folder, or a file, or (None) either, where it can be written."""
    shown = f"{flag} {str(path)!r}"
    if folder and path.exists() and not path.is_dir():
        raise RequestError(f"{shown} is a file; name a folder")
    if folder is False and path.is_dir():
        raise RequestError(f"{shown} is a folder; name a file in it")
    whole = path.absolute()
    places = (whole, *whole.parents) if whole.is_dir() else whole.parents
    there = next(parent for parent in places if parent.exists())
    if not there.is_dir():
        raise RequestError(f"{shown} cannot be written, for {str(there)!r} is a file; choose another name")
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        reason = f"{error.strerror}: {str(there)!r}"
        raise RequestError(f"{shown} cannot be written ({reason}); choose a folder you may write to") from error


def _identity(path: Path) -> tuple[int, int]:
    """Links and other spellings of a name are the same file."""
    found = path.stat()
    return found.st_dev, found.st_ino


def vbench_files(options: argparse.Namespace) -> list[Path]:
    """The two files that --vbench-out writes."""
    if not options.vbench_out:
        return []
    stem = options.out.stem if options.out else "results"
    return [options.vbench_out / f"{stem}_{kind}.json" for kind in ("full_info", "eval_results")]
