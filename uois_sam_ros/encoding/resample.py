"""Antialiased bilinear resizing with the very numbers of the Pillow library, which SAM's own preprocessing uses.

OpenCV's bilinear resizing has no antialiasing and rounds its weights to 11 bits; the difference is small, but
networks that were trained on one should be fed the same. Here: a triangle filter as wide as the reduction, weights
in fixed point with 22 bits, columns first, each pass rounded to 8 bits.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

#: Bits of the fixed-point weights.
PRECISION = 22


def resize_antialiased(image: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """Resize uint8[H, W, C] to uint8[h, w, C]."""
    if image.shape[1] != hw[1]:
        image = _turn(_resize_rows(_turn(image), hw[1]))
    if image.shape[0] != hw[0]:
        image = _resize_rows(image, hw[0])
    return np.ascontiguousarray(image)


def _turn(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(1, 0, 2))  # whole rows are gathered much faster than pixels


def _resize_rows(image: np.ndarray, height: int) -> np.ndarray:
    rows, weights = taps(image.shape[0], height)
    total = np.full((height, *image.shape[1:]), 1 << (PRECISION - 1), dtype=np.int32)
    for row, weight in zip(rows, weights):
        total += np.multiply(image[row], weight[:, None, None], dtype=np.int32)
    total >>= PRECISION
    return total.astype(np.uint8)


@lru_cache(maxsize=16)
def taps(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Return source pixels int64[T, new] and their fixed-point weights int32[T, new] of every new one."""
    scale = old / new
    reach = max(scale, 1.0)
    centre = (np.arange(new) + 0.5) * scale
    first = np.maximum((centre - reach + 0.5).astype(int), 0)
    last = np.minimum((centre + reach + 0.5).astype(int), old)
    source = first + np.arange(int((last - first).max()))[:, None]
    weights = np.maximum(1 - np.abs((source - centre + 0.5) / reach), 0) * (source < last)
    weights = weights / weights.sum(axis=0)
    return np.minimum(source, old - 1), (weights * (1 << PRECISION) + 0.5).astype(np.int32)
