"""Noise levels as numbers: the shift, lists for any number of steps, and CausVid's table. Needs no torch."""

from functools import lru_cache
from typing import Any, TypeVar

Level = TypeVar("Level")  # a float, or a tensor of any shape


def shift_sigma(sigma: Level, shift: float) -> Level:
    """Move noise levels toward 1: k * s / (1 + (k - 1) * s)."""
    level: Any = sigma
    return shift * level / (1 + (shift - 1) * level)


def step_sigmas(steps: int, shift: float = 5.0) -> tuple[float, ...]:
    """Noise levels of an n-step sampler: n even strides from 1 toward 0, then shifted.

    With shift 5: 4 steps give (1, 0.9375, 0.8333, 0.625), Self Forcing's list; 2 steps give every other entry of it.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; a chunk needs at least 1 step")
    return tuple(shift_sigma(1 - i / steps, shift) for i in range(steps))


@lru_cache(maxsize=8)
def sigma_table(shift: float) -> tuple[float, ...]:
    """The 1000 noise levels that CausVid's scheduler knows, from 1 down: the last one is above 0."""
    return tuple(shift_sigma(1 - i / 1000, shift) for i in range(1000))


def nearest_sigma(sigma: float, shift: float) -> float:
    """The entry of `sigma_table` next to `sigma`: what CausVid computes with when the network is told 1000 * sigma."""
    return min(sigma_table(shift), key=lambda entry: abs(entry - sigma))
