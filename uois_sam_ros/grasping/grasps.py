"""What planners of the GraspNet family answer: rows of 17 numbers, turned into poses and matched with the label image.

A row is score, width, height, depth, rotation (9, row by row), translation (3) and object id; metres, camera frame. The
gripper's x axis points along the approach, y from finger to finger.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import FrameError
from .points import View

COLUMNS = 17


def grasp_rows(grasps: Any) -> np.ndarray:
    """Return float64[n, 17], best score first, of an array or of an object with a ``grasp_group_array``.

    Raises:
        FrameError: another shape, or numbers that are not finite.
    """
    rows = np.asarray(getattr(grasps, "grasp_group_array", grasps), dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != COLUMNS:
        raise FrameError(f"grasps: expected rows of {COLUMNS} numbers (score, width, height, depth, R, t, id), got "
                         f"shape {list(rows.shape)}; return the planner's grasp_group_array")
    if not np.isfinite(rows).all():
        raise FrameError("grasps: expected finite numbers, got NaN or infinity; the planner was given a broken cloud")
    return rows[np.argsort(-rows[:, 0], kind="stable")]


def on_objects(grasps: Any, view: View, *ids: int) -> np.ndarray:
    """Keep the grasps whose point is seen on an object, and write its id into the last column.

    The point is projected into the label image. This is how a planner that takes no mask is kept to one object without
    cutting away the surroundings that it checks collisions against.

    Args:
        ids: of the objects; none = any object.

    Returns:
        float64[m, 17], best score first.

    Raises:
        FrameError: see ``grasp_rows``.
    """
    rows = grasp_rows(grasps)
    x, y, z = rows[:, 13], rows[:, 14], np.maximum(rows[:, 15], 1e-9)
    k, (height, width) = view.intrinsics, view.label.shape
    columns, lines = np.rint(k.fx * x / z + k.cx), np.rint(k.fy * y / z + k.cy)
    seen = (rows[:, 15] > 0) & (columns >= 0) & (columns < width) & (lines >= 0) & (lines < height)
    rows = rows[seen]
    rows[:, 16] = view.label[lines[seen].astype(int), columns[seen].astype(int)]
    return rows[np.isin(rows[:, 16], ids) if ids else rows[:, 16] > 0]


def poses(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return translations float64[n, 3] in metres and unit quaternions float64[n, 4] (x, y, z, w) of grasp rows."""
    r = rows[:, 4:13].reshape(-1, 3, 3)
    # Four times the products of the quaternion's parts; the row with the largest square is well conditioned.
    products = np.empty((len(r), 4, 4))
    trace = np.trace(r, axis1=1, axis2=2)
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        products[:, i, i] = 1 + 2 * r[:, i, i] - trace
        products[:, i, j] = products[:, j, i] = r[:, i, j] + r[:, j, i]
        products[:, i, 3] = products[:, 3, i] = r[:, k, j] - r[:, j, k]
    products[:, 3, 3] = 1 + trace
    best = np.argmax(np.diagonal(products, axis1=1, axis2=2), axis=1)
    quaternions = products[np.arange(len(r)), best]
    return rows[:, 13:16], quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)
