"""Hole filling, back-projection, normals and the support plane."""

from __future__ import annotations

import numpy as np
import pytest
from tabletop import tabletop

from uois_sam_ros.geometry import (
    backproject,
    compute_geometry,
    estimate_normals,
    fill_holes,
    find_support_plane,
    plane_height,
)
from uois_sam_ros.types import Intrinsics

K = Intrinsics(290.0, 288.0, 159.5, 119.5)


def test_fill_holes_takes_the_nearest_reading():
    depth = np.full((20, 30), 1.0, np.float32)
    depth[:, 15:] = 2.0
    valid = np.ones((20, 30), bool)
    valid[5:15, 10:14] = False   # nearer to the left or right border of the hole
    valid[5:15, 20:25] = False
    broken = np.where(valid, depth, np.nan).astype(np.float32)
    filled = fill_holes(broken, valid)
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled[valid], depth[valid])
    assert (filled[5:15, 10:12] == 1.0).all() and (filled[5:15, 20:25] == 2.0).all()


def test_fill_holes_leaves_whole_depth_alone():
    depth = np.random.default_rng(0).uniform(0.5, 1, (8, 9)).astype(np.float32)
    np.testing.assert_array_equal(fill_holes(depth, np.ones((8, 9), bool)), depth)


def test_backproject_round_trip():
    depth = np.random.default_rng(0).uniform(0.3, 2, (240, 320)).astype(np.float32)
    points = backproject(depth, K)
    x = points[..., 0] / points[..., 2] * K.fx + K.cx
    y = points[..., 1] / points[..., 2] * K.fy + K.cy
    np.testing.assert_allclose(x, np.broadcast_to(np.arange(320), x.shape), atol=1e-3)
    np.testing.assert_allclose(y, np.broadcast_to(np.arange(240)[:, None], y.shape), atol=1e-3)
    np.testing.assert_array_equal(points[..., 2], depth)


@pytest.mark.parametrize("tilt_deg, axis", [(0, 0), (30, 0), (55, 1), (-40, 1)])
def test_normals_of_a_tilted_plane(tilt_deg, axis):
    tilt = np.radians(tilt_deg)
    normal = np.array([0.0, 0.0, -np.cos(tilt)])
    normal[axis] = np.sin(tilt)
    rays = backproject(np.ones((240, 320), np.float32), K).astype(np.float64)
    depth = (normal[2] / (rays @ normal)).astype(np.float32)  # the plane through (0, 0, 1)
    normals = estimate_normals(backproject(depth, K))
    assert normals.dtype == np.float32
    cosine = normals[4:-4, 4:-4] @ normal
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 0.5
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-4)


@pytest.mark.parametrize("pitch_deg, noise_m", [(50, 0.0), (50, 0.002), (88, 0.002), (35, 0.001)])
def test_support_plane_of_a_tabletop(pitch_deg, noise_m):
    height = 0.7
    frame, label, (normal, offset) = tabletop(
        pitch_deg=pitch_deg, camera_m=(0, -height / np.tan(np.radians(pitch_deg)), height), noise_m=noise_m)
    geometry = compute_geometry(frame.depth_m, frame.intrinsics)
    plane = geometry.plane
    assert np.degrees(np.arccos(min(1.0, float(plane.normal @ normal)))) < 1.0
    assert abs(plane.offset - offset) < 0.002 * max(1, noise_m / 0.001)
    table = np.abs(geometry.height_m[label == 0])
    assert np.median(table) < 0.002 + noise_m
    assert np.median(geometry.height_m[label == 2]) > 0.04
    assert 0.5 < plane.inlier_ratio <= 1


def test_plane_is_deterministic():
    frame, _, _ = tabletop(noise_m=0.002)
    first, second = (compute_geometry(frame.depth_m, frame.intrinsics).plane for _ in range(2))
    np.testing.assert_array_equal(first.normal, second.normal)
    assert first.offset == second.offset


def test_plane_of_an_explosion_is_none():
    rng = np.random.default_rng(0)
    points = backproject(rng.uniform(0.3, 3.0, (120, 160)).astype(np.float32), K)
    assert find_support_plane(points, np.ones((120, 160), bool), estimate_normals(points)) is None
    assert (plane_height(points, None) == 0).all()


def test_too_few_readings_for_a_plane():
    points = backproject(np.ones((12, 12), np.float32), K)
    assert find_support_plane(points, np.ones((12, 12), bool), estimate_normals(points)) is None


@pytest.mark.parametrize("nothing", [0.0, np.nan, np.inf, -1.0, 9.0])
def test_no_readings_no_geometry(nothing):
    assert compute_geometry(np.full((120, 160), nothing, np.float32), K) is None


def test_min_valid():
    depth = np.zeros((100, 100), np.float32)
    depth[:10] = 0.8
    assert compute_geometry(depth, K, min_valid=0.2) is None
    assert compute_geometry(depth, K, min_valid=0.05).valid.sum() == 1000


def test_broken_readings_never_leak():
    """NaN, infinity and zero become holes: everything derived is finite."""
    frame, _, (normal, _) = tabletop()
    depth = frame.depth_m.copy()
    holes = np.random.default_rng(1).random(depth.shape)
    depth[holes < 0.1] = np.nan
    depth[(holes > 0.1) & (holes < 0.2)] = np.inf
    depth[(holes > 0.2) & (holes < 0.3)] = 0
    geometry = compute_geometry(depth, frame.intrinsics)
    np.testing.assert_array_equal(geometry.valid, holes >= 0.3)
    for array in (geometry.points_m, geometry.normals, geometry.height_m):
        assert np.isfinite(array).all() and array.dtype == np.float32
    assert float(geometry.plane.normal @ normal) > np.cos(np.radians(1))
