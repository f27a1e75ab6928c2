"""Parts of the picture that count: a region of interest, and a mask of what is never an object."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import FrameError
from ..selection.describe import describe
from ..types import Frame, Instances, Intrinsics

#: An instance with a larger share of its pixels under the ignore mask is dropped whole.
IGNORED_SHARE = 0.5

Roi = tuple[int, int, int, int]


def crop(frame: Frame, roi: Roi) -> Frame:
    """Return the part of a frame inside a half-open xyxy box; the camera frame stays the same.

    Raises:
        FrameError: the box does not lie in the picture, or is under 16 pixels wide or high.
    """
    x0, y0, x1, y1 = roi
    if x1 > frame.width or y1 > frame.height:
        raise FrameError(f"roi: expected a box inside {frame.width}x{frame.height}, got {list(roi)}; set roi anew")
    if min(x1 - x0, y1 - y0) < 16:
        raise FrameError(f"roi: expected at least 16x16 pixels, got {x1 - x0}x{y1 - y0}; set roi anew")
    part = (slice(y0, y1), slice(x0, x1))
    k = frame.intrinsics
    moved = None if k is None else Intrinsics(k.fx, k.fy, k.cx - x0, k.cy - y0)
    depth_m = None if frame.depth_m is None else np.ascontiguousarray(frame.depth_m[part])
    return Frame(np.ascontiguousarray(frame.color[part]), depth_m, moved, frame.name, frame.stamp_ns)


def uncrop(instances: Instances, roi: Roi, native_hw: tuple[int, int]) -> Instances:
    """Return the instances of a cropped frame in coordinates of the whole picture."""
    x0, y0, _, _ = roi
    label = uncrop_map(instances.label, roi, native_hw)
    items = tuple(
        replace(item, centroid_px=(item.centroid_px[0] + x0, item.centroid_px[1] + y0),
                box_xyxy=(item.box_xyxy[0] + x0, item.box_xyxy[1] + y0, item.box_xyxy[2] + x0, item.box_xyxy[3] + y0))
        for item in instances.items)
    return replace(instances, label=label, items=items)


def uncrop_map(values: np.ndarray, roi: Roi, native_hw: tuple[int, int]) -> np.ndarray:
    """Return a map or label image [y1 - y0, x1 - x0] inside zeros of the whole picture's size."""
    x0, y0, x1, y1 = roi
    whole = np.zeros(native_hw, dtype=values.dtype)
    whole[y0:y1, x0:x1] = values
    return whole


def drop_ignored(instances: Instances, ignored: np.ndarray, frame: Frame) -> Instances:
    """Take pixels under a mask out of all instances, and whole instances that lie mostly under it.

    Args:
        ignored: bool[H, W], as the label image.
        frame: the frame of the instances, for the records of those that changed.
    """
    count = len(instances)
    covered = np.bincount(instances.label[ignored], minlength=count + 1)[1:]
    if not covered.any():
        return instances
    keep = [k for k, item in enumerate(instances.items) if covered[k] <= IGNORED_SHARE * item.area_px]
    rename = np.zeros(count + 1, dtype=instances.label.dtype)
    rename[[k + 1 for k in keep]] = np.arange(1, len(keep) + 1)
    label = rename[instances.label]
    label[ignored] = 0
    scores = np.asarray([instances.items[k].score for k in keep], dtype=np.float32)
    depth_m = frame.depth_m if instances.depth_used else None
    items = describe(label, [instances.items[k].box_xyxy for k in keep], scores, depth_m, frame.intrinsics)
    return replace(instances, label=label, items=items)
