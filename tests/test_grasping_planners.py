"""AnyGrasp and Contact-GraspNet: files and arrays, loaded as those planners load them."""

from __future__ import annotations

import numpy as np
import planners
import pytest
from graspscenes import make_view

from uois_sam_ros.errors import ConfigError, FrameError
from uois_sam_ros.grasping.anygrasp import anygrasp_input, write_anygrasp
from uois_sam_ros.grasping.contact_graspnet import contact_graspnet_arrays, write_contact_graspnet

STEERING = {"dense_grasp": False, "collision_detection": True}


def test_region_steering_is_aligned_with_the_points():
    view = make_view(holes=0.2)
    found = anygrasp_input(view)
    assert found.points.dtype == np.float32 and found.colors.dtype == np.float32 and found.ids == (1, 2, 3)
    assert len(found.points) == len(found.colors) == len(found.labels) == len(found.pixels) < view.label.size
    assert 0 <= found.colors.min() and found.colors.max() <= 1
    detector = planners.AnyGraspDetector()
    for number in found.ids:
        region = found.region_steering(number)
        grasped = detector.get_grasp(found.points, {**STEERING, "region_steering": region})
        assert len(grasped) == region.sum() > 50
        color = np.unique(np.rint(found.colors[region] * 255).astype(int), axis=0)
        assert color.tolist() == [view.color[view.label == number][0].tolist()], "one object, one colour"
    assert np.array_equal(found.region_steering(1, 3), np.isin(found.labels, (1, 3)))
    assert np.array_equal(found.region_steering(), found.labels > 0)


def test_a_flattened_label_image_does_not_fit():
    """The trap: one entry a pixel instead of one a point."""
    view = make_view(holes=0.2)
    found = anygrasp_input(view)
    with pytest.raises(AssertionError):
        planners.AnyGraspDetector().get_grasp(found.points, {**STEERING, "region_steering": view.label.ravel() == 1})


def test_lims_hold_the_objects():
    found = anygrasp_input(make_view())
    low, high = found.lims[0::2], found.lims[1::2]
    objects = found.points[found.region_steering()]
    assert len(found.lims) == 6 and all(type(side) is float for side in found.lims)
    assert low == pytest.approx(objects.min(axis=0) - 0.02) and high == pytest.approx(objects.max(axis=0) + 0.02)


def test_points_beyond_reach_are_dropped():
    view = make_view()
    near = anygrasp_input(view, max_depth_m=0.74)
    assert 0 < len(near.points) < len(anygrasp_input(view).points) and near.points[:, 2].max() < 0.74
    assert near.ids == (1, 2), "the third box stands farther away"
    with pytest.raises(FrameError, match=r"region_steering: expected ids among \[1, 2\], got \[3\]"):
        near.region_steering(1, 3)
    assert anygrasp_input(view, max_depth_m=0.3) is None
    assert anygrasp_input(make_view(label=np.zeros((240, 320), np.uint16))) is None
    assert anygrasp_input(make_view(color=None)).colors is None


def test_anygrasp_files_as_the_demo_loads_them(tmp_path):
    view = make_view(holes=0.2)
    assert write_anygrasp(tmp_path, "desk", "a", view) == (1, 2, 3)
    stored = np.load(tmp_path / "desk" / "a" / "anygrasp.npz")
    points, colors, seg = planners.load_anygrasp_demo(tmp_path / "desk" / "a", stored["K"])
    for number in (1, 2, 3):
        assert planners.AnyGraspDetector().get_grasp(points, {"region_steering": seg == number}) is not None
    assert points.shape == stored["points"].shape and np.abs(points - stored["points"]).max() < 0.001
    assert np.array_equal(colors, stored["colors"]) and np.array_equal(seg, stored["labels"])
    assert stored["lims"].shape == (6,)


def test_anygrasp_refusals(tmp_path):
    with pytest.raises(FrameError, match="desk/a: expected an object with at least 50 points with depth in range"):
        write_anygrasp(tmp_path, "desk", "a", make_view(), max_depth_m=0.3)
    with pytest.raises(FrameError, match="desk/a: expected a colour picture"):
        write_anygrasp(tmp_path, "desk", "a", make_view(color=None))
    with pytest.raises(FrameError, match="desk/a: expected ids up to 255 .* got 300"):
        write_anygrasp(tmp_path, "desk", "a", make_view(label=make_view().label * np.uint16(100)))
    assert not list(tmp_path.iterdir())


def test_contact_graspnet_loads_every_segment(tmp_path):
    view = make_view(holes=0.2)
    assert write_contact_graspnet(tmp_path, "desk", "a", view) == (1, 2, 3)
    full, segments, rgb = planners.load_contact_graspnet(tmp_path / "desk_a.npz")
    assert np.array_equal(rgb, view.color), "the loader swaps BGR, so RGB comes out"
    known = np.isfinite(view.depth_m) & (view.depth_m > 0)
    assert len(full) == (known & (view.depth_m > 0.2) & (view.depth_m < 1.8)).sum()
    assert [int(number) for number in segments] == [1, 2, 3]
    for number, segment in segments.items():
        assert len(segment) == (known & (view.label == number)).sum()
        region = planners.local_region(full, segment)
        assert len(region) > len(segment), "the crop holds the surroundings"
    stored = np.load(tmp_path / "desk_a.npz")
    assert stored["depth"].dtype == np.float32 and np.isfinite(stored["depth"]).all()
    assert stored["depth"].max() < 10, "metres"
    assert stored["segmap"].dtype.kind in "ui" and stored["K"].shape == (3, 3)


def test_contact_graspnet_without_colour_and_out_of_range(tmp_path):
    write_contact_graspnet(tmp_path, "desk", "a", make_view(color=None))
    assert planners.load_contact_graspnet(tmp_path / "desk_a.npz")[2] is None
    arrays = contact_graspnet_arrays(make_view(), z_range_m=(0.2, 0.74))
    assert np.unique(arrays["segmap"]).tolist() == [0, 1, 2]
    assert contact_graspnet_arrays(make_view(label=np.zeros((240, 320), np.uint8))) is None
    with pytest.raises(FrameError, match="desk/a: expected an object with at least 50 points with depth in range"):
        write_contact_graspnet(tmp_path, "desk", "b", make_view(), z_range_m=(0.1, 0.2))
    for wrong in ((0.5, 0.5), (-1, 1), (float("nan"), 1)):
        with pytest.raises(ConfigError, match="z range: expected 0 <= near < far in metres, got"):
            contact_graspnet_arrays(make_view(), z_range_m=wrong)
