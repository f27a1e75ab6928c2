"""Which object of one label image is which of another; pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..assignment import assign

#: A true object is found when its match has more IoU than this: Dice 0.75, as %75 counts.
FOUND_IOU = 0.6
#: Objects that keep their ids share pixels from frame to frame; a mean IoU below this is another scene.
CUT_IOU = 0.1


@dataclass(frozen=True)
class Matches:
    """One-to-one matches of two label images.

    Attributes:
        first_ids, second_ids: the ids in each image, ascending, 0 left out.
        pairs: id in the first image -> (id in the second, IoU above 0).
    """

    first_ids: tuple[int, ...]
    second_ids: tuple[int, ...]
    pairs: dict[int, tuple[int, float]]

    def mean_iou(self) -> float:
        """Return the mean IoU in which whatever has no match counts 0; 1 when both images are empty."""
        most = max(len(self.first_ids), len(self.second_ids))
        return sum(iou for _, iou in self.pairs.values()) / most if most else 1.0


def match_labels(first: np.ndarray, second: np.ndarray) -> Matches:
    """Match the objects of two unsigned integer[H, W] images so that the sum of Dice values is largest.

    Raises:
        ValueError: shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"label images: expected equal shapes, got {first.shape} and {second.shape}")
    first_ids, dense_first = _dense(first)
    second_ids, dense_second = _dense(second)
    found = Matches(tuple(first_ids.tolist()), tuple(second_ids.tolist()), {})
    if not len(first_ids) or not len(second_ids):
        return found
    columns = len(second_ids) + 1
    table = np.bincount(dense_first.ravel() * columns + dense_second.ravel(),
                        minlength=(len(first_ids) + 1) * columns).reshape(-1, columns)
    area_first, area_second = table.sum(axis=1)[1:, None], table.sum(axis=0)[None, 1:]
    shared = table[1:, 1:]
    rows, matched = assign(-2.0 * shared / (area_first + area_second))
    iou = shared / (area_first + area_second - shared)
    for row, column in zip(rows.tolist(), matched.tolist()):
        if shared[row, column]:
            found.pairs[int(first_ids[row])] = (int(second_ids[column]), float(iou[row, column]))
    return found


def is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    """True when two truth images in a row show different scenes: equal ids lie elsewhere."""
    if before.shape != after.shape:
        return True
    first, second = _ids(before), _ids(after)
    if not len(first) or not len(second):
        return False
    ious = []
    for number in np.intersect1d(first, second).tolist():
        one, other = before == number, after == number
        ious.append((one & other).sum() / (one | other).sum())
    return not ious or float(np.mean(ious)) < CUT_IOU


def _ids(label: np.ndarray) -> np.ndarray:
    """Return the ids above 0, ascending."""
    return np.flatnonzero(np.bincount(label.ravel())[1:]) + 1


def _dense(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids above 0, ascending, and int64[H, W] with 0 and 1..N in their place."""
    ids = _ids(label)
    lookup = np.zeros(int(label.max(initial=0)) + 1, dtype=np.int64)
    lookup[ids] = np.arange(1, len(ids) + 1)
    return ids, lookup[label]
