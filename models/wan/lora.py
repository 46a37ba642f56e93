"""LoRA files merged into the network they were trained on: W + (alpha / rank) * B @ A. No peft is needed."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from models.types import RequestError
from models.wan.files import State
from models.wan.names import bare_name

PART = re.compile(r"^(.+)\.lora_([AB])(?:\.default)?\.weight$")


def merge_lora(state: Mapping[str, Tensor], lora: Mapping[str, Tensor], alpha: float | None = None) -> State:
    """`state` (any original layout) with `lora` (peft's names) merged in, in float32, cast back.

    `alpha` defaults to the rank, as LongLive has it. Raises RequestError unless every pair finds its weight.
    """
    pairs: dict[str, dict[str, Tensor]] = {}
    strange = []
    for name, tensor in lora.items():
        match = PART.match(bare_name(name))
        if match:
            pairs.setdefault(match[1], {})[match[2]] = tensor
        else:
            strange.append(name)
    places = {bare_name(name): name for name in state}
    strange += [stem for stem, pair in pairs.items() if len(pair) < 2 or f"{stem}.weight" not in places]
    if strange:
        raise RequestError(
            f"the LoRA holds {len(strange)} parts that do not fit its base: {', '.join(strange[:3])}; "
            "give the base it was trained on"
        )
    merged = dict(state)
    for stem, pair in pairs.items():
        name = places[f"{stem}.weight"]
        scale = 1.0 if alpha is None else alpha / pair["A"].shape[0]
        product = pair["B"].float() @ pair["A"].float()
        if product.shape != merged[name].shape:
            shapes = f"{tuple(product.shape)} against {tuple(merged[name].shape)}"
            raise RequestError(f"the LoRA does not fit its base: {stem} is {shapes}; give the base it was trained on")
        merged[name] = torch.add(merged[name].float(), product, alpha=scale).to(merged[name].dtype)
    return merged
