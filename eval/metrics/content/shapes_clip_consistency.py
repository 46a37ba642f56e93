"""Stand-ins for VBench's consistencies from the image tower of the shapes CLIP; named as what they are.

VBench compares DINO (subject) and CLIP (background) features of each frame with those of the first frame and of the
frame before. Here the features are the embedding's part along which captions differ when only the subject, or only
the background, changes.
"""

import torch
from torch import Tensor

from eval.metric import ClipFacts, Facts, MetricResult, Resources, unscored
from eval.metrics.content.shapes_clip_alignment import TOO_SHORT
from eval.shapes.clip_network import (
    DiptychTail,
    ShapesClipBackbone,
    missing_weights,
    naming_weights,
    shapes_clip,
    similarity,
)
from eval.video.windows import Window


def _facts(part: str, blind_to: str) -> Facts:
    return Facts(
        name=f"{part}_consistency_shapes_clip",
        title=f"{part.capitalize()} consistency (shapes CLIP)",
        group="consistency",
        kind="trained here",
        higher_is_better=True,
        bounds=(0.0, 1.0),
        says=f"How like the first frame and the frame before it the {part} stays, to the eye of the shapes CLIP.",
        blind_to=blind_to,
        paper="VBench's formula, arXiv:2311.17982, on features of a CLIP trained here",
        needs=("two thirds of a second",),
        cost=1.0,
    )


PARTS = {
    "subject": (
        _facts("subject", "It knows the shapes world only, and sees a subject as its prompt would name it."),
        lambda backbone: backbone.subject_space,
    ),
    "background": (
        _facts("background", "It knows four background colours; texture that changes within one goes unseen."),
        lambda backbone: backbone.background_space,
    ),
}


class Consistency:
    def __init__(self, part: str) -> None:
        facts, self.space = PARTS[part]
        self.facts = naming_weights(facts)

    def missing(self) -> str:
        return missing_weights()

    def open(self, clip: ClipFacts) -> "ConsistencyScorer":
        backbone: ShapesClipBackbone = shapes_clip()
        return ConsistencyScorer(DiptychTail(backbone, clip.fps), self.space(backbone))


class ConsistencyScorer:
    """Mean over frames of (similarity to the frame before + similarity to the first) / 2."""

    def __init__(self, tail: DiptychTail, space: Tensor) -> None:
        self.tail, self.space = tail, space
        self.first: Tensor | None = None
        self.last: Tensor | None = None
        self.curve: list[float | None] = []

    def add(self, window: Window) -> None:
        features = self.tail.embed(window) @ self.space.T
        missing = len(window.frames) - len(features)
        if len(features) and self.first is None:
            self.first = self.last = features[0]
            features, missing = features[1:], missing + 1
        self.curve += [None] * missing
        if len(features):
            before = torch.cat([self.last[None], features[:-1]])
            self.curve += ((similarity(features, before) + similarity(features, self.first[None])) / 2).tolist()
            self.last = features[-1]

    def result(self) -> MetricResult:
        values = [value for value in self.curve if value is not None]
        if not values:
            return unscored(TOO_SHORT, self.curve)
        return MetricResult(sum(values) / len(values), tuple(self.curve))


def create_subject(resources: Resources) -> Consistency:
    return Consistency("subject")


def create_background(resources: Resources) -> Consistency:
    return Consistency("background")
