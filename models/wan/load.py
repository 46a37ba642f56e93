"""From the weights of a file to a network that runs. Configurations are read off the shapes."""

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.networks.transformer import CausalVideoTransformer
from models.types import RequestError
from models.wan.files import Network, State, check_complete, read_entry, read_network, to_network
from models.wan.lora import merge_lora, read_lora
from models.wan.names import TRANSFORMER, UMT5, VAE, NameTable
from models.wan.places import read_table
from models.wan.shapes import Shape
from models.wan.source import Source

HEAD_DIM = 128
TRANSFORMER_CLASS = "WanTransformer3DModel"
TIED = "encoder.embed_tokens.weight"  # UMT5's second name of shared.weight


def read_source(source: Source) -> Network:
    """The transformer that `source` names, its LoRA merged in."""
    if source.lora is None:
        return read_network(source.path, source.entry)
    state, chosen, others = read_entry(source.path, source.entry)
    lora, alpha = read_lora(source.lora)
    merged = merge_lora(state, lora, alpha, str(source.lora))
    return to_network(merged, source=str(source.path), entry=chosen, others=others)


def head_dim_of(path: Path) -> int:
    """Channels of one attention head: what a folder's config.json says, else Wan's 128."""
    config = path / "config.json"
    found = read_table(config).get("attention_head_dim", HEAD_DIM) if config.is_file() else HEAD_DIM
    if not isinstance(found, int) or found < 1:
        raise RequestError(f"{str(config)!r} has attention_head_dim {found!r}; it is a whole number from 1, Wan's 128")
    return found


def load_transformer(
    network: Network, dtype: torch.dtype = torch.bfloat16, head_dim: int = HEAD_DIM
) -> CausalVideoTransformer:
    """The network in `dtype`, made without a second copy of its weights. Raises RequestError unless every weight is
    used once."""
    check_text_to_video(network, head_dim)
    config = transformer_config(network.state, head_dim)
    with torch.device("meta"):
        model = CausalVideoTransformer(**config)
    check_complete(network, model.state_dict())
    fill(model, network.state, dtype)
    return model.eval().requires_grad_(False)


def check_text_to_video(network: Network, head_dim: int = HEAD_DIM) -> None:
    """Raise RequestError unless the network is a transformer whose one input beside noise is text."""
    check_kind(network, TRANSFORMER)
    config = transformer_config(network.state, head_dim)
    if config["image_dim"] or config["in_channels"] != config["out_channels"] or _takes_fps(network.state):
        raise RequestError(
            f"{network.source!r} is a Wan transformer with image or frame-rate inputs; the sampler here runs "
            "text-to-video networks, so give one of those"
        )


def keep_layers_in_half(model: CausalVideoTransformer) -> None:
    """Have the linear layers inside the layers of a float32 model keep their weights in bf16, half the memory, and
    compute in float32: a CPU has no units for bf16 or is many times slower at it."""
    for module in [*model.blocks.modules()]:
        for name, layer in module.named_children():
            if isinstance(layer, nn.Linear):
                setattr(module, name, _LinearInHalf(layer))


class _LinearInHalf(nn.Linear):
    """A linear layer whose weights are bf16 and are cast to its input's dtype as they are used.

    The cast copy is dropped and the kept weights stay where they are. Casting a layer's weights up before and down
    after every call, as layerwise casting does, puts them at new places among short-lived tensors, and the C library
    then holds the gaps: 0.2 GB a layer of the 1.3B network.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer.in_features, layer.out_features, device="meta")
        self.weight, self.bias = (nn.Parameter(p.detach().bfloat16()) for p in (layer.weight, layer.bias))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


def fill(model: nn.Module, state: State, dtype: torch.dtype) -> None:
    """Give a model made on the meta device its weights, each cast to `dtype` as it is taken."""
    model.load_state_dict({name: tensor.to(dtype) for name, tensor in state.items()}, assign=True)


def transformer_config(state: State, head_dim: int = HEAD_DIM) -> dict[str, Any]:
    """The configuration of a transformer whose weights, under this repository's names, have these shapes."""
    width, channels, *patch = state["patch_embedding.weight"].shape
    if width % head_dim:
        raise RequestError(f"the network is {width} wide, which does not split into heads of {head_dim}")
    image = state.get("condition_embedder.image_embedder.ff.net.0.proj.weight")
    places = state.get("condition_embedder.image_embedder.pos_embed")
    return {
        "patch_size": tuple(patch),
        "num_attention_heads": width // head_dim,
        "attention_head_dim": head_dim,
        "in_channels": channels,
        "out_channels": state["proj_out.weight"].shape[0] // (patch[0] * patch[1] * patch[2]),
        "text_dim": state["condition_embedder.text_embedder.linear_1.weight"].shape[1],
        "freq_dim": state["condition_embedder.time_embedder.linear_1.weight"].shape[1],
        "ffn_dim": state["blocks.0.ffn.net.0.proj.weight"].shape[0],
        "num_layers": _count(state, r"blocks\.(\d+)\."),
        "image_dim": None if image is None else image.shape[1],
        "added_kv_proj_dim": width if "blocks.0.attn2.add_k_proj.weight" in state else None,
        "pos_embed_seq_len": None if places is None else places.shape[1],
    }


