"""Where weight files lie on this machine, and getting those that do not. Needs no torch.

Looked for in this order: beside a file of one's own, below $WORKBENCH_WEIGHTS, in the hub's own cache.
"""

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from models.types import RequestError
from models.wan.rows import TOKENIZER, UMT5, VAE, Checkpoint, HubFile

WEIGHTS = "WORKBENCH_WEIGHTS"
CACHE = "WORKBENCH_CACHE"


def cache_folder() -> Path:
    """Where embeddings of prompts and digests of files are kept: $WORKBENCH_CACHE, else ~/.cache/asd-workbench."""
    return Path(os.environ.get(CACHE) or Path.home() / ".cache" / "asd-workbench")


def find(file: HubFile, *beside: Path) -> Path | None:
    """The file on this machine, or None; the folders `beside` are looked into first."""
    folders = list(beside)
    if root := os.environ.get(WEIGHTS):
        folders += [Path(root) / file.repo, Path(root)]
    for place in (folder / name for folder in folders for name in (file.path, file.name)):
        if place.is_file():
            return place
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(file.repo, file.path)
    return Path(cached) if isinstance(cached, str) else None


def needed(checkpoint: Checkpoint) -> list[HubFile]:
    """All files that a released network runs with, its own first."""
    lora = [checkpoint.lora] if checkpoint.lora else []
    return [checkpoint.file, *checkpoint.shards, *lora, VAE, UMT5, *TOKENIZER]


def missing(checkpoint: Checkpoint) -> list[HubFile]:
    return [file for file in needed(checkpoint) if find(file) is None]


def find_part(name: str, *pipelines: Path) -> Path | None:
    """The folder `name` of the first of some pipelines of diffusers that has it, or None."""
    there = (pipeline / name for pipeline in pipelines if (pipeline / "model_index.json").is_file())
    return next((folder for folder in there if folder.is_dir()), None)


def check_there(path: Path, way_out: str, what: str = "") -> None:
    """Raise RequestError unless a file or folder is there: a pipe or device may be read without end."""
    if not path.is_file() and not path.is_dir():
        fault = "is neither a file nor a folder" if path.exists() else "is not there"
        raise RequestError(f"{what}{str(path)!r} {fault}; {way_out}")


def read_table(path: Path) -> dict[str, Any]:
    """A table from a JSON file. Raises RequestError for one that is damaged or not there."""
    check_there(path, "get it again")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RequestError(f"{str(path)!r} is no JSON ({error}); get it again") from error
    if not isinstance(found, dict):
        raise RequestError(f"{str(path)!r} holds a {type(found).__name__} where a table belongs; get it again")
    return found


def network_files(folder: Path) -> list[Path]:
    """The safetensors of a network that lies in a folder: those that its index names, else all. They need not be
    there."""
    indexes = sorted(folder.glob("*.safetensors.index.json"))
    if (folder / "model_index.json").is_file():  # a whole pipeline
        return sorted(folder.rglob("*.safetensors"))
    if not indexes:
        return sorted(folder.glob("*.safetensors"))
    if len(indexes) > 1:
        names = ", ".join(index.name for index in indexes[:3])
        raise RequestError(f"{str(folder)!r} holds several networks ({names}); leave the index of one there")
    places = read_table(indexes[0]).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise RequestError(f"{str(indexes[0])!r} has no table 'weight_map' of files; get it again")
    return [folder / name for name in sorted(set(places.values()))]


def download(checkpoint: Checkpoint) -> None:
    """Get what is missing from the hub, into its cache. Raises RequestError when the hub cannot be reached."""
    from huggingface_hub import constants, hf_hub_download

    files = missing(checkpoint)
    if files and constants.HF_HUB_OFFLINE:
        names = ", ".join(f"{file.repo}/{file.path}" for file in files[:3])
        raise RequestError(f"HF_HUB_OFFLINE is set and {len(files)} files are missing ({names}); unset it to download")
    for file in files:
        try:
            path = Path(hf_hub_download(file.repo, file.path))
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise RequestError(
                f"{file.repo}/{file.path} cannot be downloaded ({reason}); put it below ${WEIGHTS} by hand"
            ) from error
        if file.sha256 and read_digest(path) != file.sha256:
            raise RequestError(f"{str(path)!r} is not the published file (another SHA-256); delete it, download again")


def file_digest(path: Path) -> str:
    """SHA-256 of a file as hex; that of a file in the hub's cache is its name, which `download` has checked."""
    name = path.resolve().name
    return name if re.fullmatch(r"[0-9a-f]{64}", name) else read_digest(path)


def read_digest(path: Path) -> str:
    """SHA-256 of a file's bytes as hex, remembered by its size and time of change, for large files take a minute."""
    path = path.resolve()
    state = path.stat()
    memory = cache_folder() / "digests.json"
    known = {}
    with contextlib.suppress(OSError, RequestError):  # what is damaged or locked is made again
        known = read_table(memory)
    key = f"{path}|{state.st_size}|{state.st_mtime_ns}"
    if key not in known:
        with path.open("rb") as file:
            known[key] = hashlib.file_digest(file, "sha256").hexdigest()
        with contextlib.suppress(OSError):  # a folder that cannot be written costs time only
            memory.parent.mkdir(parents=True, exist_ok=True)
            unfinished = memory.with_suffix(f".{os.getpid()}")
            unfinished.write_text(json.dumps(known), encoding="utf-8")
            unfinished.replace(memory)
    return known[key]
