"""A pipeline of a Wan model: network, autoencoder and text encoder from the files on this machine."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from models.networks.codec import Codec
from models.networks.tiny_decoder import TinyDecoder
from models.networks.transformer import CausalVideoTransformer
from models.pipeline import VideoPipeline, chunk_layout_for
from models.specs import ModelSpec
from models.types import GenerationRequest, RequestError
from models.wan.files import read_entry, read_network
from models.wan.load import (
    check_kind,
    check_text_to_video,
    head_dim_of,
    load_transformer,
    load_umt5,
    load_vae,
    read_source,
    shape_of,
    vae_config,
)
from models.wan.memory import GB, Mode, give_back_when_freed, main_memory, make_plan
from models.wan.names import VAE as AUTOENCODER
from models.wan.places import cache_folder, find, find_part
from models.wan.rows import TINY, TOKENIZER, UMT5, VAE
from models.wan.source import Source, of_checkpoint
from models.wan.text import CachedTextEncoder, Encoder, no_encoder

log = logging.getLogger(__name__)
Say = Callable[[str], None]


def create_wan_pipeline(
    spec: ModelSpec, device: str, *, say: Say = log.info, asked: GenerationRequest | None = None
) -> VideoPipeline:
    """Load network and autoencoder in the most comfortable way that fits; the text encoder is loaded when a prompt is
    new. `say` is told what it will take, before anything is loaded: for clips of its own size and window, or where
    those do not fit, for a clip as `asked`.

    Raises RequestError naming what is missing, and when nothing fits.
    """
    source = spec.source or of_checkpoint(spec.checkpoint)
    folders = _folders(source)
    vae_file = find(VAE, *folders) or find_part("vae", *folders)
    if vae_file is None:
        raise RequestError(f"{VAE.name} is not on this machine; put it beside the network, or download {VAE.repo}")
    weights, vae_weights, head_dim = read_source(source), read_network(vae_file), head_dim_of(source.path)
    check_text_to_video(weights, head_dim)
    check_kind(vae_weights, AUTOENCODER)
    shape, decoder = shape_of(weights, head_dim), vae_config(vae_weights.state)
    if shape.channels != decoder["z_dim"]:
        raise RequestError(
            f"{weights.source!r} takes latents of {shape.channels} channels and {str(vae_file)!r} makes "
            f"{decoder['z_dim']}; give a network that belongs to this autoencoder"
        )
    base = decoder["base_dim"]
    free = main_memory() if device == "cpu" else torch.cuda.mem_get_info(device)[0] / GB
    plan = make_plan(spec, shape, device, free, base=base)
    if plan.mode is None and asked:
        latents = sum(chunk_layout_for(spec, asked.frames))
        plan = make_plan(spec, shape, device, free, size=asked.size, latents=latents, base=base)
    for line in plan.lines():
        say(line)
    if plan.mode is None:
        raise RequestError(plan.refusal)
    if device == "cpu":
        give_back_when_freed()
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    network = load_transformer(weights, dtype, head_dim)
    encoder = text_encoder(*folders, device=device, on_card=plan.mode.encoder != "main")
    encoder.keep, encoder.width = plan.mode.encoder == "resident", shape.text_width
    if device != "cpu":
        _place(network, plan.mode, device)
        spec = _within(spec, plan.mode)
    codec = Codec(load_vae(vae_weights, dtype).to(device))
    drafts = _tiny_decoder(folders, device)
    return VideoPipeline(spec, network, encoder, codec, drafts, decodes_beside=plan.decodes_beside)


def _tiny_decoder(folders: list[Path], device: str) -> TinyDecoder | None:
    """TAEHV, if its file is on this machine. Raises RequestError for another file of that name."""
    path = next(filter(None, (find(file, *folders) for file in TINY)), None)
    if path is None:
        return None
    try:
        return TinyDecoder.of_file(read_entry(path)[0]).to(device)
    except ValueError as error:
        raise RequestError(f"{str(path)!r} is no taew2_1 of TAEHV: {error}; take it away or download it") from error


def _within(spec: ModelSpec, mode: Mode) -> ModelSpec:
    """The row with the window that it runs with."""
    shorter = mode.window is not None and spec.sink + spec.chunk <= mode.window < spec.window
    return replace(spec, window=mode.window, window_always=True) if shorter else spec


def _place(network: CausalVideoTransformer, mode: Mode, device: str) -> None:
    """Put the network on the card."""
    if mode.fp8:
        network.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16)
    if mode.offload:
        network.enable_group_offload(torch.device(device), offload_type="block_level", num_blocks_per_group=1)
    else:
        network.to(device)


def text_encoder(*folders: Path, device: str = "cpu", on_card: bool = True) -> CachedTextEncoder:
    """UMT5 behind the cache of embeddings, which gives them on `device`; it runs there too when it may be `on_card`.
    It is looked for in `folders`, as Wan's own file or as the part of a pipeline; without it the cache alone
    answers."""
    file = find(UMT5, *folders) or find_part("text_encoder", *folders)
    words = find(TOKENIZER[0], *folders)
    tokenizer = words.parent if words else find_part("tokenizer", *folders)
    if file is None or tokenizer is None:
        lacking = "the text encoder (UMT5, 11.4 GB)" if file is None else f"its tokenizer ({TOKENIZER[0].path})"
        kept = sorted((cache_folder() / "embeddings").glob("*"))
        if file is None and len(kept) > 1:
            lacking += f", which would tell which of the {len(kept)} encoders' embeddings there to take,"
        identity = Source(file).digest() if file else kept[0].name if len(kept) == 1 else "none"
        return CachedTextEncoder(cache_folder() / "embeddings", identity, partial(no_encoder, lacking), device)
    load = partial(_load_encoder, file, tokenizer, device if on_card else "cpu")
    read = partial(_load_tokenizer, tokenizer)
    return CachedTextEncoder(cache_folder() / "embeddings", Source(file).digest(), load, device, tokenizer=read)


def _load_encoder(file: Path, tokenizer: Path, device: str) -> Encoder:
    words = _load_tokenizer(tokenizer)
    # its file is in bf16: in float32 it would not fit the main memory of most machines
    return words, load_umt5(read_network(file)).to(device)


def _load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # transformers, tokenizers and sentencepiece each have errors of their own
        told = " ".join(str(error).split())[:200]
        raise RequestError(f"the tokenizer in {str(folder)!r} cannot be read ({told}); download it again") from error


def _folders(source: Source) -> list[Path]:
    """Where a network's companions may lie: its file's folder; a folder itself and the one that it lies in."""
    beside = source.path.absolute().parent
    return [source.path, beside] if source.path.is_dir() else [beside]
