"""Size limits: share of the image and, with depth, metres."""

from __future__ import annotations

import numpy as np

from ..config import SelectionConfig
from ..types import Geometry
from .candidates import Candidates

#: The extent is measured between these quantiles, then scaled to the whole: robust to edge smear.
EXTENT_QUANTILES = (0.05, 0.95)
#: A mask's box is sampled at about this many points; with too few inside there is no verdict.
MAX_POINTS = 400
MIN_POINTS = 12


def within_area(areas: np.ndarray, image_area: float, config: SelectionConfig) -> np.ndarray:
    """Return bool[K]: the area, as a fraction of the image, is inside the limits."""
    share = areas / image_area
    return (share >= config.min_area) & (share <= config.max_area)


def within_size(candidates: Candidates, geometry: Geometry, config: SelectionConfig) -> np.ndarray:
    """Return bool[K]: the larger metric extent is inside the limits, or depth cannot tell."""
    keep = np.ones(len(candidates), dtype=bool)
    for index in range(len(candidates)):
        crop = candidates.crop(index)
        extent = metric_extent(geometry, candidates.masks[index][crop], crop)
        if extent is not None:
            keep[index] = config.min_size_m <= extent <= config.max_size_m
    return keep


def metric_extent(geometry: Geometry, mask: np.ndarray, crop: tuple[slice, slice]) -> float | None:
    """Return the larger side in metres of the axis-parallel box of a mask's valid points.

    Args:
        mask: bool[a, b], the mask inside ``crop``.
        crop: rows and columns on the working grid.

    Returns:
        Metres, or ``None`` when too few pixels have a reading.
    """
    step = max(1, int(np.sqrt(mask.size / MAX_POINTS)))
    rows, cols = np.nonzero(mask[::step, ::step] & geometry.valid[crop][::step, ::step])
    if len(rows) < MIN_POINTS and step > 1:  # thin in a large box
        step = 1
        rows, cols = np.nonzero(mask & geometry.valid[crop])
    if len(rows) < MIN_POINTS:
        return None
    points = geometry.points_m[crop][rows * step, cols * step]
    points = np.sort(points, axis=0)
    low, high = (points[int(round(q * (len(points) - 1)))] for q in EXTENT_QUANTILES)
    return float((high - low).max() / (EXTENT_QUANTILES[1] - EXTENT_QUANTILES[0]))
