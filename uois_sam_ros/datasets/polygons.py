"""Masks as COCO polygons and back, exact to the pixel.

Polygons run along the borders of the pixels: x = 0 is the left border of the image, x = W the right one. A pixel
belongs to a polygon when its centre lies inside. COCO's polygons of one object are united and cannot say "hole":
an object with holes is cut through each of them, so that its parts have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from ..errors import InputError


def mask_to_polygons(mask: np.ndarray) -> list[list[float]]:
    """Return the outlines of bool[H, W], each a flat list x0, y0, x1, y1, ...; their union is the mask."""
    polygons: list[list[float]] = []
    waiting = [(np.asarray(mask, dtype=bool), 0, 0)]
    while waiting:
        part, x0, y0 = waiting.pop()
        if not part.any():
            continue
        count, pieces, boxes, _ = cv2.connectedComponentsWithStats(part.astype(np.uint8), connectivity=4)
        for number in range(1, count):
            x, y, w, h = (int(value) for value in boxes[number, :4])
            piece = pieces[y:y + h, x:x + w] == number
            row = _row_of_a_hole(piece)
            if row is None:
                polygons.append([value + offset for corner in _outline(piece)
                                 for value, offset in zip(corner, (x0 + x, y0 + y))])
            else:
                waiting += [(piece[row:], x0 + x, y0 + y + row), (piece[:row], x0 + x, y0 + y)]
    return [[float(value) for value in polygon] for polygon in polygons]


def polygons_to_mask(polygons: Sequence[Any], shape: tuple[int, int], what: str) -> np.ndarray:
    """Return bool[H, W]: the pixels whose centres lie in any of the polygons (even-odd rule in each).

    Raises:
        InputError: not lists of at least three corners.
    """
    mask = np.zeros(shape, dtype=bool)
    for polygon in polygons:
        try:
            corners = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
        except (TypeError, ValueError) as error:
            raise InputError(f"{what}: expected polygons as flat lists x0, y0, x1, y1, ..., got {str(polygon)[:60]}; "
                             "export the annotations again") from error
        if len(corners) < 3 or not np.isfinite(corners).all():
            raise InputError(f"{what}: expected polygons of three corners or more, got {len(corners)}; delete the "
                             "polygon in the annotation tool")
        _fill(mask, corners)
    return mask


def _fill(mask: np.ndarray, corners: np.ndarray) -> None:
    """Add one polygon: along every row of pixel centres, from each odd crossing to the even one after it."""
    (x0, y0), (x1, y1) = (np.clip(np.floor(corners.min(axis=0)), 0, mask.shape[::-1]).astype(int),
                          np.clip(np.ceil(corners.max(axis=0)), 0, mask.shape[::-1]).astype(int))
    start = corners - (x0, y0)
    end = np.roll(start, -1, axis=0)
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    height, width = int(y1 - y0), int(x1 - x0)
    toggles = np.zeros((height, width + 1), dtype=np.int32)
    for k in np.flatnonzero(high > low):
        first, last = (int(np.clip(np.ceil(side - 0.5), 0, height)) for side in (low[k], high[k]))
        rows = np.arange(first, last)  # centres y + 0.5 in [low, high)
        x = start[k, 0] + (rows + 0.5 - start[k, 1]) * (end[k, 0] - start[k, 0]) / (end[k, 1] - start[k, 1])
        np.add.at(toggles, (rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)), 1)
    mask[y0:y1, x0:x1] |= np.cumsum(toggles[:, :width], axis=1) % 2 == 1


def _row_of_a_hole(piece: np.ndarray) -> int | None:
    """Return a row through the middle of a hole, not 0; ``None`` when the piece has no hole."""
    outside = np.pad(~piece, 1, constant_values=True).astype(np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(outside, connectivity=8)
    for number in range(1, count):
        if number != labels[0, 0]:
            return int(boxes[number, cv2.CC_STAT_TOP] - 1 + boxes[number, cv2.CC_STAT_HEIGHT] // 2)
    return None


def _outline(piece: np.ndarray) -> list[tuple[int, int]]:
    """Walk around a piece without holes along pixel borders, the inside on the right hand; return its corners."""
    padded = np.pad(piece, 1)
    x, y = int(np.argmax(piece[0])), 0  # the upper left corner of the first pixel of the top row
    corners, step, start = [], (1, 0), (x, y)
    while True:
        corners.append((x, y))
        while True:
            x, y = x + step[0], y + step[1]
            turned = _turn(padded, x, y, step)
            if turned != step:
                step = turned
                break
        if (x, y) == start and step == (1, 0):
            return corners


def _turn(padded: np.ndarray, x: int, y: int, step: tuple[int, int]) -> tuple[int, int]:
    """Return the direction in which the outline goes on from a corner of pixels."""
    dx, dy = step
    ahead = padded[y:y + 2, x + (dx > 0)][::dx] if dx else padded[y + (dy > 0), x:x + 2][::-dy]
    left, right = ahead.tolist()
    if not right:
        return (-dy, dx)  # to the right; pieces that meet in a corner alone are kept apart
    return (dy, -dx) if left else step
