"""A pipeline of a Wan model: network, autoencoder and text encoder from the files on this machine."""

from functools import partial
from pathlib import Path

import torch

from models.codec import Codec
from models.pipeline import VideoPipeline
from models.specs import ModelSpec
from models.types import RequestError
from models.wan.files import read_network
from models.wan.load import load_source, load_umt5, load_vae
from models.wan.places import cache_folder, file_digest, find
from models.wan.rows import TOKENIZER, UMT5, VAE
from models.wan.source import Source, of_checkpoint
from models.wan.text import CachedTextEncoder, Encoder, no_encoder


def create_wan_pipeline(spec: ModelSpec, device: str) -> VideoPipeline:
    """Load network and autoencoder; the text encoder is loaded when a prompt is new. Raises RequestError naming what
    is missing."""
    source = spec.source or of_checkpoint(spec.checkpoint)
    network = load_source(source, torch.bfloat16 if device != "cpu" else torch.float32).to(device)
    vae_file = find(VAE, _folder(source))
    if vae_file is None:
        raise RequestError(f"{VAE.name} is not on this machine; put it beside the network, or download {VAE.repo}")
    vae = load_vae(read_network(vae_file), torch.bfloat16 if device != "cpu" else torch.float32).to(device)
    return VideoPipeline(spec, network, text_encoder(_folder(source), device), Codec(vae))


def text_encoder(beside: Path | None = None, device: str = "cpu") -> CachedTextEncoder:
    """UMT5 behind the cache of embeddings. Without its file the cache alone answers."""
    file = find(UMT5, beside)
    tokenizer = find(TOKENIZER[0], beside)
    if file is None or tokenizer is None:
        folders = sorted((cache_folder() / "embeddings").glob("*"))
        identity = folders[0].name if len(folders) == 1 else "none"
        return CachedTextEncoder(cache_folder() / "embeddings", identity, no_encoder, device)
    load = partial(_load_encoder, file, tokenizer.parent, device)
    return CachedTextEncoder(cache_folder() / "embeddings", file_digest(file), load, device)


def _load_encoder(file: Path, tokenizer: Path, device: str) -> Encoder:
    from transformers import AutoTokenizer  # noqa: PLC0415  (seconds to import)

    model = load_umt5(read_network(file), torch.bfloat16 if device != "cpu" else torch.float32).to(device)
    return AutoTokenizer.from_pretrained(tokenizer), model


def _folder(source: Source) -> Path:
    return source.path if source.path.is_dir() else source.path.parent
