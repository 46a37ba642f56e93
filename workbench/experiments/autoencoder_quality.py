"""How much of rendered clips an autoencoder gives back: error, detail by octave, and traces of its groups of four."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from eval.realism.texture_spectrum import energy_shares, octave_spectrum
from models.latent_time import TEMPORAL
from models.networks.codec import Codec
from models.worlds.tabletop.grammar import GROUNDS, Caption, sample_caption
from models.worlds.tabletop.render import render
from models.worlds.tabletop.scene import sample_scene

FINEST = 2


@dataclass(frozen=True)
class ClipQuality:
    """One clip: peak signal-to-noise ratio in dB; `detail`, its power by octave relative to the real clip's, the
    finest first; and the share of the group's rhythm in the curves of sharpness and flicker, real and given back."""

    psnr: float
    detail: list[float]
    sharpness_rhythm_real: float
    sharpness_rhythm: float
    flicker_rhythm_real: float
    flicker_rhythm: float


def clip_quality(real: np.ndarray, made: np.ndarray) -> ClipQuality:
    """`made` (T, H, W, 3) uint8 beside `real`, frame by frame."""
    squares = np.square(real.astype(np.float32) - made).mean()
    real_decibels, made_decibels = octave_spectrum(real), octave_spectrum(made)
    shares = energy_shares(real_decibels[None], made_decibels[None])
    sharpness = [group_rhythm(decibels[1:, :FINEST].mean(1)) for decibels in (real_decibels, made_decibels)]
    flicker = [group_rhythm(_changes(frames)) for frames in (real, made)]
    psnr = 10 * float(np.log10(255**2 / max(squares, 1e-9)))
    return ClipQuality(psnr, [float(share) for share in shares], *sharpness, *flicker)


def _changes(frames: np.ndarray) -> np.ndarray:
    """Mean absolute change of (T, H, W, 3) from each frame to the next."""
    return np.abs(np.diff(frames.astype(np.float32), axis=0)).mean((1, 2, 3))


def group_rhythm(curve: np.ndarray) -> float:
    """Share, 0 to 1, of a curve's variation that repeats every latent frame (four frames): the power at that period
    and at its half. Of noise it is 0.06 on average in 48 values; of a constant curve it is 0."""
    whole = curve[: len(curve) // TEMPORAL * TEMPORAL]
    power = np.abs(np.fft.rfft(whole - whole.mean())) ** 2
    beat = len(whole) // TEMPORAL
    # the highest frequency stands in the one-sided spectrum once, every other one for two
    power[1:-1] *= 2
    total = power[1:].sum()
    return float(power[[beat, 2 * beat]].sum() / total) if total > 1e-12 * len(whole) else 0.0


def quality_by_ground(codec: Codec, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """A row for each ground, means over `count` rendered clips with held-out captions."""
    for place, ground in enumerate(GROUNDS):
        found: dict[str, list] = defaultdict(list)
        for index in range(count):
            rng = np.random.default_rng([seed, place, index])
            real = render(sample_scene(held_out_caption(ground, rng), rng))
            for name, value in asdict(clip_quality(real, codec.decode(codec.encode(real)))).items():
                found[name].append(value)
        yield {"ground": ground, "n": count, **{name: np.mean(values, 0).tolist() for name, values in found.items()}}


def held_out_caption(ground: str, rng: np.random.Generator) -> Caption:
    """A caption that no training clip has, over this ground."""
    while (caption := sample_caption(rng, held_out=True)).ground != ground:
        pass
    return caption
