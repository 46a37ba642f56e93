"""One reader for the checkpoint files of every code base that trains or ships Wan 2.1 networks.

Files are safetensors, a torch file with or without a wrapper (`{"generator_ema": {...}}`), or a diffusers folder.
Names may carry the marks of trainers. What a reader did is kept in `Layout`, so that it can be undone.
"""

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.types import RequestError
from models.wan.names import NameTable, bare_name, recognise
from models.wan.places import network_files
from models.weights import check_finite

ENTRIES = ("generator_ema", "generator", "model", "state_dict", "generator_lora", "critic")
LAYOUT_FILE = "layout.json"
State = dict[str, Tensor]


@dataclass(frozen=True)
class Layout:
    """How a network lay in its file: the wrapper's `entry` (None: none), the full name of every weight by its name
    here, and whether the patch embedding was a matrix, as rCM writes it. `ignored` were read by nobody."""

    entry: str | None
    names: dict[str, str]
    flat_patch: bool = False
    ignored: tuple[str, ...] = ()

    @property
    def marks(self) -> str:
        """What was taken off the names, as a sentence; empty when nothing was."""
        first = next(iter(self.names.values()), "")
        prefix = first.removesuffix(bare_name(first))
        wrapped = any(name.removeprefix(prefix) != bare_name(name) for name in self.names.values())
        return ", ".join(([f"{prefix!r} removed"] if prefix else []) + (["wrapper marks removed"] if wrapped else []))


@dataclass(frozen=True)
class Network:
    """The weights of one network under this repository's names, and where they came from. `table` says which."""

    table: NameTable
    state: State
    layout: Layout
    source: str = ""
    others: tuple[str, ...] = field(default=())

    def report(self) -> str:
        """One sentence: what was found, where, and what else there was."""
        where = f", from '{self.layout.entry}'" if self.layout.entry else ""
        count = sum(tensor.numel() for tensor in self.state.values())
        parts = [f"{self.table.what}, {len(self.state)} tensors, {count:,} parameters{where}"]
        parts += [self.layout.marks] if self.layout.marks else []
        parts += [f"{len(self.layout.ignored)} of training alone left out"] if self.layout.ignored else []
        parts += [f"other entries: {', '.join(self.others)}"] if self.others else []
        return "; ".join(parts)


def read_network(path: Path, entry: str | None = None) -> Network:
    """The network in a file or diffusers folder. Raises RequestError naming what is wrong."""
    state, chosen, others = read_entry(path, entry)
    if is_lora(state):
        raise RequestError(f"{str(path)!r} is a LoRA, not a network; give its base too, as path:BASE+{path.name}")
    return to_network(state, source=str(path), entry=chosen, others=others)


def read_entry(path: Path, entry: str | None = None) -> tuple[State, str | None, tuple[str, ...]]:
    """The tensors of a file under its own names, the wrapper's entry they came from, and the entries left."""
    if path.is_dir():
        return _read_folder(path), None, ()
    if not path.is_file():
        raise RequestError(f"{str(path)!r} is not there; give a checkpoint file or a diffusers folder")
    if path.suffix == ".safetensors":
        return _read_safetensors(path), None, ()
    return choose_entry(_read_torch(path), str(path), entry)


def choose_entry(content: Any, source: str, entry: str | None = None) -> tuple[State, str | None, tuple[str, ...]]:
    """The tensors of a torch file's content: all of it, or one entry by name, else the first of `ENTRIES`."""
    if not isinstance(content, Mapping):
        raise RequestError(f"{source!r} holds a {type(content).__name__}; a checkpoint is a table of named tensors")
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    wrapped = [name for name, value in content.items() if isinstance(value, Mapping) and value]
    if entry is None and not wrapped:
        return tensors, None, ()
    known = [name for name in ENTRIES if name in wrapped] + [name for name in wrapped if name not in ENTRIES]
    chosen = entry or (known[0] if known else None)
    if chosen not in wrapped:
        there = f"it holds {', '.join(known)}" if known else "its one network has no name, so leave the name out"
        raise RequestError(f"{source!r} has no entry {chosen!r}; {there}")
    inner = {name: value for name, value in content[chosen].items() if isinstance(value, Tensor)}
    return inner, chosen, tuple(name for name in known if name != chosen)


