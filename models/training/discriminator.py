"""Discriminators. On a score network's hidden states: learnable queries that read a whole video (APT, arXiv
2501.08316). On pixels: one logit for each patch, for autoencoders (PatchGAN, arXiv 1611.07004).

The trunk is the fake score; each head reads one layer. `ASD` keeps one logit per step count, D_n for the pair
(n steps, n + 1 steps); one scalar per video, never per frame.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class VideoDiscriminator(nn.Module):
    """Hidden states (B, tokens, width) of each tapped layer to logits (B, outputs)."""

    def __init__(self, width: int, heads: int, taps: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.taps = tuple(taps)
        self.readers = nn.ModuleList(_Reader(width, heads) for _ in self.taps)
        self.norm = nn.LayerNorm(width * len(self.taps))
        self.hidden = nn.Linear(width * len(self.taps), width)
        # no bias: a relativistic loss sees differences only
        self.out = nn.Linear(width, outputs, bias=False)
        nn.init.normal_(self.out.weight, std=0.02)

    def forward(self, hidden: list[Tensor]) -> Tensor:
        read = [reader(states) for reader, states in zip(self.readers, hidden, strict=True)]
        return self.out(F.silu(self.hidden(self.norm(torch.cat(read, -1)))))


class PatchDiscriminator(nn.Module):
    """Short videos (B, T, 3, h, w) in [-1, 1] to logits of patches (B, 1, h/4, w/4), each of which sees 26 x 26 pixels
    of all T frames at once, and so what moves and what flickers. It sees detail alone, each pixel less the mean of the
    9 x 9 about it: given colours too, it pulls at those first, and they drift."""

    def __init__(self, frames: int, width: int = 48) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3 * frames, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, 3, 1, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 1, 3, 1, 1, bias=False),  # a relativistic loss sees differences only
        )

    def forward(self, video: Tensor) -> Tensor:
        return self.layers(detail(video.flatten(1, 2)))


def detail(pictures: Tensor) -> Tensor:
    """Pictures (B, C, h, w) less their means over 9 x 9 pixels."""
    return pictures - F.avg_pool2d(pictures, 9, 1, 4, count_include_pad=False)


class _Reader(nn.Module):
    """One learnable query that attends to all tokens of a layer, then a small feed-forward."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Parameter(torch.randn(1, 1, width) / width**0.5)
        self.tokens_norm = nn.LayerNorm(width)
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(width, width) for _ in range(4))
        self.norm_q, self.norm_k = nn.RMSNorm(width), nn.RMSNorm(width)
        self.ffn = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, states: Tensor) -> Tensor:
        """(B, tokens, width) to (B, width)."""
        tokens = self.tokens_norm(states)
        query = self.query.expand(len(states), -1, -1)
        q, k, v = self.norm_q(self.to_q(query)), self.norm_k(self.to_k(tokens)), self.to_v(tokens)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        read = query + self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return (read + self.ffn(read))[:, 0]
