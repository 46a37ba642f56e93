"""Wan networks at small size with random weights, under original names, and the layouts their authors write."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from models.networks.transformer import CausalVideoTransformer
from models.wan.names import TRANSFORMER, UMT5
from models.wan.rows import Checkpoint
from tests.helpers.golden_data import golden

FULL = {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30}
SMALL = {"num_attention_heads": 1, "ffn_dim": 64, "num_layers": 2, "text_dim": 32, "freq_dim": 16}


def transformer(seed: int = 0, **config) -> CausalVideoTransformer:
    torch.manual_seed(seed)
    return CausalVideoTransformer(**SMALL | config).eval()


def original_state(network: torch.nn.Module) -> dict[str, Tensor]:
    return {TRANSFORMER.to_original(name): tensor for name, tensor in network.state_dict().items()}


def wrapped(state: Mapping[str, Tensor], prefix: str = "", infix: str = "") -> dict[str, Tensor]:
    """`prefix` before every name, `infix` after the number of its layer."""

    def name(bare: str) -> str:
        parts = bare.split(".")
        if infix and parts[0] == "blocks":
            parts[1] = f"{parts[1]}.{infix.rstrip('.')}"
        return prefix + ".".join(parts)

    return {name(bare): tensor for bare, tensor in state.items()}


def layouts(state: Mapping[str, Tensor]) -> dict[str, dict]:
    """What a file of each code base holds at its top level, made from original Wan names."""
    fsdp, checkpointed, compiled = "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod."
    flat_patch = {**state, "patch_embedding.weight": state["patch_embedding.weight"].flatten(1)}
    critic = wrapped(state, "model.") | {"model._cls_pred_branch.0.weight": state["head.modulation"]}
    model = wrapped(state, "model.")
    return {
        "Wan2.1": dict(state),
        "Self-Forcing": {"generator": wrapped(state, "model."), "critic": critic, "generator_ema": model},
        "Self-Forcing ode_init": {"generator": model},
        "CausVid": {"generator": model, "critic": critic},
        "Causal-Forcing": {
            "generator": model,
            "generator_ema": wrapped(state, f"model.{fsdp}", fsdp),
        },
        "One-Forcing": {"generator_ema": wrapped(state, "model.", fsdp + checkpointed), "step": 200},
        "Reward-Forcing": model,
        "Rolling-Forcing": {"generator_ema": wrapped(state, f"model.{fsdp}")},
        "LongLive": {"generator": wrapped(state, "model.", checkpointed)},
        "StreamDiffusionV2": {"generator": model},
        "rCM": wrapped(flat_patch, "net."),
        "rCM ema": wrapped(flat_patch, "net_ema."),
        "Krea": model,
        "ComfyUI": wrapped(state, "model.diffusion_model."),
        "FSDP and compile": {"model": wrapped(state, f"module.{compiled}model.")},
        "Lightning": {"state_dict": wrapped(state, "net.")},
    }


def write_small_world(folder: Path, seed: int = 0, **config: int) -> Path:
    """A network of `config`, an autoencoder, a text encoder and its tokenizer at small size, as files of Wan's own
    release lie; returns the network's file."""
    torch.manual_seed(seed)
    sizes = {"vocab_size": 40, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_heads": 4}
    encoder = UMT5EncoderModel(UMT5Config(**sizes, feed_forward_proj="gated-gelu", dropout_rate=0)).eval()
    state = {UMT5.to_original(n): t for n, t in encoder.state_dict().items() if n != "encoder.embed_tokens.weight"}
    torch.save(state, folder / "models_t5_umt5-xxl-enc-bf16.pth")
    special, letters = ("<pad>", "</s>", "<unk>"), "abcdefghijklmnopqrstuvwxyz"
    pieces = [*((name, 0.0) for name in special), ("\u2581", -2.0), *((letter, -3.0) for letter in letters)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    place = folder / "google" / "umt5-xxl"
    place.mkdir(parents=True)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>").save_pretrained(place)
    (place / "special_tokens_map.json").write_text("{}")  # older versions of transformers write it, as the hub has it
    torch.save(dict(golden("vae")), folder / "Wan2.1_VAE.pth")
    state = original_state(transformer(seed, **config))
    torch.save({"generator_ema": wrapped(state, "model.")}, folder / "self_forcing_dmd.pt")
    return folder / "self_forcing_dmd.pt"


# as which code base's files the rows' networks are written
CODE_BASES = {
    "self-forcing": "Self-Forcing",
    "causvid": "CausVid",
    "causvid-warp": "CausVid",
    "longlive": "LongLive",
    "reward-forcing": "Reward-Forcing",
    "causal-forcing": "Causal-Forcing",
    "causal-forcing-frames": "Causal-Forcing",
    "causal-forcing-2": "Reward-Forcing",
    "causal-forcing-1": "Reward-Forcing",
    "one-forcing": "One-Forcing",
    "rcm": "rCM",
    "streamdiffusion": "StreamDiffusionV2",
    "krea-realtime": "Krea",
    "wan-2.1": "Wan2.1",
}


def write_released_files(root: Path, checkpoints: Mapping[str, Checkpoint]) -> None:
    """Every file of the released models `checkpoints`, by their names in the registry, at small size below `root`,
    where docs/wan.md says that it is put: REPOSITORY/PATH as on the hub. Each network has a seed of its own."""
    write_small_world(root)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        (root / "google" / "umt5-xxl" / name).touch()
    (root / "self_forcing_dmd.pt").unlink()
    for seed, (name, checkpoint) in enumerate(checkpoints.items()):
        state = original_state(transformer(seed))
        content = layouts(state)[CODE_BASES[name.rpartition("-wan-")[0] or name.rpartition("-")[0]]]
        path = root / checkpoint.file.repo / checkpoint.file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if checkpoint.shards:
            parts = [{} for _ in checkpoint.shards]
            for at, key in enumerate(content):
                parts[at % len(parts)][key] = content[key]
            for shard, part in zip(checkpoint.shards, parts, strict=True):
                save_file(part, path.parent / shard.path)
            places = {key: shard.path for shard, part in zip(checkpoint.shards, parts, strict=True) for key in part}
            path.write_text(json.dumps({"weight_map": places}))
        elif path.suffix == ".safetensors":
            save_file(dict(content), path)
        else:
            torch.save(content, path)
        if checkpoint.lora:
            width = state["blocks.0.self_attn.q.weight"].shape[0]
            down, up = torch.randn(4, width), torch.randn(width, 4)
            stem = "blocks.0.self_attn.q"
            lora = {f"{stem}.lora_A.weight": down, f"{stem}.lora_B.weight": up}
            torch.save({"generator_lora": lora}, root / checkpoint.lora.repo / checkpoint.lora.path)
