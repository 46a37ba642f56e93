"""Files of JSON lines that only grow. A last line that a crash cut short does not count, and goes before the next."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def read_lines(path: Path) -> list[str]:
    """The whole lines of a file, none where there is no file."""
    if not path.exists():
        return []
    return [line.decode() for line in path.read_bytes().split(b"\n")[:-1]]


def cut_torn_line(path: Path) -> None:
    """Take away a last line that has no end."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        if file.read() != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)


@contextmanager
def appending(path: Path, *, sync: bool = False) -> Iterator[Callable[[str], int]]:
    """A function that adds a line and gives the place where it begins, in bytes. The line is with the system when it
    returns, and with `sync` on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cut_torn_line(path)
    with path.open("ab") as file:

        def add(line: str) -> int:
            place = file.tell()
            file.write(line.encode() + b"\n")
            file.flush()
            if sync:
                os.fsync(file.fileno())
            return place

        yield add
