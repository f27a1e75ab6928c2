"""Confidence intervals of a mean over frames by resampling the frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: With fewer frames every resample is nearly the same and an interval says nothing.
MIN_FRAMES = 3
#: Frames drawn at once; bounds the memory of long recordings.
MOST_PICKS = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A mean and the 95 % interval around it."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """True when the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def paired_difference(before: Sequence[float], after: Sequence[float], *, resamples: int = 4000,
                      seed: int = 0) -> Interval:
    """Bootstrap the mean of ``after - before`` over frames that both scored, in the same order.

    Raises:
        ValueError: different or zero length.
    """
    first, second = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if first.shape != second.shape or first.size == 0:
        raise ValueError(f"paired_difference: expected equally many frames, got {first.size} and {second.size}")
    difference = second - first
    rng = np.random.default_rng(seed)
    rows = max(1, MOST_PICKS // difference.size)
    means = [difference[rng.integers(0, difference.size, (min(rows, resamples - done), difference.size))].mean(axis=1)
             for done in range(0, resamples, rows)]
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return Interval(float(difference.mean()), float(low), float(high))
