"""Inputs of GSNet: equal to what its loader makes of the same frame, deterministic, and never from an empty mask."""

from __future__ import annotations

import numpy as np
import planners
import pytest
from graspscenes import make_view, true_plane

from uois_sam_ros.errors import ConfigError, FrameError
from uois_sam_ros.grasping.graspness import SCENE, GraspnessSettings, object_inputs, scene_input, write_graspness
from uois_sam_ros.grasping.graspnet_tree import GraspNetTree
from uois_sam_ros.grasping.points import labelled_cloud
from uois_sam_ros.grasping.table import in_workspace, table_from_camera

FEW = GraspnessSettings(points=600)


def check_arrays(one, points, voxel=0.005):
    assert one.point_clouds.dtype == one.coors.dtype == one.feats.dtype == np.float32
    assert one.point_clouds.shape == one.coors.shape == one.feats.shape == (points, 3)
    assert np.array_equal(one.coors, one.point_clouds / np.float32(voxel)) and (one.feats == 1).all()
    assert np.isfinite(one.point_clouds).all() and (one.point_clouds[:, 2] > 0).all()
    assert set(one.as_dict()) == {"point_clouds", "coors", "feats"}


def test_scene_is_what_the_loader_samples_from(tmp_path):
    """The same 1280x720 frame through the tree and the planner's loader, and directly: the same box of points."""
    view = make_view(720, 1280, holes=0.05)
    GraspNetTree(tmp_path).add("desk", "a", view)
    theirs = planners.load_graspness(tmp_path, 0, "realsense", 0)
    ours = scene_input(view)
    check_arrays(ours, 15_000)
    assert ours.id == SCENE and len(set(ours.pixels.tolist())) == 15_000, "without replacement"
    assert {key: value.shape for key, value in ours.as_dict().items()} == {
        key: value.shape for key, value in theirs.items() if key in ours.as_dict()}
    where = np.flatnonzero(theirs["workspace"])
    assert set(ours.pixels.tolist()) <= set(where.tolist()), "every point lies in the loader's workspace"
    assert np.abs(theirs["cloud"].reshape(-1, 3)[ours.pixels] - ours.point_clouds).max() < 1e-6, "at the same place"
    every = scene_input(view, GraspnessSettings(points=300_000))
    assert np.array_equal(np.unique(every.pixels), where), "and no point of the workspace is left out"


def test_scene_keeps_the_table_inside_the_box_only():
    view = make_view()
    one = scene_input(view, FEW, true_plane())
    check_arrays(one, 600)
    table = table_from_camera(true_plane())
    heights = one.point_clouds @ table[2, :3] + table[2, 3]
    assert heights.min() > -0.021 and heights.max() < 0.14
    assert 0.1 < (one.labels == 0).mean() < 0.9 and set(one.labels.tolist()) == {0, 1, 2, 3}
    assert np.array_equal(view.label.ravel()[one.pixels], one.labels)
    every = in_workspace(labelled_cloud(view), table)
    assert every.mean() < 0.6, "most of the table lies outside"


def test_objects_alone():
    view = make_view(holes=0.1)
    inputs = object_inputs(view, FEW)
    assert [one.id for one in inputs] == [1, 2, 3]
    for one in inputs:
        check_arrays(one, 600)
        assert set(one.labels.tolist()) == {one.id}
        assert (view.label.ravel()[one.pixels] == one.id).all()


def test_few_points_are_repeated_each_at_least_once():
    view = make_view()
    (one, *_) = object_inputs(view, GraspnessSettings(points=15_000))
    own = np.flatnonzero(view.label.ravel() == 1)
    assert len(own) < 15_000 and set(one.pixels.tolist()) == set(own.tolist())


