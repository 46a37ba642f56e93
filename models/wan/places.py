"""Where weight files lie on this machine, and getting those that do not. Needs no torch.

Looked for in this order: beside a file of one's own, below $WORKBENCH_WEIGHTS, in the hub's own cache.
"""

import hashlib
import json
import os
import re
from pathlib import Path

from models.types import RequestError
from models.wan.rows import TOKENIZER, UMT5, VAE, Checkpoint, HubFile

WEIGHTS = "WORKBENCH_WEIGHTS"
CACHE = "WORKBENCH_CACHE"


def cache_folder() -> Path:
    """Where embeddings of prompts and digests of files are kept: $WORKBENCH_CACHE, else ~/.cache/asd-workbench."""
    return Path(os.environ.get(CACHE) or Path.home() / ".cache" / "asd-workbench")


def find(file: HubFile, beside: Path | None = None) -> Path | None:
    """The file on this machine, or None."""
    folders = [beside] if beside else []
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


def network_files(folder: Path) -> list[Path]:
    """The safetensors of a network that lies in a folder: those that its index names, else all. They need not be
    there."""
    indexes = sorted(folder.glob("*.safetensors.index.json"))
    if (folder / "model_index.json").is_file():  # a whole pipeline
        return sorted(folder.rglob("*.safetensors"))
    if not indexes:
        return sorted(folder.glob("*.safetensors"))
    names = json.loads(indexes[0].read_text(encoding="utf-8"))["weight_map"].values()
    return [folder / name for name in sorted(set(names))]


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
        if file.sha256 and file_digest(path) != file.sha256:
            raise RequestError(f"{str(path)!r} is not the published file (another SHA-256); delete it, download again")


def file_digest(path: Path) -> str:
    """SHA-256 of a file as hex, remembered by its size and time of change, for large files take a minute."""
    path = path.resolve()
    if re.fullmatch(r"[0-9a-f]{64}", path.name):  # the hub's cache names its files so
        return path.name
    state = path.stat()
    memory = cache_folder() / "digests.json"
    known = json.loads(memory.read_text(encoding="utf-8")) if memory.is_file() else {}
    key = f"{path}|{state.st_size}|{state.st_mtime_ns}"
    if key not in known:
        with path.open("rb") as file:
            known[key] = hashlib.file_digest(file, "sha256").hexdigest()
        memory.parent.mkdir(parents=True, exist_ok=True)
        unfinished = memory.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(known), encoding="utf-8")
        unfinished.replace(memory)
    return known[key]
