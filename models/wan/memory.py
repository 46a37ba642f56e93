"""What a Wan model costs in memory, before anything is loaded, and the mode that fits a card. Needs no torch.

GB is 10^9 bytes. Sizes are computed from shapes; working memory is the largest set of tensors alive in one layer. What
libraries take for themselves, as a CUDA context does, is an estimate.
"""

import contextlib
import ctypes
import math
import re
from dataclasses import dataclass
from pathlib import Path

from models.specs import ModelSpec
from models.wan.shapes import PATCH, Shape

GB = 1e9
STRIDE = 8
SHORT = (9, 6)  # latent frames of the short windows that released models were trained with, sink included
RESERVED = 0.6  # GB that a CUDA context and its libraries take
SPARE = 0.9  # of the free memory is used: libraries take their share as they run
MMAP_THRESHOLD = -3  # mallopt's name for the size from which a block is mapped for itself
OWN_BLOCK = 2**22  # bytes, far below any tensor of a full-size network's layer
PROMPTS = "a new prompt is embedded by the processor, so embed prompts ahead"
# channels and side (in latents) of the 32 inputs that Wan's causal decoder keeps, two frames deep
DECODER_CACHE = ((1, 16, 1), (11, 384, 1), (1, 192, 2), (6, 384, 2), (6, 192, 4), (7, 96, 8))


@dataclass(frozen=True)
class Parts:
    """GB of each part of making a clip; `kept` is what stays between calls beside keys and values: the prompt's, and
    tables of rotations. `cast` is a layer's largest matrix in the dtype of the computation, where layers are stored in
    a smaller one."""

    network: float
    keys_values: float
    kept: float
    cast: float
    working: float
    encoder: float
    decoder: float
    decoding: float

    @property
    def denoising(self) -> float:
        """The network at work, with nothing else on the card."""
        return self.network + self.keys_values + self.kept + self.cast + self.working

    @property
    def peak(self) -> float:
        """Network and decoder on the card, at work one after the other."""
        held = self.network + self.keys_values + self.kept + self.decoder
        return held + max(self.cast + self.working, self.decoding)

    @property
    def beside(self) -> float:
        """What it takes more at most when both are at work at once. Encoding a given picture or video, which then may
        happen while a chunk is decoded, and the tiny decoder's looks take less than decoding."""
        return self.decoding


@dataclass(frozen=True)
class Mode:
    """How a model is run with `gigabytes` of memory: with the text encoder "resident" on the card, there for new
    prompts only ("card"), or in "main" memory; layers stored in `fp8`, or brought from main memory (`offload`); a
    shorter `window`; and what that costs."""

    name: str
    gigabytes: float
    fp8: bool = False
    offload: bool = False
    window: int | None = None
    encoder: str = "main"
    cost: str = ""


def parts(
    shape: Shape,
    size: tuple[int, int],
    frames: int,
    chunk: int,
    *,
    cached: bool = True,
    bytes_each: int = 2,
    layer_bytes: int | None = None,
    base: int = 96,
) -> Parts:
    """The parts for clips of `size` (height, width) whose cache holds `frames` latent frames, `chunk` at a time.

    Weights and what is computed take `bytes_each`; the weights of layers may be stored in fewer, `layer_bytes`, and
    are then cast one matrix at a time as they are used. A model of the whole clip is not `cached`. `base` is the width
    of the decoder's last stage.
    """
    stored = layer_bytes or bytes_each
    height, width = size[0] // STRIDE, size[1] // STRIDE
    tokens = height // PATCH * (width // PATCH)
    text = shape.text_length * (2 * shape.layers * shape.width * cached + shape.text_width) * bytes_each
    rotations = frames * tokens * shape.head_dim * 4
    taken = sum(count * channels * side**2 for count, channels, side in DECODER_CACHE) * height * width * 2
    # four frames at full size where the last stage begins: input of twice its width, norm, padded copy, convolution
    decoding = 7 * 4 * base * height * width * STRIDE**2
    return Parts(
        network=(shape.layers * shape.layer_parameters * stored + shape.outer_parameters * bytes_each) / GB,
        keys_values=2 * shape.layers * frames * tokens * shape.width * bytes_each * cached / GB,
        kept=(text + rotations) / GB,
        cast=shape.largest_matrix * bytes_each * (stored != bytes_each) / GB,
        working=chunk * tokens * _token_bytes(shape, bytes_each) / GB,
        encoder=11.36,
        decoder=126_892_531 * (base / 96) ** 2 * bytes_each / GB,
        decoding=(taken * base / 96 + decoding) * bytes_each / GB,
    )


def _token_bytes(shape: Shape, each: int) -> int:
    """The most that is alive of one token inside a layer: while its keys are turned in float32 (beside input, norm,
    queries, keys and values), or while the feed-forward's middle is computed (beside those and what came of them)."""
    turning = 5 * each + 8 + (4 if each < 4 else 0)
    return max(shape.width * turning, shape.width * 5 * each + 2 * shape.ffn * each)


