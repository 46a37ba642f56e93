"""Bootstrap of measures of whole sets, where row i of every set is the same caption and seed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eval.statistics.intervals import Interval


@dataclass(frozen=True)
class Resampled:
    """A measure of a set and its values for resampled captions: `value` and `draws` (R,); `n` captions.

    Measures that were drawn with the same seed and n saw the same resamples, so that their difference is paired.
    """

    value: float
    draws: np.ndarray
    n: int

    def __sub__(self, other: "Resampled") -> "Resampled":
        if self.n != other.n or len(self.draws) != len(other.draws):
            raise ValueError(f"sets of {self.n} and {other.n} clips cannot be paired; give one of each per caption")
        return Resampled(self.value - other.value, self.draws - other.draws, self.n)

    def interval(self, *, least: float = -np.inf, most: float = np.inf, confidence: float = 0.95) -> Interval:
        """The draws' spread moved to the value, cut to what is possible.

        A resample repeats clips, which lifts most distances; moved, the interval says how much the number would change
        with other captions, not how far it is from that of endless clips.
        """
        tail = (1 - confidence) / 2
        low, high = np.quantile(self.draws, [tail, 1 - tail]) - self.draws.mean() + self.value
        return Interval(self.value, float(np.clip(low, least, most)), float(np.clip(high, least, most)), self.n)


def resample(
    measure: Callable[[np.ndarray], np.ndarray], n: int, *, resamples: int = 300, seed: int = 0
) -> list[Resampled]:
    """One `Resampled` for each of the numbers in `measure(rows)` (K,), over resampled `rows` (n,) of 0 to n - 1."""
    generator = np.random.default_rng(seed)
    values = np.asarray(measure(np.arange(n)), float)
    draws = np.array([measure(generator.integers(n, size=n)) for _ in range(resamples)], float)
    return [Resampled(float(value), draws[:, k], n) for k, value in enumerate(values)]
