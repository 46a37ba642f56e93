"""Text encoders behind one protocol, and the small one of the shapes world. Wan's is in `models.wan.text`.

All give (B, length, width) with rows past the prompt set to zero. The zero rows are attended, as in Wan.
"""

import re
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.networks.diffusers_parts import ConfigMixin, ModelMixin, register_to_config
from models.worlds.shapes import known_words

UNKNOWN = 1


class TextEncoder(Protocol):
    """What the pipeline needs: prompts in, embeddings out."""

    def embed(self, prompts: list[str]) -> Tensor:
        """(B, length, width); an empty prompt gives zeros, the unconditional embedding."""

    def notices(self, prompt: str) -> list[str]:
        """What may surprise about how `prompt` is read."""


class ShapesTextEncoder(ModelMixin, ConfigMixin):
    """Word embeddings and a shallow transformer over the words of the shapes world; 0 is padding, 1 an unknown
    word."""

    @register_to_config
    def __init__(
        self,
        vocabulary: tuple[str, ...] = tuple(sorted(known_words())),
        width: int = 128,
        length: int = 16,
        num_layers: int = 2,
        num_attention_heads: int = 4,
    ) -> None:
        super().__init__()
        self.words = {word: index + 2 for index, word in enumerate(vocabulary)}
        self.embedding = nn.Embedding(len(vocabulary) + 2, width)
        self.positions = nn.Parameter(torch.randn(length, width) * 0.02)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, num_attention_heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(width)

    def tokenize(self, prompts: list[str]) -> Tensor:
        """(B, length) int64 word numbers; words past `length` are cut."""
        ids = torch.zeros(len(prompts), self.config.length, dtype=torch.long, device="cpu")
        for row, prompt in enumerate(prompts):
            words = re.findall(r"[^\W_]+", prompt.lower())[: self.config.length]
            ids[row, : len(words)] = torch.tensor([self.words.get(word, UNKNOWN) for word in words], device="cpu")
        return ids

    def forward(self, input_ids: Tensor) -> Tensor:
        """(B, length) word numbers to (B, length, width), zero where there is no word."""
        there = input_ids > 0
        # an empty row would attend to nothing and turn into NaN: let it see itself, its output is zeroed anyway
        hidden = (self.embedding(input_ids) + self.positions) * there[..., None]
        blocked = ~(there | ~there.any(1, keepdim=True))
        for layer in self.layers:
            hidden = _encode(layer, hidden, ~blocked[:, None, None])
        return self.norm(hidden) * there[..., None]

    def embed(self, prompts: list[str]) -> Tensor:
        return self(self.tokenize(prompts).to(self.positions.device))

    def notices(self, prompt: str) -> list[str]:
        words = len(re.findall(r"[^\W_]+", prompt))
        limit = self.config.length
        return [f"the prompt has {words} words and the model reads the first {limit}"] if words > limit else []


def _encode(layer: nn.TransformerEncoderLayer, x: Tensor, seen: Tensor) -> Tensor:
    """One pre-norm layer, written out: x (B, L, width), `seen` (B, 1, 1, L) true where a word may be attended.

    torch's own `forward` picks a fused kernel by grad mode and by whether a default device is set, and that kernel
    rounds differently: the same request would not always give the same clip.
    """
    attention = layer.self_attn
    projected = F.linear(layer.norm1(x), attention.in_proj_weight, attention.in_proj_bias)
    q, k, v = projected.unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    read = F.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(2)
    x = x + attention.out_proj(read)
    return x + layer.linear2(F.gelu(layer.linear1(layer.norm2(x))))