def to_network(
    state: Mapping[str, Tensor],
    *,
    source: str = "the checkpoint",
    entry: str | None = None,
    others: tuple[str, ...] = (),
) -> Network:
    """Rename weights to this repository's names. Every one is used once; RequestError names the first three that are
    not."""
    check_finite(state, source)
    bare = {name: bare_name(name) for name in state}
    found = recognise(bare.values())
    if found is None:
        some = ", ".join(list(state)[:3]) or "nothing"
        raise RequestError(f"{source!r} holds no Wan transformer, autoencoder or UMT5 encoder; its names begin {some}")
    table, original = found
    renamed, names, strange, ignored, twice = {}, {}, [], [], []
    for name, tensor in state.items():
        if bare[name] == "encoder.embed_tokens.weight":  # UMT5's second name of the same table
            ignored.append(name)
            continue
        ours = table.to_ours(bare[name]) if original else bare[name] if table.to_original(bare[name]) else None
        if ours is None:
            (ignored if table.is_ignored(bare[name]) else strange).append(name)
        elif ours in renamed:
            twice.append(name)
        else:
            renamed[ours], names[ours] = tensor, name
    if strange:
        raise RequestError(
            f"{source!r} holds {len(strange)} weights that are not part of {table.what}: {', '.join(strange[:3])}; "
            "choose another entry or convert the file with the code that wrote it"
        )
    if twice:
        raise RequestError(
            f"{source!r} holds more than one network: {', '.join(twice[:3])} stand for weights that are there already"
        )
    patch = renamed.get("patch_embedding.weight")
    flat = patch is not None and patch.ndim == 2
    if flat:
        renamed["patch_embedding.weight"] = patch.unflatten(1, (-1, 1, 2, 2))
    return Network(table, renamed, Layout(entry, names, flat, tuple(ignored)), source, others)


def to_original(network: Network) -> State:
    """The weights under the names, and in the shapes, that `network.layout` says they had; without one, original Wan
    names."""
    names = network.layout.names or {name: network.table.to_original(name) for name in network.state}
    state = {original: network.state[name] for name, original in names.items()}
    if network.layout.flat_patch:
        name = names["patch_embedding.weight"]
        state[name] = state[name].flatten(1)
    return state


def check_complete(network: Network, wanted: Mapping[str, Tensor]) -> None:
    """Raise RequestError unless the network's names and shapes are exactly `wanted`'s; the first three are named."""
    missing = [name for name in wanted if name not in network.state]
    extra = [name for name in network.state if name not in wanted]
    unlike = [
        f"{name} is {tuple(network.state[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in network.state and network.state[name].shape != tensor.shape
    ]
    for faults, kind in ((missing, "lacks"), (extra, "has beyond its network"), (unlike, "has of another shape")):
        if faults:
            raise RequestError(
                f"{network.source!r} {kind} {len(faults)} weights of {network.table.what}: {', '.join(faults[:3])}"
            )


def write_network(network: Network, path: Path, dtype: torch.dtype | None = None) -> None:
    """Write original names: to `.safetensors` flat, to `.pt` inside the layout's entry, if it has one."""
    state = {name: _plain(tensor, dtype) for name, tensor in to_original(network).items()}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({network.layout.entry: state} if network.layout.entry else state, path)


def write_folder(network: Network, folder: Path, config: Mapping[str, Any], dtype: torch.dtype | None = None) -> None:
    """Write a diffusers folder: config, weights, and the layout they came from."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: _plain(tensor, dtype) for name, tensor in network.state.items()}
    save_file(state, folder / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / LAYOUT_FILE).write_text(json.dumps(asdict(network.layout), indent=1) + "\n", encoding="utf-8")


def read_layout(folder: Path) -> Layout | None:
    """The layout that `write_folder` kept, if `folder` has one."""
    if not (folder / LAYOUT_FILE).is_file():
        return None
    values = json.loads((folder / LAYOUT_FILE).read_text(encoding="utf-8"))
    return Layout(values["entry"], values["names"], values["flat_patch"], tuple(values["ignored"]))


def is_lora(state: Mapping[str, Tensor]) -> bool:
    return any(".lora_A." in name or ".lora_B." in name for name in state)


def _plain(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    return tensor.detach().to(dtype or tensor.dtype).contiguous().clone()


def _read_safetensors(path: Path) -> State:
    try:
        with safe_open(path, "pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise RequestError(f"{str(path)!r} is not a safetensors file ({error}); download it again") from error


def _read_folder(folder: Path) -> State:
    shards = network_files(folder)
    if not shards:
        raise RequestError(f"{str(folder)!r} holds no safetensors; give a diffusers folder, as its transformer/")
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise RequestError(f"{str(folder)!r} lacks {', '.join(missing[:3])}; download the folder again")
    return {name: tensor for shard in shards for name, tensor in _read_safetensors(shard).items()}


def _read_torch(path: Path) -> Any:
    load: Callable[..., Any] = torch.load
    try:
        try:
            return load(path, map_location="cpu", mmap=True, weights_only=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            return load(path, map_location="cpu", weights_only=True)  # the format before torch 1.6
    except pickle.UnpicklingError as error:
        raise RequestError(
            f"{str(path)!r} holds Python objects beside tensors, which could run code; save its state dict alone"
        ) from error
    except (RuntimeError, EOFError) as error:
        raise RequestError(f"{str(path)!r} is not a torch file or is cut off; download it again") from error
