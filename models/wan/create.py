"""A pipeline of a Wan model: network, autoencoder and text encoder from the files on this machine."""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from models.networks.codec import Codec
from models.networks.transformer import CausalVideoTransformer
from models.pipeline import VideoPipeline
from models.specs import ModelSpec
from models.types import RequestError
from models.wan.files import read_network
from models.wan.load import load_source, load_umt5, load_vae
from models.wan.memory import GB, Mode, choose_mode, modes_of
from models.wan.places import cache_folder, file_digest, find
from models.wan.rows import TOKENIZER, UMT5, VAE
from models.wan.source import Source, of_checkpoint
from models.wan.text import CachedTextEncoder, Encoder, no_encoder

log = logging.getLogger(__name__)


def create_wan_pipeline(spec: ModelSpec, device: str) -> VideoPipeline:
    """Load network and autoencoder; the text encoder is loaded when a prompt is new. Raises RequestError naming what
    is missing."""
    source = spec.source or of_checkpoint(spec.checkpoint)
    network = load_source(source, torch.bfloat16 if device != "cpu" else torch.float32)
    encoder = text_encoder(_folder(source), device)
    if device != "cpu":
        spec, mode = _fit(spec, network, device)
        encoder.keep = mode.resident
    vae_file = find(VAE, _folder(source))
    if vae_file is None:
        raise RequestError(f"{VAE.name} is not on this machine; put it beside the network, or download {VAE.repo}")
    vae = load_vae(read_network(vae_file), torch.bfloat16 if device != "cpu" else torch.float32).to(device)
    return VideoPipeline(spec, network, encoder, Codec(vae))


def _fit(spec: ModelSpec, network: CausalVideoTransformer, device: str) -> tuple[ModelSpec, Mode]:
    """Put the network on the card in the most comfortable way that fits; returns the row with the window it runs
    with, and the way."""
    free = torch.cuda.mem_get_info(device)[0] / GB
    mode = choose_mode(modes_of(spec), free)
    if mode is None:
        least = min(mode.gigabytes for mode in modes_of(spec)) / 0.9
        raise RequestError(f"{spec.name} needs {least:.1f} GB of free GPU memory and {free:.1f} GB are; free some")
    log.info("%s: %.1f of %.1f GB, %s%s", spec.name, mode.gigabytes, free, mode.name, mode.cost and f" ({mode.cost})")
    if mode.fp8:
        network.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16)
    if mode.offload:
        network.enable_group_offload(torch.device(device), offload_type="block_level", num_blocks_per_group=1)
    else:
        network.to(device)
    shorter = mode.window is not None and spec.sink + spec.chunk <= mode.window < spec.window
    return (replace(spec, window=mode.window, window_always=True) if shorter else spec), mode


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
