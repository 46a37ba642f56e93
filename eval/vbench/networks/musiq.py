"""MUSIQ (arXiv:2108.05997), the multi-scale image quality transformer, for inference; pyiqa's published names load.

An image is cut into 32 px patches at three sizes (longer side 224, 384, own), each patch is a token that knows its
place on a 10 x 10 grid and its scale. The published code pads each scale to a fixed number of tokens and masks them;
masked tokens weigh exp(-1000) = 0, so here there are none.
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PATCH, GRID, LONGER_SIDES = 32, 10, (224, 384)


class StandardisedConv(nn.Conv2d):
    """Convolution whose filters have mean 0 and deviation 1 (weight standardisation), with TensorFlow's "same" pad."""

    def standardise(self) -> None:
        """Bring the loaded filters to mean 0, deviation 1, once; 1e-5 as in the published code."""
        deviation, mean = torch.std_mean(self.weight, dim=(1, 2, 3), keepdim=True)
        self.weight.copy_((self.weight - mean) / (deviation + 1e-5))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(pad_same(x, self.kernel_size[0], self.stride[0]))


class GroupNorm(nn.GroupNorm):
    """torch's own takes 2 to 12 times as long on channels-last memory. Sums over positions are products with ones."""

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to the same."""
        positions = x.permute(0, 2, 3, 1).flatten(1, 2)
        ones = positions.new_ones(len(x), 1, positions.shape[1])
        count = positions.shape[1] * x.shape[1] / self.num_groups
        mean, square = (self._by_group((ones @ values)[:, 0] / count) for values in (positions, positions.square()))
        scale = ((square - mean.square()).clamp_min(0) + self.eps).rsqrt() * self.weight
        shift = self.bias - mean * scale
        return torch.addcmul(shift[:, :, None, None].to(x), x, scale[:, :, None, None].to(x))

    def _by_group(self, values: Tensor) -> Tensor:
        """(b, c) float32: for every channel the sum over its group."""
        groups = values.float().unflatten(1, (self.num_groups, -1))
        return groups.sum(2, keepdim=True).expand_as(groups).flatten(1)


class Bottleneck(nn.Module):
    """Residual unit 1x1, 3x3, 1x1 with group norm, widening its input by a projected shortcut."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.conv1, self.gn1 = StandardisedConv(width, width, 1, bias=False), GroupNorm(32, width, eps=1e-4)
        self.conv2, self.gn2 = StandardisedConv(width, width, 3, bias=False), GroupNorm(32, width, eps=1e-4)
        self.conv3, self.gn3 = StandardisedConv(width, out, 1, bias=False), GroupNorm(32, out, eps=1e-4)
        self.conv_proj, self.gn_proj = StandardisedConv(width, out, 1, bias=False), GroupNorm(32, out, eps=1e-4)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu_(self.gn1(self.conv1(x)))
        y = F.relu_(self.gn2(self.conv2(y)))
        return F.relu_(self.gn3(self.conv3(y)).add_(self.gn_proj(self.conv_proj(x))))


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        q, k, v = self.query(x), self.key(context), self.value(context)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Layer(nn.Module):
    def __init__(self, width: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width, eps=1e-6), Attention(width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width, eps=1e-6), Mlp(width, hidden)

    def forward(self, x: Tensor, tokens: int | None = None) -> Tensor:
        """`tokens`: compute the output of the first so many only; the rest is context."""
        normed = self.norm1(x)
        x = x[:, :tokens] + self.attention(normed[:, :tokens], normed)
        return self.mlp(self.norm2(x)).add_(x)


class Table(nn.Module):
    """A named table of learned vectors."""

    def __init__(self, name: str, *shape: int) -> None:
        super().__init__()
        self.register_parameter(name, nn.Parameter(torch.zeros(*shape)))


class Encoder(nn.Module):
    def __init__(self, width: int, hidden: int, heads: int, layers: int) -> None:
        super().__init__()
        self.posembed_input = Table("position_emb", 1, GRID**2, width)
        self.scaleembed_input = Table("scale_emb", len(LONGER_SIDES) + 1, width)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.encoder_norm = nn.LayerNorm(width, eps=1e-6)
        self.transformer = nn.ModuleDict({f"encoderblock_{i}": Layer(width, hidden, heads) for i in range(layers)})

    def forward(self, tokens: Tensor, places: Tensor, scales: Tensor) -> Tensor:
        """(b, n, width) tokens with their (n,) places and scales to the class token's output (b, width)."""
        known = self.posembed_input.position_emb[0, places] + self.scaleembed_input.scale_emb[scales]
        x = torch.cat([self.cls.expand(len(tokens), -1, -1), tokens + known], dim=1)
        *layers, last = self.transformer.values()
        for layer in layers:
            x = layer(x)
        return self.encoder_norm(last(x, tokens=1))[:, 0]


