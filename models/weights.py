"""Weights on disk in 8 bits: the models beside the main ones are many, and half the size lets all of them ship.

A matrix is kept as int8 with one float32 scale for each of its rows (the largest magnitude is 127), everything with
one dimension in float16.
"""

from pathlib import Path
from typing import TypeVar

import torch
from diffusers import ModelMixin
from safetensors.torch import load_file, save_file
from torch import Tensor

FILE = "weights-int8.safetensors"
SCALE = ".scale"
Model = TypeVar("Model", bound=ModelMixin)


def save_int8(model: ModelMixin, folder: Path) -> None:
    """Write the model's config and its weights in 8 bits to `folder`."""
    model.save_config(folder)
    packed: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if tensor.ndim < 2:
            packed[name] = tensor.half()
        else:
            packed[name], packed[name + SCALE] = quantize(tensor)
    save_file(packed, folder / FILE)


def load_model(kind: type[Model], folder: Path) -> Model:
    """A model in float32 from a folder that `save_int8` or diffusers' `save_pretrained` wrote."""
    if not (folder / FILE).exists():
        return kind.from_pretrained(folder, torch_dtype=torch.float32, low_cpu_mem_usage=False)
    packed = load_file(folder / FILE)
    model = kind.from_config(kind.load_config(folder))
    model.load_state_dict(
        {
            name: dequantize(tensor, packed[name + SCALE]) if name + SCALE in packed else tensor.float()
            for name, tensor in packed.items()
            if not name.endswith(SCALE)
        }
    )
    return model


def quantize(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """int8 values of the shape of `tensor`, and a scale for each index of its first dimension."""
    rows = tensor.float().flatten(1)
    scale = (rows.abs().amax(1) / 127).clamp(min=1e-12)
    return (rows / scale[:, None]).round().to(torch.int8).view(tensor.shape), scale


def dequantize(values: Tensor, scale: Tensor) -> Tensor:
    """float32 of what `quantize` gave, off by half a scale at most."""
    return values.float() * scale.view(-1, *[1] * (values.ndim - 1))
