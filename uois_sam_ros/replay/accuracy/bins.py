"""Means in bins, with intervals: scores against true IoU, F against size and occlusion; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .facts import FrameFacts, TrueObject

#: Shares of the picture between the bins of size, in percent: each bin is twice as large as the one before.
SIZE_EDGES = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 100.0)
#: Hidden shares between the bins of occlusion, in percent.
HIDDEN_EDGES = (0.0, 5.0, 20.0, 40.0, 60.0, 80.0, 100.0)
#: Bins of the score.
SCORE_BINS = 10
#: With fewer values a bin has no interval.
FEW = 3


@dataclass(frozen=True)
class Bin:
    """One bin.

    Attributes:
        start, end: its range; of scores 0..1, of shares percent.
        count: values in it.
        mean: of them, 0..1; ``None`` when empty.
        low, high: 95 % interval of the mean (normal); ``None`` with few values.
        extra: a second mean: share found (objects), mean score (predictions); ``None`` when empty.
    """

    start: float
    end: float
    count: int
    mean: float | None
    low: float | None
    high: float | None
    extra: float | None


@dataclass(frozen=True)
class Calibration:
    """Scores of the predictions against their true IoU.

    Attributes:
        bins: by score; ``extra`` is the mean score.
        error: expected calibration error, the mean distance between score and IoU over the bins, weighted by count.
        bias: mean score minus mean IoU; above 0 the scores promise too much.
        rank: rank correlation (Spearman) of score and IoU; ``None`` when one of them is constant.
        count: predictions with a score.
    """

    bins: tuple[Bin, ...]
    error: float
    bias: float
    rank: float | None
    count: int


def calibrate(frames: Iterable[FrameFacts]) -> Calibration | None:
    """Compare scores and true IoU; ``None`` when no prediction has a score."""
    scored = [p for frame in frames for p in frame.predictions if p.score is not None]
    if not scored:
        return None
    score, iou = np.array([p.score for p in scored]), np.array([p.iou for p in scored])
    place = np.clip((score * SCORE_BINS).astype(int), 0, SCORE_BINS - 1)
    bins = tuple(_bin(k / SCORE_BINS, (k + 1) / SCORE_BINS, iou[place == k], score[place == k])
                 for k in range(SCORE_BINS))
    error = sum(b.count * abs(b.mean - b.extra) for b in bins if b.count) / len(scored)
    return Calibration(bins, float(error), float(score.mean() - iou.mean()), rank_correlation(score, iou), len(scored))


def by_size(frames: Iterable[FrameFacts]) -> tuple[Bin, ...]:
    """F of the true objects by their visible share of the picture; ``extra`` is the share found."""
    return _by_share((o for frame in frames for o in frame.objects), lambda o: o.area_share, SIZE_EDGES)


def by_hidden(frames: Iterable[FrameFacts]) -> tuple[Bin, ...]:
    """F of the true objects by the share of them that is hidden; empty when that is not known of any object."""
    known = [o for frame in frames for o in frame.objects if o.hidden is not None]
    return _by_share(known, lambda o: o.hidden, HIDDEN_EDGES) if known else ()


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return Spearman's correlation, equal values sharing their mean rank; ``None`` when one side is constant."""
    ranks = [_ranks(values) for values in (first, second)]
    if min(rank.std() for rank in ranks) == 0:
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def _by_share(objects: Iterable[TrueObject], share: Callable[[TrueObject], float],
              edges: Sequence[float]) -> tuple[Bin, ...]:
    objects = list(objects)
    place = np.searchsorted(edges[1:-1], [100 * share(o) for o in objects], side="right")
    dice, found = np.array([o.dice for o in objects]), np.array([float(o.found) for o in objects])
    return tuple(_bin(start, end, dice[place == k], found[place == k])
                 for k, (start, end) in enumerate(zip(edges, edges[1:])))


def _bin(start: float, end: float, values: np.ndarray, extra: np.ndarray) -> Bin:
    if not len(values):
        return Bin(start, end, 0, None, None, None, None)
    mean, low, high = float(values.mean()), None, None
    if len(values) >= FEW:
        half = 1.96 * float(values.std(ddof=1)) / np.sqrt(len(values))
        low, high = float(max(0.0, mean - half)), float(min(1.0, mean + half))
    return Bin(start, end, len(values), mean, low, high, float(extra.mean()))


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place]
