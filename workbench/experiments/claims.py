"""What the papers claim, as a table: each row says how it is measured here and what was published.

A claim is confirmed when its 95 % interval lies above the threshold, reversed when it lies below, and not confirmed
when it holds it. Adding a claim is adding a row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval.realism.frechet import frechet_interval
from eval.statistics.intervals import Interval, bootstrap_mean, paired_difference, wilson
from models.default_world import MEASURED
from workbench.experiments.claims_clips import SEGMENTS, Condition, Measured

Clips = Mapping[str, Sequence[Measured]]
"""The clips of each condition by its name, in the order of their captions."""

TEACHER = Condition(MEASURED.teacher, 16)
CAUSAL_TEACHER = Condition(MEASURED.causal_teacher, 16)
ODE_4, ODE_1 = Condition(MEASURED.model("ode-init"), 4), Condition(MEASURED.model("ode-init"), 1)
CAUSVID = Condition(MEASURED.model("causvid"), 4)
CAUSVID_CAUSAL = Condition(MEASURED.model("causvid-causal"), 4)
BASE_4, BASE_2, BASE_1 = (Condition(MEASURED.baseline, n) for n in (4, 2, 1))
BASE_1_FFE = Condition(MEASURED.baseline, 1, 4)
OWN_1, OWN_2 = Condition(MEASURED.model("self-forcing-1"), 1), Condition(MEASURED.model("self-forcing-2"), 2)
ASD_4, ASD_2, ASD_1 = (Condition(MEASURED.asd, n) for n in (4, 2, 1))
ASD_1_FFE, ASD_2_FFE = (Condition(MEASURED.asd, n, 4) for n in (1, 2))
DMD_1, REAL_1 = Condition(MEASURED.model("dmd"), 1), Condition(MEASURED.model("asd-real"), 1)
AAD1, AAD1_DMD, AAD1_CAUSAL, AAD1_FRAMES = (
    Condition(MEASURED.model(role), 1, kind="picture") for role in ("aad1", "aad1-dmd", "aad1-causal", "aad1-frames")
)
LONG = {
    condition.model: condition
    for condition in (
        Condition(MEASURED.teacher, 16, kind="turning"),
        Condition(MEASURED.causal_teacher, 16, kind="turning"),
        Condition(MEASURED.model("causvid"), 4, kind="turning"),
        Condition(MEASURED.baseline, 4, kind="turning"),
        Condition(MEASURED.asd, 4, kind="turning"),
    )
}
STRAIGHT = Condition(MEASURED.asd, 4, kind="straight")
SWITCHES = {
    cache: Condition(MEASURED.baseline, 4, kind="switch", cache=cache) for cache in ("keep", "recache", "reset")
}
SWITCH_ASD, SWITCH_ASD_FFE = (
    Condition(MEASURED.asd, 1, kind="switch"),
    Condition(MEASURED.asd, 1, 4, kind="switch"),
)
STEPS = Condition(MEASURED.asd, 4, kind="steps")
VIDEO = Condition(MEASURED.baseline, 4, kind="video")


@dataclass(frozen=True)
class Claim:
    """`text` in our words, `source` and `published` as printed there; `measure` gives an interval from the clips of
    `conditions`, in `unit`; above `threshold` is what the paper says."""

    id: str
    text: str
    source: str
    published: str
    conditions: tuple[Condition, ...]
    measure: Callable[[Clips], Interval]
    unit: str
    threshold: float = 0.0

    def verdict(self, found: Interval) -> str:
        """confirmed, reversed or not confirmed."""
        if found.low > self.threshold:
            return "confirmed"
        return "reversed" if found.high < self.threshold else "not confirmed"


def values(clips: Clips, condition: Condition, name: str) -> list[float]:
    """A measured number of every clip of a condition, in the order of captions; nan where a clip has none."""
    return [clip.values.get(name, float("nan")) for clip in clips[condition.name]]


def _more(
    name: str, better: Condition, worse: Condition, *, sign: int = 1, scale: float = 100.0
) -> tuple[tuple[Condition, ...], Callable[[Clips], Interval]]:
    """Conditions and measure of `better` minus `worse`, paired by caption; captions that lack either are left out and
    not counted in n."""

    def difference(clips: Clips) -> Interval:
        pairs = zip(values(clips, better, name), values(clips, worse, name), strict=True)
        known = [(sign * scale * a, sign * scale * b) for a, b in pairs if np.isfinite(a) and np.isfinite(b)]
        return paired_difference(*map(list, zip(*known, strict=True)))

    return (better, worse), difference


def _share(condition: Condition, *names: str) -> tuple[tuple[Condition, ...], Callable[[Clips], Interval]]:
    """In how many clips all of `names` are right."""

    def rate(clips: Clips) -> Interval:
        found = [all(each) for each in zip(*(values(clips, condition, name) for name in names), strict=True)]
        return _scaled(wilson(sum(found), len(found)), 100)

    return (condition,), rate


def _mean(name: str, condition: Condition) -> tuple[tuple[Condition, ...], Callable[[Clips], Interval]]:
    def mean(clips: Clips) -> Interval:
        return bootstrap_mean([v for v in values(clips, condition, name) if np.isfinite(v)])

    return (condition,), mean


def _within(
    first: str, second: str, condition: Condition, scale: float = 1.0
) -> tuple[tuple[Condition, ...], Callable[[Clips], Interval]]:
    """One number of a clip minus another of the same clip."""

    def difference(clips: Clips) -> Interval:
        pairs = zip(values(clips, condition, first), values(clips, condition, second), strict=True)
        known = [(scale * a, scale * b) for a, b in pairs if np.isfinite(a) and np.isfinite(b)]
        return paired_difference(*map(list, zip(*known, strict=True)))

    return (condition,), difference


def _scaled(found: Interval, by: float) -> Interval:
    return replace(found, value=found.value * by, low=found.low * by, high=found.high * by)


POINTS = "points in the share of clips all right"
LAST = f"right/{SEGMENTS - 1}"
ASD_TABLE = "ASD, Table 2 (arXiv 2511.01419)"
CAUSVID_TABLE = "CausVid, Table 4 (arXiv 2412.07772)"
AAD1_TABLE = "AAD-1 (arXiv 2606.03972)"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "ffe-beats-asd",
        "At one step, First-Frame Enhancement alone does more than ASD alone",
        ASD_TABLE,
        "VBench total 83.04 against 80.65",
        *_more("right", BASE_1_FFE, ASD_1),
        POINTS,
    ),
    Claim(
        "both-beat-ffe",
        "At one step, ASD with First-Frame Enhancement beats First-Frame Enhancement alone",
        ASD_TABLE,
        "83.89 against 83.04",
        *_more("right", ASD_1_FFE, BASE_1_FFE),
        POINTS,
    ),
    Claim(
        "both-beat-asd",
        "At one step, ASD with First-Frame Enhancement beats ASD alone",
        ASD_TABLE,
        "83.89 against 80.65",
        *_more("right", ASD_1_FFE, ASD_1),
        POINTS,
    ),
    Claim(
        "asd-beats-baseline",
        "At one step, ASD beats the baseline",
        ASD_TABLE,
        "80.65 against 78.13",
        *_more("right", ASD_1, BASE_1),
        POINTS,
    ),
    Claim(
        "one-star-beats-two",
        "ASD at 1* beats the baseline at two steps",
        ASD_TABLE,
        "83.89 against 82.61",
        *_more("right", ASD_1_FFE, BASE_2),
        POINTS,
    ),
    Claim(
        "asd-beats-one-step",
        "ASD at 1* beats Self Forcing retrained for one step",
        "ASD, Table 1 (arXiv 2511.01419)",
        "83.89 against 80.62",
        *_more("right", ASD_1_FFE, OWN_1),
        POINTS,
    ),
    Claim(
        "asd-beats-two-step",
        "ASD at 2* beats Self Forcing retrained for two steps",
        "ASD, Table 1 (arXiv 2511.01419)",
        "84.32 against 83.49",
        *_more("right", ASD_2_FFE, OWN_2),
        POINTS,
    ),
    Claim(
        "first-chunk",
        "The first chunk differs most between steps: its first prediction is less like its last one than in later "
        "chunks",
        "ASD, Figure 2 (arXiv 2511.01419)",
        "cosine similarity about 0.67 in the first frame, 0.93 and more in later ones",
        *_within("later_chunks", "first_chunk", STEPS),
        "cosine similarity, later minus first",
    ),
    Claim(
        "real-positive",
        "Real clips as the positive class help more at one step than the student's own next step",
        "One-Forcing (arXiv 2605.23458)",
        "VBench total 83.76 against 79.12",
        *_more("right", REAL_1, ASD_1),
        POINTS,
    ),
    Claim(
        "causal-teacher-worse",
        "A causal many-step model is worse than a bidirectional one",
        CAUSVID_TABLE,
        "frame quality 60.1 against 62.7",
        *_more("right", TEACHER, CAUSAL_TEACHER),
        POINTS,
    ),
    Claim(
        "asymmetric",
        "A causal student learns more from a bidirectional teacher than from a causal one",
        CAUSVID_TABLE,
        "frame quality 64.4 against 61.7",
        *_more("right", CAUSVID, CAUSVID_CAUSAL),
        POINTS,
    ),
    Claim(
        "dmd-beats-ode",
        "Distribution matching (Self Forcing, four steps) improves on ODE initialisation",
        CAUSVID_TABLE,
        "frame quality 64.4 against 48.1",
        *_more("right", BASE_4, ODE_4),
        POINTS,
    ),
    Claim(
        "dmd-beats-ode-one",
        "Distribution matching (Self Forcing) improves on ODE initialisation at one step",
        "conjecture here, from CausVid's Table 4",
        "not published",
        *_more("right", BASE_1, ODE_1),
        POINTS,
    ),
    Claim(
        "self-forcing-beats-causvid",
        "Training on its own rollouts (Self Forcing) beats training on real clips (CausVid)",
        "Self Forcing, Table 1 (arXiv 2506.08009)",
        "VBench total 84.31 against 81.20",
        *_more("right", BASE_4, CAUSVID),
        POINTS,
    ),
    Claim(
        "drift-causvid",
        "Over 30 seconds CausVid loses more than Self Forcing: in the last tenth Self Forcing has more frames right",
        "Self Forcing (arXiv 2506.08009)",
        "over-saturation that grows with length, shown as pictures",
        *_more(LAST, LONG[MEASURED.baseline], LONG[MEASURED.model("causvid")]),
        "points of frames right",
    ),
    Claim(
        "drift-over-time",
        "Quality falls over time in chunk-by-chunk generation (ASD, four steps): first tenth of 30 seconds minus last",
        "CausVid, Figure 8 (arXiv 2412.07772)",
        "shown as a curve",
        *_within("right/0", LAST, LONG[MEASURED.asd], 100.0),
        "points of frames right",
    ),
    Claim(
        "aad1-motion",
        "AAD-1's adversarial stage keeps more motion than distribution matching for as long",
        AAD1_TABLE,
        "dynamic degree 41.46, Self Forcing 34.93",
        *_more("motion", AAD1, AAD1_DMD, scale=1.0),
        "optical flow, pixels per frame",
    ),
    Claim(
        "aad1-drift",
        "AAD-1's adversarial stage drifts less than distribution matching for as long",
        AAD1_TABLE,
        "no figure for this pair",
        *_more("drift", AAD1, AAD1_DMD, sign=-1, scale=1.0),
        "less drift of sharpness",
    ),
    Claim(
        "aad1-frames",
        "A discriminator with one score per video drifts less than one with a score per frame",
        AAD1_TABLE,
        "drift 4.02 against 4.38",
        *_more("drift", AAD1, AAD1_FRAMES, sign=-1, scale=1.0),
        "less drift of sharpness",
    ),
    Claim(
        "aad1-causal",
        "A bidirectional discriminator drifts less than a causal one",
        AAD1_TABLE,
        "drift 4.02 against 7.10",
        *_more("drift", AAD1, AAD1_CAUSAL, sign=-1, scale=1.0),
        "less drift of sharpness",
    ),
    Claim(
        "switch-seen",
        "After a prompt switch the look of the new prompt (colour, shape, background) is seen within two chunks in "
        "most clips",
        "CausVid (arXiv 2412.07772)",
        "claimed, no figure",
        *_share(SWITCHES["keep"], "color", "shape", "background"),
        "% of clips in the second chunk",
        50.0,
    ),
    Claim(
        "switch-moves",
        "After a prompt switch the object moves the new way within two chunks in most clips",
        "CausVid (arXiv 2412.07772)",
        "claimed, no figure",
        *_share(SWITCHES["keep"], "direction"),
        "% of clips in the second chunk",
        50.0,
    ),
    Claim(
        "recache",
        "Re-caching the past under the new prompt follows it better than keeping the past",
        "LongLive, Table on re-caching (arXiv 2509.22622)",
        "CLIP score 27.87 against 26.53",
        *_more("right", SWITCHES["recache"], SWITCHES["keep"]),
        POINTS,
    ),
    Claim(
        "ffe-after-switch",
        "First-Frame Enhancement after a prompt switch helps a one-step clip to follow it",
        "conjecture here, from ASD's argument about first chunks",
        "not published",
        *_more("right", SWITCH_ASD_FFE, SWITCH_ASD),
        POINTS,
    ),
    Claim(
        "video-path",
        "Video-to-video keeps the path of the input's object",
        "CausVid (arXiv 2412.07772)",
        "claimed, no figure",
        *_mean("path_correlation", VIDEO),
        "correlation of the two paths",
        0.9,
    ),
    Claim(
        "video-color",
        "Video-to-video shows the prompt's colour in most clips",
        "CausVid (arXiv 2412.07772)",
        "claimed, no figure",
        *_share(VIDEO, "color"),
        "% of clips with the prompt's colour",
        50.0,
    ),
)

EXTRA = (
    ASD_4,
    ASD_2,
    DMD_1,
    SWITCHES["reset"],
    LONG[MEASURED.teacher],
    LONG[MEASURED.causal_teacher],
    STRAIGHT,
)
"""Conditions that stand in the tables though no claim asks for them."""


def conditions(claims: Sequence[Claim] = CLAIMS) -> list[Condition]:
    """Every condition once; those of the tables too when all claims are asked for."""
    asked = [condition for claim in claims for condition in claim.conditions]
    return list(dict.fromkeys([*asked, *(EXTRA if claims is CLAIMS else ())]))


def frechet(clips: Clips, condition: Condition, real: np.ndarray) -> Interval | None:
    """Distance of a condition's clips to real ones of the same captions; None for clips that have no features."""
    features = [clip.features for clip in clips[condition.name]]
    if len(features) < 2 or not all(features):
        return None
    return frechet_interval(real[: len(features)], np.array(features), paired=True)
