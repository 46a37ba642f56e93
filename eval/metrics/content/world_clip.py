"""The CLIPs of the procedural worlds (`assets/*-clip`), loaded into open_clip's own class; see their cards for their
worth.

An image tower looks at diptychs, the frame `gap_seconds` earlier and the frame itself, woven strip by strip, so that
it can tell directions. The first frames of a clip, which have no such partner, have no embedding.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from eval.metric import Facts
from eval.shapes import oracle as shapes
from eval.tabletop import prompt as tabletop
from eval.video.windows import Window

ASSETS = Path(__file__).resolve().parents[3] / "assets"
WEIGHTS = "diffusion_pytorch_model.safetensors"
PREFIX = "clip."


@dataclass(frozen=True)
class ClipWorld:
    """A world that has a CLIP: `parse` reads its prompts (None outside its grammar); `caption(color, kind, direction,
    behind)` is the prompt of one thing of these `words`; what is `behind` it the world calls `behind_name`."""

    name: str
    parse: Callable[[str], object | None]
    caption: Callable[..., str]
    words: tuple[Sequence[str], ...]
    behind: Sequence[str]
    behind_name: str

    @property
    def folder(self) -> Path:
        return ASSETS / f"{self.name}-clip"

    def missing(self) -> str:
        """Why its CLIP cannot run, or ""."""
        if (self.folder / WEIGHTS).exists():
            return ""
        return f"{WEIGHTS} is not in assets/{self.folder.name}; train it by recipe world-clip, preset {self.name}"

    def naming_weights(self, facts: Facts) -> Facts:
        """The facts with the weights' digest in their version: other weights give other numbers."""
        path = self.folder / WEIGHTS
        return replace(facts, version=f"{facts.version}-{_digest(path)}") if path.exists() else facts

    @cached_property
    def captions(self) -> list[list[str]]:
        """Every caption of one thing, a row for each thing and a column for each of `behind`."""
        return [[self.caption(*thing, behind) for behind in self.behind] for thing in product(*self.words)]


def _tabletop_caption(color: str, solid: str, direction: str, ground: str) -> str:
    return f"{'an' if color[0] in 'aeiou' else 'a'} {color} {solid} rolling {direction} over {ground}"


SHAPES = ClipWorld(
    "shapes",
    shapes.parse,
    "a {} {} moving {} on a {} background".format,
    tuple(list(shapes.VOCABULARY[part]) for part in ("colors", "shapes", "directions")),
    list(shapes.VOCABULARY["backgrounds"]),
    "background",
)
TABLETOP = ClipWorld(
    "tabletop",
    tabletop.parse,
    _tabletop_caption,
    (tabletop.COLORS, tabletop.SOLIDS, list(tabletop.DIRECTIONS)),
    tabletop.GROUNDS,
    "ground",
)
WORLDS = {world.name: world for world in (SHAPES, TABLETOP)}


