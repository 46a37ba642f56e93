"""From raw dimension values to VBench's quality, semantic and total scores.

Raw values are on the 0..1 scale of VBench's result files. An aggregate that misses a dimension has no value: VBench's
own script would count the missing one as raw 0. What the others give is then told as `partial`, by that name only.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from eval.vbench.constants import (
    DIMENSIONS,
    QUALITY,
    QUALITY_WEIGHT,
    SEMANTIC,
    SEMANTIC_WEIGHT,
    Dimension,
)


@dataclass(frozen=True)
class Aggregate:
    """A weighted mean of dimensions. `value` is None while one of them is missing; `partial` is then the mean of the
    ones that are there (None when none is), and must never be shown beside complete values without saying so."""

    name: str
    value: float | None
    partial: float | None
    present: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def says(self) -> str:
        """The value in words, or how much of it is there."""
        if self.value is not None:
            return f"{self.name} {100 * self.value:.2f}"
        of = f"{len(self.present)} of {len(self.present) + len(self.missing)} dimensions"
        partial = "" if self.partial is None else f"; mean of these {100 * self.partial:.2f}, partial"
        return f"{self.name} not computable ({of}; missing {', '.join(self.missing)}{partial})"


@dataclass(frozen=True)
class VBenchScores:
    """VBench's three scores with what they are made of. `leverage`: change of the total per unit of raw value.

    `notices` name raw values outside a dimension's range, which push a normalised value out of 0..1.
    """

    quality: Aggregate
    semantic: Aggregate
    total: Aggregate
    normalised: dict[str, float]
    leverage: dict[str, float]
    notices: tuple[str, ...] = ()


def aggregate(raw: Mapping[str, float | None]) -> VBenchScores:
    """VBench's quality, semantic and total of raw values by dimension name; other names are ignored."""
    values = checked_values(raw)
    normalised = {name: row.normalised(values[name]) for name, row in DIMENSIONS.items() if name in values}
    quality = _weighted("Quality", _rows(QUALITY), normalised)
    semantic = _weighted("Semantic", _rows(SEMANTIC), normalised)
    return VBenchScores(
        quality=quality,
        semantic=semantic,
        total=_joined("Total", (quality, QUALITY_WEIGHT), (semantic, SEMANTIC_WEIGHT)),
        normalised=normalised,
        leverage=leverage(),
        notices=tuple(
            f"{name} is {values[name]:.4g}, outside VBench's range {row.low} to {row.high}; it is not clipped"
            for name, row in DIMENSIONS.items()
            if name in values and not row.low <= values[name] <= row.high
        ),
    )


def leverage() -> dict[str, float]:
    """How much the total moves per unit of each raw value: weight / (range * weights), times its group's share."""
    shares = {QUALITY: QUALITY_WEIGHT, SEMANTIC: SEMANTIC_WEIGHT}
    sums = {group: sum(row.weight for row in _rows(group)) for group in shares}
    return {
        row.name: row.weight / (row.high - row.low) / sums[row.group] * shares[row.group] / sum(shares.values())
        for row in DIMENSIONS.values()
    }


def checked_values(raw: Mapping[str, float | None]) -> dict[str, float]:
    """The values that are there; ValueError for one that is not a finite number."""
    values = {name: float(value) for name, value in raw.items() if value is not None}
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"{name}={value} is not a score; leave the dimension out or give a finite number")
    return values


def _rows(group: str) -> list[Dimension]:
    return [row for row in DIMENSIONS.values() if row.group == group]


def _weighted(name: str, rows: list[Dimension], normalised: Mapping[str, float]) -> Aggregate:
    present = [row for row in rows if row.name in normalised]
    missing = tuple(row.name for row in rows if row.name not in normalised)
    mean = sum(normalised[r.name] * r.weight for r in present) / sum(r.weight for r in present) if present else None
    return Aggregate(name, None if missing else mean, mean, tuple(row.name for row in present), missing)


def _joined(name: str, *parts: tuple[Aggregate, float]) -> Aggregate:
    present = tuple(dimension for part, _ in parts for dimension in part.present)
    missing = tuple(dimension for part, _ in parts for dimension in part.missing)
    weights = sum(weight for _, weight in parts)
    if any(part.partial is None for part, _ in parts):
        return Aggregate(name, None, None, present, missing)
    mean = sum(part.partial * weight for part, weight in parts) / weights
    return Aggregate(name, None if missing else mean, mean, present, missing)
