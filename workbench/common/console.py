"""What commands say: results on standard output, notices and errors on standard error."""

import argparse
import errno
import json
import sys
from pathlib import Path
from typing import Any

from workbench.common.faults import fault_sentence

WRONG_PLACE = (
    errno.ENOENT,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EACCES,
    errno.EPERM,
    errno.ENAMETOOLONG,
    errno.EROFS,
    errno.ELOOP,
    errno.ENOTEMPTY,
)


def say(text: str) -> None:
    """One result."""
    sys.stdout.write(text + "\n")


def say_json(value: Any) -> None:
    """One result as JSON; paths become strings."""
    say(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def notice(text: str) -> None:
    """Something the user should know about a result that is on its way."""
    sys.stderr.write(f"notice: {one_line(text)}\n")


def fail(text: str) -> None:
    """Why there is no result."""
    sys.stderr.write(f"error: {one_line(text)}\n")


def told(error: OSError) -> str:
    """One sentence about a file or disk that does not serve: what, why, and the way out."""
    if (found := fault_sentence(error)) or error.errno is None:  # without a number it has a sentence of its own
        return found or str(error)
    where = f" at {str(error.filename)!r}" if error.filename is not None else ""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{reason[:1].lower()}{reason[1:]}{where}; give another name, or mend it there"


def about_given(error: OSError, options: argparse.Namespace) -> bool:
    """Whether an error is about the place of a path that was given on the command line, or of something below it."""
    if error.errno not in WRONG_PLACE or not isinstance(error.filename, str | bytes | Path):
        return False
    found = Path(
        error.filename.decode(errors="surrogateescape") if isinstance(error.filename, bytes) else error.filename
    )
    given = [
        part for value in vars(options).values() for part in (value if isinstance(value, list | tuple) else [value])
    ]
    return any(found.absolute().is_relative_to(path.absolute()) for path in given if isinstance(path, Path))


def one_line(text: str, limit: int = 600) -> str:
    """Whitespace and control characters become single spaces; what is over `limit` characters is cut in the middle."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else f"{line[: limit // 2]} ... {line[-limit // 2 :]}"
