"""LoRA files merged into the network they were trained on: W + (alpha / rank) * B @ A. No peft is needed.

Weights are named as peft, diffusers, ComfyUI and kohya do: after the base's layers, under original names or those of
diffusers, `lora_A` or `lora_down` and `lora_B` or `lora_up`, with an `alpha` or none.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from models.types import RequestError
from models.wan.files import State, check_numbers, read_entry
from models.wan.names import TRANSFORMER, bare_name
from models.wan.places import read_table

PART = re.compile(r"^(.+)\.(?:lora_(A|B|down|up)(?:\.default)?\.weight|(alpha))$")
SIDES = {"A": "A", "down": "A", "B": "B", "up": "B", "alpha": "alpha"}
KOHYA = "lora_unet_"
UNMERGED = ("use_rslora", "use_dora", "alpha_pattern", "rank_pattern")


def read_lora(path: Path) -> tuple[State, float | None]:
    """The tensors of a LoRA and the alpha that its configuration tells: peft's adapter_config.json beside it, or what
    diffusers writes into the file. Raises RequestError."""
    state, *_ = read_entry(path)
    folder = path if path.is_dir() else path.parent
    config = folder / "adapter_config.json"
    told = read_table(config) if config.is_file() else _metadata(path)
    if unmerged := [name for name in UNMERGED if told.get(name)]:
        raise RequestError(f"the LoRA {str(path)!r} has {unmerged[0]} set, which is not merged here; merge it by peft")
    alpha = told.get("lora_alpha")
    if alpha is not None and (isinstance(alpha, bool) or not isinstance(alpha, int | float)):
        raise RequestError(
            f"the LoRA {str(path)!r} has lora_alpha {alpha!r}, which is no number; mend its configuration"
        )
    return state, alpha


def merge_lora(
    state: Mapping[str, Tensor], lora: Mapping[str, Tensor], alpha: float | None = None, source: str = "file"
) -> State:
    """`state` (any layout) with `lora` of `source` merged in, in float32, cast back.

    `alpha` defaults to the rank, as LongLive has it; one that the LoRA has for a layer counts first. Raises
    RequestError unless every pair finds its weight.
    """
    places = {_here(name): name for name in state}
    flat = {stem.replace(".", "_"): stem for name in places for stem in _stems(name)}
    pairs: dict[str, dict[str, Tensor]] = {}
    strange = []
    for name, tensor in lora.items():
        match = PART.match(bare_name(name.removeprefix("transformer.")))
        layer = match[1].removeprefix(KOHYA) if match else ""
        stem, side = _here(f"{flat.get(layer, layer)}.weight"), SIDES[match[2] or match[3]] if match else ""
        if not match or stem not in places or side in pairs.get(stem, {}):
            strange.append(name)
        else:
            pairs.setdefault(stem, {})[side] = tensor
    strange += [places[stem] for stem, pair in pairs.items() if not {"A", "B"} <= set(pair)]
    if strange or not pairs:
        raise RequestError(
            f"the LoRA {source!r} holds {len(strange)} parts that do not fit its base: "
            f"{', '.join(strange[:3]) or 'there are none'}; give the base it was trained on, or merge it with the "
            "code that wrote it"
        )
    check_numbers({name: tensor for name, tensor in lora.items() if not name.endswith(".alpha")}, source)
    merged = dict(state)
    for stem, pair in pairs.items():
        merged[places[stem]] = _merge(merged[places[stem]], pair, alpha, f"the LoRA {source!r}: {places[stem]}")
    return merged


def _merge(weight: Tensor, pair: Mapping[str, Tensor], alpha: float | None, what: str) -> Tensor:
    down, up = pair["A"].float(), pair["B"].float()
    shapes = f"{tuple(up.shape)} by {tuple(down.shape)} against {tuple(weight.shape)}"
    rank = down.shape[0] if down.ndim == 2 else 0
    if not rank or up.shape != (weight.shape[0], rank) or weight.shape[1:] != down.shape[1:]:
        raise RequestError(f"{what} is {shapes}, which does not fit; give the base it was trained on")
    if "alpha" in pair:
        alpha = float(pair["alpha"].float().mean())
    return (weight.float() + (1.0 if alpha is None else alpha / rank) * (up @ down)).to(weight.dtype)


def _here(name: str) -> str:
    """This repository's name of a weight, whichever it has."""
    return TRANSFORMER.to_ours(bare_name(name)) or bare_name(name)


def _stems(name: str) -> list[str]:
    """The names of a layer here and in Wan's own code."""
    return [found.removesuffix(".weight") for found in (name, TRANSFORMER.to_original(name)) if found]


def _metadata(path: Path) -> dict:
    """What diffusers keeps of a LoRA's configuration in its file."""
    if path.suffix.lower() != ".safetensors":
        return {}
    with safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get("lora_adapter_metadata", "{}")
    try:
        return {name.removeprefix("transformer."): value for name, value in json.loads(text).items()}
    except (ValueError, AttributeError) as error:
        raise RequestError(f"the LoRA {str(path)!r} has a damaged lora_adapter_metadata ({error})") from error
