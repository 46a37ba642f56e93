"""One reader for the checkpoint files of every code base that trains or ships Wan 2.1 networks.

Files are safetensors, a torch file with or without a wrapper (`{"generator_ema": {...}}`), or a diffusers folder.
Names may carry the marks of trainers. What a reader did is kept in `Layout`, so that it can be undone.
"""

import errno
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.types import RequestError
from models.wan.names import UMT5, NameTable, bare_name, recognise
from models.wan.places import check_there, network_files, read_table
from models.weights import check_finite
from models.whole_files import replacing, write_bytes

ENTRIES = ("generator_ema", "generator", "model", "state_dict", "generator_lora", "critic")
LAYOUT_FILE, CONFIG_FILE = "layout.json", "config.json"
WEIGHTS, TEXT_WEIGHTS = "diffusion_pytorch_model.safetensors", "model.safetensors"
FOLDER_FILES = (CONFIG_FILE, LAYOUT_FILE, WEIGHTS, TEXT_WEIGHTS)
LAYER = re.compile(r"(?:encoder\.block|blocks)\.(\d+)\.")
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
        return choose_entry(_read_folder(path), str(path), entry)
    check_there(path, "give a checkpoint file or a diffusers folder")
    read = _read_safetensors if path.suffix.lower() == ".safetensors" else _read_torch
    return choose_entry(read(path), str(path), entry)


def choose_entry(content: Any, source: str, entry: str | None = None) -> tuple[State, str | None, tuple[str, ...]]:
    """The tensors of a file's content: one entry by name, else all of it where that is a network, else the first of
    `ENTRIES`."""
    if not isinstance(content, Mapping):
        raise RequestError(f"{source!r} holds a {type(content).__name__}; a checkpoint is a table of named tensors")
    tensors = _tensors(content)
    wrapped = [name for name, value in content.items() if isinstance(name, str) and _tensors(value)]
    known = [name for name in ENTRIES if name in wrapped] + [name for name in wrapped if name not in ENTRIES]
    if not tensors and not known:
        raise RequestError(
            f"{source!r} holds no named tensors, neither at its top nor one level below; save the state dict alone"
        )
    if entry is None and (not known or recognise(map(bare_name, tensors))):
        return tensors, None, tuple(known)
    chosen = entry or known[0]
    if chosen not in wrapped:
        there = f"it holds {', '.join(known)}" if known else "its one network has no name, so leave the name out"
        raise RequestError(f"{source!r} has no entry {chosen!r}; {there}")
    return _tensors(content[chosen]), chosen, tuple(name for name in known if name != chosen)


def _tensors(content: Any) -> State:
    """Those values of a table that are tensors with a name."""
    if not isinstance(content, Mapping):
        return {}
    return {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}


def to_network(
    state: Mapping[str, Tensor],
    *,
    source: str = "the checkpoint",
    entry: str | None = None,
    others: tuple[str, ...] = (),
) -> Network:
    """Rename weights to this repository's names. Every one is used once; RequestError names the first three that are
    not."""
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
    check_numbers({names[ours]: tensor for ours, tensor in renamed.items()}, source)
    patch = renamed.get("patch_embedding.weight")
    flat = patch is not None and patch.ndim == 2 and patch.shape[1] % 4 == 0
    if flat:
        renamed["patch_embedding.weight"] = patch.unflatten(1, (-1, 1, 2, 2))
    _check_measured(table, renamed, source)
    return Network(table, renamed, Layout(entry, names, flat, tuple(ignored)), source, others)


def check_numbers(state: State, source: str) -> None:
    """Raise RequestError for weights that are no dense floating-point numbers, or are NaN or infinite."""
    for name, tensor in state.items():
        if tensor.layout != torch.strided or not tensor.is_floating_point():
            kind = str(tensor.dtype if tensor.layout == torch.strided else tensor.layout).removeprefix("torch.")
            raise RequestError(
                f"{source!r} holds {name!r} as {kind}; weights are dense floating-point numbers, so convert the file "
                "with the code that wrote it"
            )
    check_finite(state, source)


def _check_measured(table: NameTable, state: State, source: str) -> None:
    """Raise RequestError unless the weights that a configuration is read from are there, with as many sides as they
    have, and no layer is left out."""
    for name, sides in table.measured:
        if name not in state:
            raise RequestError(f"{source!r} lacks weights of {table.what}: {name} is not there; get the whole file")
        if state[name].ndim != sides:
            shape = tuple(state[name].shape)
            raise RequestError(f"{source!r} has {name} of shape {shape}; in {table.what} it has {sides} sides")
    layers = {int(found[1]) for name in state if (found := LAYER.match(name))}
    absent = next((number for number in range(len(layers)) if number not in layers), None)
    if absent is not None:
        raise RequestError(
            f"{source!r} lacks weights of {table.what}: layer {absent} of {max(layers) + 1} is not there; get the "
            "whole file"
        )


