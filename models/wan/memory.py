"""What a Wan model costs in memory, before anything is loaded, and the mode that fits a card. Needs no torch.

GB is 10^9 bytes. Sizes are computed from shapes; working memory is the largest set of tensors alive in one layer.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.specs import ModelSpec

GB = 1e9
PATCH, STRIDE = 2, 8
SHORT = 9  # latent frames of the shortest window that released models were trained with, sink included
RESERVED = 0.6  # GB that a CUDA context and its libraries take
# channels and side (in latents) of the 32 inputs that Wan's causal decoder keeps, two frames deep
DECODER_CACHE = ((1, 16, 1), (11, 384, 1), (1, 192, 2), (6, 384, 2), (6, 192, 4), (7, 96, 8))


@dataclass(frozen=True)
class Shape:
    """The shape of a Wan transformer."""

    width: int = 1536
    layers: int = 30
    ffn: int = 8960
    channels: int = 16
    text_width: int = 4096
    text_length: int = 512

    @property
    def parameters(self) -> int:
        w, patch = self.width, self.channels * PATCH**2
        layer = 8 * (w * w + w) + 4 * w + 2 * w + (2 * w * self.ffn + self.ffn + w) + 6 * w
        embeddings = patch * w + w + (256 * w + w) + (w * w + w) + (6 * w * w + 6 * w)
        text = self.text_width * w + w + w * w + w
        return self.layers * layer + embeddings + text + 2 * w + w * patch + patch


@dataclass(frozen=True)
class Parts:
    """GB of each part of making a clip."""

    network: float
    keys_values: float
    text_keys_values: float
    working: float
    encoder: float
    decoder: float
    decoding: float

    @property
    def denoising(self) -> float:
        """The network at work, with nothing else on the card."""
        return self.network + self.keys_values + self.text_keys_values + self.working


@dataclass(frozen=True)
class Mode:
    """How a model is run on a card of `gigabytes`: with the text encoder `resident` or loaded for new prompts only,
    layers stored in `fp8`, or brought from main memory (`offload`), a shorter `window`; and what that costs."""

    name: str
    gigabytes: float
    fp8: bool = False
    offload: bool = False
    window: int | None = None
    resident: bool = False
    cost: str = ""


def parts(
    shape: Shape,
    size: tuple[int, int],
    frames: int,
    chunk: int,
    *,
    network_bytes: int = 2,
    cache_bytes: int = 2,
) -> Parts:
    """The parts for clips of `size` (height, width) whose cache holds `frames` latent frames, `chunk` at a time."""
    height, width = size[0] // STRIDE, size[1] // STRIDE
    tokens = height // PATCH * (width // PATCH)
    now = chunk * tokens
    # of one layer: the residual stream and its norm, q, k, v, their float32 turns, and the feed-forward's two layers
    working = now * (shape.width * (6 * cache_bytes + 3 * 4) + 2 * shape.ffn * cache_bytes)
    taken = sum(count * channels * side**2 for count, channels, side in DECODER_CACHE) * height * width * 2
    # four frames at full size, in the last stage's 96 channels: input, norm, convolution and its padded copy
    decoding = 4 * 4 * 96 * height * width * STRIDE**2
    return Parts(
        network=shape.parameters * network_bytes / GB,
        keys_values=2 * shape.layers * frames * tokens * shape.width * cache_bytes / GB,
        text_keys_values=2 * shape.layers * shape.text_length * shape.width * cache_bytes / GB,
        working=working / GB,
        encoder=11.36,
        decoder=0.254,
        decoding=(taken + decoding) * 2 / GB,
    )


def modes(shape: Shape, size: tuple[int, int], frames: int, chunk: int) -> list[Mode]:
    """Every way to run a model, the most comfortable first."""
    short = min(frames, SHORT)
    full, small = (parts(shape, size, window, chunk) for window in (frames, short))
    half = full.network / 2
    whole, less = (found.denoising + found.decoder + found.decoding + RESERVED for found in (full, small))
    resting = small.network * (shape.layers - 2) / shape.layers
    sees_less, rounds = "a chunk sees less of the past", "weights are rounded to fp8, so clips differ slightly"
    return [
        Mode("all resident", whole + full.encoder, resident=True),
        Mode(
            "text encoder for new prompts only",
            max(whole, full.encoder + RESERVED),
            cost="the text encoder is loaded once per new prompt",
        ),
        Mode("8-bit layers", max(whole - half, full.encoder + RESERVED), fp8=True, cost=rounds),
        Mode(f"window of {short}, prompts embedded ahead", less, window=short, cost=sees_less),
        Mode(
            f"8-bit layers, window of {short}, prompts embedded ahead",
            less - half,
            fp8=True,
            window=short,
            cost=f"{sees_less}; {rounds}",
        ),
        Mode(
            f"layers from main memory, window of {short}, prompts embedded ahead",
            less - resting,
            offload=True,
            window=short,
            cost=f"{sees_less}; every call moves the network over the bus",
        ),
    ]


def modes_of(spec: "ModelSpec", size: tuple[int, int] | None = None) -> list[Mode]:
    """`modes` of a Wan row; empty for models that need no GPU."""
    if not spec.checkpoint:
        return []
    frames, chunk = (spec.window, spec.chunk) if spec.causal else (spec.latent_frames, spec.latent_frames)
    return modes(Shape(width=spec.checkpoint.width), size or spec.size, frames, chunk)


def choose_mode(offered: list[Mode], available: float) -> Mode | None:
    """The most comfortable mode that fits `available` GB with a tenth to spare; None when none does."""
    return next((mode for mode in offered if mode.gigabytes <= 0.9 * available), None)
