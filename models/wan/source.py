"""Where a transformer of one's own comes from: `path:FILE[#ENTRY][+LORA][@ROW]`. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path

from models.types import RequestError

PREFIX = "path:"
FORM = "path:FILE, path:FILE#ENTRY, path:BASE+LORA or path:FILE@ROW"


@dataclass(frozen=True)
class Source:
    """A checkpoint `path`, the `entry` of its wrapper, a `lora` to merge, and the `row` whose settings it takes."""

    path: Path
    entry: str | None = None
    lora: Path | None = None
    row: str | None = None

    def __str__(self) -> str:
        parts = [str(self.path), f"#{self.entry}" if self.entry else "", f"+{self.lora}" if self.lora else ""]
        return PREFIX + "".join(parts) + (f"@{self.row}" if self.row else "")


def parse_source(text: str) -> Source:
    """Read `path:...`. Marks that are part of a name on disk are left alone. Raises RequestError."""
    rest = text.removeprefix(PREFIX)
    if not rest:
        raise RequestError(f"{text!r} names no file; give {FORM}")
    rest, row = _split(rest, "@")
    rest, lora = _split(rest, "+")
    path, entry = _split(rest, "#")
    return Source(Path(path).expanduser(), entry or None, Path(lora).expanduser() if lora else None, row or None)


def _split(text: str, mark: str) -> tuple[str, str]:
    if mark not in text or Path(text).expanduser().exists():
        return text, ""
    before, _, after = text.rpartition(mark)
    return before, after
