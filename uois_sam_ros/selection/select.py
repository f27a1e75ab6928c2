"""The selection stage: MaskSet -> Instances."""

from __future__ import annotations

import numpy as np

from ..config import SelectionConfig
from ..types import Box, Features, Frame, Grid, Instances, MaskSet
from .candidates import Candidates, best_hypotheses
from .describe import describe
from .limits import within_area, within_size
from .nms import suppress
from .paint import paint, snap_region
from .snap import EdgeSnapper
from .support import off_plane


def select(frame: Frame, features: Features, mask_set: MaskSet, config: SelectionConfig) -> Instances:
    """Turn scored masks into instances.

    Each prompt's best hypothesis; score, area and (with depth) size limits; plane veto; suppression
    of overlapping masks; overlap-free painting at native resolution with mask edges snapped to colour edges.
    """
    candidates = best_hypotheses(mask_set, features.grid, score_threshold=config.score_threshold)
    return select_candidates(frame, features, candidates, config)


def select_candidates(frame: Frame, features: Features, candidates: Candidates,
                      config: SelectionConfig) -> Instances:
    """Apply everything after the choice of hypotheses; ``candidates`` are best first."""
    geometry = features.geometry
    grid = features.grid
    keep = within_area(candidates.areas, grid.image_area, config)
    candidates = candidates.subset(_indices(keep))
    if geometry is not None and len(candidates):
        keep = within_size(candidates, geometry, config)
        if config.plane_veto:
            keep &= off_plane(candidates, geometry, config)
        candidates = candidates.subset(_indices(keep))
    candidates = candidates.subset(suppress(
        candidates, iou=config.nms_iou, containment=config.containment, limit=config.max_instances))
    painting = paint(candidates, grid.of_region, _edge_snapper(grid.cut(frame.color), grid.of_region, candidates, config))
    label = grid.uncut(painting.label)
    depth = frame.depth_m if geometry is not None else None
    items = describe(label, [_moved(window, grid.window) for window in painting.windows],
                     candidates.scores[painting.candidates], depth, frame.intrinsics)
    return Instances(label, items, depth_used=geometry is not None)


def _edge_snapper(color: np.ndarray, grid: Grid, candidates: Candidates, config: SelectionConfig) -> EdgeSnapper | None:
    if config.edge_radius_px == 0 or len(candidates) == 0:
        return None
    radius_px = config.edge_radius_px / min(grid.scale_xy)
    return EdgeSnapper(color, radius_px, config.edge_epsilon, snap_region(candidates, radius_px, grid))


def _moved(box: Box, origin: Box) -> Box:
    """A box of a cut-out picture in coordinates of the whole one."""
    return box[0] + origin[0], box[1] + origin[1], box[2] + origin[0], box[3] + origin[1]


def _indices(keep: np.ndarray) -> list[int]:
    return [int(index) for index in np.flatnonzero(keep)]
