"""Metric oriented boxes of instances, from their depth readings.

A box holds what the camera sees of an object, grown down to what the object rests on. With a support
plane its z axis is the plane's normal, and the smallest rectangle around the object's footprint gives
the other two; without one the axis along which the readings spread least takes the normal's place.
The far side of an object is not seen, so round things come out short along the line of sight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from ..types import Instance, Instances, Intrinsics, Plane

#: About this many pixels of an instance are read, evenly taken.
SAMPLES = 600
#: Fewer good readings make no box.
MIN_READINGS = 25
#: A surface may fall by this many metres a pixel plus this many times the pixel's width; what is steeper on
#: both sides hangs in the air between two surfaces.
STEEP_M, STEEP_SLOPE = 0.004, 8.0
#: Where the sorted distances leave a gap of more metres (plus a share of the distance), a piece ends;
#: pieces with a smaller share of the readings belong to something behind or in front.
GAP_M, GAP_SHARE, PIECE_SHARE = 0.03, 0.01, 0.1
#: Readings up to this many metres above the plane (at one metre; grows with the square of the distance)
#: are table along the mask's edge, unless most of the object lies there.
ON_PLANE_M = 0.004
#: This share of the readings may stick out at either end: noise.
TRIM = 0.01
#: What surrounds an object within this many metres may carry it, down to so many readings; a height of at most
#: STANDS_M above the plane is the plane.
NEAR_M, NEAR_READINGS, STANDS_M = 0.03, 6, 0.012
#: No box is flatter, so that it can be seen and stays a volume.
MIN_HEIGHT_M = 0.001
_ONE_CELL, _TWO_CELLS = np.ones((3, 3), np.uint8), np.ones((5, 5), np.uint8)


@dataclass(frozen=True)
class OrientedBox:
    """A box in the camera frame.

    Attributes:
        center_m: x, y, z in metres.
        size_m: extents in metres along the box's own axes: x the longer side of the footprint, y the
            shorter one, z the height.
        rotation: float64[3, 3]; its columns are the box's axes. z points up from the plane (without one:
            towards the camera), x rather to the right than to the left of the picture.
        readings: depth readings that it is made of.
    """

    center_m: tuple[float, float, float]
    size_m: tuple[float, float, float]
    rotation: np.ndarray
    readings: int

    def quaternion_xyzw(self) -> tuple[float, float, float, float]:
        """Return the rotation as a unit quaternion with w >= 0."""
        (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = self.rotation.tolist()
        products = np.array([  # four times the quaternion's components, each with each
            [1 + xx - yy - zz, xy + yx, xz + zx, zy - yz],
            [xy + yx, 1 - xx + yy - zz, yz + zy, xz - zx],
            [xz + zx, yz + zy, 1 - xx - yy + zz, yx - xy],
            [zy - yz, xz - zx, yx - xy, 1 + xx + yy + zz]])
        largest = int(np.argmax(np.diag(products)))
        x, y, z, w = (products[largest] / (2 * np.sqrt(products[largest, largest]))).tolist()
        return (x, y, z, w) if w >= 0 else (-x, -y, -z, -w)


@dataclass(frozen=True)
class _Readings:
    """Points of one instance in the camera frame.

    Attributes:
        inside: float64[3, n], on the object's surface.
        around: float64[3, m], on what lies a little beside its mask.
        spacing_m: metres between neighbouring readings, across the line of sight.
    """

    inside: np.ndarray
    around: np.ndarray
    spacing_m: float


def oriented_boxes(instances: Instances, depth_m: np.ndarray, intrinsics: Intrinsics,
                   plane: Plane | None) -> tuple[OrientedBox | None, ...]:
    """Return the box of every instance, ``None`` where depth is too sparse.

    Where the surface around an object is seen, the box reaches down to it: to the plane for an object
    that stands there, even if only its top is seen, to the lower object for one that is stacked. Else it
    ends with the lowest reading.

    Args:
        depth_m: float32[H, W] metres of the label image's pixels; 0, NaN and inf = no reading.
        intrinsics: of these pixels.
    """
    readings = _read(instances, depth_m, intrinsics)
    if plane is None:
        return tuple(item and _fit(item, _basis(_least_spread(item.inside)), None) for item in readings)
    basis, ground = _basis(plane.normal), -float(plane.offset)
    return tuple(item and _fit(item, basis, ground) for item in readings)


def _read(instances: Instances, depth_m: np.ndarray, intrinsics: Intrinsics) -> list[_Readings | None]:
    """Return the readings of every instance; ``None``: fewer than ``MIN_READINGS`` good ones."""
    samples = [_sample(item, instances.label, depth_m) for item in instances.items]
    if not samples:
        return []
    pixels = np.concatenate([part for *parts, _ in samples for part in parts])
    points = _points(pixels, depth_m, intrinsics)
    on_surface = _is_on_surface(pixels, depth_m, intrinsics.fx)
    readings: list[_Readings | None] = []
    end = 0
    for inside, around, step in samples:
        start, middle, end = end, end + len(inside), end + len(inside) + len(around)
        own = points[:, start:middle].compress(on_surface[start:middle], axis=1)
        if own.shape[1] >= MIN_READINGS:
            own = own.compress(_is_of_the_object(own[2]), axis=1)
        if own.shape[1] < MIN_READINGS:
            readings.append(None)
            continue
        spacing_m = step * float(own[2].mean()) / intrinsics.fx
        readings.append(_Readings(own, points[:, middle:end], spacing_m))
    return readings


def _sample(item: Instance, label: np.ndarray, depth_m: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return flat indices of evenly taken pixels with a reading, inside the mask and around it, and their spacing.

    "Around" is a ring one cell wide that leaves a cell between it and the mask, whose edge is never exact.
    """
    step = math.ceil((item.area_px / SAMPLES) ** 0.5)
    x0, y0, x1, y1 = item.box_xyxy
    top, left = max(0, y0 - 2 * step), max(0, x0 - 2 * step)
    part = (slice(top, y1 + 2 * step, step), slice(left, x1 + 2 * step, step))
    depth = depth_m[part]
    read = (depth > 0) & (depth < np.inf)
    mask = (label[part] == item.id).view(np.uint8)
    ring = cv2.dilate(mask, _TWO_CELLS) - cv2.dilate(mask, _ONE_CELL)
    pixels = []
    for chosen in (mask, ring):
        rows, cols = np.nonzero(read & chosen.view(bool))
        pixels.append((rows * step + top) * label.shape[1] + (cols * step + left))
    return pixels[0], pixels[1], step