class WorldClipBackbone:
    """Embeds frames and captions; one instance serves every metric and every clip."""

    def __init__(self, world: ClipWorld) -> None:
        import open_clip

        self.world, folder = world, world.folder
        self.config = json.loads((folder / "config.json").read_text())
        vision, text = _towers(self.config)
        vision, text = open_clip.CLIPVisionCfg(**vision), open_clip.CLIPTextCfg(**text)
        self.clip = open_clip.CLIP(self.config["embed_dim"], vision, text)
        weights = load_file(folder / WEIGHTS)
        self.clip.load_state_dict({name.removeprefix(PREFIX): tensor.float() for name, tensor in weights.items()})
        self.clip.eval()
        self.tokenizer = open_clip.SimpleTokenizer()
        self.side = self.config["image_size"][0]
        self._latest: tuple[Window, Tensor] | None = None

    def gap(self, fps: float) -> int:
        """Frames between the two halves of a diptych."""
        return max(1, round(self.config["gap_seconds"] * fps))

    def small(self, frames: np.ndarray) -> np.ndarray:
        """(n, H, W, 3) uint8 to the tower's size, (n, side, side, 3) uint8."""
        if frames.shape[1:3] == (self.side, self.side):
            return frames
        return np.stack([cv2.resize(f, (self.side, self.side), interpolation=cv2.INTER_AREA) for f in frames])

    @torch.no_grad()
    def embed_diptychs(self, left: np.ndarray, right: np.ndarray) -> Tensor:
        """Earlier and present frames (n, side, side, 3) uint8 to (n, embed_dim), unit length."""
        strip = self.config["patch_size"][1] // 2  # columns from either frame in turn
        strips = [half.reshape(len(half), self.side, -1, strip, 3) for half in (left, right)]
        woven = np.stack(strips, axis=3).reshape(len(left), self.side, 2 * self.side, 3)
        return self.clip.encode_image(torch.from_numpy(woven).permute(0, 3, 1, 2).float() / 127.5 - 1, normalize=True)

    def embed_window(self, window: Window, tail: np.ndarray, gap: int) -> Tensor:
        """Embeddings of the window's frames that have a partner in `tail` or in the window: (m, embed_dim).

        `tail` holds the `gap` small frames ahead of the window, fewer at the start of a clip. Metrics that look at
        one window one after the other share the work.
        """
        latest = self._latest  # clips in other threads may replace it at any moment
        if latest is None or latest[0] is not window:
            frames = np.concatenate([tail, self.small(window.frames)])
            if len(frames) > gap:
                features = self.embed_diptychs(frames[:-gap], frames[gap:])
            else:
                features = torch.zeros(0, self.config["embed_dim"])
            self._latest = latest = (window, features)
        return latest[1]

    @torch.no_grad()
    def embed_captions(self, captions: Sequence[str]) -> Tensor:
        """Captions to (n, embed_dim), unit length."""
        ids = self.tokenizer(list(captions), context_length=self.config["context_length"])
        table = torch.tensor(self.config["vocabulary"])
        rows = torch.searchsorted(table, ids).clamp(max=len(table) - 1)
        return self.clip.encode_text(torch.where(table[rows] == ids, rows, 0), normalize=True)

    @cached_property
    def subject_space(self) -> Tensor:
        """Orthonormal rows: the directions along which captions differ when only their subject does."""
        return _principal(self._grammar.mean(1))

    @cached_property
    def background_space(self) -> Tensor:
        """Orthonormal rows: the directions along which captions differ when only what is behind their subject does."""
        return _principal(self._grammar.mean(0))

    @cached_property
    def _grammar(self) -> Tensor:
        """Embeddings of every one-object caption: (subjects, backgrounds, embed_dim)."""
        rows = self.world.captions
        return self.embed_captions([caption for row in rows for caption in row]).unflatten(0, (len(rows), -1))


class DiptychTail:
    """The small frames ahead of the next window, at most `gap` of them."""

    def __init__(self, backbone: WorldClipBackbone, fps: float) -> None:
        self.backbone, self.gap = backbone, backbone.gap(fps)
        self.frames = np.zeros((0, backbone.side, backbone.side, 3), np.uint8)

    def embed(self, window: Window) -> Tensor:
        """Embeddings of the window's frames, as many as have a partner; the next window follows it."""
        features = self.backbone.embed_window(window, self.frames, self.gap)
        self.frames = np.concatenate([self.frames, self.backbone.small(window.frames)])[-self.gap :]
        return features


@cache
def world_clip(name: str) -> WorldClipBackbone:
    """The shipped weights of a world's CLIP, loaded once."""
    return WorldClipBackbone(WORLDS[name])


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _towers(config: dict) -> tuple[dict, dict]:
    """The sizes of the image tower and of the text tower, as open_clip names them."""
    width = config["width"]
    vision = {
        "layers": config["vision_layers"],
        "width": width,
        "head_width": config["head_width"],
        "patch_size": tuple(config["patch_size"]),
        "image_size": tuple(config["image_size"]),
    }
    text = {
        "context_length": config["context_length"],
        "vocab_size": len(config["vocabulary"]),
        "width": width,
        "heads": width // config["head_width"],
        "layers": config["text_layers"],
    }
    return vision, text


def _principal(vectors: Tensor, share: float = 0.95) -> Tensor:
    """Orthonormal rows that hold `share` of the variance of `vectors` (n, d)."""
    _, scales, directions = torch.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    held = scales.square().cumsum(0) / scales.square().sum()
    return directions[: int((held < share).sum()) + 1]


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """Cosine along the last axis, negative values counted as 0 as in VBench's consistencies."""
    return F.cosine_similarity(a, b, dim=-1).clamp(min=0)
