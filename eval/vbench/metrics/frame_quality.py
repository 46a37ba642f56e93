"""How good single frames look: LAION's aesthetic head on CLIP ViT-L/14, and MUSIQ."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from eval.metric import ClipFacts, Facts, MetricResult, Resources, Scorer, unscored
from eval.vbench.backbones import frame_features, network, unit
from eval.vbench.metrics.network_metric import VBENCH, NetworkMetric, network_metric
from eval.video.windows import Window

AESTHETIC = Facts(
    name="aesthetic_quality",
    title="Aesthetic quality",
    group="frame quality",
    kind="vbench",
    higher_is_better=True,
    bounds=(0.0, 1.0),
    says="How beautiful people would find each frame, by LAION's predictor on CLIP ViT-L/14, as a share of 10.",
    blind_to="It judges stills by the taste of its raters, never motion, and was trained on photographs and art.",
    paper=VBENCH,
    cost=1600,
)
IMAGING = Facts(
    name="imaging_quality",
    title="Imaging quality",
    group="frame quality",
    kind="vbench",
    higher_is_better=True,
    bounds=(0.0, 1.0),
    says="How free of blur, noise and over-exposure each frame is, by MUSIQ trained on SPAQ, as a share of 100.",
    blind_to="It knows photographs' faults: a clean but wrong picture scores well.",
    paper=VBENCH,
    cost=270,
)


class FrameQualityScorer:
    """One score a frame; the value is their mean."""

    def __init__(self, score: Callable[[Window], Tensor]) -> None:
        self.score = score
        self.curve: list[float] = []

    @torch.inference_mode()
    def add(self, window: Window) -> None:
        self.curve += self.score(window).tolist()

    def result(self) -> MetricResult:
        if not self.curve:
            return unscored("the clip has no frames")
        return MetricResult(math.fsum(self.curve) / len(self.curve), tuple(self.curve))


def aesthetic_quality(resources: Resources) -> NetworkMetric:
    def start(clip: ClipFacts, resources: Resources) -> Scorer:
        head, features = network("aesthetic_head", resources), frame_features("clip_l14", resources)
        return FrameQualityScorer(lambda window: head(unit(features(window)).to(resources.device))[:, 0].cpu() / 10)

    return network_metric(AESTHETIC, ("clip_l14", "aesthetic_head"), resources, start, frame_by_frame=True)


def imaging_quality(resources: Resources) -> NetworkMetric:
    def start(clip: ClipFacts, resources: Resources) -> Scorer:
        scores = frame_features("musiq", resources)
        return FrameQualityScorer(lambda window: scores(window).double() / 100)

    return network_metric(IMAGING, ("musiq_spaq",), resources, start, frame_by_frame=True)
