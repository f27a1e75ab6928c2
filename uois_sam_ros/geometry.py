"""Depth on the working grid: hole filling, back-projection, normals and the support plane.

Training and the run path call the same functions, so the networks see the same numbers in both.
Everything is float32 and vectorised; a 320x240 grid takes a few milliseconds on one core.
"""

from __future__ import annotations

import cv2
import numpy as np

from .types import Geometry, Intrinsics, Plane

#: Plane search: hypotheses, points each is tested on, pixel reach of the two other points.
PLANE_HYPOTHESES = 160
PLANE_SAMPLES = 1200
PLANE_REACH_PX = 60
#: A plane explains a point within this many metres plus this share of the squared distance.
PLANE_TOLERANCE = (0.005, 0.003)
#: Below this share of (centre-weighted) inliers there is no support plane.
PLANE_MIN_INLIERS = 0.12


def compute_geometry(depth_m: np.ndarray, intrinsics: Intrinsics, *, max_depth_m: float = 4.0,
                     min_valid: float = 0.05, seed: int = 0) -> Geometry | None:
    """Derive points, normals and height above the support from one depth image.

    Args:
        depth_m: float32[h, w] metres; 0, NaN, inf = no reading.
        intrinsics: of this very grid.
        max_depth_m: readings beyond are dropped.
        min_valid: smaller share of readings -> ``None``.
        seed: of the plane search, which is deterministic.
    """
    valid = np.isfinite(depth_m) & (depth_m > 0.05) & (depth_m <= max_depth_m)
    if valid.mean() < max(min_valid, 1e-6):
        return None
    filled = fill_holes(depth_m, valid)
    points = backproject(filled, intrinsics)
    normals = estimate_normals(points)
    plane = find_support_plane(points, valid, normals, seed=seed)
    height = plane_height(points, plane)
    return Geometry(points, valid, normals, height, plane)


