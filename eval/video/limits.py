"""What a file that a user named may be, and take at most: checked before it is read, decoded or parsed.

$WORKBENCH_LIMITS changes how much.
"""

import errno
import os
import stat
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import BinaryIO

VARIABLE = "WORKBENCH_LIMITS"
KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
ENDLESS = ("a pipe", "a socket", "a device")
DANGLING = "a link that leads nowhere"


@dataclass(frozen=True)
class Limits:
    """`pixels` of a frame, `picture_pixels` of a picture that a clip starts from, `frames` and `seconds` of a video,
    `streams` (sound and others, too) of a file.

    `text_bytes` of a prompt list, manifest or other JSON file, `yaml_bytes` of a YAML file, `levels` of tables and
    lists inside each other, `yaml_values` after YAML's aliases are put in full.
    """

    pixels: int = 8192 * 4320
    picture_pixels: int = 64_000_000
    frames: int = 200_000
    seconds: int = 4 * 3600
    streams: int = 64
    text_bytes: int = 64_000_000
    yaml_bytes: int = 4_000_000
    yaml_values: int = 200_000
    levels: int = 64


def limits() -> Limits:
    """The defaults with what `WORKBENCH_LIMITS` says, as `pixels=100000000,frames=500000`.

    Raises ValueError for a name or a number that is none.
    """
    text, found = os.environ.get(VARIABLE, ""), Limits()
    names = [field.name for field in fields(Limits)]
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, number = part.partition("=")
        if name not in names or not (number.isascii() and number.isdigit() and int(number)):
            example = f"{VARIABLE}=pixels=100000000,frames=500000"
            raise ValueError(f"{VARIABLE} has {part[:60]!r}; give whole numbers for {', '.join(names)}, as {example}")
        found = replace(found, **{name: int(number)})
    return found


def over(what: str, found: float, most: int) -> str:
    """Why something is not read: the number, the rule and the way out."""
    named = what.replace("_", " ")
    return f"it has {found:,.0f} {named}, and at most {most:,} are read; {VARIABLE}={what}=N allows more"


def kind_at(path: Path) -> str:
    """What stands at a name, as "a pipe" or "a link that leads nowhere"; "" for nothing."""
    try:
        return KINDS.get(stat.S_IFMT(path.stat().st_mode), "a device")
    except OSError:
        return DANGLING if os.path.islink(path) else ""


def open_given(path: Path) -> BinaryIO:
    """Open a file to read. Raises OSError as `open` does, and for pipes, sockets and devices, which a reader may wait
    for without end. A pipe without a name, which a shell makes for `<(...)`, is read."""
    kind = kind_at(path)
    if kind in ENDLESS and not (kind == "a pipe" and not path.resolve().exists()):
        raise OSError(errno.EINVAL, f"Is {kind}, not a file", str(path))
    return path.open("rb")