def to_original(network: Network) -> State:
    """The weights under the names, and in the shapes, that `network.layout` says they had; without one, original Wan
    names."""
    names = network.layout.names or {name: network.table.to_original(name) for name in network.state}
    if set(names) != set(network.state) or len(set(names.values())) != len(names):
        raise RequestError(
            f"the names that {network.source!r} keeps in {LAYOUT_FILE} are not those of its weights; take that file "
            "away, and original names are written"
        )
    state = {original: network.state[name] for name, original in names.items()}
    if network.layout.flat_patch:
        name = names["patch_embedding.weight"]
        state[name] = state[name].flatten(1)
    return state


def check_complete(network: Network, wanted: Mapping[str, Tensor]) -> None:
    """Raise RequestError unless the network's names and shapes are exactly `wanted`'s; the first three are named."""
    if any(tensor.is_meta for tensor in network.state.values()):
        raise RequestError(
            f"{network.source!r} holds shapes without numbers (it was saved from the meta device); get another file"
        )
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
    state = _plain(to_original(network), dtype)
    with replacing(path) as temporary:
        if path.suffix == ".safetensors":
            save_file(state, temporary)
        else:
            torch.save({network.layout.entry: state} if network.layout.entry else state, temporary)


def write_folder(network: Network, folder: Path, config: Mapping[str, Any], dtype: torch.dtype | None = None) -> None:
    """Write a folder as diffusers, or for UMT5 transformers, reads it: config, weights, and the layout they came
    from."""
    state = _plain(network.state, dtype)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / (TEXT_WEIGHTS if network.table is UMT5 else WEIGHTS)) as temporary:
        save_file(state, temporary, metadata={"format": "pt"})
    for name, content in ((LAYOUT_FILE, asdict(network.layout)), (CONFIG_FILE, config)):
        write_bytes(folder / name, (json.dumps(content, indent=2) + "\n").encode())


def read_layout(folder: Path) -> Layout | None:
    """The layout that `write_folder` kept, if `folder` has one."""
    if not (folder / LAYOUT_FILE).is_file():
        return None
    values = read_table(folder / LAYOUT_FILE)
    try:
        return Layout(values["entry"], dict(values["names"]), values["flat_patch"], tuple(values["ignored"]))
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(
            f"{str(folder / LAYOUT_FILE)!r} is not as `convert` writes it ({error}); take it away, and original names "
            "are written"
        ) from error


def is_lora(state: Mapping[str, Tensor]) -> bool:
    return any(mark in name for name in state for mark in (".lora_A.", ".lora_B.", ".lora_down.", ".lora_up."))


def _plain(state: State, dtype: torch.dtype | None) -> State:
    """The weights as they are written: cast, each in memory of its own. Raises RequestError for those that `dtype`
    does not hold."""
    found = {name: tensor.detach().to(dtype or tensor.dtype).contiguous().clone() for name, tensor in state.items()}
    for name, tensor in found.items() if dtype else ():
        if not tensor.isfinite().all():
            raise RequestError(f"{name} has numbers too large for {str(dtype).removeprefix('torch.')}; give bfloat16")
    return found


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
    state: State = {}
    places: dict[str, str] = {}
    for shard in shards:
        for name, tensor in _read_safetensors(shard).items():
            if name in state:
                raise RequestError(
                    f"{str(folder)!r} holds {name} in both {places[name]} and {shard.name}, which are two networks; "
                    "name the file that you mean"
                )
            state[name], places[name] = tensor, shard.name
    return state


def _read_torch(path: Path) -> Any:
    load: Callable[..., Any] = torch.load
    try:
        try:
            return load(path, map_location="cpu", mmap=True, weights_only=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            return load(path, map_location="cpu", weights_only=True)  # the format before torch 1.6
    except Exception as error:  # a damaged file fails as anything
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            raise
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # EINVAL: a place before the file's begin
            raise
        if strange := re.search(r"GLOBAL (\S+)", str(error)):
            raise RequestError(
                f"{str(path)!r} holds Python objects ({strange[1]}) beside tensors, which could run code; save its "
                "state dict alone"
            ) from error
        raise RequestError(
            f"{str(path)!r} is not a torch file, or is damaged or cut off; download it again, and end the name of a "
            "safetensors file in .safetensors"
        ) from error
