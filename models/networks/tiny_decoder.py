"""The decoder of TAEHV (Ollin Boer Bohan, MIT), a small stand-in for Wan's: pictures to look at while a clip is made.

Parameter names are those of its file `taew2_1`, whose encoder is not used. It takes normalised latents.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (256, 128, 64, 64)
TRIMMED = 3  # frames before the first: a causal clip begins with one frame, and the network always makes four
PREFIX = "decoder."


class TinyDecoder(nn.Module):
    """Latents (1, t, C, h, w) to frames (1, 3, 4t, 8h, 8w) in [-1, 1], one latent frame after the other.

    Each of its blocks sees what it saw of the latent frame before, which the caller keeps.
    """

    def __init__(self, channels: int = 16, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        first, second, third, last = widths
        self.decoder = nn.Sequential(
            _Bound(),
            _convolution(channels, first),
            nn.ReLU(),
            *_stage(first, second, frames=1),
            *_stage(second, third, frames=2),
            *_stage(third, last, frames=2),
            nn.ReLU(),
            _convolution(last, 3),
        )

    @torch.no_grad()
    def decode(self, latents: Tensor, memory: list[Tensor | None] | None = None) -> tuple[Tensor, list[Tensor | None]]:
        """The frames of latents that follow those of `memory` (None: they start the clip, whose first latent frame
        gives one frame), and the memory to go on with."""
        starts = memory is None
        weight = self.decoder[1].weight
        x, remembered = latents[0].to(weight.device, weight.dtype), list(memory or [None] * len(self.decoder))
        for index, layer in enumerate(self.decoder):
            if isinstance(layer, _Remembering):
                before = torch.zeros_like(x[:1]) if remembered[index] is None else remembered[index]
                remembered[index] = x[-1:]
                x = layer(x, torch.cat([before, x[:-1]]))
            else:
                x = layer(x)
        frames = x[TRIMMED:] if starts else x
        return (2 * frames - 1).transpose(0, 1)[None], remembered

    @classmethod
    def of_file(cls, state: Mapping[str, Tensor]) -> "TinyDecoder":
        """The decoder whose weights, by the names of its file, are among `state`. Raises ValueError for others."""
        own = {name: tensor for name, tensor in state.items() if name.startswith(PREFIX)}
        try:
            widths = tuple(own[f"{PREFIX}{place}.weight"].shape[0] for place in (1, 8, 14, 20))
            model = cls(own[f"{PREFIX}1.weight"].shape[1], widths)
            wanted = model.state_dict()
            for name in (f"{PREFIX}{place}.conv.weight" for place in (7, 13, 19)):
                own[name] = own[name][-len(wanted[name]) :]  # trained to make more frames: the last ones count
            model.load_state_dict({name: tensor.float() for name, tensor in own.items()})
        except (KeyError, IndexError, RuntimeError) as error:
            raise ValueError(f"these are not the weights of TAEHV's decoder ({str(error).splitlines()[0]})") from error
        return model.eval().requires_grad_(False)


class _Bound(nn.Module):
    """Softly bounds latents to -3 .. 3."""

    def forward(self, x: Tensor) -> Tensor:
        return 3 * torch.tanh(x / 3)


class _Remembering(nn.Module):
    """Three convolutions over a frame and the one before it, around a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _convolution(2 * width, width), nn.ReLU(), _convolution(width, width), nn.ReLU(),
            _convolution(width, width),
        )  # fmt: skip

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        return F.relu(x + self.conv(torch.cat([x, before], 1)))


class _Grow(nn.Module):
    """Makes `frames` frames of each."""

    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, frames * width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).reshape(-1, *x.shape[1:])


def _stage(width: int, following: int, frames: int) -> list[nn.Module]:
    blocks = [_Remembering(width) for _ in range(3)]
    return [*blocks, nn.Upsample(scale_factor=2), _Grow(width, frames), _convolution(width, following, bias=False)]


def _convolution(inputs: int, outputs: int, *, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)