def modes(shape: Shape, size: tuple[int, int], frames: int, chunk: int, *, cached: bool = True) -> list[Mode]:
    """Every way to run a model on a card, the most comfortable first; arguments as in `parts`."""
    windows = (frames, *(min(frames, max(window, chunk)) if cached else frames for window in SHORT))
    full, *others = (parts(shape, size, window, chunk, cached=cached) for window in windows)
    whole, less, least = (found.peak + RESERVED for found in (full, *others))
    eight = full.peak - parts(shape, size, frames, chunk, cached=cached, layer_bytes=1).peak
    resting = full.network * (shape.layers - 2) / shape.layers
    rounds = "weights are rounded to fp8, so clips differ slightly"
    found = [
        Mode("all resident", whole + full.encoder, encoder="resident"),
        Mode(
            "text encoder for new prompts only",
            max(whole, full.network + full.decoder + full.encoder + RESERVED),
            encoder="card",
            cost="the text encoder is loaded once per new prompt",
        ),
        Mode("text encoder in main memory", whole, cost=PROMPTS),
        Mode("8-bit layers", whole - eight, fp8=True, cost=f"{rounds}; {PROMPTS}"),
    ]
    past = f"a chunk sees less of the past; {PROMPTS}"
    if windows[1] < frames:
        named = f"window of {windows[1]}"
        found += [
            Mode(named, less, window=windows[1], cost=past),
            Mode(f"8-bit layers, {named}", less - eight, fp8=True, window=windows[1], cost=f"{rounds}; {past}"),
        ]
    name, slow = "layers from main memory", "every call moves the network over the bus"
    if windows[2] == frames:
        return [*found, Mode(name, least - resting, offload=True, cost=f"{slow}; {PROMPTS}")]
    name = f"{name}, window of {windows[2]}"
    return [*found, Mode(name, least - resting, offload=True, window=windows[2], cost=f"{slow}; {past}")]


@dataclass(frozen=True)
class Plan:
    """What a model takes for clips of `size` (height, width) whose cache holds `frames`, and the `offered` ways to run
    it with the `available` GB of `device`."""

    name: str
    size: tuple[int, int]
    frames: int
    parts: Parts
    offered: list[Mode]
    available: float
    device: str

    @property
    def mode(self) -> Mode | None:
        """The most comfortable way that fits; None when none does."""
        return choose_mode(self.offered, self.available)

    @property
    def decodes_beside(self) -> bool:
        """Whether there is room on a card for decoding one chunk while the next is denoised."""
        if self.device == "cpu" or self.mode is None:
            return False
        return self.mode.gigabytes + self.parts.beside <= SPARE * self.available

    def lines(self) -> list[str]:
        """What it costs and how it will run, in two sentences."""
        found, (height, width) = self.parts, self.size
        held = f"keys and values of {self.frames} latent frames {found.keys_values:.2f}, " if found.keys_values else ""
        most = max(found.working, found.decoding)
        costs = (
            f"{self.name} at {width} x {height} takes {found.peak:.2f} GB: network {found.network:.2f}, {held}"
            f"prompt and tables {found.kept:.2f}, autoencoder {found.decoder:.2f}, work {most:.2f}"
        )
        if self.mode is None:
            return [costs, self.refusal]
        way = f"{self.mode.name} ({self.mode.gigabytes:.1f} GB)" + (f": {self.mode.cost}" if self.mode.cost else "")
        if self.decodes_beside:
            way += "; a chunk is decoded while the next is denoised"
        return [costs, f"{self.available:.1f} GB of {_memory(self.device)} are free, so it runs with {way}"]

    @property
    def refusal(self) -> str:
        """Why it cannot run."""
        least = min(mode.gigabytes for mode in self.offered) / SPARE
        return (
            f"{self.name} needs {least:.1f} GB of free {_memory(self.device)} at {self.size[1]} x {self.size[0]} and "
            f"{self.available:.1f} GB are; free some, or ask for a smaller size or a shorter clip"
        )


def make_plan(
    spec: ModelSpec,
    shape: Shape,
    device: str,
    available: float,
    *,
    size: tuple[int, int] | None = None,
    latents: int | None = None,
    base: int = 96,
) -> Plan:
    """The plan for a model of `shape` before it is loaded, for clips of `latents` latent frames (None: as long as its
    window). A CPU computes in float32 and has one way to do it."""
    size, (frames, chunk) = size or spec.size, _held(spec, latents)
    if device == "cpu":
        found = parts(shape, size, frames, chunk, cached=spec.causal, bytes_each=4, base=base)
        offered = [Mode("all of it in float32", found.peak)]
    else:
        found = parts(shape, size, frames, chunk, cached=spec.causal, base=base)
        offered = modes(shape, size, frames, chunk, cached=spec.causal)
    return Plan(spec.name, size, frames, found, offered, available, device)


def modes_of(spec: ModelSpec, size: tuple[int, int] | None = None) -> list[Mode]:
    """`modes` of a Wan row; empty for models that need no GPU."""
    if not spec.checkpoint:
        return []
    return modes(spec.checkpoint.shape, size or spec.size, *_held(spec), cached=spec.causal)


def _held(spec: ModelSpec, latents: int | None = None) -> tuple[int, int]:
    """Latent frames that the cache holds, and those of one call."""
    if not spec.causal:
        return max(latents or 0, spec.latent_frames), max(latents or 0, spec.latent_frames)
    limited = spec.window_always or (latents or 0) > spec.latent_frames
    held = min(latents or spec.window, spec.window) if limited else latents or spec.window
    return held, max(spec.chunk, spec.first_chunk)


def choose_mode(offered: list[Mode], available: float) -> Mode | None:
    """The most comfortable mode that fits `available` GB with a tenth to spare; None when none does."""
    return next((mode for mode in offered if mode.gigabytes <= SPARE * available), None)


def main_memory() -> float:
    """GB of main memory that are free, as the kernel tells it; infinite where it does not."""
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return math.inf
    found = re.search(r"MemAvailable: +(\d+) kB", told)
    return int(found[1]) * 1024 / GB if found else math.inf


def give_back_when_freed() -> None:
    """Have the C library give the memory of a tensor back to the system when the tensor is freed.

    By default glibc puts blocks up to 32 MB into a heap and keeps the gaps between them, which are then resident and
    in no plan: 0.3 to 0.7 GB for the 1.3B network at 832 x 480. Other C libraries are left as they are.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, OWN_BLOCK)


def _memory(device: str) -> str:
    return "main memory" if device == "cpu" else "GPU memory"
