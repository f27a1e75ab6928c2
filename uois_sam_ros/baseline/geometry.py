"""The learning-free baseline: what rises above the support plane, split where geometry breaks.

Pixels above the plane are cut at depth jumps and at concave creases (two convex things that touch
meet in one), connected pieces are objects, crumbs join their nearest piece. The limits, the
painting and the records are those of the network pipeline.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..config import SelectionConfig
from ..errors import FrameError
from ..selection.candidates import Candidates
from ..selection.select import select_candidates
from ..types import Features, Frame, Geometry, Instances

#: Height above the plane that makes an object: metres, at least at one metre; grows with distance.
HEIGHT_M = 0.008
#: A depth step between pixels two apart is a jump beyond this many metres plus this share of depth.
JUMP = (0.006, 0.010)
#: Surfaces that turn towards each other by more than this are a crease.
CREASE_DEG = 25.0
#: Pieces smaller than this many working pixels are crumbs; they join a piece this near, or vanish.
CRUMB_PX = 40
JOIN_PX = 6.0


def segment_geometry(frame: Frame, features: Features, config: SelectionConfig) -> Instances:
    """Segment by depth alone; an instance's score is its solidity (area over convex hull).

    Raises:
        FrameError: the frame has no usable depth.
    """
    geometry = features.geometry
    if geometry is None:
        raise FrameError(
            f"{frame.name}: expected a depth image with readings (the geometry method sees nothing "
            "else), got none; pass depth_m, do not switch depth off, or use the preset 'compact'")
    height, width = features.grid.resized_hw
    pieces = geometry_pieces(geometry)[:height, :width]
    return select_candidates(frame, features, _candidates(pieces), config)


def geometry_pieces(geometry: Geometry) -> np.ndarray:
    """Return int32[h, w]: 0 = support or background, 1..N = pieces."""
    z = geometry.points_m[..., 2]
    object_px = geometry.valid.copy()
    if geometry.plane is not None:
        object_px &= geometry.height_m > np.float32(HEIGHT_M) * np.maximum(z * z, np.float32(1))
    core = (object_px & ~break_pixels(geometry)).view(np.uint8)
    _, piece, stats, _ = cv2.connectedComponentsWithStats(core, connectivity=4)
    solid = stats[:, cv2.CC_STAT_AREA] >= CRUMB_PX
    solid[0] = False
    if not solid.any():
        return np.zeros(z.shape, np.int32)
    # cut lines and crumbs take the id of the nearest solid piece
    seed = solid[piece]
    distance, nearest = cv2.distanceTransformWithLabels(
        (~seed).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    owner = np.zeros(int(nearest.max()) + 1, dtype=np.int32)
    owner[nearest[seed]] = (np.cumsum(solid) * solid)[piece[seed]]
    return np.where(object_px & (distance <= JOIN_PX), owner[nearest], 0).astype(np.int32)


def break_pixels(geometry: Geometry) -> np.ndarray:
    """Return bool[h, w]: a depth jump or a concave crease runs through the pixel."""
    points = geometry.points_m
    normals = cv2.blur(geometry.normals, (3, 3), borderType=cv2.BORDER_REPLICATE)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), np.float32(1e-6))
    broken = np.zeros(points.shape[:2], dtype=bool)
    for first, middle, second in (
        (np.s_[:, :-2], np.s_[:, 1:-1], np.s_[:, 2:]),
        (np.s_[:-2], np.s_[1:-1], np.s_[2:]),
    ):
        broken[middle] |= _breaks(points[first], points[second], normals[first], normals[second])
    return broken


def _breaks(p: np.ndarray, q: np.ndarray, normal_p: np.ndarray, normal_q: np.ndarray) -> np.ndarray:
    step = q - p
    nearer = np.minimum(p[..., 2], q[..., 2])
    jump = np.abs(step[..., 2]) > JUMP[0] + JUMP[1] * nearer
    bent = (normal_p * normal_q).sum(axis=-1) < np.cos(np.radians(CREASE_DEG))
    concave = ((normal_q - normal_p) * step).sum(axis=-1) < 0  # the normals lean together
    return jump | (bent & concave)


def _candidates(pieces: np.ndarray) -> Candidates:
    """The pieces int32[h, w] as masks with logits of +-1, the most solid first."""
    count = int(pieces.max(initial=0))
    masks = tuple(pieces == k for k in range(1, count + 1))
    boxes, solidity = [], np.zeros(count, np.float32)
    for k, mask in enumerate(masks):
        x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
        boxes.append((x, y, x + w, y + h))
        solidity[k] = _solidity(mask[y:y + h, x:x + w])
    areas = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    logits = tuple(mask.astype(np.float32) * 2 - 1 for mask in masks)
    every = Candidates(logits, masks, tuple(boxes), areas, solidity)
    return every.subset([int(k) for k in np.argsort(-solidity, kind="stable")])


def _solidity(mask: np.ndarray) -> float:
    rows, cols = np.nonzero(mask)
    corners = np.concatenate([  # of the pixels, so that the hull has an area
        np.stack([cols + dx, rows + dy], axis=1) for dx in (0, 1) for dy in (0, 1)])
    hull = cv2.convexHull(corners.astype(np.int32))
    return min(1.0, len(rows) / max(1.0, cv2.contourArea(hull)))
