"""Networks loaded once a process, and what they see of a window computed once however many metrics ask."""

import copy
import threading
import weakref
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eval.metric import Resources
from eval.vbench import preprocessing, weights
from eval.vbench.networks.amt import load_amt
from eval.vbench.networks.musiq import load_musiq
from eval.vbench.networks.raft import load_raft
from eval.vbench.networks.vision_transformer import ClipNetworks, load_clip, load_dino, load_viclip
from eval.video.windows import Window

VICLIP_TOKENS = 32
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class FrameFeatures:
    """`network(prepare(frames))` for every frame of a window, on the CPU; the last window's answer is remembered.

    `at_once`: frames in one batch on a CPU, where activations that outgrow the cache cost more than they save.
    `dtype` is what the network computes in; pictures are prepared in float32 and features come out in it.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        prepare: Callable,
        device: str,
        at_once: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.network, self.prepare, self.device, self.dtype = network, prepare, torch.device(device), dtype
        self.at_once = at_once if self.device.type == "cpu" else 16
        self._last: tuple[weakref.ref, Tensor] | None = None
        self._busy = threading.Lock()

    def __call__(self, window: Window) -> Tensor:
        """(n, features) float32."""
        with self._busy:
            if self._last is None or self._last[0]() is not window:
                self._last = (weakref.ref(window), self._compute(window))
            return self._last[1]

    @torch.inference_mode()
    def _compute(self, window: Window) -> Tensor:
        starts = range(0, len(window.frames), self.at_once)
        return torch.cat([self.of(self.prepare(window.frames[start : start + self.at_once])) for start in starts])

    @torch.inference_mode()
    def of(self, prepared: Tensor) -> Tensor:
        """(n, features) float32 on the CPU, of pictures that are prepared already."""
        return self.network(prepared.to(self.device, self.dtype)).float().cpu()


def unit(features: Tensor) -> Tensor:
    """Vectors of length 1."""
    return F.normalize(features, dim=-1, p=2)


@lru_cache(maxsize=16)
def _network(name: str, path: Path, changed: int, device: str) -> nn.Module | ClipNetworks:
    """A network by its row in `WEIGHTS`; `changed` is the file's time, so that a replaced file is read again."""
    try:
        loaded = LOADERS[name](weights.read_state(path))
    except (KeyError, RuntimeError, IndexError) as error:
        reason = str(error).strip().split("\n")[0][:160]
        raise ValueError(
            f"{path} does not hold {weights.WEIGHTS[name].title} ({reason}); put the published file there"
        ) from error
    for part in (loaded.image, loaded.text) if isinstance(loaded, ClipNetworks) else (loaded,):
        part.to(device)
    return loaded


def _aesthetic_head(state) -> nn.Linear:
    head = nn.Linear(state["weight"].shape[1], 1)
    head.load_state_dict(state)
    return head.eval().requires_grad_(False)


LOADERS: dict[str, Callable] = {
    "clip_b32": load_clip,
    "clip_l14": load_clip,
    "aesthetic_head": _aesthetic_head,
    "dino_b16": load_dino,
    "musiq_spaq": load_musiq,
    "raft_things": load_raft,
    "amt_s": load_amt,
    "viclip": load_viclip,
}

# name: network, what it is given, frames at once on a CPU
FRAME_FEATURES: dict[str, tuple[str, Callable, int]] = {
    "dino": ("dino_b16", preprocessing.dino_input, 4),
    "dino_i2v": ("dino_b16", preprocessing.dino_input_i2v, 4),
    "clip_b32": ("clip_b32", preprocessing.clip_input, 16),
    "clip_b32_rounded": ("clip_b32", preprocessing.clip_input_rounded, 16),
    "clip_b32_pil": ("clip_b32", preprocessing.clip_input_pil, 16),
    "clip_l14": ("clip_l14", preprocessing.clip_input, 4),
    "musiq": ("musiq_spaq", preprocessing.musiq_input, 2),
}


def network(name: str, resources: Resources) -> Any:
    """A network in evaluation mode. Raises ValueError with a sentence when its file is missing or not it."""
    path = weights.find(name, resources.weights)
    if path is None:
        raise ValueError(weights.missing((name,), resources.weights))
    return _network(name, path, path.stat().st_mtime_ns, resources.device)


def frame_features(name: str, resources: Resources) -> FrameFeatures:
    """The shared extractor of a row of `FRAME_FEATURES`."""
    weights_name, _, _ = FRAME_FEATURES[name]
    return _frame_features(name, network(weights_name, resources), resources.device, resources.precision)


@lru_cache(maxsize=32)
def _frame_features(name: str, loaded: nn.Module | ClipNetworks, device: str, precision: str) -> FrameFeatures:
    _, prepare, at_once = FRAME_FEATURES[name]
    dtype = PRECISIONS[precision]
    images = _in_precision(loaded.image if isinstance(loaded, ClipNetworks) else loaded, dtype)
    return FrameFeatures(images, prepare, device, at_once, dtype)


@lru_cache(maxsize=16)
def _in_precision(loaded: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The network itself in float32, a rounded copy in less."""
    return loaded if dtype == torch.float32 else copy.deepcopy(loaded).to(dtype)


@torch.inference_mode()
def text_feature(text: str, towers: ClipNetworks, device: str, tokens: int = 77) -> Tensor:
    """(1, features) of unit length, on the CPU; the text is cut to `tokens`, start and end included."""
    import open_clip

    ids = open_clip.SimpleTokenizer(context_length=tokens)([text])
    return unit(towers.text(ids.to(device)).float()).cpu()
