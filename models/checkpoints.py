"""Weights from elsewhere: names of original Wan, Self Forcing, CausVid and LongLive checkpoints to this
repository's."""

import re

from torch import Tensor

WRAPPERS = ("_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.")

# original Wan name -> name here (and in diffusers), as regular expressions over whole names
_RENAMES = [
    (r"time_embedding\.0\.", "condition_embedder.time_embedder.linear_1."),
    (r"time_embedding\.2\.", "condition_embedder.time_embedder.linear_2."),
    (r"time_projection\.1\.", "condition_embedder.time_proj."),
    (r"text_embedding\.0\.", "condition_embedder.text_embedder.linear_1."),
    (r"text_embedding\.2\.", "condition_embedder.text_embedder.linear_2."),
    (r"head\.modulation", "scale_shift_table"),
    (r"head\.head\.", "proj_out."),
    (r"blocks\.(\d+)\.modulation", r"blocks.\1.scale_shift_table"),
    (r"blocks\.(\d+)\.self_attn\.([qkv])\.", r"blocks.\1.attn1.to_\2."),
    (r"blocks\.(\d+)\.self_attn\.o\.", r"blocks.\1.attn1.to_out.0."),
    (r"blocks\.(\d+)\.self_attn\.(norm_[qk])\.", r"blocks.\1.attn1.\2."),
    (r"blocks\.(\d+)\.cross_attn\.([qkv])\.", r"blocks.\1.attn2.to_\2."),
    (r"blocks\.(\d+)\.cross_attn\.o\.", r"blocks.\1.attn2.to_out.0."),
    (r"blocks\.(\d+)\.cross_attn\.(norm_[qk])\.", r"blocks.\1.attn2.\2."),
    (r"blocks\.(\d+)\.norm3\.", r"blocks.\1.norm2."),
    (r"blocks\.(\d+)\.ffn\.0\.", r"blocks.\1.ffn.net.0.proj."),
    (r"blocks\.(\d+)\.ffn\.2\.", r"blocks.\1.ffn.net.2."),
    (r"patch_embedding\.", "patch_embedding."),
]


def from_wan_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename a transformer state dict from original Wan names (with or without the `model.` prefix of Self
    Forcing)."""
    renamed = {}
    for name, tensor in state.items():
        bare = name
        for wrapper in WRAPPERS:
            bare = bare.replace(wrapper, "")
        bare = bare.removeprefix("model.")
        renamed[_rename(bare)] = tensor
    if len(renamed) != len(state):
        raise ValueError(
            f"{len(state)} weights fall on {len(renamed)} names; the checkpoint holds more than one network"
        )
    return renamed


def _rename(name: str) -> str:
    for pattern, replacement in _RENAMES:
        new, hits = re.subn(f"^{pattern}", replacement, name)
        if hits:
            return new
    raise ValueError(
        f"weight '{name}' is not part of a Wan 2.1 text-to-video transformer; check which network the checkpoint holds"
    )
