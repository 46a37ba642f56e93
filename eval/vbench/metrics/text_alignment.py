"""Does a clip show what words say: CLIP on its frames, ViCLIP on eight of them together."""

import math

import torch
from torch import Tensor

from eval.metric import ClipFacts, Facts, MetricResult, Refused, Resources, Scorer, unscored
from eval.vbench.backbones import VICLIP_TOKENS, FrameFeatures, frame_features, network, text_feature, unit
from eval.vbench.metrics.network_metric import VBENCH, NetworkMetric, network_metric
from eval.vbench.networks.vision_transformer import ClipNetworks
from eval.vbench.preprocessing import clip_input_rounded, middle_frames
from eval.video.windows import Window

NO_PROMPT = "the clip has no prompt to compare it with; give one"
VICLIP_FRAMES = 8
CLIP_FRAMES = 8

CLIP_SCORE = Facts(
    name="clip_score",
    title="CLIP score",
    group="text alignment",
    kind="vbench",
    higher_is_better=True,
    bounds=(-1.0, 1.0),
    says="Cosine between the prompt and frames in CLIP ViT-B/32; the value is the mean of eight frames, "
    "as in VBench's competition, the curve has them all.",
    blind_to="Word order, counting and motion hardly matter to CLIP; the prompt is cut to 77 tokens.",
    paper="VBench competition; CLIP, arXiv:2103.00020",
    needs=("a prompt",),
    cost=90,
)
STYLE = Facts(
    name="appearance_style",
    title="Appearance style",
    group="semantics",
    kind="vbench",
    higher_is_better=True,
    bounds=(-1.0, 1.0),
    says="Cosine between the words for the style and each frame in CLIP ViT-B/32.",
    blind_to="Only the style's words count, not the rest of the prompt.",
    paper=VBENCH,
    needs=("the style that was asked for",),
    cost=90,
)
OVERALL = Facts(
    name="overall_consistency",
    title="Overall consistency",
    group="text alignment",
    kind="vbench",
    higher_is_better=True,
    bounds=(-1.0, 1.0),
    says="Cosine between the prompt and eight frames together in ViCLIP.",
    blind_to="The prompt is cut to 32 tokens; there is one number a clip, and no curve.",
    paper=VBENCH,
    needs=("a prompt",),
    cost=150,
)
TEMPORAL_STYLE = Facts(
    name="temporal_style",
    title="Temporal style",
    group="semantics",
    kind="vbench",
    higher_is_better=True,
    bounds=(-1.0, 1.0),
    says="Cosine between the prompt, which asks for a camera motion or pace, and eight frames together in ViCLIP.",
    blind_to="The same number as overall consistency; only VBench's prompts differ.",
    paper=VBENCH,
    needs=("a prompt",),
    cost=150,
)


class TextCurveScorer:
    """Cosine of every frame with a text. `frames`: the value is the mean of that many middle frames, None: of all."""

    def __init__(
        self, features: FrameFeatures, text: Tensor, *, frames: int | None = None, scale: float = 1.0
    ) -> None:
        self.features, self.text, self.frames, self.scale = features, text, frames, scale
        self.curve: list[float] = []

    def add(self, window: Window) -> None:
        self.curve += (self.scale * (unit(self.features(window)) @ self.text.T))[:, 0].tolist()

    def result(self) -> MetricResult:
        if not self.curve:
            return unscored("the clip has no frames")
        chosen = range(len(self.curve)) if self.frames is None else middle_frames(len(self.curve), self.frames)
        mean = math.fsum(self.curve) / len(self.curve)
        value = math.fsum(self.curve[i] for i in chosen) / len(chosen)
        return MetricResult(value, tuple(self.curve), parts={"mean_of_all_frames": mean})


class VideoTextScorer:
    """Keeps the eight middle frames as they pass and compares them with the text at the end."""

    def __init__(self, towers: ClipNetworks, text: Tensor, count: int, device: str) -> None:
        self.towers, self.text, self.count, self.device = towers, text, count, device
        self.wanted = middle_frames(count, VICLIP_FRAMES)
        self.kept: dict[int, Tensor] = {}
        self.seen = 0

    def add(self, window: Window) -> None:
        for index in set(self.wanted) & set(range(window.first, window.first + len(window.frames))):
            place = index - window.first
            self.kept[index] = clip_input_rounded(window.frames[place : place + 1])
        self.seen = window.first + len(window.frames)

    @torch.inference_mode()
    def result(self) -> MetricResult:
        if self.seen != self.count:
            return unscored(
                f"{self.seen} frames came where the file tells {self.count}, so that the eight middle ones are not "
                "known; save the clip again"
            )
        frames = torch.cat([self.kept[index] for index in self.wanted])[None].to(self.device)
        feature = unit(self.towers.image(frames).float()).cpu()
        return MetricResult(float(feature @ self.text.T))


def clip_score(resources: Resources) -> NetworkMetric:
    def start(clip: ClipFacts, resources: Resources) -> Scorer:
        if not clip.prompt:
            return Refused(NO_PROMPT)
        text = text_feature(clip.prompt, network("clip_b32", resources), resources.device)
        return TextCurveScorer(frame_features("clip_b32_rounded", resources), text, frames=CLIP_FRAMES)

    return network_metric(CLIP_SCORE, ("clip_b32",), resources, start, frame_by_frame=True)


def appearance_style(resources: Resources) -> NetworkMetric:
    def start(clip: ClipFacts, resources: Resources) -> Scorer:
        style = clip.auxiliary.get("appearance_style")
        if not isinstance(style, str):
            style = (style or {}).get("appearance_style", "")
        if not style:
            return Refused("the clip's prompt has no style label; use VBench's prompts, or give appearance_style")
        towers = network("clip_b32", resources)
        text = text_feature(style, towers, resources.device)
        # VBench divides CLIP's logits by 100, which is its logit scale
        scale = towers.logit_scale / 100
        return TextCurveScorer(frame_features("clip_b32_pil", resources), text, scale=scale)

    return network_metric(STYLE, ("clip_b32",), resources, start, frame_by_frame=True)


def overall_consistency(resources: Resources) -> NetworkMetric:
    return network_metric(OVERALL, ("viclip",), resources, _video_text)


def temporal_style(resources: Resources) -> NetworkMetric:
    return network_metric(TEMPORAL_STYLE, ("viclip",), resources, _video_text)


def _video_text(clip: ClipFacts, resources: Resources) -> Scorer:
    if not clip.prompt:
        return Refused(NO_PROMPT)
    if not clip.frames:
        return Refused(
            "the file does not tell how many frames it has, and this metric picks eight of them; save it again"
        )
    towers = network("viclip", resources)
    text = text_feature(clip.prompt, towers, resources.device, VICLIP_TOKENS)
    return VideoTextScorer(towers, text, clip.frames, resources.device)
