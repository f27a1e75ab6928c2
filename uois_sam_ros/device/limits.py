"""Size limits and the plane veto on the device: ``selection/limits.py`` and ``selection/support.py``."""

from __future__ import annotations

import numpy as np
import torch

from ..config import SelectionConfig
from ..selection.limits import EXTENT_QUANTILES, MAX_POINTS, MIN_POINTS
from .candidates import DeviceCandidates
from .shares import OfCount
from .types import DeviceGeometry

#: Points of a mask that are sorted, as many as TensorRT can. Sampling leaves some 1,600; only a mask of which fewer
#: than ``MIN_POINTS`` are among the samples may have more, and then the first in raster order count.
MOST_POINTS = 3840


def area_limits(pixels: int, config: SelectionConfig) -> tuple[int, int]:
    """Return the least and the greatest area whose share of a picture of so many pixels is inside the limits."""
    share = np.arange(pixels + 1) / pixels
    inside = np.flatnonzero((share >= config.min_area) & (share <= config.max_area))
    return (int(inside[0]), int(inside[-1])) if len(inside) else (1, 0)


def within_size(candidates: DeviceCandidates, geometry: DeviceGeometry, config: SelectionConfig) -> torch.Tensor:
    """Return bool[B, K]: the larger metric extent is inside the limits, or depth cannot tell."""
    height, width = candidates.masks.shape[-2:]
    points, valid = geometry.points_m[:, :height, :width], geometry.valid[:, :height, :width]
    extent, enough = metric_extent(points, valid, candidates.masks, candidates.boxes)
    inside = (extent >= config.min_size_m) & (extent <= config.max_size_m)
    return inside | ~(enough & geometry.usable[:, None])


def metric_extent(points_m: torch.Tensor, valid: torch.Tensor, masks: torch.Tensor,
                  boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return float32[B, K], the larger side (m) of the box of a mask's valid points, and bool[B, K]: enough points.

    The points of each mask are brought together, then sorted along each axis.

    Args:
        points_m: float32[B, h, w, 3]; valid: bool[B, h, w]; masks: bool[B, K, h, w]; boxes: int64[B, K, 4].
    """
    every = masks & valid[:, None]
    x0, y0, x1, y1 = boxes.unbind(-1)
    size = ((x1 - x0) * (y1 - y0)).clamp(min=1)
    step = (size.float() / MAX_POINTS).sqrt().long().clamp(min=1)
    rows, cols = (_every_nth(first, step, length) for first, length in zip((y0, x0), masks.shape[-2:]))
    some = every & rows[..., None] & cols[..., None, :]
    thin = (some.sum(dim=(2, 3)) < MIN_POINTS) & (step > 1)  # thin in a large box
    taken = (some | every & thin[..., None, None]).flatten(2)
    count = taken.sum(-1)
    most = min(MOST_POINTS, taken.shape[2])
    low, high = (_rank(quantile, count.clamp(max=most)) for quantile in EXTENT_QUANTILES)
    early = torch.arange(taken.shape[2], 0, -1, dtype=torch.float32, device=taken.device)
    is_taken, place = torch.where(taken, early, 0.0).topk(most, dim=2)
    camera = torch.arange(len(taken), device=taken.device)[:, None, None]
    points = points_m.flatten(1, 2)[camera, place].where(is_taken[..., None] > 0, torch.inf)
    points = points.topk(most, dim=2, largest=False).values
    sides = [points.gather(2, rank[..., None, None].expand(-1, -1, 1, 3)) for rank in (low, high)]
    extent = (sides[1] - sides[0]).squeeze(2).amax(dim=2) / (EXTENT_QUANTILES[1] - EXTENT_QUANTILES[0])
    return extent, count >= MIN_POINTS


def off_plane(candidates: DeviceCandidates, geometry: DeviceGeometry, config: SelectionConfig,
              most_on_plane: OfCount) -> torch.Tensor:
    """Return bool[B, K]: the mask rises above the support plane, or its score overrules the veto.

    Args:
        most_on_plane: by area, the most pixels on the plane of a mask that rises above it.
    """
    height, width = candidates.masks.shape[-2:]
    plane = plane_pixels(geometry, config.plane_tolerance_m)[:, :height, :width]
    on_plane = (candidates.masks.flatten(2).float() @ plane.flatten(1).float()[..., None]).squeeze(-1)
    rises = on_plane.long() <= most_on_plane(candidates.areas)
    seen = (geometry.usable & geometry.plane_found)[:, None]
    return rises | (candidates.scores >= config.plane_sure) | ~seen


def plane_pixels(geometry: DeviceGeometry, tolerance_m: float) -> torch.Tensor:
    """Return bool[B, h, w]: the sensor saw the support plane here; see ``selection/support.py``."""
    tolerance = tolerance_m * (geometry.points_m[..., 2] ** 2).clamp(min=1)
    return geometry.valid & (geometry.height_m.abs() < tolerance)


def _every_nth(first: torch.Tensor, step: torch.Tensor, length: int) -> torch.Tensor:
    """Return bool[B, K, length]: the places ``first``, ``first + step``, ...; later ones lie outside the mask."""
    place = torch.arange(length, device=first.device)
    return (place - first[..., None]) % step[..., None] == 0


def _rank(quantile: float, count: torch.Tensor) -> torch.Tensor:
    """Return int64 ``round(quantile * (count - 1))``, halves to even; the quantile is a whole number of twentieths."""
    twentieths = round(20 * quantile) * (count - 1).clamp(min=0)
    whole, rest = twentieths // 20, twentieths % 20
    return whole + ((rest > 10) | ((rest == 10) & (whole % 2 == 1)))
