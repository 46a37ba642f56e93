"""The key/value cache of a causal video transformer. It owns its indices; callers only say where a chunk starts.

Keys are stored after norm and RoPE, at their absolute time position, values raw; layout (B, tokens, heads, head_dim).
The cache is functional: attention reads a concatenation of the kept past and the current tokens, and a write replaces
tensors instead of changing them. A training rollout can therefore back-propagate through any call without the
in-place hazards of a shared buffer, and cached chunks are constants to the gradient, as in Self Forcing (arXiv
2506.08009). Sampling alone may use `StaticKVCache`, which holds the same in buffers that it writes in place.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

Context = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass
class LayerCache:
    """Keys and values of one layer: `k`, `v` (B, tokens, heads, head_dim), empty at first; `text` the prompt's
    pair."""

    k: Tensor | None = None
    v: Tensor | None = None
    text: tuple[Tensor, Tensor] | None = None


@dataclass
class KVCache:
    """Cache of all layers.

    `window` is the number of latent frames that attention may see, the current chunk included (None: all); `sink` is
    the number of first frames that are never evicted. `global_end` counts the tokens of the clip so far, `local_end`
    those that are still held. A call at the place of the newest chunk overwrites it; a call after it appends.

    `origin` is the absolute token at which what is held begins: 0, or where a cache that was reset went on.
    `turn(keys, frames)` rotates keys on by a number of frames. With it the sink follows the window: attention finds it
    right before the frames that are held, at a distance that training had, instead of ever farther away, where clips
    collapse at a fixed time (arXiv 2601.16914; the remedy is a part of arXiv 2511.20649's).
    """

    layers: int
    tokens_per_frame: int
    window: int | None = None
    sink: int = 0
    global_end: int = 0
    local_end: int = 0
    origin: int = 0
    entries: list[LayerCache] = field(default_factory=list)
    turn: Callable[[Tensor, int], Tensor] | None = None

    def __post_init__(self) -> None:
        if self.window is not None and self.window <= self.sink:
            raise ValueError(
                f"a window of {self.window} frames with a sink of {self.sink} leaves no room for a chunk; widen the "
                f"window"
            )
        self.entries = [LayerCache() for _ in range(self.layers)]

    def reset(self) -> None:
        """Forget everything, the prompt included."""
        self.global_end = self.local_end = self.origin = 0
        self.entries = [LayerCache() for _ in range(self.layers)]

    def skip(self, start: int) -> None:
        """Go on at absolute token `start`: what lies between the end so far and there is never held."""
        if start < self.global_end:
            raise ValueError(f"a cache that ends at {self.global_end} cannot go back to {start}; reset it first")
        self.global_end = start
        if not self.local_end:
            self.origin = start

    def reset_text(self) -> None:
        """Forget the prompt's keys and values: the next call computes them from the text it is given."""
        for entry in self.entries:
            entry.text = None

    def kept(self, start: int, tokens: int) -> tuple[slice, slice]:
        """Which held tokens (sink part, recent part) a call of `tokens` at absolute token `start` sees before
        itself."""
        growth = start + tokens - self.global_end
        past = self.local_end + growth - tokens
        if past < 0 or growth < 0 or past > self.local_end:
            raise ValueError(
                f"a call for tokens {start}..{start + tokens} does not fit a cache that ends at {self.global_end} and "
                f"holds "
                f"{self.local_end}; go on at the end or redo the newest chunk"
            )
        if self.window is None:
            return slice(0, 0), slice(0, past)
        capacity = self.window * self.tokens_per_frame
        if tokens > capacity - self.sink * self.tokens_per_frame:
            raise ValueError(
                f"a chunk of {tokens // self.tokens_per_frame} frames does not fit a window of {self.window} with a "
                f"sink of {self.sink}"
            )
        evicted = max(0, past + tokens - capacity)
        sink = min(self.sink * self.tokens_per_frame, past) if evicted else 0
        return slice(0, sink), slice(sink + evicted, past)

    def context(self, layer: int, start: int, tokens: int, *, write: bool) -> Context:
        """What a call of `tokens` at absolute token `start` attends to in a layer, as a function of its own keys and
        values (B, tokens, heads, head_dim); with `write` it keeps them.

        Indices move only in `advance`, once all layers have written.
        """
        return partial(self._joined, layer, start, write)

    def _joined(self, layer: int, start: int, write: bool, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        entry = self.entries[layer]
        sink, recent = self.kept(start, k.shape[1])
        if entry.k is not None:
            k = torch.cat([entry.k[:, sink], entry.k[:, recent], k], 1)
            v = torch.cat([entry.v[:, sink], entry.v[:, recent], v], 1)
        if write:
            entry.k, entry.v = k.detach(), v.detach()
        if self.turn and sink.stop:
            place = start - (sink.stop + recent.stop - recent.start)
            frames = (place - self.origin) // self.tokens_per_frame
            k = torch.cat([self.turn(k[:, sink], frames), k[:, sink.stop :]], 1)
        return k, v

    def advance(self, start: int, tokens: int) -> None:
        """Move the indices after a call that wrote `tokens` at `start`."""
        sink, recent = self.kept(start, tokens)
        self.local_end = (sink.stop - sink.start) + (recent.stop - recent.start) + tokens
        self.global_end = start + tokens

    def begin(self, start: int, tokens: Tensor, heads: int) -> None:
        """A call on `tokens` (B, n, width) at absolute token `start` begins; nothing to prepare here."""

    def bytes(self) -> int:
        """Memory held by keys and values."""
        tensors = [t for e in self.entries for t in (e.k, e.v) if t is not None]
        return sum(t.numel() * t.element_size() for t in tensors)


@dataclass
class StaticKVCache(KVCache):
    """The same cache in one buffer a layer for keys and one for values, for sampling.

    A call writes its keys and values into the end of what it attends to, and attention reads a view: nothing is
    joined or copied but what moves up when frames are evicted, addresses stay, and a compiled layer sees tensors only.
    A call leaves its own keys behind even when it does not `write`; the next call overwrites them. Unlike the
    functional cache it evicts when a chunk begins, so a chunk before the newest cannot be redone. `frames` are the
    latent frames of the clip; buffers hold that many, or the window.
    """

    frames: int = 0
    buffers: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    _firsts: list[Tensor] = field(default_factory=list)  # the sink's keys, as they were before they were turned
    _turned: int | None = None
    _views: dict[tuple[int, int], tuple[Tensor, Tensor]] = field(default_factory=dict)

    @property
    def capacity(self) -> int:
        """Tokens that the buffers hold."""
        return min(self.frames, self.window or self.frames) * self.tokens_per_frame

    def reset(self) -> None:
        super().reset()
        self._firsts, self._turned = [], None

    def begin(self, start: int, tokens: Tensor, heads: int) -> None:
        batch, count, width = tokens.shape
        sink, recent = self.kept(start, count)
        if recent.stop + count - max(0, recent.start - sink.stop) > self.capacity:
            raise ValueError(
                f"{start + count} tokens do not fit buffers of {self.capacity}; make the cache for as many frames as "
                "the clip has"
            )
        if not self.buffers:
            shape = (batch, self.capacity, heads, width // heads)
            self.buffers = [(tokens.new_zeros(shape), tokens.new_zeros(shape)) for _ in range(self.layers)]
        evicted = recent.start - sink.stop
        if evicted:
            if self.turn and sink.stop and not self._firsts:
                self._firsts = [k[:, sink].clone() for k, _ in self.buffers]
            for buffer in (buffer for pair in self.buffers for buffer in pair):
                buffer[:, sink.stop : recent.stop - evicted] = buffer[:, recent].clone()
            self.local_end -= evicted
        if self._firsts:
            self._follow(start, count)

    def _follow(self, start: int, count: int) -> None:
        """Turn the sink's keys to the place right before the frames that are held, which is `start` less those."""
        sink = self._firsts[0].shape[1]
        _, recent = self.kept(start, count)
        frames = (start - recent.stop - self.origin) // self.tokens_per_frame
        if frames != self._turned:
            for (k, _), first in zip(self.buffers, self._firsts, strict=True):
                k[:, :sink] = self.turn(first, frames)
            self._turned = frames

    def context(self, layer: int, start: int, tokens: int, *, write: bool) -> Context:
        _, recent = self.kept(start, tokens)
        return partial(_put_at_the_end, *self._view(layer, recent.stop + tokens))

    def _view(self, layer: int, stop: int) -> tuple[Tensor, Tensor]:
        """The first `stop` tokens of a layer's buffers: the same tensors every time, which a compiled layer may take
        as tensors of any length that stay where they are."""
        if (layer, stop) not in self._views:
            views = tuple(buffer[:, :stop] for buffer in self.buffers[layer])
            for view in views:
                torch._dynamo.maybe_mark_dynamic(view, 1)
                torch._dynamo.mark_static_address(view, guard=False)
            self._views[layer, stop] = views
        return self._views[layer, stop]

    def bytes(self) -> int:
        return sum(t.numel() * t.element_size() for pair in self.buffers for t in pair)


def _put_at_the_end(held_k: Tensor, held_v: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Write a call's keys and values into the end of the views that it attends to."""
    held_k[:, -k.shape[1] :] = k
    held_v[:, -v.shape[1] :] = v
    return held_k, held_v
