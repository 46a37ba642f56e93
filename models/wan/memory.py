"""What a Wan model costs in memory, before anything is loaded, and the mode that fits a card. Needs no torch.

GB is 10^9 bytes. Sizes are computed from shapes; working memory is the largest set of tensors alive in one layer.
"""

from dataclasses import dataclass

GB = 1e9
PATCH, STRIDE = 2, 8
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
    """How a model is run: where the text encoder and decoder are, what is stored in 8 bits, and what that costs."""

    name: str
    gigabytes: float
    fp8: bool = False
    offload: bool = False
    tiny_decoder: bool = False
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
    tiny: bool = False,
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
        decoder=0.023 if tiny else 0.254,
        decoding=(0.15 if tiny else (taken + decoding) * 2 / GB),
    )


def modes(shape: Shape, size: tuple[int, int], frames: int, chunk: int, window: int | None = None) -> list[Mode]:
    """Every way to run a model, the most comfortable first."""
    full, tiny = (parts(shape, size, frames, chunk, tiny=tiny) for tiny in (False, True))
    short = min(frames, window or 9)
    small = parts(shape, size, short, chunk, tiny=True)
    eighth = parts(shape, size, short, chunk, tiny=True, network_bytes=1)
    both = full.denoising + full.decoder + full.decoding
    return [
        Mode("all resident", both + full.encoder + RESERVED, resident=True),
        Mode(
            "text encoder off the card",
            max(both, full.encoder) + RESERVED,
            cost="one transfer of the text encoder per new prompt",
        ),
        Mode("prompts from the cache", both + RESERVED, cost="new prompts are embedded on the CPU, tens of seconds"),
        Mode(
            "tiny decoder",
            tiny.denoising + tiny.decoder + tiny.decoding + RESERVED,
            tiny_decoder=True,
            cost="TAEHV decodes: softer pictures",
        ),
        Mode(
            f"tiny decoder, window of {short}",
            small.denoising + small.decoder + small.decoding + RESERVED,
            tiny_decoder=True,
            window=short,
            cost="a chunk sees less of the past",
        ),
        Mode(
            f"8-bit layers, tiny decoder, window of {short}",
            eighth.denoising + eighth.decoder + eighth.decoding + RESERVED,
            fp8=True,
            tiny_decoder=True,
            window=short,
            cost="weights are rounded to fp8: clips differ slightly",
        ),
        Mode(
            f"layers from main memory, tiny decoder, window of {short}",
            small.denoising - small.network * (shape.layers - 2) / shape.layers + small.decoding + RESERVED,
            offload=True,
            tiny_decoder=True,
            window=short,
            cost="every call moves the network over the bus: several times slower",
        ),
    ]


def choose_mode(offered: list[Mode], available: float) -> Mode | None:
    """The most comfortable mode that fits `available` GB with a tenth to spare; None when none does."""
    return next((mode for mode in offered if mode.gigabytes <= 0.9 * available), None)


def describe(parts: Parts) -> list[tuple[str, float]]:
    """(part, GB) in the order in which they are needed, for people."""
    return [
        ("text encoder (UMT5, bf16)", parts.encoder),
        ("network", parts.network),
        ("keys and values of the clip", parts.keys_values),
        ("keys and values of the prompt", parts.text_keys_values),
        ("working memory of a call", parts.working),
        ("decoder", parts.decoder),
        ("decoding", parts.decoding),
    ]
