"""Peaks of a map, in pure numpy and OpenCV: window maxima, one a plateau, thinned by distance."""

from __future__ import annotations

import cv2
import numpy as np


def find_peaks(values: np.ndarray, *, window: int, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Find the local maxima of a map.

    A cell is a peak when nothing in its window is greater. Equal neighbours form a plateau, which
    counts as one peak, at its cell nearest to its centroid; a plateau beside something greater is
    a shelf and no peak.

    Args:
        values: float32[h, w].
        window: side of the square window in cells; an even number is widened by one.
        threshold: peaks with a smaller value are dropped.

    Returns:
        cells int64[N, 2] as (x, y) and float32[N] values, greatest first.
    """
    values = np.ascontiguousarray(values, dtype=np.float32)
    side = int(window) | 1
    highest = cv2.dilate(values, np.ones((side, side), np.uint8))
    top = (values >= highest) & (values >= threshold)
    if not top.any():
        return np.zeros((0, 2), np.int64), np.zeros(0, np.float32)
    count, plateau = cv2.connectedComponents(top.astype(np.uint8), connectivity=8)
    rows, cols = np.nonzero(top)
    owner = plateau[rows, cols]
    shelf = _touches_equal_outside(values, top, rows, cols)

    size = np.bincount(owner, minlength=count)
    is_shelf = np.bincount(owner, weights=shelf, minlength=count) > 0
    divisor = np.maximum(size, 1)
    centre_x = np.bincount(owner, weights=cols, minlength=count) / divisor
    centre_y = np.bincount(owner, weights=rows, minlength=count) / divisor
    distance = (cols - centre_x[owner]) ** 2 + (rows - centre_y[owner]) ** 2
    order = np.lexsort((distance, owner))
    first = np.ones(len(order), dtype=bool)
    first[1:] = owner[order[1:]] != owner[order[:-1]]
    chosen = order[first]
    chosen = chosen[~is_shelf[owner[chosen]]]

    scores = values[rows[chosen], cols[chosen]]
    best_first = np.argsort(-scores, kind="stable")
    chosen = chosen[best_first]
    return np.stack([cols[chosen], rows[chosen]], axis=1).astype(np.int64), scores[best_first]


def thin_by_distance(points: np.ndarray, min_distance: float, *, limit: int) -> np.ndarray:
    """Choose points greedily from the front, none closer than ``min_distance`` to a chosen one.

    Args:
        points: float32[N, 2], best first.
        limit: at most this many.

    Returns:
        int64[M] indices in ascending order.
    """
    chosen: list[int] = []
    free = np.ones(len(points), dtype=bool)
    for index in range(len(points)):
        if not free[index]:
            continue
        chosen.append(index)
        if len(chosen) >= limit:
            break
        if min_distance > 0:
            gap = points[index + 1:] - points[index]
            free[index + 1:] &= (gap * gap).sum(axis=1) >= min_distance * min_distance
    return np.asarray(chosen, dtype=np.int64)


def _touches_equal_outside(values: np.ndarray, top: np.ndarray, rows: np.ndarray,
                           cols: np.ndarray) -> np.ndarray:
    """bool[N]: an adjacent cell that is no maximum has the same value, so the plateau is a shelf."""
    height, width = values.shape
    found = np.zeros(len(rows), dtype=bool)
    own = values[rows, cols]
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            r = np.clip(rows + dy, 0, height - 1)
            c = np.clip(cols + dx, 0, width - 1)
            found |= (values[r, c] == own) & ~top[r, c]
    return found
