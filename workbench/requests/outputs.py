"""What commands may write: never over what they read, and over other files only when that was asked for."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile

from eval.video.limits import ENDLESS, kind_at
from models.types import RequestError

LONGEST_NAME = 255 - len(".0123abcd.tmp.")  # bytes; a file has a longer name while it is written


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path], flag: str, *, overwrite: bool) -> None:
    """Raises RequestError, naming the file, for an output that is one of `inputs`, by whatever name, or exists.

    `flag` is the option that named the outputs; `overwrite` allows files that exist and are not read, and links, but
    no pipes and devices.
    """
    outputs = list(outputs)
    for path in outputs:
        if len(os.fsencode(path.name)) > LONGEST_NAME:
            name = f"{path.name[:40]}…{path.name[-20:]}"
            raise RequestError(f"{flag} would write {name!r}, which is too long a name for a file; shorten it")
    there = [path for path in outputs if os.path.lexists(path)]
    if not there:
        return
    for path in there:
        _check_kind(path, f"{flag} {str(path)!r}")
    read = {_identity(path): path for path in inputs if path.exists()}
    for path in there:
        if path.exists() and _identity(path) in read:
            source = read[_identity(path)]
            raise RequestError(f"{flag} would write over {str(source)!r}, which is read here; choose another name")
    if not overwrite:
        raise RequestError(f"{str(there[0])!r} exists; choose another {flag}, or write over it with --overwrite")


def check_place(path: Path, flag: str, *, folder: bool | None) -> None:
    """Raises RequestError unless `path` can be a folder, or a file, or (None) either, where it can be written."""
    shown = f"{flag} {str(path)!r}"
    kind = kind_at(path)
    if folder and kind not in ("", "a folder"):
        raise RequestError(f"{shown} is {kind}; name a folder")
    if folder is False and kind == "a folder":
        raise RequestError(f"{shown} is a folder; name a file in it")
    _check_kind(path, shown)
    whole = path.absolute()
    places = (whole, *whole.parents) if whole.is_dir() else whole.parents
    there = next(parent for parent in places if os.path.lexists(parent))
    if not there.is_dir():
        taken = f"{str(there)!r} is {kind_at(there)}"
        raise RequestError(f"{shown} cannot be written, for {taken}; choose another name")
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        reason = f"{error.strerror}: {str(there)!r}"
        raise RequestError(f"{shown} cannot be written ({reason}); choose a folder you may write to") from error


def _check_kind(path: Path, shown: str) -> None:
    """To write over a pipe or device would put a file in its place."""
    if (kind := kind_at(path)) in ENDLESS:
        raise RequestError(f"{shown} is {kind}, and only files are written over; choose another name")


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
