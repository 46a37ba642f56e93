"""Does it move, and how smoothly: RAFT's optical flow, and AMT-S's guess of every other frame."""

import math

import cv2
import numpy as np
import torch
from torch import Tensor

from eval.metric import ClipFacts, Facts, MetricResult, Refused, Resources, Scorer, unscored
from eval.metrics.frame_curve import NO_PAIR
from eval.vbench.backbones import network
from eval.vbench.metrics.network_metric import VBENCH, NetworkMetric, network_metric
from eval.vbench.networks.amt import Amt
from eval.vbench.networks.raft import SMALLEST_SIDE, RaftFlow, pad_to
from eval.vbench.preprocessing import as_tensor
from eval.video.windows import Window

FLOW_RATE = 8  # frames a second that VBench looks at
LARGEST_VOLUME = 2_000_000_000  # bytes of one all-pairs correlation, which grows with the square of the frame's area

SMOOTHNESS = Facts(
    name="motion_smoothness",
    title="Motion smoothness",
    group="temporal quality",
    kind="vbench",
    higher_is_better=True,
    bounds=(0.0, 1.0),
    says="How well every other frame is guessed from its neighbours by the interpolation network AMT-S.",
    blind_to="A clip that stands still is perfectly smooth; of an even number of frames the last is never looked at.",
    paper=VBENCH,
    needs=("three frames", "sides of 113 pixels or more"),
    cost=900,
)
DYNAMIC = Facts(
    name="dynamic_degree",
    title="Dynamic degree",
    group="motion",
    kind="vbench",
    higher_is_better=True,
    bounds=(0.0, 1.0),
    says="1 when a quarter of the steps, eight a second, move by more than 6 pixels of 256 in RAFT's flow, else 0.",
    blind_to="A moving camera counts like a moving object; the frame rate in the file changes the verdict.",
    paper=VBENCH,
    needs=("two looked-at frames", "sides of 121 pixels or more"),
    cost=4500,
    curve_unit="pixels",
)


class SmoothnessScorer:
    """1 - |guess - frame| / 255 at odd frames that have both neighbours; the guess is cut, not rounded, to 8 bits."""

    def __init__(self, interpolate: Amt, device: str) -> None:
        self.interpolate, self.device = interpolate, device
        self.even: np.ndarray | None = None
        self.odd: np.ndarray | None = None
        self.differences: list[float] = []
        self.count = 0

    def add(self, window: Window) -> None:
        for frame in window.frames:
            if self.count % 2:
                self.odd = frame
            else:
                if self.even is not None:
                    guess = self._between(self.even, frame)
                    self.differences.append(float(np.mean(cv2.absdiff(self.odd, guess))))
                self.even = frame
            self.count += 1

    @torch.inference_mode()
    def _between(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        height, width = first.shape[:2]
        pair = pad_to(as_tensor(np.stack([first, second])) / 255.0, 16).to(self.device)
        guess = self.interpolate(pair[:1], pair[1:])[0]
        top, left = (guess.shape[1] - height) // 2, (guess.shape[2] - width) // 2
        guess = guess[:, top : top + height, left : left + width] * 255.0
        return np.ascontiguousarray(guess.clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy())

    def result(self) -> MetricResult:
        if not self.differences:
            return unscored(
                f"the clip has {self.count} frames, and a guess needs one on either side; give three or more"
            )
        curve: list[float | None] = [None] * self.count
        for number, difference in enumerate(self.differences):
            curve[2 * number + 1] = 1.0 - difference / 255.0
        value = (255.0 - float(np.mean(self.differences))) / 255.0
        return MetricResult(value, tuple(curve))


class DynamicScorer:
    """The mean of the 5 % largest flow lengths between looked-at frames, and VBench's verdict from them."""

    def __init__(self, flow: RaftFlow, clip: ClipFacts, device: str) -> None:
        self.flow, self.device = flow, device
        self.stride = max(1, round(clip.fps / FLOW_RATE))
        self.threshold = 6.0 * (min(clip.height, clip.width) / 256.0)
        self.former: tuple[Tensor, Tensor] | None = None
        self.lengths: list[float] = []
        self.count = 0

    @torch.inference_mode()
    def add(self, window: Window) -> None:
        for frame in window.frames:
            if self.count % self.stride == 0:
                padded = pad_to(as_tensor(frame[None]).float(), 8).to(self.device)
                features = self.flow.features(padded)
                if self.former is not None:
                    self.lengths.append(top_length(self.flow.flow(self.former[0], self.former[1], features)[0]))
                self.former = (padded, features)
            self.count += 1

    def result(self) -> MetricResult:
        if not self.lengths:
            return unscored(NO_PAIR if self.count < 2 else f"{self.count} frames leave one to look at, eight a second")
        needed = round(4 * ((len(self.lengths) + 1) / 16.0))
        moving = sum(length > self.threshold for length in self.lengths)
        curve: list[float | None] = [None] * self.count
        curve[self.stride :: self.stride] = self.lengths
        # VBench counts inside its loop, so that any clip with a step passes when none is needed
        return MetricResult(
            float(moving >= needed),
            tuple(curve),
            parts={
                "threshold": self.threshold,
                "needed": needed,
                "moving": moving,
                "mean_length": _mean(self.lengths),
            },
        )


def top_length(flow: Tensor) -> float:
    """Mean of the 5 % largest lengths of a flow field (2, h, w)."""
    lengths = flow.square().sum(0).sqrt().flatten()
    return float(lengths.topk(int(lengths.numel() * 0.05)).values.mean())


def motion_smoothness(resources: Resources) -> NetworkMetric:
    def start(clip: ClipFacts, resources: Resources) -> Scorer:
        reason = _wrong_size(clip, 16)
        return Refused(reason) if reason else SmoothnessScorer(network("amt_s", resources), resources.device)

    return network_metric(SMOOTHNESS, ("amt_s",), resources, start)


def dynamic_degree(resources: Resources) -> NetworkMetric:
    def start(clip: ClipFacts, resources: Resources) -> Scorer:
        reason = _wrong_size(clip, 8)
        return Refused(reason) if reason else DynamicScorer(network("raft_things", resources), clip, resources.device)

    return network_metric(DYNAMIC, ("raft_things",), resources, start)


def _wrong_size(clip: ClipFacts, multiple: int) -> str:
    width, height = (size + -size % multiple for size in (clip.width, clip.height))
    smallest = SMALLEST_SIDE - multiple + 1
    if min(width, height) < SMALLEST_SIDE:
        return f"frames of {clip.width}x{clip.height} are too small for its network; sides of {smallest} or more work"
    if 4 * (width * height / 64) ** 2 > LARGEST_VOLUME:
        return (
            f"frames of {clip.width}x{clip.height} need more than 4 GB in its network; give a clip of 1280x720 or less"
        )
    return ""


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