class Musiq(nn.Module):
    """Images (b, 3, h, w) in 0..1, one size, to quality scores (b,), about 0..100 with the SPAQ weights."""

    def __init__(self, width: int = 384, hidden: int = 1152, heads: int = 6, layers: int = 14) -> None:
        super().__init__()
        self.conv_root, self.gn_root = StandardisedConv(3, 64, 7, 2, bias=False), GroupNorm(32, 64, eps=1e-6)
        self.block1 = Bottleneck(64, 256)
        self.embedding = nn.Linear(256 * (PATCH // 4) ** 2, width)
        self.transformer_encoder = Encoder(width, hidden, heads, layers)
        self.head = nn.Linear(width, 1)

    def forward(self, images: Tensor) -> Tensor:
        images = (images - 0.5) * 2
        patches, places, scales = zip(*self._scales(images), strict=True)
        counts = [place.numel() for place in places]
        tokens = torch.cat([self._tokens(part) for part in patches], dim=1)
        scale = torch.tensor(scales, device=images.device).repeat_interleave(
            torch.tensor(counts, device=images.device)
        )
        return self.head(self.transformer_encoder(tokens, torch.cat(places).to(images.device), scale))[:, 0]

    def _scales(self, images: Tensor):
        """(patches (b, n, 3, 32, 32), their places on the grid, number of the scale) for each of the three sizes."""
        height, width = images.shape[-2:]
        for number, side in enumerate(LONGER_SIDES):
            size = tuple(round(edge * (side / max(height, width))) for edge in (height, width))
            resized = F.interpolate(images, size, mode="bicubic", align_corners=False)
            yield cut(resized), grid_places(*size), number
        yield cut(images), grid_places(height, width), len(LONGER_SIDES)

    def _tokens(self, patches: Tensor) -> Tensor:
        """(b, n, 3, 32, 32) to (b, n, width) through the small ResNet; channels last, as the embedding wants them."""
        x = patches.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        x = F.relu_(self.gn_root(self.conv_root(x)))
        x = self.block1(F.max_pool2d(pad_same(x, 3, 2), 3, 2))
        return self.embedding(x.permute(0, 2, 3, 1).flatten(1)).unflatten(0, patches.shape[:2])


def pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Zeros as TensorFlow's "same" puts them: the odd one goes right and below."""
    total = [(math.ceil(size / stride) - 1) * stride + kernel - size for size in x.shape[-2:]]
    (top, left), (bottom, right) = ((t // 2 for t in total), (t - t // 2 for t in total))
    return F.pad(x, (left, right, top, bottom)) if any(total) else x


def cut(images: Tensor) -> Tensor:
    """(b, 3, h, w) into patches (b, n, 3, 32, 32), row by row, the rim filled with zeros."""
    padded = pad_same(images, PATCH, PATCH)
    return padded.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH).permute(0, 2, 3, 1, 4, 5).flatten(1, 2)


def grid_places(height: int, width: int) -> Tensor:
    """(n,) index into the 10 x 10 table for every patch of an image: the nearest cell of a stretched grid."""
    cells = torch.arange(GRID, dtype=torch.float32)[None, None]
    down, across = (F.interpolate(cells, math.ceil(edge / PATCH), mode="nearest")[0, 0] for edge in (height, width))
    return (down[:, None] * GRID + across).flatten().long()


def load_musiq(state: Mapping[str, Tensor]) -> Musiq:
    """MUSIQ from pyiqa's published state (also under "params"); layers and widths are read off the tensors."""
    state = state.get("params", state)
    width = state["head.weight"].shape[1]
    hidden = state["transformer_encoder.transformer.encoderblock_0.mlp.fc1.weight"].shape[0]
    layers = 1 + max(int(name.split("encoderblock_")[1].split(".")[0]) for name in state if "encoderblock_" in name)
    with torch.device("meta"):
        network = Musiq(width, hidden, width // 64, layers)
    network.load_state_dict({name: tensor.detach().float().clone() for name, tensor in state.items()}, assign=True)
    network.eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, StandardisedConv):
            module.standardise()
    return network.to(memory_format=torch.channels_last)
