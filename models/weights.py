"""Weights on disk in 8 bits: the models beside the main ones are many, and half the size lets all of them ship.

A matrix is kept as int8 with one float32 scale for each of its rows (the largest magnitude is 127), everything with
one dimension in float16. What a training changes little is kept as the difference from the weights of a folder beside
it, whose steps are then as fine as the change is small.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.networks.diffusers_parts import ModelMixin
from models.types import RequestError

FILE = "weights-int8.safetensors"
SCALE = ".scale"
START, START_DIGEST = "start", "start_sha256"  # what a file of differences says of the weights they are from
CARD, DIGESTS = "card.json", "sha256"
Model = TypeVar("Model", bound=ModelMixin)


def save_int8(model: ModelMixin, folder: Path, start: Path | None = None) -> None:
    """Write the model's config and its weights in 8 bits to `folder`; with `start`, a folder beside it, their
    difference from the weights there. Raises RequestError where those are of another shape."""
    state = model.state_dict()
    told = None
    if start:
        before = load_model(type(model), start).state_dict()
        if {name: tensor.shape for name, tensor in before.items()} != {n: tensor.shape for n, tensor in state.items()}:
            raise RequestError(
                f"the weights in {str(start)!r} have other shapes; give those that the training began with"
            )
        state = {name: tensor.float() - before[name] for name, tensor in state.items()}
        told = {START: start.name, START_DIGEST: _digest_of(start)}
    model.save_config(folder)
    packed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if tensor.ndim < 2:
            packed[name] = tensor.half()
        else:
            packed[name], packed[name + SCALE] = quantize(tensor)
    save_file(packed, folder / FILE, metadata=told)


def load_model(kind: type[Model], folder: Path) -> Model:
    """A model in float32 from a folder that `save_int8` or diffusers' `save_pretrained` wrote.

    Raises RequestError for files that are not those of the folder's card, are cut off, or hold numbers that are none.
    """
    check_digests(folder)
    try:
        model = _load(kind, folder)
    except RequestError:
        raise
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RequestError(f"the weights in {str(folder)!r} cannot be read ({reason}); put the folder back") from error
    check_finite(model.state_dict(), str(folder))
    return model


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each weight file of a folder, for its card."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.safetensors"))}


def check_digests(folder: Path) -> None:
    """Raise RequestError when a weight file is not the one whose digest the folder's card has, if it has any."""
    card = folder / CARD
    try:
        told = json.loads(card.read_text(encoding="utf-8")).get(DIGESTS, {}) if card.is_file() else {}
        changed = [name for name, digest in told.items() if digests(folder).get(name) != digest]
    except (OSError, ValueError, AttributeError) as error:
        raise RequestError(f"{str(card)!r} cannot be read; put the folder back as it was published") from error
    if changed:
        file = str(folder / changed[0])
        raise RequestError(
            f"{file!r} is not the file of its card (another SHA-256, or gone); put the published one back"
        )


def check_finite(state: Mapping[str, Tensor], source: str) -> None:
    """Raise RequestError naming the first tensor of `source` that holds NaN or infinity: frames would be black."""
    for name, tensor in state.items():
        if not tensor.is_floating_point() or tensor.is_meta or not tensor.numel():
            continue
        ends = torch.stack(tensor.float().aminmax() if tensor.element_size() == 1 else tensor.aminmax())
        if not ends.isfinite().all():
            raise RequestError(
                f"{source!r} holds numbers that are none in {name!r} (NaN or infinity); the training that wrote it "
                "has failed, or the file is damaged, so give another"
            )


def _load(kind: type[Model], folder: Path) -> Model:
    if not (folder / FILE).exists():
        return kind.from_pretrained(folder, torch_dtype=torch.float32, low_cpu_mem_usage=False)
    packed = load_file(folder / FILE)
    state = {
        name: dequantize(tensor, packed[name + SCALE]) if name + SCALE in packed else tensor.float()
        for name, tensor in packed.items()
        if not name.endswith(SCALE)
    }
    if start := _start_of(folder):
        before = load_model(kind, start).state_dict()
        state = {name: before[name] + tensor for name, tensor in state.items()}
    model = kind.from_config(kind.load_config(folder))
    model.load_state_dict(state)
    return model


def _start_of(folder: Path) -> Path | None:
    """The folder that the weights of `folder` are differences from; None when they are whole. Raises RequestError when
    it is not there as it was."""
    with safe_open(folder / FILE, "pt") as file:
        told = file.metadata() or {}
    if START not in told:
        return None
    start = folder.parent / Path(told[START]).name
    if not start.is_dir() or _digest_of(start) != told.get(START_DIGEST):
        raise RequestError(
            f"the weights in {str(folder)!r} are differences from those in {str(start)!r}, which are gone or others "
            "now; put both back as they were published"
        )
    return start


def _digest_of(folder: Path) -> str:
    """One digest of all weight files of a folder."""
    return hashlib.sha256(json.dumps(digests(folder)).encode()).hexdigest()


def quantize(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """int8 values of the shape of `tensor`, and a scale for each index of its first dimension."""
    rows = tensor.float().flatten(1)
    scale = (rows.abs().amax(1) / 127).clamp(min=1e-12)
    return (rows / scale[:, None]).round().to(torch.int8).view(tensor.shape), scale


def dequantize(values: Tensor, scale: Tensor) -> Tensor:
    """float32 of what `quantize` gave, off by half a scale at most."""
    return values.float() * scale.view(-1, *[1] * (values.ndim - 1))
