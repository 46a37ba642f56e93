"""Pre-norm transformers of CLIP, DINO and ViCLIP: one class, three tables of published names.

Inference only. The last layer computes the one token that is read out, and nothing else of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLIP_BLOCK = {
    "norm1": "ln_1",
    "qkv.weight": "attn.in_proj_weight",
    "qkv.bias": "attn.in_proj_bias",
    "out": "attn.out_proj",
    "norm2": "ln_2",
    "wide": "mlp.c_fc",
    "narrow": "mlp.c_proj",
}
DINO_BLOCK = {
    "norm1": "norm1",
    "qkv": "attn.qkv",
    "out": "attn.proj",
    "norm2": "norm2",
    "wide": "mlp.fc1",
    "narrow": "mlp.fc2",
}


class Block(nn.Module):
    """Attention and a four times wider MLP, each behind a layer norm and added to its input."""

    def __init__(self, width: int, heads: int, *, quick: bool, eps: float) -> None:
        super().__init__()
        self.heads, self.quick = heads, quick
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.wide = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, *, causal: bool = False) -> Tensor:
        """(b, n, width) to the same."""
        return self._mlp(self._attend(x, self.qkv(self.norm1(x)).chunk(3, dim=-1), causal))

    def read_out(self, x: Tensor, token: Tensor | int = 0) -> Tensor:
        """The layer's output for one token of each row, (b, width); the others only serve as context."""
        normed = self.norm1(x)
        rows = torch.arange(len(x), device=x.device)
        width = x.shape[-1]
        query = F.linear(normed[rows, token], self.qkv.weight[:width], self.qkv.bias[:width])[:, None]
        keys = F.linear(normed, self.qkv.weight[width:], self.qkv.bias[width:]).chunk(2, dim=-1)
        # a causal mask would hide what follows the token; its caller cuts that off instead
        return self._mlp(self._attend(x[rows, token][:, None], (query, *keys), causal=False))[:, 0]

    def _attend(self, x: Tensor, qkv: tuple[Tensor, ...], causal: bool) -> Tensor:
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in qkv)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return x + self.out(mixed.transpose(1, 2).flatten(2))

    def _mlp(self, x: Tensor) -> Tensor:
        hidden = self.wide(self.norm2(x))
        hidden = hidden.mul_(torch.sigmoid(1.702 * hidden)) if self.quick else F.gelu(hidden)
        return self.narrow(hidden).add_(x)


