"""The most memory that is taken at once: by tensors, counted as calls make them, and by this process; both of one
chunk of a Wan network of full size, beside the planner's word.

The count of tensors is what `torch.cuda.max_memory_allocated` counts on a card, but for what its libraries take for
themselves.
"""

import resource
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models.networks.codec import Codec
from models.networks.diffusers_parts import diffusers
from models.networks.transformer import CausalVideoTransformer
from models.sampling.rollout import ClipNoise, rollout
from models.sampling.schedulers import StepPlan
from models.wan.load import keep_layers_in_half
from models.wan.memory import GB, STRIDE, Parts, give_back_when_freed, parts
from models.wan.shapes import Shape

PAUSE = 0.01  # seconds between two looks at the resident memory


class PeakMemory(TorchDispatchMode):
    """Inside, counts the bytes of every storage that a call returns until nothing holds it; `peak` is the most."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: dict[int, int] = {}

    def __torch_dispatch__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.count(made)
        return made

    def count(self, made: Any) -> None:
        """Count the tensors in `made` that are not counted yet."""
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._seen:
            return
        self._seen[key] = storage.nbytes()
        weakref.finalize(storage, self._freed, key)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)

    def _freed(self, key: int) -> None:
        self.now -= self._seen.pop(key)


class Resident:
    """Inside, the most memory that this process (or the card's allocator) held beyond what it held at the start."""

    def __init__(self, device: torch.device) -> None:
        self.card = device.type == "cuda"

    def __enter__(self) -> "Resident":
        self._start = self._most = 0 if self.card else _resident()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        if not self.card:
            self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._done.set()
        if not self.card:
            self._thread.join()

    @property
    def peak(self) -> int:
        """Bytes, until now."""
        if self.card:
            return torch.cuda.max_memory_allocated()
        self._most = max(self._most, _resident())
        return self._most - self._start

    def _look(self) -> None:
        while not self._done.wait(PAUSE):
            self._most = max(self._most, _resident())


def _resident() -> int:
    """Bytes of this process in main memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def measure_full_size(
    layers: int, size: tuple[int, int], frames: int, steps: int, device: str, *, decode: bool, float32: bool
) -> dict[str, Any]:
    """Make one chunk of `frames` latent frames of `size` (height, width) in `steps` calls, and what it took."""
    if device == "cpu":
        give_back_when_freed()
    place = torch.device(device)
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    half = device == "cpu" and not float32
    planned = parts(
        Shape(layers=layers), size, frames, frames, bytes_each=dtype.itemsize, layer_bytes=2 if half else None
    )
    shape = (1, 16, size[0] // STRIDE, size[1] // STRIDE)
    with Resident(place) as resident:
        began = time.perf_counter()
        network = _network(layers, half, place, dtype)
        codec = _codec(place, dtype) if decode else None
        built = time.perf_counter() - began
        with torch.no_grad(), PeakMemory() as tensors:
            tensors.count([*network.parameters(), *(codec.autoencoder.parameters() if codec else ())])
            began = time.perf_counter()
            latents = _chunk(network, frames, steps, shape, place)
            finite, seconds = bool(latents.isfinite().all()), time.perf_counter() - began
            denoising = resident.peak
            began = time.perf_counter()
            clip = codec.decode(latents) if codec else None
            decoded = time.perf_counter() - began
    found = {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "size": f"{size[1]}x{size[0]}",
        "latent_frames": frames,
        "device": device,
        "layers_in": "bfloat16" if half or place.type == "cuda" else "float32",
        "threads": torch.get_num_threads(),
        "seconds_to_build": round(built, 1),
        "seconds_per_forward": round(seconds / steps, 2),
        "finite": finite,
    }
    if clip is not None:
        found |= {"frames_decoded": len(clip), "seconds_to_decode": round(decoded, 1), "denoising_gb": _gb(denoising)}
    return found | {
        "measured_gb": _gb(resident.peak),
        "tensors_gb": _gb(tensors.peak),
        "planned_gb": round(planned.peak if decode else planned.denoising, 3),
        "planned_parts_gb": _told(planned, decode),
    }


def _network(layers: int, half: bool, device: torch.device, dtype: torch.dtype) -> CausalVideoTransformer:
    with torch.device("meta"):
        network = CausalVideoTransformer(num_layers=layers)
    nn.Module.to(network, dtype)
    if half:
        keep_layers_in_half(network)
    return _filled(network, device)


def _codec(device: torch.device, dtype: torch.dtype) -> Codec:
    with torch.device("meta"):
        autoencoder = diffusers.AutoencoderKLWan()
    return Codec(_filled(nn.Module.to(autoencoder, dtype), device))


def _filled(network: nn.Module, device: torch.device) -> nn.Module:
    """A network on the meta device with random weights: the same million over and over, for drawing them all takes
    minutes."""
    network = network.to_empty(device=device).eval().requires_grad_(False)
    block = 0.02 * torch.randn(2**20, device=device)
    for parameter in network.parameters():
        for piece in parameter.view(-1).split(len(block)):
            piece.copy_(block[: len(piece)])
    return network


def _chunk(
    network: CausalVideoTransformer, frames: int, steps: int, shape: tuple[int, int, int, int], device: torch.device
) -> Tensor:
    """Latents of one chunk, made by the sampler of every clip."""
    cache = network.new_cache(*shape[2:], frames=frames)
    noise = ClipNoise(torch.Generator().manual_seed(0))
    text = torch.randn(1, 512, 4096, device=device)
    plan = StepPlan.uniform((frames,), steps)
    return next(rollout(network, plan, text, cache, lambda *at: noise(*at).to(device), shape)).latents


def _told(planned: Parts, decode: bool) -> dict[str, float]:
    left_out = {"encoder"} if decode else {"encoder", "decoder", "decoding"}
    return {name: round(value, 3) for name, value in asdict(planned).items() if name not in left_out}


def _gb(count: int) -> float:
    return round(count / GB, 3)
