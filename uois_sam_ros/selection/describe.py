"""From a label image to its Instance records: each measured in its own window."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..types import Instance, Intrinsics
from .candidates import Box

#: The median depth of a larger instance is that of about this many of its readings, evenly taken.
MEDIAN_READINGS = 2000


def describe(label: np.ndarray, windows: Sequence[Box], scores: np.ndarray,
             depth_m: np.ndarray | None, intrinsics: Intrinsics | None) -> tuple[Instance, ...]:
    """Measure every instance of a label image.

    Args:
        label: uint16[H, W], ids 1..N, each with at least one pixel.
        windows: N xyxy boxes, each holding all pixels of its id.
        scores: float32[N].
        depth_m: float32[H, W] metres, 0, NaN and inf = no reading; ``None`` when depth is unused.
        intrinsics: needed with depth.
    """
    return tuple(
        _describe_one(label, k + 1, window, float(scores[k]), depth_m, intrinsics)
        for k, window in enumerate(windows)
    )


def _describe_one(label: np.ndarray, number: int, window: Box, score: float,
                  depth_m: np.ndarray | None, intrinsics: Intrinsics | None) -> Instance:
    left, top, right, bottom = window
    mask = label[top:bottom, left:right] == number
    per_row = cv2.reduce(mask.view(np.uint8), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
    per_col = cv2.reduce(mask.view(np.uint8), 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
    rows, cols = np.flatnonzero(per_row), np.flatnonzero(per_col)
    area = int(per_row.sum())
    box = (left + int(cols[0]), top + int(rows[0]), left + int(cols[-1]) + 1, top + int(rows[-1]) + 1)
    centroid = (left + float(per_col @ np.arange(len(per_col))) / area,
                top + float(per_row @ np.arange(len(per_row))) / area)
    centroid_m, ratio = None, 0.0
    if depth_m is not None and intrinsics is not None:
        depth = depth_m[top:bottom, left:right]
        readings = depth[mask & (depth > 0) & (depth < np.inf)]  # NaN is neither
        ratio = len(readings) / area
        if len(readings):
            thinned = readings[::max(1, len(readings) // MEDIAN_READINGS)]
            centroid_m = _backproject(*centroid, float(np.median(thinned)), intrinsics)
    height, width = label.shape
    return Instance(
        id=number, score=score, box_xyxy=box, area_px=area, centroid_px=centroid,
        centroid_m=centroid_m, valid_depth_ratio=ratio,
        touches_border=box[0] == 0 or box[1] == 0 or box[2] == width or box[3] == height,
    )


def _backproject(x: float, y: float, z: float, intrinsics: Intrinsics) -> tuple[float, float, float]:
    """The point on the ray through the centroid pixel at the median depth."""
    return ((x - intrinsics.cx) / intrinsics.fx * z, (y - intrinsics.cy) / intrinsics.fy * z, z)
