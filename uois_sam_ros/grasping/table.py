"""The table: its plane, the frame that lies on it, and the box around the objects in that frame."""

from __future__ import annotations

import numpy as np

from ..geometry import compute_geometry
from ..types import Intrinsics, Plane
from .points import LabelledCloud, View

#: The plane search works on a thinned image of about this many rows.
SEARCH_ROWS = 240
#: The workspace reaches this far beyond the objects, as in the loaders of GraspNet-1Billion.
MARGIN_M = 0.02


def support_plane(view: View, max_depth_m: float = 4.0) -> Plane | None:
    """Find the plane that carries the scene, or ``None``; deterministic."""
    step = max(1, view.depth_m.shape[0] // SEARCH_ROWS)
    k = view.intrinsics
    thinned = Intrinsics(k.fx / step, k.fy / step, k.cx / step, k.cy / step)
    geometry = compute_geometry(np.ascontiguousarray(view.depth_m[::step, ::step]), thinned, max_depth_m=max_depth_m)
    return None if geometry is None else geometry.plane


def table_from_camera(plane: Plane | None) -> np.ndarray:
    """Return float64[4, 4] that maps points of the camera frame into the table's frame.

    There z is up and 0 on the plane, the origin lies below the camera, x is the camera's x laid on the plane. Without
    a plane it is the identity: boxes are then aligned with the camera.
    """
    transform = np.eye(4)
    if plane is None:
        return transform
    up = np.asarray(plane.normal, dtype=np.float64)
    up = up / np.linalg.norm(up)
    ahead = np.eye(3)[0 if abs(up[0]) < 0.9 else 1]
    x = ahead - (ahead @ up) * up
    x = x / np.linalg.norm(x)
    transform[:3, :3] = np.stack([x, np.cross(up, x), up])
    transform[2, 3] = plane.offset
    return transform


def in_workspace(cloud: LabelledCloud, table: np.ndarray, margin_m: float = MARGIN_M) -> np.ndarray:
    """Return bool[N]: inside the box, aligned with the table, around all object points grown by ``margin_m``.

    Points of the table inside the box belong to it: planners need them against collisions. Without any object point
    no point is inside.
    """
    objects, inside = cloud.labels > 0, np.zeros(len(cloud), dtype=bool)
    if not objects.any():
        return inside
    inside[:] = True
    x, y, z = cloud.points_m.T.astype(np.float64)
    for a, b, c, shift in table[:3]:  # by axis: a matrix product of this shape is far slower
        along = a * x + b * y + c * z + shift
        seen = along[objects]
        inside &= (along > seen.min() - margin_m) & (along < seen.max() + margin_m)
    return inside
