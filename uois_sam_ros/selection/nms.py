"""Greedy suppression of masks by overlap and containment, exact at working resolution."""

from __future__ import annotations

import numpy as np

from .candidates import Box, Candidates


def suppress(candidates: Candidates, *, iou: float, containment: float, limit: int) -> list[int]:
    """Choose masks from the best score on.

    A mask is dropped when its IoU with a better chosen one exceeds ``iou``, or when a larger share
    of it than ``containment`` is covered by better chosen ones together (1 = never).

    Only pairs whose boxes meet are compared, and only where they meet.

    Returns:
        Indices of at most ``limit`` chosen masks, best first.
    """
    chosen: list[int] = []
    if len(candidates) == 0:
        return chosen
    covered = np.zeros(candidates.masks[0].shape, dtype=bool)
    for index in range(len(candidates)):
        if len(chosen) >= limit:
            break
        crop = candidates.crop(index)
        mask, area = candidates.masks[index][crop], candidates.areas[index]
        if containment < 1 and np.count_nonzero(mask & covered[crop]) > containment * area:
            continue
        if any(_iou(candidates, index, better) > iou for better in chosen):
            continue
        chosen.append(index)
        covered[crop] |= mask
    return chosen


def _iou(candidates: Candidates, first: int, second: int) -> float:
    meet = intersect(candidates.boxes[first], candidates.boxes[second])
    if meet is None:
        return 0.0
    x0, y0, x1, y1 = meet
    areas = int(candidates.areas[first]), int(candidates.areas[second])
    masks = candidates.masks
    both = np.count_nonzero(masks[first][y0:y1, x0:x1] & masks[second][y0:y1, x0:x1])
    return both / (areas[0] + areas[1] - both)


def intersect(first: Box, second: Box) -> Box | None:
    """Return the common box of two xyxy boxes, or ``None``."""
    x0, y0 = max(first[0], second[0]), max(first[1], second[1])
    x1, y1 = min(first[2], second[2]), min(first[3], second[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
