"""Stand-ins for VBench's consistencies from the image tower of a world's CLIP; named as what they are.

VBench compares DINO (subject) and CLIP (background) features of each frame with those of the first frame and of the
frame before. Here the features are the embedding's part along which captions differ when only the subject, or only
what is behind it, changes.
"""

import torch
from torch import Tensor

from eval.metric import ClipFacts, Facts, MetricResult, Resources, unscored
from eval.metrics.content.world_clip import SHAPES, TABLETOP, ClipWorld, DiptychTail, similarity, world_clip
from eval.metrics.content.world_clip_alignment import TOO_SHORT
from eval.video.windows import Window

SUBJECT, BACKGROUND = "subject", "background"


def _facts(part: str, world: ClipWorld) -> Facts:
    blind_to = {
        SUBJECT: f"It knows the {world.name} world only, and sees a subject as its prompt would name it.",
        BACKGROUND: f"It knows the {len(world.behind)} {world.behind_name}s of the {world.name} world; texture that "
        "changes within one goes unseen.",
    }
    return Facts(
        name=f"{part}_consistency_{world.name}_clip",
        title=f"{part.capitalize()} consistency ({world.name} CLIP)",
        group="consistency",
        kind="trained here",
        higher_is_better=True,
        bounds=(0.0, 1.0),
        says=f"How like the first frame and the one before it the {part} stays, to the eye of the {world.name} CLIP.",
        blind_to=blind_to[part],
        paper="VBench's formula, arXiv:2311.17982, on features of a CLIP trained here",
        world=world.name,
        needs=("two thirds of a second",),
        cost=1.0,
    )


class Consistency:
    def __init__(self, part: str, world: ClipWorld) -> None:
        self.part, self.world = part, world
        self.facts = world.naming_weights(_facts(part, world))

    def missing(self) -> str:
        return self.world.missing()

    def open(self, clip: ClipFacts) -> "ConsistencyScorer":
        backbone = world_clip(self.world.name)
        space = backbone.subject_space if self.part == SUBJECT else backbone.background_space
        return ConsistencyScorer(DiptychTail(backbone, clip.fps), space)


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


def create_shapes_subject(resources: Resources) -> Consistency:
    return Consistency(SUBJECT, SHAPES)


def create_shapes_background(resources: Resources) -> Consistency:
    return Consistency(BACKGROUND, SHAPES)


def create_tabletop_subject(resources: Resources) -> Consistency:
    return Consistency(SUBJECT, TABLETOP)


def create_tabletop_background(resources: Resources) -> Consistency:
    return Consistency(BACKGROUND, TABLETOP)
