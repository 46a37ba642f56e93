"""How far frames wander from the first one in the features of EfficientNet-Lite0, lower is steadier."""

import numpy as np

from eval.metric import ClipFacts, Facts, Resources
from eval.metrics.frame_curve import FrameMetric, FrameScorer
from eval.realism.efficientnet import VERSION, frame_features
from eval.video.windows import Window

FACTS = Facts(
    name="appearance_drift",
    title="Appearance drift (EfficientNet)",
    group="consistency",
    kind="published weights",
    higher_is_better=False,
    bounds=(0.0, None),
    says="How far texture and content wander from the first frame, in any video.",
    blind_to="Whether the first frame was good, and what a moving camera rightly brings: compare with real clips.",
    paper="EfficientNet, arXiv:1905.11946; ImageNet weights of its Lite0 variant",
    unit="ImageNet standard deviations",
    needs=("two frames",),
    cost=28.0,
    version=f"1-{VERSION}",
)
ONE_FRAME = "the clip has one frame, and drift is told from the first one; give a clip of two or more"


class AppearanceDrift(FrameScorer):
    """Root mean square over 112 channels of the difference to the first frame, which itself has no number."""

    def __init__(self, metric: FrameMetric, clip: ClipFacts) -> None:
        super().__init__(metric, clip)
        self.first: np.ndarray | None = None

    def add(self, window: Window) -> None:
        features = frame_features(window.frames)
        if self.first is None:
            self.first, features = features[0], features[1:]
            self.curve.append(None)
        self.curve.extend(np.sqrt(np.square(features - self.first).mean(1)).tolist())


def create(resources: Resources) -> FrameMetric:
    return FrameMetric(FACTS, empty=ONE_FRAME, scorer=AppearanceDrift)
