"""Wan networks at small size with random weights, under original names, and the layouts their authors write."""

from collections.abc import Mapping

import torch
from torch import Tensor

from models.transformer import CausalVideoTransformer
from models.wan.names import TRANSFORMER

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
