"""The folder of published weights: which file each network needs, where it may lie, how big it is, what is missing.

The layout is VBench's own, so that a folder filled by VBench serves here as it is. Nothing is downloaded.
"""

import hashlib
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class WeightFile:
    """One published file: `places` under the weights folder, best first; `elsewhere` under other programs' caches.

    `sha256` is the digest, or its published beginning, "" where none is published.
    """

    title: str
    places: tuple[str, ...]
    megabytes: int
    source: str
    sha256: str = ""
    elsewhere: tuple[str, ...] = ()


WEIGHTS: dict[str, WeightFile] = {
    "clip_b32": WeightFile(
        "CLIP ViT-B/32",
        ("clip_model/ViT-B-32.pt",),
        354,
        "openai/CLIP",
        "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
        ("~/.cache/clip/ViT-B-32.pt",),
    ),
    "clip_l14": WeightFile(
        "CLIP ViT-L/14",
        ("clip_model/ViT-L-14.pt",),
        933,
        "openai/CLIP",
        "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
        ("~/.cache/clip/ViT-L-14.pt",),
    ),
    "aesthetic_head": WeightFile(
        "LAION's aesthetic head",
        ("aesthetic_model/emb_reader/sa_0_4_vit_l_14_linear.pth", "../emb_reader/sa_0_4_vit_l_14_linear.pth"),
        1,
        "LAION-AI/aesthetic-predictor",
    ),
    "dino_b16": WeightFile(
        "DINO ViT-B/16",
        ("dino_model/dino_vitbase16_pretrain.pth",),
        343,
        "facebookresearch/dino",
        elsewhere=("{torch}/hub/checkpoints/dino_vitbase16_pretrain.pth",),
    ),
    "musiq_spaq": WeightFile(
        "MUSIQ, SPAQ",
        ("pyiqa_model/musiq_spaq_ckpt-358bb6af.pth",),
        109,
        "chaofengc/IQA-PyTorch",
        "358bb6af",
        ("{torch}/hub/pyiqa/musiq_spaq_ckpt-358bb6af.pth",),
    ),
    "raft_things": WeightFile("RAFT", ("raft_model/models/raft-things.pth",), 21, "princeton-vl/RAFT"),
    "amt_s": WeightFile("AMT-S", ("amt_model/amt-s.pth", "../amt_model/amt-s.pth"), 12, "MCG-NKU/AMT"),
    "viclip": WeightFile(
        "ViCLIP", ("ViCLIP/ViClip-InternVid-10M-FLT.pth",), 1710, "OpenGVLab/VBench_Used_Models on Hugging Face"
    ),
    "grit": WeightFile(
        "GRiT", ("grit_model/grit_b_densecap_objectdet.pth",), 825, "OpenGVLab/VBench_Used_Models on Hugging Face"
    ),
    "umt": WeightFile(
        "UMT",
        ("umt_model/l16_ptk710_ftk710_ftk400_f16_res224.pth",),
        1220,
        "OpenGVLab/VBench_Used_Models on Hugging Face",
    ),
    "tag2text": WeightFile(
        "Tag2Text", ("caption_model/tag2text_swin_14m.pth",), 4480, "xinyu1205/recognize-anything on Hugging Face"
    ),
    "dreamsim": WeightFile("DreamSim", ("dreamsim_cache/ensemble",), 1080, "ssundaram21/dreamsim"),
}


def weights_folder(chosen: Path | None = None) -> Path:
    """`chosen`, else VBENCH_CACHE_DIR, else ~/.cache/vbench, where VBench keeps them."""
    return Path(chosen or os.environ.get("VBENCH_CACHE_DIR") or "~/.cache/vbench").expanduser()


def places_of(name: str, folder: Path | None = None) -> list[Path]:
    """Every place where a file is looked for, best first."""
    row, root = WEIGHTS[name], weights_folder(folder)
    torch_home = os.environ.get("TORCH_HOME", "~/.cache/torch")
    return [root / place for place in row.places] + [
        Path(place.format(torch=torch_home)).expanduser() for place in row.elsewhere
    ]


def find(name: str, folder: Path | None = None) -> Path | None:
    """Where a file is, or None."""
    return next((place for place in places_of(name, folder) if place.is_file()), None)


def missing(names: tuple[str, ...], folder: Path | None = None) -> str:
    """One sentence on what is not there, with size and expected place; "" when all of it is."""
    lacking = [name for name in names if find(name, folder) is None]
    if not lacking:
        return ""
    rows = [(WEIGHTS[name], megabytes(name), places_of(name, folder)[0]) for name in lacking]
    told = "; ".join(f"{row.title} ({size}, from {row.source}), expected at {place}" for row, size, place in rows)
    return f"weights are missing: {told}"


def megabytes(name: str) -> str:
    """A file's published size in words."""
    size = WEIGHTS[name].megabytes
    return f"{size / 1000:.1f} GB" if size >= 1000 else f"{size} MB"


def fingerprint(names: tuple[str, ...], folder: Path | None = None) -> str:
    """A short name for exactly these files, from their sizes and samples of their bytes; "" when one is missing."""
    paths = [find(name, folder) for name in names]
    if None in paths:
        return ""
    digest = hashlib.sha256()
    for path in paths:
        stat = path.stat()
        digest.update(_sampled(path, stat.st_size, stat.st_mtime_ns))
    return digest.hexdigest()[:12]


@lru_cache(maxsize=64)
def _sampled(path: Path, size: int, changed: int) -> bytes:
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for start in (0, size // 2, max(0, size - 65536)):
            file.seek(start)
            digest.update(file.read(65536))
    return digest.digest()


def read_state(path: Path) -> "Mapping[str, Tensor]":
    """Tensors by name from a state dict, a checkpoint or a TorchScript archive; nothing in the file is executed as
    pickled code. Raises ValueError that names the file when it is none of these."""
    import torch

    try:
        if _is_torchscript(path):
            # OpenAI publishes CLIP as TorchScript, which is no pickle of ours to trust: only its tensors are taken
            return torch.jit.load(str(path), map_location="cpu").state_dict()
        return torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:160]
        raise ValueError(f"{path} cannot be read as weights ({reason}); put the published file there") from error


def _is_zip(path: Path) -> bool:
    return zipfile.is_zipfile(path)


def _is_torchscript(path: Path) -> bool:
    if not _is_zip(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("constants.pkl") for name in archive.namelist())
