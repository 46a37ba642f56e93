"""The texture of real clips of the tabletop world: the reference that `texture_spectrum_distance` compares with."""

from collections.abc import Iterator
from itertools import cycle, islice, product

import numpy as np

from eval.realism.efficientnet import frame_positions
from eval.realism.texture_spectrum import octave_spectrum
from models.worlds.tabletop.grammar import GROUNDS, Caption, all_combinations
from models.worlds.tabletop.render import render
from models.worlds.tabletop.scene import sample_scene


def reference_captions(clips: int) -> list[Caption]:
    """`clips` captions of each ground, over all combinations of colour, solid and direction in turn."""
    combinations = all_combinations()
    mixed = np.random.default_rng(5).permutation(len(combinations))
    things = islice(cycle(mixed), clips)
    return [Caption((combinations[k],), ground) for k, ground in product(things, GROUNDS)]


def reference_spectra(clips: int, seed: int = 0) -> Iterator[tuple[np.ndarray, str]]:
    """(spectra (P, K) in dB, caption) of rendered clips at the positions at which systems are measured."""
    for index, caption in enumerate(reference_captions(clips)):
        frames = render(sample_scene(caption, np.random.default_rng((seed, index, 6))))
        yield octave_spectrum(frames[frame_positions(len(frames))]), str(caption)
