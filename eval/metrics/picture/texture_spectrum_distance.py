"""How far a clip's detail, octave by octave, is from that of real clips of the same ground, in dB, lower is closer."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from eval.metric import ClipFacts, Facts, MetricResult, Refused, Resources, Scorer, unscored
from eval.metrics.frame_curve import mean
from eval.realism.texture_spectrum import LEAST_SIDE, TOO_SMALL, SpectrumReference, octave_spectrum
from eval.video.windows import Window

REFERENCE = Path(__file__).resolve().parents[3] / "assets" / "texture-spectrum.json"
FACTS = Facts(
    name="texture_spectrum_distance",
    title="Texture spectrum distance",
    group="frame quality",
    kind="weight-free",
    higher_is_better=False,
    bounds=(0.0, None),
    says="How far the power of each octave of detail is from that of real clips of the same ground: blur, noise, "
    "missing or invented texture.",
    blind_to="What the texture shows, colour and motion. A real clip has a few dB, as clips of one ground differ.",
    paper="radial power spectrum, after arXiv:1911.00686",
    unit="dB",
    needs=("a prompt that names a ground of the reference",),
    cost=3.0,
    moved_by={"blur": 1, "flatter": 1},
)
NOT_THERE = f"{REFERENCE.name}, the spectrum of real clips, is not in assets; `texture-reference` makes it"


class TextureSpectrum:
    """`reference` stands in for the stored one."""

    def __init__(self, reference: SpectrumReference | None = None) -> None:
        self.reference, self.facts = reference, FACTS
        if reference is None and REFERENCE.exists():
            self.reference = SpectrumReference.read(REFERENCE)
            self.facts = replace(FACTS, version=f"1-{sha256(REFERENCE.read_bytes()).hexdigest()[:12]}")

    def missing(self) -> str:
        return "" if self.reference else NOT_THERE

    def open(self, clip: ClipFacts) -> Scorer:
        if min(clip.width, clip.height) < LEAST_SIDE:
            return Refused(TOO_SMALL)
        ground = self.reference.ground(clip.prompt)
        if ground is None:
            known = ", ".join(self.reference.grounds)
            return Refused(f"the prompt names no ground of the real clips; end it with over and one of {known}")
        return SpectrumScorer(self.reference, ground)


class SpectrumScorer:
    """The value is the distance of the clip's mean spectrum, the curve that of each frame; `octave k` tells which
    octave has how many dB more than real, 1 being the finest."""

    def __init__(self, reference: SpectrumReference, ground: str) -> None:
        self.reference, self.ground = reference, ground
        self.spectra: list[np.ndarray] = []

    def add(self, window: Window) -> None:
        self.spectra.extend(octave_spectrum(window.frames))

    def result(self) -> MetricResult:
        if not self.spectra:
            return unscored("the clip has no frame that can be read")
        spectra = np.array(self.spectra)
        average = np.array([mean(column) for column in spectra.T])
        more = zip(average, self.reference.grounds[self.ground], strict=False)
        parts = {f"octave {k}": float(own - real) for k, (own, real) in enumerate(more, 1)}
        curve = tuple(self.reference.distance(spectra, self.ground).tolist())
        return MetricResult(float(self.reference.distance(average, self.ground)), curve, parts=parts)


def create(resources: Resources) -> TextureSpectrum:
    return TextureSpectrum()