def fill_holes(depth_m: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Give every invalid pixel the depth of its nearest valid one (float32[h, w])."""
    if valid.all():
        return depth_m.astype(np.float32)
    source = np.where(valid, 0, 255).astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(
        source, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    lookup = np.zeros(int(nearest.max()) + 1, dtype=np.float32)
    lookup[nearest[valid]] = depth_m[valid]
    return np.where(valid, depth_m, lookup[nearest]).astype(np.float32)


def backproject(depth_m: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """Return float32[h, w, 3] points in the camera frame, metres."""
    height, width = depth_m.shape
    x = (np.arange(width, dtype=np.float32) - np.float32(intrinsics.cx)) / np.float32(intrinsics.fx)
    y = (np.arange(height, dtype=np.float32) - np.float32(intrinsics.cy)) / np.float32(intrinsics.fy)
    points = np.empty((height, width, 3), dtype=np.float32)
    np.multiply(depth_m, x[None, :], out=points[..., 0])
    np.multiply(depth_m, y[:, None], out=points[..., 1])
    points[..., 2] = depth_m
    return points


def estimate_normals(points_m: np.ndarray) -> np.ndarray:
    """Return float32[h, w, 3] unit normals towards the camera, from smoothed differences."""
    smooth = cv2.blur(points_m, (3, 3), borderType=cv2.BORDER_REPLICATE)
    dx = cv2.filter2D(smooth, -1, np.float32([[-1, 0, 1]]), borderType=cv2.BORDER_REPLICATE)
    dy = cv2.filter2D(smooth, -1, np.float32([[-1], [0], [1]]), borderType=cv2.BORDER_REPLICATE)
    x = dx[..., 1] * dy[..., 2] - dx[..., 2] * dy[..., 1]
    y = dx[..., 2] * dy[..., 0] - dx[..., 0] * dy[..., 2]
    z = dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]
    norm = np.sqrt(x * x + y * y + z * z)
    sign = np.where(z > 0, np.float32(-1), np.float32(1)) / np.maximum(norm, np.float32(1e-12))
    return np.stack([x * sign, y * sign, z * sign], axis=-1)


def find_support_plane(points_m: np.ndarray, valid: np.ndarray, normals: np.ndarray, *,
                       seed: int = 0) -> Plane | None:
    """Find the plane that carries the scene: many inliers, near the image centre, little below it.

    Sample consensus over local triples, refined by least squares.

    Returns:
        The plane, or ``None`` when no plane explains enough of the picture.
    """
    height, width = valid.shape
    rows, cols = np.nonzero(valid)
    if len(rows) < 200:
        return None
    rng = np.random.default_rng(seed)
    pick = rng.integers(0, len(rows), PLANE_SAMPLES)
    sample = points_m[rows[pick], cols[pick]]
    weight = _centre_weight(rows[pick], cols[pick], height, width)
    tolerance = PLANE_TOLERANCE[0] + PLANE_TOLERANCE[1] * sample[:, 2] ** 2

    normal, offset = _plane_hypotheses(points_m, valid, rows, cols, rng)
    if len(normal) == 0:
        return None
    distance = sample @ normal.T + offset[None, :]
    inlier = np.abs(distance) < tolerance[:, None]
    below = distance < -3 * tolerance[:, None]
    score = weight @ inlier.astype(np.float32) - 0.5 * (weight @ below.astype(np.float32))
    best = int(np.argmax(score))
    plane_n, plane_d = normal[best], float(offset[best])
    for _ in range(2):
        chosen = np.abs(sample @ plane_n + plane_d) < tolerance
        if chosen.sum() < 30:
            return None
        plane_n, plane_d = _fit_plane(sample[chosen])
    inlier_ratio = float(weight @ (np.abs(sample @ plane_n + plane_d) < tolerance) / weight.sum())
    if inlier_ratio < PLANE_MIN_INLIERS:
        return None
    return Plane(plane_n.astype(np.float32), plane_d, inlier_ratio)


def plane_height(points_m: np.ndarray, plane: Plane | None) -> np.ndarray:
    """Return float32[h, w] metres above the plane; zeros without one."""
    if plane is None:
        return np.zeros(points_m.shape[:2], dtype=np.float32)
    return points_m @ plane.normal + np.float32(plane.offset)


def _centre_weight(rows: np.ndarray, cols: np.ndarray, height: int, width: int) -> np.ndarray:
    """Points near the image centre count more: the scene is looked at, the room is not."""
    y = (rows / height - 0.55) / 0.45
    x = (cols / width - 0.5) / 0.45
    return np.exp(-0.5 * (x * x + y * y)).astype(np.float32)


def _plane_hypotheses(points_m, valid, rows, cols, rng) -> tuple[np.ndarray, np.ndarray]:
    """Planes through local triples, normals towards the camera: float32[n, 3], float32[n]."""
    height, width = valid.shape
    first = rng.integers(0, len(rows), PLANE_HYPOTHESES)
    reach = rng.integers(-PLANE_REACH_PX, PLANE_REACH_PX + 1, (2, 2, PLANE_HYPOTHESES))
    a = points_m[rows[first], cols[first]]
    others = []
    for step in reach:
        r = np.clip(rows[first] + step[0], 0, height - 1)
        c = np.clip(cols[first] + step[1], 0, width - 1)
        others.append((points_m[r, c], valid[r, c]))
    (b, b_ok), (c, c_ok) = others
    normal = np.cross(b - a, c - a)
    norm = np.linalg.norm(normal, axis=1)
    spread = np.linalg.norm(b - a, axis=1) * np.linalg.norm(c - a, axis=1)
    keep = b_ok & c_ok & (norm > 0.2 * spread) & (spread > 1e-4)
    normal = normal[keep] / norm[keep, None]
    offset = -np.einsum("ij,ij->i", normal, a[keep])
    sign = np.where(offset < 0, -1.0, 1.0)  # the camera (origin) lies on the positive side
    return (normal * sign[:, None]).astype(np.float32), (offset * sign).astype(np.float32)


def _fit_plane(points: np.ndarray) -> tuple[np.ndarray, float]:
    centre = points.mean(axis=0)
    _, _, axes = np.linalg.svd((points - centre).astype(np.float64), full_matrices=False)
    normal = axes[2]
    offset = -float(normal @ centre)
    if offset < 0:
        normal, offset = -normal, -offset
    return normal, offset
