"""What one run of the workbench is told: where its data lies, where it serves, what it may do."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """`min_watch` is the share of a clip an annotator has to watch before voting; 0 turns the rule off.

    `database_url` None means SQLite inside `data_dir`; `auth` is the file with people and roles, None for local use.
    `root_path` is the prefix that a proxy takes off addresses, as "/lab"; "" without one.
    `first_run` fills an empty data folder with a few measured clips once the server runs.
    `models` are networks of one's own that the pages offer beside the registry's, as `path:FILE`.
    `compile` is how layers are compiled: off, layers, or graphs (CUDA graphs).
    Folders of clips on this machine may be evaluated at and below those of `clips`, and no others.
    The server answers to the names of this machine for itself, to `host`, and to those of `allowed_host`. Sites of
    `framed_by` may show its pages inside their own. Who asks, and by which scheme, is taken from proxies at the
    addresses or networks of `behind_proxy`; from all others it is what the connection itself says.
    """

    data_dir: Path = Path("data")
    database_url: str | None = None
    device: str = "cpu"
    host: str = "127.0.0.1"
    port: int = 7860
    auth: Path | None = None
    read_only: bool = False
    clips: tuple[Path, ...] = ()
    allowed_host: tuple[str, ...] = ()
    framed_by: tuple[str, ...] = ()
    behind_proxy: tuple[str, ...] = ()
    min_watch: float = 0.8
    first_run: bool = False
    root_path: str = ""
    models: tuple[str, ...] = ()
    compile: str = "off"
