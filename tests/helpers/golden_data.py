"""Reading the golden tensors: files below tests/golden, and the tiny network they were recorded with."""

from functools import cache
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from models.networks.transformer import CausalVideoTransformer
from models.wan.files import to_network

FOLDER = Path(__file__).parents[1] / "golden"


@cache
def golden(name: str) -> dict[str, Tensor]:
    (path,) = FOLDER.glob(f"*/{name}.safetensors")
    return load_file(path)


@cache
def golden_network(name: str = "transformer") -> CausalVideoTransformer:
    """`transformer` (width 96), `teacher` or `fake_score` (width 48) with the recorded weights."""
    heads, ffn, layers = (4, 192, 3) if name == "transformer" else (2, 96, 2)
    network = CausalVideoTransformer(
        num_attention_heads=heads,
        attention_head_dim=24,
        in_channels=4,
        out_channels=4,
        text_dim=40,
        freq_dim=32,
        ffn_dim=ffn,
        num_layers=layers,
    )
    network.load_state_dict(to_network(golden(name)).state)
    return network.eval()
