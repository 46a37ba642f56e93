"""Text alignment with any open_clip architecture whose weights are in a file, for videos of the real world."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from torch import Tensor

from eval.metric import ClipFacts, Resources, Scorer
from eval.vbench.backbones import FrameFeatures, unit
from eval.vbench.metrics.network_metric import Refused
from eval.vbench.metrics.text_alignment import CLIP_SCORE, NO_PROMPT, TextCurveScorer


@dataclass(frozen=True)
class OpenClipScore:
    """`architecture` is a name of `open_clip.list_models()`, `checkpoint` a file that open_clip can load for it."""

    architecture: str
    checkpoint: Path
    resources: Resources

    @property
    def facts(self):
        return replace(
            CLIP_SCORE,
            name=f"clip_score_{self.architecture.lower()}",
            title=f"CLIP score ({self.architecture})",
            kind="published weights",
            says=f"Cosine between the prompt and each frame in {self.architecture}; the value is their mean.",
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
        features, encode_text = _loaded(self.architecture, str(self.checkpoint), self.resources.device)
        return TextCurveScorer(features, encode_text(clip.prompt))


@lru_cache(maxsize=4)
def _loaded(architecture: str, checkpoint: str, device: str) -> tuple[FrameFeatures, Callable[[str], Tensor]]:
    """Frames through the model's own preprocessing, and its text encoder; loaded once a process."""
    model, _, preprocess = open_clip.create_model_and_transforms(architecture, pretrained=checkpoint, device=device)
    model.eval().requires_grad_(False)
    tokenizer = open_clip.get_tokenizer(architecture)

    def prepare(frames: np.ndarray) -> Tensor:
        return torch.stack([preprocess(Image.fromarray(frame)) for frame in frames])

    @torch.inference_mode()
    def encode_text(text: str) -> Tensor:
        return unit(model.encode_text(tokenizer([text]).to(device)).float()).cpu()

    return FrameFeatures(model.encode_image, prepare, device, at_once=16), encode_text
