"""The shapes of Wan's transformers, and the parameters they come to. Needs no torch."""

from dataclasses import dataclass

PATCH = 2


@dataclass(frozen=True)
class Shape:
    """The shape of a Wan transformer."""

    width: int = 1536
    layers: int = 30
    ffn: int = 8960
    channels: int = 16
    text_width: int = 4096
    text_length: int = 512
    head_dim: int = 128
    freq_dim: int = 256

    @property
    def parameters(self) -> int:
        return self.layers * self.layer_parameters + self.outer_parameters

    @property
    def layer_parameters(self) -> int:
        """Those of one layer."""
        w = self.width
        return 8 * (w * w + w) + 4 * w + 2 * w + (2 * w * self.ffn + self.ffn + w) + 6 * w

    @property
    def outer_parameters(self) -> int:
        """Those outside the layers."""
        w, patch = self.width, self.channels * PATCH**2
        embeddings = patch * w + w + (self.freq_dim * w + w) + (w * w + w) + (6 * w * w + 6 * w)
        text = self.text_width * w + w + w * w + w
        return embeddings + text + 2 * w + w * patch + patch

    @property
    def largest_matrix(self) -> int:
        """Parameters of a layer's largest matrix."""
        return self.width * max(self.width, self.ffn)


SHAPE_1B = Shape()
SHAPE_14B = Shape(width=5120, layers=40, ffn=13824)