def test_context_adds_what_is_near():
    view = make_view()
    alone, around = object_inputs(view, FEW, true_plane()), object_inputs(
        view, GraspnessSettings(points=600, context_m=0.05), true_plane())
    table = table_from_camera(true_plane())
    for near, own in zip(around, alone):
        check_arrays(near, 600)
        assert {0, near.id} <= set(near.labels.tolist())
        moved = [points @ table[:3, :3].T + table[:3, 3] for points in (near.point_clouds, own.point_clouds)]
        assert (moved[0].min(axis=0) > moved[1].min(axis=0) - 0.06).all()
        assert (moved[0].max(axis=0) < moved[1].max(axis=0) + 0.06).all()
        assert moved[0][:, 2].min() < 0.002, "down to the table"
    wide = object_inputs(view, GraspnessSettings(points=600, context_m=0.2), true_plane())
    assert set(wide[0].labels.tolist()) == {0, 1, 2}, "a neighbour is an obstacle"


def test_equal_seeds_give_equal_arrays():
    view = make_view()
    first, again = scene_input(view, FEW), scene_input(view, FEW)
    other = scene_input(view, GraspnessSettings(points=600, seed=1))
    assert np.array_equal(first.point_clouds, again.point_clouds)
    assert not np.array_equal(first.point_clouds, other.point_clouds)
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(object_inputs(view, FEW), object_inputs(view, FEW)))


def label_with(view, **objects):
    """A label image with rectangles: name is o<id>, value (row, column, height, width)."""
    label = np.zeros_like(view.label)
    for name, (row, column, height, width) in objects.items():
        label[row:row + height, column:column + width] = int(name[1:])
    return label


@pytest.mark.parametrize("label, depth", [
    ({}, None), ({"o1": (100, 100, 7, 7)}, None), ({"o1": (100, 100, 20, 20)}, (100, 100, 20, 20))],
    ids=["nothing labelled", "49 points", "no depth under the mask"])
def test_empty_masks_give_nothing(tmp_path, label, depth):
    view = make_view()
    view = make_view(label=label_with(view, **label))
    if depth:
        row, column, height, width = depth
        view.depth_m[row:row + height, column:column + width] = 0
    assert scene_input(view) is None and object_inputs(view) == ()
    with pytest.raises(FrameError, match="desk/a: expected an object with at least 50 points .* an empty mask"):
        write_graspness(tmp_path, "desk", "a", view)
    assert not list(tmp_path.rglob("*"))


def test_fifty_points_are_enough_and_ids_keep_their_gaps():
    view = make_view()
    view = make_view(label=label_with(view, o4=(100, 100, 5, 10), o7=(120, 150, 7, 7), o9=(140, 60, 30, 30)))
    assert [one.id for one in object_inputs(view, FEW)] == [4, 9]
    one = scene_input(view, FEW)
    assert set(one.labels.tolist()) <= {0, 4, 9}


def test_files_collate_as_they_are(tmp_path):
    view = make_view(holes=0.02)
    assert write_graspness(tmp_path, "desk", "a", view) == (1, 2, 3)
    scene, objects = np.load(tmp_path / "desk" / "a_scene.npz"), np.load(tmp_path / "desk" / "a_objects.npz")
    batch = planners.collate_for_sparse_network([{key: scene[key] for key in ("point_clouds", "coors", "feats")}])
    assert batch["point_clouds"].shape == (1, 15_000, 3) and len(batch["quantize2original"]) == 15_000
    assert batch["coors"].dtype == np.int32 and len(batch["coors"]) < 15_000
    assert objects["ids"].tolist() == [1, 2, 3] and objects["point_clouds"].shape == (3, 15_000, 3)
    singles = [{key: objects[key][k] for key in ("point_clouds", "coors", "feats")} for k in range(3)]
    batch = planners.collate_for_sparse_network(singles)
    assert batch["point_clouds"].dtype == np.float32 and set(batch["coors"][:, 0].tolist()) == {0, 1, 2}
    assert (objects["labels"][1] == 2).all() and (view.label.ravel()[objects["pixels"][1]] == 2).all()


@pytest.mark.parametrize("name, value", [("points", 0), ("voxel_m", 0.0), ("margin_m", -0.1), ("context_m", -1.0),
                                         ("min_points", 0), ("seed", -1), ("context_m", float("nan"))])
def test_settings_out_of_range(name, value):
    with pytest.raises(ConfigError, match=f"graspness {name}: expected .* or more, got"):
        GraspnessSettings(**{name: value})
