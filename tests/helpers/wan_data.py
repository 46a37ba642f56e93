"""Wan networks at small size with random weights, under original names, and the layouts their authors write."""

from collections.abc import Mapping
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from models.networks.transformer import CausalVideoTransformer
from models.wan.names import TRANSFORMER, UMT5
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
