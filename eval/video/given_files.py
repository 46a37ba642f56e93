"""Files that a user named: what stands at a name, and opening only what comes to an end."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
ENDLESS = ("a pipe", "a socket", "a device")


def kind_at(path: Path) -> str:
    """What stands at a name, as "a pipe" or "a link that leads nowhere"; "" for nothing."""
    try:
        return KINDS.get(stat.S_IFMT(path.stat().st_mode), "a device")
    except OSError:
        return "a link that leads nowhere" if os.path.islink(path) else ""


def open_given(path: Path) -> BinaryIO:
    """Open a file to read. Raises OSError as `open` does, and for pipes, sockets and devices, which a reader may wait
    for without end. A pipe without a name, which a shell makes for `<(...)`, is read."""
    kind = kind_at(path)
    if kind in ENDLESS and not (kind == "a pipe" and not path.resolve().exists()):
        raise OSError(errno.EINVAL, f"Is {kind}, not a file", str(path))
    return path.open("rb")
