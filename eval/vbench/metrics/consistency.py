"""Does a clip keep showing the same thing: cosines between frames' features of DINO and CLIP."""

import math

import torch.nn.functional as F
from torch import Tensor

from eval.metric import ClipFacts, Facts, MetricResult, Refused, Resources, Scorer, unscored
from eval.metrics.frame_curve import NO_PAIR
from eval.vbench.backbones import FrameFeatures, frame_features, unit
from eval.vbench.metrics.network_metric import VBENCH, VBENCH_I2V, NetworkMetric, network_metric
from eval.vbench.preprocessing import dino_input_i2v_picture
from eval.video.windows import Window

SUBJECT = Facts(
    name="subject_consistency",
    title="Subject consistency",
    group="consistency",
    kind="vbench",
    higher_is_better=True,
    bounds=(0.0, 1.0),
    says="How alike frames are, to the one before and to the first, in features of DINO ViT-B/16.",
    blind_to="It cannot tell drift from a change of view that was asked for: the first frame stays the measure.",
    paper=VBENCH,
    needs=("two frames",),
    cost=600,
)
BACKGROUND = Facts(
    name="background_consistency",
    title="Background consistency",
    group="consistency",
    kind="vbench",
    higher_is_better=True,
    bounds=(0.0, 1.0),
    says="How alike frames are, to the one before and to the first, in features of CLIP ViT-B/32.",
    blind_to="It sees the whole frame, not the background alone.",
    paper=VBENCH,
    needs=("two frames",),
    cost=90,
)
I2V_SUBJECT = Facts(
    name="i2v_subject",
    title="Subject kept from the picture",
    group="consistency",
    kind="vbench",
    higher_is_better=True,
    bounds=(0.0, 1.0),
    says="How like the picture the best frame is (0.4), and neighbouring frames on average and at worst (0.3 each).",
    blind_to="One frame that looks like the picture is enough for its first part.",
    paper=VBENCH_I2V,
    needs=("two frames", "the picture it was made from"),
    cost=500,
)


def cosines(a: Tensor, b: Tensor) -> list[float]:
    """Cosine of each pair of rows, not below 0, as VBench has it."""
    return [max(0.0, value) for value in F.cosine_similarity(a, b).tolist()]


class ConsistencyScorer:
    """(c(t, t - 1) + c(t, 0)) / 2 for every frame but the first; the value is the mean."""

    def __init__(self, features: FrameFeatures) -> None:
        self.features = features
        self.first: Tensor | None = None
        self.former: Tensor | None = None
        self.to_previous: list[float] = []
        self.to_first: list[float] = []

    def add(self, window: Window) -> None:
        now = unit(self.features(window))
        if self.first is None:
            self.first = self.former = now[:1]
            now = now[1:]
        if len(now):
            before = F.pad(now[:-1], (0, 0, 1, 0))
            before[0] = self.former[0]
            self.to_previous += cosines(before, now)
            self.to_first += cosines(self.first.expand_as(now), now)
            self.former = now[-1:]

    def result(self) -> MetricResult:
        terms = [(previous + first) / 2 for previous, first in zip(self.to_previous, self.to_first, strict=True)]
        if not terms:
            return unscored(NO_PAIR)
        parts = {"to_previous": _mean(self.to_previous), "to_first": _mean(self.to_first)}
        return MetricResult(_mean(terms), (None, *terms), parts=parts)


class I2VScorer:
    """0.4 max a + 0.3 mean b + 0.3 min b: a compares frames with the picture, b with the frame before."""

    def __init__(self, features: FrameFeatures, picture: Tensor) -> None:
        self.features, self.picture = features, picture
        self.former: Tensor | None = None
        self.to_picture: list[float] = []
        self.to_previous: list[float] = []

    def add(self, window: Window) -> None:
        now = unit(self.features(window))
        self.to_picture += cosines(self.picture.expand_as(now), now)
        for row in now.split(1):
            if self.former is not None:
                self.to_previous += cosines(self.former, row)
            self.former = row

    def result(self) -> MetricResult:
        if not self.to_previous:
            return unscored(NO_PAIR)
        parts = {"best": max(self.to_picture), "smooth": _mean(self.to_previous), "worst_step": min(self.to_previous)}
        value = 0.4 * parts["best"] + 0.3 * parts["smooth"] + 0.3 * parts["worst_step"]
        return MetricResult(value, tuple(self.to_picture), parts=parts)


def subject_consistency(resources: Resources) -> NetworkMetric:
    def start(clip: ClipFacts, resources: Resources) -> Scorer:
        return ConsistencyScorer(frame_features("dino", resources))

    return network_metric(SUBJECT, ("dino_b16",), resources, start, frame_by_frame=True)


def background_consistency(resources: Resources) -> NetworkMetric:
    def start(clip: ClipFacts, resources: Resources) -> Scorer:
        return ConsistencyScorer(frame_features("clip_b32", resources))

    return network_metric(BACKGROUND, ("clip_b32",), resources, start, frame_by_frame=True)


def i2v_subject(resources: Resources) -> NetworkMetric:
    def start(clip: ClipFacts, resources: Resources) -> Scorer:
        if clip.image is None:
            return Refused("the clip has no picture it was made from; give one to score how well it is kept")
        features = frame_features("dino_i2v", resources)
        return I2VScorer(features, unit(features.of(dino_input_i2v_picture(clip.image))))

    return network_metric(I2V_SUBJECT, ("dino_b16",), resources, start, frame_by_frame=True)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
