"""Object contours as the UOIS literature counts them, and their tolerance."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np


def tolerance_radius(height: int, width: int) -> int:
    """Return ceil(0.003 x image diagonal): 3 pixels at 640x480, 5 at 1280x720."""
    return math.ceil(0.003 * math.hypot(height, width))


def contour(mask: np.ndarray) -> np.ndarray:
    """Mark the pixels that differ from their right, lower or lower-right neighbour.

    Holes have contours too; the image border has none.

    Args:
        mask: bool[H, W].

    Returns:
        bool[H, W].
    """
    edge = np.zeros(mask.shape, dtype=bool)
    edge[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    edge[:-1, :] |= mask[:-1, :] != mask[1:, :]
    edge[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
    return edge


def dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    """Grow bool[H, W] by a disc: x^2 + y^2 <= radius^2."""
    grown = cv2.dilate(mask.astype(np.uint8), _disc(radius), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return grown.astype(bool)


@functools.lru_cache(maxsize=16)
def _disc(radius: int) -> np.ndarray:
    offset = np.arange(-radius, radius + 1)
    return (offset[:, None] ** 2 + offset[None, :] ** 2 <= radius**2).astype(np.uint8)


def count_contour(label: np.ndarray, value: int, box: tuple[int, int, int, int]) -> int:
    """Return the contour length, in pixels, of ``label == value`` (``box`` as xyxy bounds it)."""
    return int(contour(label[_window(box, 1, label.shape)] == value).sum())


def match_contours(first: np.ndarray, first_id: int, first_box: tuple[int, int, int, int],
                   second: np.ndarray, second_id: int, second_box: tuple[int, int, int, int],
                   radius: int) -> tuple[int, int]:
    """Count the contour pixels of each mask within ``radius`` of the other mask's contour."""
    box = (min(first_box[0], second_box[0]), min(first_box[1], second_box[1]),
           max(first_box[2], second_box[2]), max(first_box[3], second_box[3]))
    window = _window(box, radius + 2, first.shape)
    a, b = contour(first[window] == first_id), contour(second[window] == second_id)
    return int((a & dilate(b, radius)).sum()), int((b & dilate(a, radius)).sum())


def _window(box: tuple[int, int, int, int], pad: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    x0, y0, x1, y1 = box
    return (slice(max(y0 - pad, 0), min(y1 + pad, shape[0])),
            slice(max(x0 - pad, 0), min(x1 + pad, shape[1])))
