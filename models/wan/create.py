"""A pipeline of a Wan model: network, autoencoder and text encoder from the files on this machine."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from models.networks.codec import Codec
from models.networks.tiny_decoder import TinyDecoder
from models.networks.transformer import CausalVideoTransformer
from models.pipeline import VideoPipeline, chunk_layout_for
from models.specs import ModelSpec
from models.types import GenerationRequest, RequestError
from models.wan.files import read_entry, read_network
from models.wan.load import head_dim_of, load_transformer, load_umt5, load_vae, read_source, shape_of, vae_config
from models.wan.memory import GB, Mode, give_back_when_freed, main_memory, make_plan
from models.wan.places import cache_folder, file_digest, find
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
    vae_file = find(VAE, _folder(source))
    if vae_file is None:
        raise RequestError(f"{VAE.name} is not on this machine; put it beside the network, or download {VAE.repo}")
    weights, vae_weights, head_dim = read_source(source), read_network(vae_file), head_dim_of(source.path)
    shape, base = shape_of(weights, head_dim), vae_config(vae_weights.state)["base_dim"]
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
    encoder = text_encoder(_folder(source), device, on_card=plan.mode.encoder != "main")
    encoder.keep = plan.mode.encoder == "resident"
    if device != "cpu":
        _place(network, plan.mode, device)
        spec = _within(spec, plan.mode)
    codec = Codec(load_vae(vae_weights, dtype).to(device))
    drafts = _tiny_decoder(_folder(source), device)
    return VideoPipeline(spec, network, encoder, codec, drafts, decodes_beside=plan.decodes_beside)


def _tiny_decoder(beside: Path, device: str) -> TinyDecoder | None:
    """TAEHV, if its file is on this machine. Raises RequestError for another file of that name."""
    path = next(filter(None, (find(file, beside) for file in TINY)), None)
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


def text_encoder(beside: Path | None = None, device: str = "cpu", *, on_card: bool = True) -> CachedTextEncoder:
    """UMT5 behind the cache of embeddings, which gives them on `device`; it runs there too when it may be `on_card`.
    Without its file the cache alone answers."""
    file = find(UMT5, beside)
    tokenizer = find(TOKENIZER[0], beside)
    if file is None or tokenizer is None:
        folders = sorted((cache_folder() / "embeddings").glob("*"))
        identity = folders[0].name if len(folders) == 1 else "none"
        return CachedTextEncoder(cache_folder() / "embeddings", identity, no_encoder, device)
    load = partial(_load_encoder, file, tokenizer.parent, device if on_card else "cpu")
    return CachedTextEncoder(cache_folder() / "embeddings", file_digest(file), load, device)


def _load_encoder(file: Path, tokenizer: Path, device: str) -> Encoder:
    from transformers import AutoTokenizer

    # its file is in bf16: in float32 it would not fit the main memory of most machines
    model = load_umt5(read_network(file)).to(device)
    return AutoTokenizer.from_pretrained(tokenizer), model


def _folder(source: Source) -> Path:
    return source.path if source.path.is_dir() else source.path.parent