def _points(pixels: np.ndarray, depth_m: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """Return float64[3, n] in the camera frame."""
    rows, cols = np.divmod(pixels, depth_m.shape[1])
    points = np.empty((3, len(pixels)))
    points[2] = depth_m.take(pixels)
    points[0] = (cols - intrinsics.cx) / intrinsics.fx * points[2]
    points[1] = (rows - intrinsics.cy) / intrinsics.fy * points[2]
    return points


def _is_on_surface(pixels: np.ndarray, depth_m: np.ndarray, focal_px: float) -> np.ndarray:
    """Return bool[n]: not a reading between two surfaces, as sensors give along the edges of objects.

    Such a reading falls steeply to one side and does not go on smoothly to the other.
    """
    depth = depth_m.take(pixels)
    fall = STEEP_M + STEEP_SLOPE / np.float32(focal_px) * depth
    good = np.ones(len(pixels), dtype=bool)
    for stride in (1, depth_m.shape[1]):
        sides = [depth_m.take(pixels + by, mode="clip") for by in (-stride, stride)]
        steps = [np.abs(other - depth) for other in sides]
        smooth = [step <= fall for step in steps]  # never where there is no reading, NaN and inf included
        steep = [(step > fall) & (other > 0) & (other < np.inf) for step, other in zip(steps, sides)]
        good &= ~((steep[0] & ~smooth[1]) | (steep[1] & ~smooth[0]))
    return good


def _is_of_the_object(depth: np.ndarray) -> np.ndarray:
    """Return bool[n]: not in a small piece that lies apart along the line of sight."""
    order = np.argsort(depth)
    ordered = depth[order]
    ends = np.flatnonzero(np.diff(ordered) > GAP_M + GAP_SHARE * ordered[:-1]) + 1
    good = np.ones(len(depth), dtype=bool)
    for piece in np.split(order, ends) if len(ends) else ():
        good[piece] = len(piece) >= PIECE_SHARE * len(depth)
    return good


def _fit(readings: _Readings, basis: np.ndarray, ground: float | None) -> OrientedBox:
    """Fit a box that stands along the last row of ``basis``, on a plane at height ``ground`` if there is one."""
    noise = max(float(readings.inside[2].mean()) ** 2, 1.0)  # of a triangulating sensor, relative to that at one metre
    points = basis @ readings.inside
    if ground is not None:
        raised = points[2] > ground + ON_PLANE_M * noise
        if np.count_nonzero(raised) >= max(MIN_READINGS, len(raised) // 2):
            points = points.compress(raised, axis=1)
    turn = _footprint(points[:2])
    if turn[0] @ basis[:2, 0] < 0:
        turn = -turn  # x to the right
    axes = np.concatenate([turn @ basis[:2], basis[2:]])
    points[:2] = turn @ points[:2]
    points.sort(axis=1)
    trim = int(TRIM * points.shape[1])
    low, high = points[:, trim].copy(), points[:, -1 - trim].copy()
    low[:2] -= readings.spacing_m / 4  # the edge lies somewhere between the last reading and the next one
    high[:2] += readings.spacing_m / 4
    if ground is not None:
        low[2] = _rest(axes @ readings.around, low, high, ground, STANDS_M * noise)
    high[2] = max(high[2], low[2] + MIN_HEIGHT_M)
    center = 0.5 * (low + high) @ axes
    return OrientedBox(tuple(center.tolist()), tuple((high - low).tolist()), axes.T, points.shape[1])


def _least_spread(points: np.ndarray) -> np.ndarray:
    """Return the unit vector along which float64[3, n] points spread least, towards the camera."""
    centre = points.mean(axis=1, keepdims=True)
    axis = np.linalg.eigh((points - centre) @ (points - centre).T)[1][:, 0]
    return axis if axis @ centre[:, 0] < 0 else -axis


def _basis(up: np.ndarray) -> np.ndarray:
    """Return float64[3, 3], the rows of a right-handed basis whose last one is ``up``."""
    x, y, z = (float(value) for value in up)
    across = np.array([0.0, -z, y]) if abs(x) < 0.7 else np.array([z, 0.0, -x])
    across /= math.sqrt(across @ across)
    a, b, c = across
    return np.array([across, [y * c - z * b, z * a - x * c, x * b - y * a], [x, y, z]])


def _footprint(flat: np.ndarray) -> np.ndarray:
    """Return float64[2, 2], a rotation after which the smallest rectangle around float64[2, n] lies along x."""
    hull = cv2.convexHull((1000 * flat.T).astype(np.float32))[:, 0].T.astype(np.float64)
    sides = np.concatenate([hull[:, 1:], hull[:, :1]], axis=1) - hull  # one of them is a side of the rectangle
    lengths = np.sqrt((sides * sides).sum(axis=0))
    sides = (sides / lengths).T if lengths.all() else np.eye(2)
    along = sides @ hull
    across = sides @ np.stack([hull[1], -hull[0]])
    lengthwise, sideways = along.max(axis=1) - along.min(axis=1), across.max(axis=1) - across.min(axis=1)
    best = int(np.argmin(lengthwise * sideways))
    x, y = sides[best] if lengthwise[best] >= sideways[best] else (-sides[best, 1], sides[best, 0])
    return np.array([[x, y], [-y, x]])


def _rest(around: np.ndarray, low: np.ndarray, high: np.ndarray, ground: float, tolerance: float) -> float:
    """Return the height at which an object ends below: that of what it rests on, where that is seen.

    Args:
        around: float64[3, m], what is seen beside the mask, along the axes of the box.
        low, high: the box, of readings alone.
    """
    beside = ((around[:2] > low[:2, None] - NEAR_M) & (around[:2] < high[:2, None] + NEAR_M)).all(axis=0)
    heights = around[2][beside & (around[2] < low[2] + tolerance)]  # what lies higher carries nothing
    rest = min(low[2], float(np.median(heights))) if len(heights) >= NEAR_READINGS else low[2]
    return ground if rest < ground + tolerance else float(rest)
