"""Where a transformer of one's own comes from: `path:FILE[#ENTRY][+LORA][@ROW]`. Needs no torch."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from models.types import RequestError
from models.wan.places import check_there, file_digest, find, network_files
from models.wan.rows import Checkpoint

PREFIX = "path:"
FORM = "path:FILE, path:FILE#ENTRY, path:BASE+LORA or path:FILE@ROW"


@dataclass(frozen=True)
class Source:
    """A checkpoint `path`, the `entry` of its wrapper, a `lora` to merge, and the `row` whose settings it takes."""

    path: Path
    entry: str | None = None
    lora: Path | None = None
    row: str | None = None

    def name(self, folders: int = 0) -> str:
        """What the model is called: like the text it came from, with the last `folders` of its folders."""
        lora = self.lora and Path(self.lora.name)
        return str(replace(self, path=Path(*self.path.absolute().parts[-1 - folders :]), lora=lora))

    @property
    def files(self) -> list[Path]:
        """All files it is read from."""
        first = network_files(self.path) if self.path.is_dir() else [self.path]
        return [*first, *([self.lora] if self.lora else [])]

    def digest(self) -> str:
        """SHA-256 of its one file, or of its files' digests, and of the entry, as hex."""
        for path in self.files:
            check_there(path, "get the model's files again")
        files = [file for path in self.files for file in (network_files(path) if path.is_dir() else [path])]
        parts = [*map(file_digest, files), *([self.entry] if self.entry else [])]
        return parts[0] if len(parts) == 1 else hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def __str__(self) -> str:
        parts = [str(self.path), f"#{self.entry}" if self.entry else "", f"+{self.lora}" if self.lora else ""]
        return PREFIX + "".join(parts) + (f"@{self.row}" if self.row else "")


def parse_source(text: str) -> Source:
    """Read `path:...`. Marks that are part of a name on disk are left alone. Raises RequestError."""
    rest = text.removeprefix(PREFIX)
    path, rest = _leading_path(rest, "#+@")
    entry = lora = row = None
    if rest.startswith("#"):
        entry, rest = _until(rest[1:], "+@")
    if rest.startswith("+"):
        lora, rest = _leading_path(rest[1:], "@")
    if rest.startswith("@"):
        row, rest = rest[1:], ""
    if not path or rest or "" in (entry, lora, row):
        raise RequestError(f"{text!r} names no file, or nothing after a mark; give {FORM}")
    return Source(Path(path).expanduser(), entry, Path(lora).expanduser() if lora else None, row)


def network_source(source: Source) -> Source:
    """The same, with the folder of the transformer for that of a whole pipeline of diffusers."""
    inner = source.path / "transformer"
    return replace(source, path=inner) if inner.is_dir() else source


def of_checkpoint(checkpoint: Checkpoint) -> Source:
    """The files of a released network on this machine. Raises RequestError when they are not there."""
    paths = [find(file) for file in (checkpoint.file, checkpoint.lora) if file]
    if None in paths:
        raise RequestError(f"{checkpoint.file.repo}/{checkpoint.file.path} is not on this machine; download it first")
    network = paths[0].parent if checkpoint.shards else paths[0]
    return Source(network, checkpoint.entry, paths[1] if len(paths) > 1 else None)


def _leading_path(text: str, marks: str) -> tuple[str, str]:
    """The longest name on disk that `text` begins with and that ends at a mark, or what is before the first; and the
    rest."""
    ends = [index for index, letter in enumerate(text) if letter in marks]
    there = (end for end in (len(text), *reversed(ends)) if Path(text[:end]).expanduser().exists() and text[:end])
    end = next(there, ends[0] if ends else len(text))
    return text[:end], text[end:]


def _until(text: str, marks: str) -> tuple[str, str]:
    end = next((index for index, letter in enumerate(text) if letter in marks), len(text))
    return text[:end], text[end:]
