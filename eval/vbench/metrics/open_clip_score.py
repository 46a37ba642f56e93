"""Text alignment with any open_clip architecture whose weights are in a file, for videos of the real world."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import open_clip
import torch
from huggingface_hub import try_to_load_from_cache
from PIL import Image
from torch import Tensor

from eval.metric import ClipFacts, Refused, Resources, Scorer
from eval.vbench.backbones import FrameFeatures, unit
from eval.vbench.metrics.text_alignment import CLIP_SCORE, NO_PROMPT, TextCurveScorer
from eval.vbench.weights import weights_folder

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
CACHED = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


@dataclass(frozen=True)
class OpenClipScore:
    """`architecture` is a name of `open_clip.list_models()`, `checkpoint` a file that open_clip can load for it, `tag`
    the name of these weights, by which open_clip knows how pictures are prepared for them."""

    architecture: str
    checkpoint: Path
    resources: Resources
    tag: str = ""

    @property
    def facts(self):
        named = "-".join(part for part in (self.architecture, self.tag) if part)
        return replace(
            CLIP_SCORE,
            name=f"clip_score_{named.lower()}",
            title=f"CLIP score ({named})",
            kind="published weights",
            says=f"Cosine between the prompt and each frame in {named}; the value is their mean.",
            paper="OpenCLIP, arXiv:2212.07143",
            version=f"1-{self.checkpoint.name}",
        )

    def missing(self) -> str:
        if self.architecture not in open_clip.list_models():
            return f"open_clip has no architecture {self.architecture!r}; choose one of open_clip.list_models()"
        if not self.checkpoint.is_file():
            return f"weights are missing: {self.architecture}, expected at {self.checkpoint}"
        return ""

    def open(self, clip: ClipFacts) -> Scorer:
        if not clip.prompt:
            return Refused(NO_PROMPT)
        features, encode_text = _loaded(self.architecture, self.tag, str(self.checkpoint), self.resources.device)
        return TextCurveScorer(features, encode_text(clip.prompt))


def open_clip_scores(resources: Resources) -> list[OpenClipScore]:
    """The model that was asked for, there or not, and all whose weights lie in `open_clip/MODEL/` below the folder of
    weights."""
    found = [_asked_for(resources)] if resources.clip else []
    root = _folder(resources)
    models = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    found += [OpenClipScore(m.name, path, resources, path.stem) for m in models for path in _checkpoints(m)]
    return list({metric.facts.name: metric for metric in found}.values())


def _asked_for(resources: Resources) -> OpenClipScore:
    architecture, _, tag = resources.clip.partition(":")
    if tag and Path(tag).is_file():
        return OpenClipScore(architecture, Path(tag), resources, Path(tag).stem)
    folder = _folder(resources) / architecture
    near = [path for path in _checkpoints(folder) if tag in ("", path.stem)]
    if near:
        return OpenClipScore(architecture, near[0], resources, near[0].stem)
    place = _in_cache(architecture, tag) or folder / f"{tag or 'PRETRAINED'}.safetensors"
    return OpenClipScore(architecture, place, resources, tag)


def _folder(resources: Resources) -> Path:
    return weights_folder(resources.weights) / "open_clip"


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES and path.is_file())


def _in_cache(architecture: str, tag: str) -> Path | None:
    """Where Hugging Face's cache has these weights; nothing is downloaded."""
    repository = _published(architecture, tag).get("hf_hub", "").rstrip("/")
    found = (try_to_load_from_cache(repository, name) for name in CACHED) if repository.count("/") == 1 else ()
    return next((Path(path) for path in found if isinstance(path, str)), None)


def _published(architecture: str, tag: str) -> dict:
    """What open_clip knows of published weights, {} for others."""
    return (open_clip.get_pretrained_cfg(architecture, tag) if tag else None) or {}


@lru_cache(maxsize=4)
def _loaded(
    architecture: str, tag: str, checkpoint: str, device: str
) -> tuple[FrameFeatures, Callable[[str], Tensor]]:
    """Frames through the model's own preprocessing, and its text encoder; loaded once a process."""
    known = _published(architecture, tag)
    model, _, preprocess = open_clip.create_model_and_transforms(
        architecture,
        pretrained=checkpoint,
        device=device,
        force_quick_gelu=known.get("quick_gelu", False),
        **{f"image_{name}": known.get(name) for name in ("mean", "std", "interpolation", "resize_mode")},
    )
    model.eval().requires_grad_(False)
    tokenizer = open_clip.get_tokenizer(architecture)

    def prepare(frames: np.ndarray) -> Tensor:
        return torch.stack([preprocess(Image.fromarray(frame)) for frame in frames])

    @torch.inference_mode()
    def encode_text(text: str) -> Tensor:
        return unit(model.encode_text(tokenizer([text]).to(device)).float()).cpu()

    return FrameFeatures(model.encode_image, prepare, device, at_once=16), encode_text