class VisionTransformer(nn.Module):
    """Images (b, 3, h, w) to one feature vector each, (b, features).

    `clip`: layer norm ahead of the layers, quick GELU, a projection behind, square input. Else DINO: exact GELU, any
    input size, whose position table is resampled as DINO's own code does.
    """

    def __init__(self, *, side: int, patch: int, width: int, layers: int, features: int | None, clip: bool) -> None:
        super().__init__()
        self.clip, self.patch = clip, patch
        self.grid = side // patch
        self.embed = nn.Conv2d(3, width, patch, patch, bias=not clip)
        self.cls = nn.Parameter(torch.zeros(width))
        self.positions = nn.Parameter(torch.zeros(self.grid**2 + 1, width))
        eps = 1e-5 if clip else 1e-6
        self.before = nn.LayerNorm(width, eps=eps) if clip else nn.Identity()
        self.blocks = nn.ModuleList([Block(width, width // 64, quick=clip, eps=eps) for _ in range(layers)])
        self.after = nn.LayerNorm(width, eps=eps)
        self.projection = nn.Parameter(torch.zeros(width, features)) if features else None

    def forward(self, images: Tensor) -> Tensor:
        patches = self.embed(images)
        table = self.position_table(*patches.shape[-2:])
        tokens = torch.cat([self.cls.expand(len(images), 1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
        x = self.before(tokens.add_(table))
        for block in self.blocks[:-1]:
            x = block(x)
        feature = self.after(self.blocks[-1].read_out(x))
        return feature if self.projection is None else feature @ self.projection

    def position_table(self, rows: int, columns: int) -> Tensor:
        """(1 + rows * columns, width). Away from the trained grid DINO resamples bicubically, its scale computed
        from size + 0.1 (facebookresearch/dino issue 8), so that the table differs from a plain resize."""
        if (rows, columns) == (self.grid, self.grid):
            return self.positions
        grid = self.positions[1:].unflatten(0, (self.grid, self.grid)).permute(2, 0, 1)[None]
        scale = ((rows + 0.1) / self.grid, (columns + 0.1) / self.grid)
        resampled = F.interpolate(grid, scale_factor=scale, mode="bicubic")
        return torch.cat([self.positions[:1], resampled[0].flatten(1).T])


class VideoTransformer(VisionTransformer):
    """ViCLIP's image tower (arXiv:2307.06942): frames (b, t, 3, 224, 224) to one feature (b, features); every patch of
    every frame attends to every other. `times` is the table of frame positions."""

    def __init__(self, *, frames: int, **sizes: int) -> None:
        super().__init__(**sizes, clip=True)
        self.times = nn.Parameter(torch.zeros(frames, sizes["width"]))

    def forward(self, clips: Tensor) -> Tensor:
        patches = self.embed(clips.flatten(0, 1)).flatten(2).transpose(1, 2).unflatten(0, clips.shape[:2])
        patches = patches + self.positions[1:] + self.times[:, None]
        cls = (self.cls + self.positions[0]).expand(len(clips), 1, -1)
        # patch by patch, the frames of each together: the order of the published code, which sums depend on
        x = self.before(torch.cat([cls, patches.transpose(1, 2).flatten(1, 2)], dim=1))
        for block in self.blocks[:-1]:
            x = block(x)
        return self.after(self.blocks[-1].read_out(x)) @ self.projection


class TextTransformer(nn.Module):
    """CLIP's text tower: token ids (b, context) to features (b, features), read at the end token, the highest id."""

    def __init__(self, *, vocabulary: int, context: int, width: int, layers: int, features: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.zeros(context, width))
        self.blocks = nn.ModuleList([Block(width, width // 64, quick=True, eps=1e-5) for _ in range(layers)])
        self.after = nn.LayerNorm(width)
        self.projection = nn.Parameter(torch.zeros(width, features))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids) + self.positions
        for block in self.blocks:
            x = block(x, causal=True)
        return self.after(x[torch.arange(len(x), device=x.device), ids.argmax(dim=-1)]) @ self.projection


@dataclass(frozen=True)
class ClipNetworks:
    """CLIP's two towers and the scale of its logits."""

    image: VisionTransformer
    text: TextTransformer
    logit_scale: float


def load_dino(state: Mapping[str, Tensor]) -> VisionTransformer:
    """DINO's ViT (arXiv:2104.14294) from the published state; its size is read off the tensors."""
    state = {name.removeprefix("module.").removeprefix("backbone."): tensor for name, tensor in state.items()}
    width, _, patch, _ = state["patch_embed.proj.weight"].shape
    side = round((state["pos_embed"].shape[1] - 1) ** 0.5) * patch
    network = _empty(
        VisionTransformer,
        side=side,
        patch=patch,
        width=width,
        layers=_layers(state, "blocks"),
        features=None,
        clip=False,
    )
    own = {
        "embed.weight": state["patch_embed.proj.weight"],
        "embed.bias": state["patch_embed.proj.bias"],
        "cls": state["cls_token"].flatten(),
        "positions": state["pos_embed"][0],
        "after.weight": state["norm.weight"],
        "after.bias": state["norm.bias"],
    }
    return _filled(network, own | _block_tensors(network, state, "blocks", DINO_BLOCK))


def load_clip(state: Mapping[str, Tensor]) -> ClipNetworks:
    """OpenAI's CLIP (arXiv:2103.00020), a ViT variant, from the published state."""
    state = {name: _as_openai_keeps(name, tensor) for name, tensor in state.items()}
    text = _load_text(state, "")
    return ClipNetworks(_load_clip_image(state, "visual."), text, float(state["logit_scale"].float().exp()))


def load_viclip(state: Mapping[str, Tensor]) -> ClipNetworks:
    """ViCLIP from the published checkpoint (its weights under "model") or from the weights alone."""
    state = dict(state.get("model", state))
    state["vision_encoder.conv1.weight"] = state["vision_encoder.conv1.weight"].squeeze(2)
    return ClipNetworks(_load_clip_image(state, "vision_encoder."), _load_text(state, "text_encoder."), 1.0)


def _load_clip_image(state: Mapping[str, Tensor], prefix: str) -> VisionTransformer:
    width, _, patch, _ = state[f"{prefix}conv1.weight"].shape
    sizes = {
        "side": round((len(state[f"{prefix}positional_embedding"]) - 1) ** 0.5) * patch,
        "patch": patch,
        "width": width,
        "layers": _layers(state, f"{prefix}transformer.resblocks"),
        "features": state[f"{prefix}proj"].shape[1],
    }
    times = state.get(f"{prefix}temporal_positional_embedding")
    if times is None:
        network = _empty(VisionTransformer, **sizes, clip=True)
    else:
        network = _empty(VideoTransformer, **sizes, frames=times.shape[1])
    own = {} if times is None else {"times": times[0]}
    own |= {
        "embed.weight": state[f"{prefix}conv1.weight"],
        "cls": state[f"{prefix}class_embedding"],
        "positions": state[f"{prefix}positional_embedding"],
        "projection": state[f"{prefix}proj"],
    }
    for ours, theirs in (("before", "ln_pre"), ("after", "ln_post")):
        own |= {f"{ours}.{part}": state[f"{prefix}{theirs}.{part}"] for part in ("weight", "bias")}
    return _filled(network, own | _block_tensors(network, state, f"{prefix}transformer.resblocks", CLIP_BLOCK))


def _load_text(state: Mapping[str, Tensor], prefix: str) -> TextTransformer:
    vocabulary, width = state[f"{prefix}token_embedding.weight"].shape
    network = _empty(
        TextTransformer,
        vocabulary=vocabulary,
        context=len(state[f"{prefix}positional_embedding"]),
        width=width,
        layers=_layers(state, f"{prefix}transformer.resblocks"),
        features=state[f"{prefix}text_projection"].shape[1],
    )
    own = {
        "embed.weight": state[f"{prefix}token_embedding.weight"],
        "positions": state[f"{prefix}positional_embedding"],
        "projection": state[f"{prefix}text_projection"],
        "after.weight": state[f"{prefix}ln_final.weight"],
        "after.bias": state[f"{prefix}ln_final.bias"],
    }
    return _filled(network, own | _block_tensors(network, state, f"{prefix}transformer.resblocks", CLIP_BLOCK))


def _as_openai_keeps(name: str, tensor: Tensor) -> Tensor:
    """OpenAI's loader holds these tensors in float16 even where it computes in float32."""
    half = re.search(r"conv1\.weight$|in_proj_|out_proj\.|c_fc\.|c_proj\.|(^|\.)proj$|text_projection$", name)
    return tensor.half().float() if half and tensor.is_floating_point() else tensor


def _layers(state: Mapping[str, Tensor], prefix: str) -> int:
    numbers = (re.match(rf"{re.escape(prefix)}\.(\d+)\.", name) for name in state)
    return 1 + max(int(number[1]) for number in numbers if number)


def _block_tensors(network: nn.Module, state: Mapping[str, Tensor], prefix: str, names: Mapping[str, str]) -> dict:
    tensors = {}
    for index, block in enumerate(network.blocks):
        for name in block.state_dict():
            part = next(ours for ours in names if name == ours or name.startswith(f"{ours}."))
            tensors[f"blocks.{index}.{name}"] = state[f"{prefix}.{index}.{names[part]}{name.removeprefix(part)}"]
    return tensors


def _empty(kind: type, **sizes: object) -> nn.Module:
    """A network without storage: drawing random weights for ViT-L takes longer than reading the real ones."""
    with torch.device("meta"):
        return kind(**sizes)


def _filled(network: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    network.load_state_dict({name: tensor.detach().float() for name, tensor in tensors.items()}, assign=True)
    return network.eval().requires_grad_(False)
