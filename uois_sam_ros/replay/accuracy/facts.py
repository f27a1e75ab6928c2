"""One scored frame taken apart: what became of every true object, and what every prediction is worth; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..evaluate import ScoredFrame
from ..metrics import DETECTED_DICE, apply_ignore, score_frame
from ..playback.matching import match_labels
from ..sources import Sample
from ..stored import StoredResult


@dataclass(frozen=True)
class TrueObject:
    """A true object and its match.

    Attributes:
        id: in the truth.
        area_px: visible pixels.
        area_share: of the picture, 0..1.
        iou: with its one-to-one match; 0 without.
        hidden: share of the whole object that others hide, 0..1; ``None`` when the data does not tell.
        pieces: ids of the predictions that lie with more than half of their area in it.
    """

    id: int
    area_px: int
    area_share: float
    iou: float
    hidden: float | None
    pieces: tuple[int, ...]

    @property
    def dice(self) -> float:
        """F of the object: Dice with its match."""
        return 2 * self.iou / (1 + self.iou)

    @property
    def found(self) -> bool:
        """True when %75 counts it."""
        return self.dice > DETECTED_DICE


@dataclass(frozen=True)
class Prediction:
    """A predicted instance.

    Attributes:
        id: in the label image.
        area_px: pixels.
        score: refined score in [0, 1]; ``None`` when not known.
        iou: the best with any true object; 0 on the background.
        covers: ids of the true objects of which it covers at least half.
    """

    id: int
    area_px: int
    score: float | None
    iou: float
    covers: tuple[int, ...]


@dataclass(frozen=True)
class FrameFacts:
    """One frame.

    Attributes:
        scored: its scores, as ``uois-sam eval`` counts them.
        objects, predictions: by ascending id; pixels to be ignored are left out as the scores leave them out.
        matches: id of a true object -> id of its match.
    """

    scored: ScoredFrame
    objects: tuple[TrueObject, ...]
    predictions: tuple[Prediction, ...]
    matches: Mapping[int, int]


def analyse(sample: Sample, answer: StoredResult, hidden: Mapping[int, float] | None = None) -> FrameFacts:
    """Score an answer to a sample with truth, object by object.

    Args:
        hidden: id of a true object -> share of it that is hidden, as far as known.

    Raises:
        ValueError: the answer has another size than the truth.
    """
    scores = score_frame(answer.label, sample.truth, sample.ignore)
    label, truth = answer.label, sample.truth
    if sample.ignore is not None:
        label, truth = apply_ignore(label, truth, sample.ignore)
    found = match_labels(truth, label)
    table, areas = _shared(truth, label, found.first_ids, found.second_ids)
    true_area, area = areas
    union = true_area[:, None] + area[None, :] - table
    best = (table / np.maximum(union, 1)).max(axis=0, initial=0.0)
    inside, covered = 2 * table > area[None, :], 2 * table >= true_area[:, None]
    objects = tuple(TrueObject(
        number, int(true_area[row]), float(true_area[row] / truth.size), found.pairs.get(number, (0, 0.0))[1],
        None if hidden is None else hidden.get(number), _chosen(found.second_ids, inside[row]))
        for row, number in enumerate(found.first_ids))
    predictions = tuple(Prediction(
        number, int(area[column]), answer.scores.get(number), float(best[column]),
        _chosen(found.first_ids, covered[:, column])) for column, number in enumerate(found.second_ids))
    scored = ScoredFrame(sample.source, sample.name, scores, answer.total_ms, dict(sample.tags))
    return FrameFacts(scored, objects, predictions, {true: answer for true, (answer, _) in found.pairs.items()})


def _shared(truth: np.ndarray, label: np.ndarray, true_ids: tuple[int, ...],
            ids: tuple[int, ...]) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return int64[T, P] shared pixels, and the areas int64[T] and int64[P]."""
    rows, columns = _places(truth, true_ids), _places(label, ids)
    table = np.bincount(rows * (len(ids) + 1) + columns, minlength=(len(true_ids) + 1) * (len(ids) + 1))
    table = table.reshape(len(true_ids) + 1, len(ids) + 1)
    return table[1:, 1:], (table[1:].sum(axis=1), table[:, 1:].sum(axis=0))


def _places(image: np.ndarray, ids: tuple[int, ...]) -> np.ndarray:
    """Return int64[H * W]: 0 for the background, else the place of the id, from 1."""
    lookup = np.zeros(int(image.max(initial=0)) + 1, dtype=np.int64)
    lookup[list(ids)] = np.arange(1, len(ids) + 1)
    return lookup[image].ravel()


def _chosen(ids: tuple[int, ...], mask: np.ndarray) -> tuple[int, ...]:
    return tuple(number for number, wanted in zip(ids, mask.tolist()) if wanted)
