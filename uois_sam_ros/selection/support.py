"""The plane veto: a mask that lies in the support plane is table, not an object."""

from __future__ import annotations

import numpy as np

from ..config import SelectionConfig
from ..types import Geometry
from .candidates import Candidates


def off_plane(candidates: Candidates, geometry: Geometry, config: SelectionConfig) -> np.ndarray:
    """Return bool[K]: the mask rises above the support plane, or its score overrules the veto.

    Pixels without a reading count as off the plane; without a plane there is no veto.
    """
    keep = np.ones(len(candidates), dtype=bool)
    if geometry.plane is None:
        return keep
    plane = plane_pixels(geometry, config.plane_tolerance_m)
    for index in np.flatnonzero(candidates.scores < config.plane_sure):
        crop = candidates.crop(index)
        on_plane = np.count_nonzero(candidates.masks[index][crop] & plane[crop])
        keep[index] = on_plane <= config.plane_ratio * candidates.areas[index]
    return keep


def plane_pixels(geometry: Geometry, tolerance_m: float) -> np.ndarray:
    """Return bool[h, w]: the sensor saw the support plane here.

    The tolerance holds up to one metre and grows with the square of the distance beyond, as the
    depth noise of triangulating sensors does.
    """
    tolerance = np.float32(tolerance_m) * np.maximum(geometry.points_m[..., 2] ** 2, np.float32(1))
    return geometry.valid & (np.abs(geometry.height_m) < tolerance)
