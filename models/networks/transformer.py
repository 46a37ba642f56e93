"""A causal video transformer with Wan 2.1's arithmetic: bidirectional, chunk-causal, or cached, with the same weights.

Parameter names are those of diffusers' `WanTransformer3DModel` (where `blocks` are transformer layers), so its
checkpoints load as they are. New here: a timestep per latent frame, the chunk-causal and teacher-forcing masks, and
the key/value cache of CausVid (arXiv 2412.07772) and Self Forcing (arXiv 2506.08009).
"""

from collections.abc import Sequence

import torch
from diffusers.models.attention import AttentionModuleMixin
from diffusers.models.attention_dispatch import dispatch_attention_fn
from torch import Tensor, nn
from torch.nn import functional as F

from models.networks.attention_masks import chunk_causal_mask, teacher_forcing_mask
from models.networks.diffusers_parts import ConfigMixin, ModelMixin, register_to_config
from models.networks.kv_cache import Context, KVCache, StaticKVCache

Pair = tuple[Tensor, Tensor]


class CausalVideoTransformer(ModelMixin, ConfigMixin):
    """Predicts `flow` = noise - x0 from noisy latents, a timestep and a text embedding.

    Runs in the dtype of its weights, whatever it is given; the flow comes back in the dtype of the latents.
    """

    # what diffusers' own tools ask for: the parts that fp8 storage leaves alone, and the repeated layer
    _skip_layerwise_casting_patterns = ("patch_embedding", "condition_embedder", "norm")
    _no_split_modules = ("_Layer",)
    _repeated_blocks = ("_Layer",)

    @register_to_config
    def __init__(
        self,
        patch_size: tuple[int, int, int] = (1, 2, 2),
        num_attention_heads: int = 12,
        attention_head_dim: int = 128,
        in_channels: int = 16,
        out_channels: int = 16,
        text_dim: int = 4096,
        freq_dim: int = 256,
        ffn_dim: int = 8960,
        num_layers: int = 30,
        cross_attn_norm: bool = True,
        qk_norm: str = "rms_norm_across_heads",
        eps: float = 1e-6,
        rope_max_seq_len: int = 1024,
        image_dim: int | None = None,
        added_kv_proj_dim: int | None = None,
        pos_embed_seq_len: int | None = None,
    ) -> None:
        super().__init__()
        if (
            patch_size[0] != 1
            or not cross_attn_norm
            or qk_norm != "rms_norm_across_heads"
            or image_dim
            or added_kv_proj_dim
        ):
            raise ValueError(
                "this class has Wan 2.1 text-to-video arithmetic only: patch_size (1, h, w), cross_attn_norm, "
                "qk_norm='rms_norm_across_heads', no image branch; use diffusers' WanTransformer3DModel for others"
            )
        width = num_attention_heads * attention_head_dim
        self.patch_embedding = nn.Conv3d(in_channels, width, patch_size, stride=patch_size)
        self.condition_embedder = _ConditionEmbedder(width, freq_dim, text_dim)
        self.blocks = nn.ModuleList(_Layer(width, ffn_dim, num_attention_heads, eps) for _ in range(num_layers))
        self.norm_out = nn.LayerNorm(width, eps, elementwise_affine=False)
        self.proj_out = nn.Linear(width, out_channels * patch_size[1] * patch_size[2])
        self.scale_shift_table = nn.Parameter(torch.randn(1, 2, width) / width**0.5)
        self._rope: dict[tuple, tuple[Tensor, Tensor]] = {}

    def tokens_per_frame(self, height: int, width: int) -> int:
        """Tokens of one latent frame of `height` x `width` latents."""
        _, ph, pw = self.config.patch_size
        return (height // ph) * (width // pw)

    def new_cache(
        self,
        height: int,
        width: int,
        *,
        window: int | None = None,
        sink: int = 0,
        sink_follows: bool = False,
        frames: int | None = None,
    ) -> KVCache:
        """An empty cache for latents of `height` x `width`. With `sink_follows` the sink stays next to the window.

        With `frames`, the latent frames of the clip, the cache is one buffer a layer that is written in place: for
        sampling, not for training.
        """
        turn = self._turn if sink_follows else None
        limits = (len(self.blocks), self.tokens_per_frame(height, width), window, sink)
        return KVCache(*limits, turn=turn) if frames is None else StaticKVCache(*limits, turn=turn, frames=frames)

    def _turn(self, keys: Tensor, frames: int) -> Tensor:
        """Keys (B, tokens, heads, head_dim), rotated for their place, as they are `frames` latent frames later."""
        pairs = self.config.attention_head_dim // 2
        side = pairs // 3
        count = pairs - 2 * side
        angles = torch.zeros(pairs, dtype=torch.float64)
        angles[:count] = frames * 1e4 ** -(torch.arange(count, dtype=torch.float64) / count)
        cos, sin = (part.to(keys.device, torch.float32)[None, None] for part in (angles.cos(), angles.sin()))
        return _rotate(keys, (cos, sin))

    def forward(
        self,
        latents: Tensor,
        timestep: Tensor,
        text: Tensor,
        *,
        chunks: Sequence[int] | None = None,
        window: int | None = None,
        cache: KVCache | None = None,
        start_frame: int = 0,
        write_cache: bool = False,
        clean: Tensor | None = None,
        clean_timestep: Tensor | None = None,
        positions: Sequence[int] | None = None,
        taps: Sequence[int] = (),
        routed: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        """One forward pass.

        Args:
            latents: (B, T, C, H, W), noisy.
            timestep: 1000 * sigma, float: (B,) one per clip, (B, 1) one per call, or (B, T) one per latent frame.
            text: (B, L, text_dim); rows past the prompt are zeros and are attended, as Wan does.
            chunks: chunk lengths for the chunk-causal mask; None attends in both directions.
            window: with `chunks`, the latent frames that a chunk sees, itself included.
            cache: attend to what it holds and to `latents`, which start at latent frame `start_frame`.
            write_cache: keep this call's keys and values (the clean pass).
            clean: (B, T, C, H, W) clean copy for teacher forcing; needs `chunks`. `clean_timestep` defaults to 0.
            positions: time position of each latent frame, where they are not start_frame, start_frame + 1, ...
            taps: layers after which the hidden states are returned too, for a discriminator.
            routed: indices of the tokens, equally many of each latent frame, that pass through all layers; the others
                skip those between the first and the last (TREAD, arXiv 2501.04765). For training only.

        Returns:
            flow (B, T, C, H, W), or (flow, [hidden states (B, tokens, width) per tap]).
        """
        batch, frames, _, height, width = latents.shape
        given = latents.dtype
        dtype = self.patch_embedding.weight.dtype
        latents, text = latents.to(dtype), text.to(dtype)
        times = timestep[:, None] if timestep.ndim == 1 else timestep
        if clean is not None:
            if clean_timestep is None:
                clean_timestep = torch.zeros_like(times)
            times = torch.cat([clean_timestep.expand(batch, frames), times.expand(batch, frames)], 1)
            latents = torch.cat([clean.to(dtype), latents], 1)
        tokens = self.patch_embedding(latents.transpose(1, 2)).flatten(2).transpose(1, 2).contiguous()
        per_frame = self.tokens_per_frame(height, width)
        rope = self._rotations(
            tuple(positions or range(start_frame, start_frame + frames)), height, width, latents.device
        )
        if clean is not None:
            rope = tuple(torch.cat([part, part], 0) for part in rope)
        mask = self._mask(chunks, per_frame, window, clean is not None, latents.device)
        time, modulation = self.condition_embedder.time(times, tokens.dtype)
        keeps_text = cache is not None and not torch.is_grad_enabled()
        words = None
        if not keeps_text or cache.entries[0].text is None:
            words = self.condition_embedder.text_embedder(text)
        start = start_frame * per_frame
        if cache is not None:
            cache.begin(start, tokens, self.config.num_attention_heads)
        hidden = []
        last = len(self.blocks) - 1
        for index, layer in enumerate(self.blocks):
            told = cache.entries[index].text if words is None else words
            context = cache and cache.context(index, start, tokens.shape[1], write=write_cache)
            if routed is not None and 0 < index < last:
                part, turns = tokens[:, routed], tuple(turn[routed] for turn in rope)
                seen = None if mask is None else mask[routed][:, routed]
                part, pair = layer(part, modulation, told, turns, seen, context)
                tokens = tokens.index_copy(1, routed, part)
            else:
                tokens, pair = layer(tokens, modulation, told, rope, mask, context)
            if keeps_text:
                cache.entries[index].text = pair
            if index in taps:
                hidden.append(tokens)
        if cache is not None and write_cache:
            cache.advance(start, tokens.shape[1])
        shift, scale = (self.scale_shift_table[:, None] + time[:, :, None]).unbind(2)
        tokens = self.proj_out(_modulate(self.norm_out(tokens), shift, scale))
        flow = self._unpatchify(tokens, height, width)
        flow = (flow[:, frames:] if clean is not None else flow).to(given)
        return (flow, hidden) if taps else flow

    def _unpatchify(self, tokens: Tensor, height: int, width: int) -> Tensor:
        _, ph, pw = self.config.patch_size
        grid = tokens.unflatten(1, (-1, height // ph, width // pw)).unflatten(-1, (ph, pw, -1))
        return grid.permute(0, 1, 6, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)

    def _mask(
        self, chunks: Sequence[int] | None, per_frame: int, window: int | None, forced: bool, device: torch.device
    ) -> Tensor | None:
        if chunks is None:
            return None
        layout = tuple(chunks)
        mask = teacher_forcing_mask(layout, per_frame) if forced else chunk_causal_mask(layout, per_frame, window)
        return mask.to(device)

    def _rotations(
        self, times: tuple[int, ...], height: int, width: int, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Cosines and sines (tokens, 1, head_dim / 2): time, height and width share the pairs as
        c - 2(c//3), c//3 and c//3."""
        key = (times, height, width, device)
        if key not in self._rope:
            if times[-1] >= self.config.rope_max_seq_len:
                raise ValueError(
                    f"latent frame {times[-1] + 1} is beyond the {self.config.rope_max_seq_len}"
                    " positions of this model; ask for fewer frames"
                )
            if len(self._rope) > 256:
                self._rope.clear()
            _, ph, pw = self.config.patch_size
            pairs = self.config.attention_head_dim // 2
            side = pairs // 3
            axes = [
                (torch.tensor(times), pairs - 2 * side),
                (torch.arange(height // ph), side),
                (torch.arange(width // pw), side),
            ]
            t, y, x = (torch.outer(p.double(), 1e4 ** -(torch.arange(n, dtype=torch.float64) / n)) for p, n in axes)
            grid = (len(times), height // ph, width // pw)
            angles = torch.cat(
                [
                    t[:, None, None].expand(*grid, -1),
                    y[None, :, None].expand(*grid, -1),
                    x[None, None].expand(*grid, -1),
                ],
                -1,
            )
            angles = angles.flatten(0, 2)[:, None]
            self._rope[key] = (angles.cos().to(device, torch.float32), angles.sin().to(device, torch.float32))
        return self._rope[key]


class _ConditionEmbedder(nn.Module):
    """Time and text conditioning, with diffusers' parameter names."""

    def __init__(self, width: int, freq_dim: int, text_dim: int) -> None:
        super().__init__()
        self.freq_dim = freq_dim
        self.time_embedder = _TwoLinears(freq_dim, width, nn.SiLU())
        self.time_proj = nn.Linear(width, 6 * width)
        self.text_embedder = _TwoLinears(text_dim, width, nn.GELU("tanh"))

    def time(self, timestep: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """(B, T) timesteps to the embedding (B, T, width) and its six-fold projection (B, T, 6, width)."""
        half = self.freq_dim // 2
        # float64: a timestep rounded in its last float32 bit already moves outputs by 1e-5
        angles = timestep.double()[..., None] * 1e4 ** -(
            torch.arange(half, dtype=torch.float64, device=timestep.device) / half
        )
        embedding = self.time_embedder(torch.cat([angles.cos(), angles.sin()], -1).to(dtype))
        return embedding, self.time_proj(F.silu(embedding)).unflatten(-1, (6, -1))


class _TwoLinears(nn.Module):
    def __init__(self, inputs: int, width: int, activation: nn.Module) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(inputs, width)
        self.act = activation
        self.linear_2 = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_2(self.act(self.linear_1(x)))


class _RMSNorm(nn.Module):
    """Root-mean-square norm over the full width (all heads together), computed in float32, cast back before the
    gain."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), x.shape[-1:], eps=self.eps).to(x.dtype) * self.weight


class _Backend:
    """Which kernel an attention module runs; `set_attention_backend` of the model sets it (None: torch's own)."""

    _attention_backend = None
    _parallel_config = None


class _Attention(nn.Module, AttentionModuleMixin):
    def __init__(self, width: int, heads: int, eps: float) -> None:
        super().__init__()
        self.processor = _Backend()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(width, width)])
        self.norm_q, self.norm_k = _RMSNorm(width, eps), _RMSNorm(width, eps)

    def queries(self, x: Tensor) -> Tensor:
        return self.norm_q(self.to_q(x)).unflatten(-1, (self.heads, -1))

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.norm_k(self.to_k(x)).unflatten(-1, (self.heads, -1)), self.to_v(x).unflatten(-1, (self.heads, -1))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, tokens, heads, head_dim) each; scaled dot-product attention and the output projection."""
        v = v.to(q.dtype)
        if q.device.type == "cpu" and torch.is_autocast_enabled("cpu") and torch.is_grad_enabled():
            # written out, for on a CPU torch's own backward of attention takes several times as long
            q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
            weights = q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)
            if mask is not None:
                weights = weights.masked_fill(~mask, -torch.inf)
            out = (weights.softmax(-1) @ v).transpose(1, 2)
        else:
            out = dispatch_attention_fn(q, k, v, attn_mask=mask, backend=self.processor._attention_backend)
        return self.to_out[0](out.flatten(2))


class _FeedForward(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.ModuleList([_Projection(width, hidden), nn.Identity(), nn.Linear(hidden, width)])

    def forward(self, x: Tensor) -> Tensor:
        return self.net[2](F.gelu(self.net[0].proj(x), approximate="tanh"))


class _Projection(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, hidden)


class _Layer(nn.Module):
    def __init__(self, width: int, ffn: int, heads: int, eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps, elementwise_affine=False)
        self.attn1 = _Attention(width, heads, eps)
        self.norm2 = nn.LayerNorm(width, eps)
        self.attn2 = _Attention(width, heads, eps)
        self.norm3 = nn.LayerNorm(width, eps, elementwise_affine=False)
        self.ffn = _FeedForward(width, ffn)
        self.scale_shift_table = nn.Parameter(torch.randn(1, 6, width) / width**0.5)

    def forward(
        self,
        x: Tensor,
        modulation: Tensor,
        text: Tensor | Pair,
        rope: Pair,
        mask: Tensor | None,
        context: Context | None,
    ) -> tuple[Tensor, Pair]:
        """x (B, tokens, width); modulation (B, T or 1, 6, width) with tokens grouped by frame; text (B, L, width) or
        its keys and values, which are returned too.

        `context` says what x attends to, given its own keys and values.
        """
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = (self.scale_shift_table[:, None] + modulation).unbind(2)
        h = _modulate(self.norm1(x), shift_a, scale_a)
        q = _rotate(self.attn1.queries(h), rope)
        k, v = self.attn1.keys_values(h)
        k = _rotate(k, rope)
        if context is not None:
            k, v = context(k, v)
        x = _gated(x, self.attn1.attend(q, k, v, mask), gate_a)
        pair = text if isinstance(text, tuple) else self.attn2.keys_values(text)
        x = x + self.attn2.attend(self.attn2.queries(self.norm2(x)), *pair)
        return _gated(x, self.ffn(_modulate(self.norm3(x), shift_f, scale_f)), gate_f), pair


def _rotate(x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """Interleaved rotary embedding: adjacent channels of x (B, tokens, heads, head_dim) are one complex number."""
    cos, sin = rope
    real, imaginary = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([real * cos - imaginary * sin, real * sin + imaginary * cos], -1).flatten(-2).to(x.dtype)


def _modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x * (1 + scale) + shift, with shift and scale (B, T or 1, width) spread over the tokens of their frame."""
    frames = x.unflatten(1, (shift.shape[1], -1))
    return torch.addcmul(shift[:, :, None], frames, 1 + scale[:, :, None]).flatten(1, 2)


def _gated(x: Tensor, update: Tensor, gate: Tensor) -> Tensor:
    frames = (gate.shape[1], -1)
    return torch.addcmul(x.unflatten(1, frames), update.unflatten(1, frames), gate[:, :, None]).flatten(1, 2)
