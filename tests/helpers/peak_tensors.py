"""The most memory that tensors take while something runs, also on the meta device, where a network of full size takes
no memory and no time."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from workbench.lab.peak_memory import PeakMemory


class FusedAttention(TorchFunctionMode):
    """Inside, attention on the meta device takes what a fused kernel takes, its output; torch's own stand-in there
    writes the table of all weights out, which no card does."""

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        given = kwargs or {}
        if func is F.scaled_dot_product_attention:
            query = args[0] if args else given["query"]
            if query.is_meta:  # the kernels write (B, tokens, heads, head_dim) and return it turned
                return torch.empty_like(query.transpose(1, 2).contiguous()).transpose(1, 2)
        return func(*args, **given)


def peak_gigabytes(run: Callable[[], Any], *held: nn.Module) -> float:
    """10^9 bytes that `run` takes at the most, with the weights of `held`."""
    with FusedAttention(), PeakMemory() as memory:
        for module in held:
            memory.count([*module.parameters(), *module.buffers()])
        run()
    return memory.peak / 1e9
