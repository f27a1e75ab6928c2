"""Overlap P/R/F, boundary P/R/F and %75 of one frame, as UOIS-SAM (arXiv 2409.15481) counts them.

Background is id 0. Predicted and true objects are matched one to one so that the sum of their
Dice values is largest. Overlap numerators are matched intersections; denominators are all
predicted and all true object pixels. Boundaries are 1-pixel contours matched within
ceil(0.003 x diagonal). %75 is the share of true objects whose match has a Dice value above 0.75.
Tables hold the arithmetic mean over frames of each column.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from .assignment import assign
from .boundary import count_contour, match_contours, tolerance_radius

#: A match counts as detected when its Dice value is above this (strictly).
DETECTED_DICE = 0.75
#: A prediction with a larger share of its area in the ignore mask is dropped.
IGNORED_SHARE = 0.5


@dataclass(frozen=True)
class FrameScores:
    """Scores of one frame, or the mean over frames.

    Attributes:
        overlap_precision, overlap_recall, overlap_f: 0..1.
        boundary_precision, boundary_recall, boundary_f: 0..1.
        detected_75: share of true objects found with Dice > 0.75, 0..1.
        over_segmentation: predictions beyond the first that lie with more than half of their area
            in the same true object, per true object; 0 is best.
        merges: share of predictions that cover at least half of two or more true objects.
        predictions, objects: how many there are (a mean over frames may be fractional).
    """

    overlap_precision: float
    overlap_recall: float
    overlap_f: float
    boundary_precision: float
    boundary_recall: float
    boundary_f: float
    detected_75: float
    over_segmentation: float
    merges: float
    predictions: float
    objects: float


def flatten_masks(masks: Iterable[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Paint bool[H, W] masks into uint16[H, W] with ids 1..N; later masks overwrite earlier ones."""
    label = np.zeros(shape, dtype=np.uint16)
    for index, mask in enumerate(masks, start=1):
        label[mask] = index
    return label


def score_frame(predicted: np.ndarray, truth: np.ndarray,
                ignore: np.ndarray | None = None) -> FrameScores:
    """Score one label image against the truth.

    Args:
        predicted, truth: unsigned integer[H, W], 0 = background; ids need not be contiguous.
        ignore: bool[H, W], pixels not to score; a prediction with more than half of its area
            there is dropped, and these pixels are removed from all other objects and the truth.

    Raises:
        ValueError: shapes differ.
    """
    if predicted.shape != truth.shape or (ignore is not None and ignore.shape != truth.shape):
        shapes = [predicted.shape, truth.shape] + ([] if ignore is None else [ignore.shape])
        raise ValueError(f"label images: expected equal shapes, got {shapes}; score at native resolution")
    if ignore is not None:
        predicted, truth = apply_ignore(predicted, truth, ignore)
    pred = _Objects.of(predicted)
    true = _Objects.of(truth)
    if pred.count == 0 or true.count == 0:
        return _score_empty(pred.count, true.count)

    shared = _intersections(pred.dense, true.dense, pred.count, true.count)
    dice = 2.0 * shared / (pred.area[:, None] + true.area[None, :])
    rows, columns = assign(-dice)
    hit = dice[rows, columns] > 0
    rows, columns = rows[hit], columns[hit]

    overlap = _precision_recall_f(
        shared[rows, columns].sum(), pred.area.sum(), shared[rows, columns].sum(), true.area.sum())
    boundary = _score_boundaries(pred, true, rows, columns)
    detected = float((dice[rows, columns] > DETECTED_DICE).sum()) / true.count
    inside = shared > 0.5 * pred.area[:, None]
    extra = np.maximum(inside.sum(axis=0) - 1, 0).sum() / true.count
    covered = shared >= 0.5 * true.area[None, :]
    merges = float((covered.sum(axis=1) >= 2).mean())
    return FrameScores(*overlap, *boundary, detected, float(extra), merges,
                       float(pred.count), float(true.count))


def mean_scores(scores: Iterable[FrameScores]) -> FrameScores:
    """Return the arithmetic mean over frames of every column.

    Raises:
        ValueError: no frames.
    """
    scores = list(scores)
    if not scores:
        raise ValueError("mean_scores: expected at least one scored frame, got none")
    names = [spec.name for spec in fields(FrameScores)]
    return FrameScores(*(float(np.mean([getattr(s, name) for s in scores])) for name in names))