def shape_of(network: Network, head_dim: int = HEAD_DIM) -> Shape:
    """What the memory planner asks of a transformer."""
    check_kind(network, TRANSFORMER)
    found = transformer_config(network.state, head_dim)
    return Shape(
        width=found["num_attention_heads"] * head_dim,
        layers=found["num_layers"],
        ffn=found["ffn_dim"],
        channels=found["in_channels"],
        text_width=found["text_dim"],
        head_dim=head_dim,
        freq_dim=found["freq_dim"],
    )


def vae_config(state: State) -> dict[str, Any]:
    """The configuration of an `AutoencoderKLWan` whose weights have these shapes."""
    return {
        "base_dim": state["encoder.conv_in.weight"].shape[0],
        "z_dim": state["post_quant_conv.weight"].shape[0],
    }


def umt5_config(state: State) -> dict[str, Any]:
    """The configuration of a `UMT5EncoderModel` whose weights have these shapes."""
    first = "encoder.block.0.layer"
    buckets, heads = state[f"{first}.0.SelfAttention.relative_attention_bias.weight"].shape
    vocabulary, width = state["shared.weight"].shape
    return {
        "vocab_size": vocabulary,
        "d_model": width,
        "d_kv": state[f"{first}.0.SelfAttention.q.weight"].shape[0] // heads,
        "d_ff": state[f"{first}.1.DenseReluDense.wi_0.weight"].shape[0],
        "num_layers": _count(state, r"encoder\.block\.(\d+)\."),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": 128,
        "feed_forward_proj": "gated-gelu",
        "layer_norm_epsilon": 1e-6,
        "dropout_rate": 0.0,
    }


def network_config(network: Network, head_dim: int = HEAD_DIM) -> dict[str, Any]:
    """The config.json of a diffusers folder with this network."""
    if network.table is TRANSFORMER:
        fps = _takes_fps(network.state)
        name = "SkyReelsV2Transformer3DModel" if fps else TRANSFORMER_CLASS
        fixed = {"cross_attn_norm": True, "qk_norm": "rms_norm_across_heads", "eps": 1e-6, "rope_max_seq_len": 1024}
        fixed |= {"inject_sample_info": True} if fps else {}
        return {"_class_name": name} | transformer_config(network.state, head_dim) | fixed
    if network.table is VAE:
        return {"_class_name": "AutoencoderKLWan"} | vae_config(network.state)
    return {"architectures": ["UMT5EncoderModel"], "model_type": "umt5"} | umt5_config(network.state)


def check_whole(network: Network, head_dim: int = HEAD_DIM) -> None:
    """Raise RequestError unless every weight that the network's class has is there once, and no other."""
    from transformers import UMT5Config, UMT5EncoderModel

    from models.networks.diffusers_parts import diffusers

    config = network_config(network, head_dim)
    with torch.device("meta"):
        if network.table is UMT5:
            wanted = UMT5EncoderModel(UMT5Config(**umt5_config(network.state))).state_dict()
        else:
            kind = getattr(diffusers, config["_class_name"])
            wanted = kind(**{name: value for name, value in config.items() if name != "_class_name"}).state_dict()
    check_complete(network, {name: tensor for name, tensor in wanted.items() if name != TIED})


def load_vae(network: Network, dtype: torch.dtype = torch.float32):
    """diffusers' `AutoencoderKLWan` with the weights of `network`."""
    from models.networks.diffusers_parts import diffusers

    check_kind(network, VAE)
    with torch.device("meta"):
        vae = diffusers.AutoencoderKLWan(**vae_config(network.state))
    check_complete(network, vae.state_dict())
    fill(vae, network.state, dtype)
    return vae.eval().requires_grad_(False)


def load_umt5(network: Network, dtype: torch.dtype = torch.bfloat16):
    """transformers' `UMT5EncoderModel` with the weights of `network`."""
    from transformers import UMT5Config, UMT5EncoderModel

    check_kind(network, UMT5)
    with torch.device("meta"):
        model = UMT5EncoderModel(UMT5Config(**umt5_config(network.state)))
    check_complete(network, {name: tensor for name, tensor in model.state_dict().items() if name != TIED})
    shared = network.state["shared.weight"].to(dtype)
    fill(model, {**network.state, "shared.weight": shared, TIED: shared}, dtype)
    model.tie_weights()
    return model.eval().requires_grad_(False)


def check_kind(network: Network, table: NameTable) -> None:
    """Raise RequestError unless the network is of the kind that `table` names."""
    if network.table is not table:
        raise RequestError(f"{network.source!r} holds {network.table.what}; give {table.what}")


def _takes_fps(state: State) -> bool:
    return "fps_embedding.weight" in state


def _count(state: dict[str, Tensor], pattern: str) -> int:
    return 1 + max(int(match[1]) for name in state if (match := re.match(pattern, name)))