def apply_ignore(predicted: np.ndarray, truth: np.ndarray,
                 ignore: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return copies of both labels with dropped predictions and ignored pixels set to 0."""
    size = int(predicted.max()) + 1
    area = np.bincount(predicted.ravel(), minlength=size)
    ignored = np.bincount(predicted[ignore], minlength=size)
    drop = ignored > IGNORED_SHARE * area
    remove = ignore | drop[predicted]
    return np.where(remove, 0, predicted), np.where(ignore, 0, truth)


@dataclass(frozen=True)
class _Objects:
    """A label image with ids made contiguous, and the area and box (xyxy) of each object."""

    dense: np.ndarray
    count: int
    area: np.ndarray
    boxes: list[tuple[int, int, int, int]]

    @classmethod
    def of(cls, label: np.ndarray) -> _Objects:
        counts = np.bincount(label.ravel())
        ids = np.flatnonzero(counts)
        ids = ids[ids > 0]
        lookup = np.zeros(len(counts), dtype=np.int32)
        lookup[ids] = np.arange(1, len(ids) + 1)
        dense = lookup[label]
        return cls(dense, len(ids), counts[ids].astype(np.float64), _boxes(dense, len(ids)))


def _boxes(dense: np.ndarray, count: int) -> list[tuple[int, int, int, int]]:
    rows, columns = np.nonzero(dense)
    ids = dense[rows, columns]
    low = np.full((2, count + 1), np.iinfo(np.int32).max, dtype=np.int64)
    high = np.zeros((2, count + 1), dtype=np.int64)
    for axis, values in enumerate((columns, rows)):
        np.minimum.at(low[axis], ids, values)
        np.maximum.at(high[axis], ids, values + 1)
    return [(int(low[0, k]), int(low[1, k]), int(high[0, k]), int(high[1, k]))
            for k in range(1, count + 1)]


def _intersections(predicted: np.ndarray, truth: np.ndarray, n_pred: int, n_true: int) -> np.ndarray:
    """Return float64[n_pred, n_true] shared pixels."""
    pair = predicted.ravel().astype(np.int64) * (n_true + 1) + truth.ravel()
    table = np.bincount(pair, minlength=(n_pred + 1) * (n_true + 1))
    return table.reshape(n_pred + 1, n_true + 1)[1:, 1:].astype(np.float64)


def _score_boundaries(pred: _Objects, true: _Objects, rows: np.ndarray,
                      columns: np.ndarray) -> tuple[float, float, float]:
    radius = tolerance_radius(*true.dense.shape)
    pred_total = sum(count_contour(pred.dense, k + 1, pred.boxes[k]) for k in range(pred.count))
    true_total = sum(count_contour(true.dense, k + 1, true.boxes[k]) for k in range(true.count))
    pred_near = true_near = 0
    for row, column in zip(rows.tolist(), columns.tolist()):
        near = match_contours(pred.dense, row + 1, pred.boxes[row],
                              true.dense, column + 1, true.boxes[column], radius)
        pred_near += near[0]
        true_near += near[1]
    return _precision_recall_f(pred_near, pred_total, true_near, true_total)


def _precision_recall_f(hit_p: float, total_p: float, hit_r: float,
                        total_r: float) -> tuple[float, float, float]:
    """Return P, R and their harmonic mean; 0/0 is 0."""
    precision = float(hit_p / total_p) if total_p else 0.0
    recall = float(hit_r / total_r) if total_r else 0.0
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else 0.0


def _score_empty(n_pred: int, n_true: int) -> FrameScores:
    """Nothing predicted: P = 1, R = 0. Nothing there: P = 0, R = 1. Neither: all 1."""
    if n_pred == 0 and n_true == 0:
        p, r, f, detected = 1.0, 1.0, 1.0, 1.0
    else:
        p, r, f, detected = float(n_pred == 0), float(n_true == 0), 0.0, 0.0
    return FrameScores(p, r, f, p, r, f, detected, 0.0, 0.0, float(n_pred), float(n_true))
