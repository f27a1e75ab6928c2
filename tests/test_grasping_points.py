"""The shared base of the exporters: views, labelled clouds, sampling, the table's frame."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
from graspscenes import make_view, true_plane

from uois_sam_ros.errors import FrameError, InputError
from uois_sam_ros.grasping import files
from uois_sam_ros.grasping.points import LabelledCloud, View, labelled_cloud, nothing_to_grasp, sample_indices
from uois_sam_ros.grasping.table import in_workspace, support_plane, table_from_camera
from uois_sam_ros.types import Frame, Instances, Intrinsics

K = Intrinsics(2.0, 2.0, 1.0, 0.0)


def tiny(depth, label, **more):
    return View(np.float32(depth), K, np.uint16(label), **more)


def test_cloud_of_six_pixels():
    cloud = labelled_cloud(tiny([[1, 0, 2], [np.nan, 4, np.inf]], [[5, 1, 0], [1, 2, 3]]))
    assert cloud.pixels.tolist() == [0, 2, 4]
    assert cloud.labels.tolist() == [5, 0, 2] and cloud.labels.dtype == np.uint16
    assert cloud.points_m.tolist() == [[-0.5, 0, 1], [1, 0, 2], [0, 2, 4]] and cloud.points_m.dtype == np.float32
    assert cloud.pick(np.arange(6).reshape(2, 3)).tolist() == [0, 2, 4]
    assert cloud.pick(np.arange(18).reshape(2, 3, 3)).tolist() == [[0, 1, 2], [6, 7, 8], [12, 13, 14]]
    assert cloud.ids == (2, 5) and len(cloud) == 3
    part = cloud.take(np.array([2, 0]))
    assert part.pixels.tolist() == [4, 0] and part.labels.tolist() == [2, 5]


def test_depth_range_is_open():
    view = tiny([[1, 2, 3], [0.5, 4, -1]], np.ones((2, 3)))
    assert labelled_cloud(view, min_depth_m=1, max_depth_m=4).pixels.tolist() == [1, 2]
    assert labelled_cloud(view).pixels.tolist() == [0, 1, 2, 3, 4]


def test_small_objects_become_background_and_stay_in_the_cloud():
    cloud = LabelledCloud(np.zeros((7, 3), np.float32), np.uint16([1, 1, 1, 2, 2, 0, 9]), np.arange(7))
    assert cloud.without_small(3).labels.tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert cloud.without_small(2).ids == (1, 2) and len(cloud.without_small(3)) == 7
    empty = cloud.take(np.zeros(7, bool))
    assert empty.without_small(3).ids == ()


@pytest.mark.parametrize("count, wanted", [(100, 40), (40, 40), (7, 40)])
def test_sampling(count, wanted):
    chosen = sample_indices(count, wanted, np.random.default_rng(3))
    assert len(chosen) == wanted and chosen.min() >= 0 and chosen.max() < count
    assert len(set(chosen.tolist())) == min(count, wanted), "no point twice, or every point once"
    assert np.array_equal(chosen, sample_indices(count, wanted, np.random.default_rng(3)))
    assert not np.array_equal(chosen, sample_indices(count, wanted, np.random.default_rng(4)))


def test_sampling_from_nothing_is_refused():
    with pytest.raises(FrameError, match="expected at least one point to sample from, got none"):
        sample_indices(0, 5, np.random.default_rng(0))


@pytest.mark.parametrize("changes, message", [
    ({"depth_m": None}, "expected depth and intrinsics, got no depth"),
    ({"intrinsics": None}, "expected depth and intrinsics, got no intrinsics"),
    ({"depth_m": np.ones((240, 320))}, "expected depth as float32.* got float64"),
    ({"depth_m": np.ones((240, 320, 1), np.float32)}, r".*got float32\[240, 320, 1\]"),
    ({"depth_m": np.full((240, 320), 800, np.float32)}, r"expected depth in metres \(0.05 to 30 m\), got .* 800"),
    ({"depth_m": np.full((240, 320), 8e-4, np.float32)}, "expected depth in metres .* got a median of 0.0008"),
    ({"label": np.zeros((120, 160), np.uint16)}, r"expected labels .*\[240, 320\].* got uint16\[120, 160\]"),
    ({"label": np.zeros((240, 320), np.int64)}, "expected labels as uint8 or uint16.* got int64"),
    ({"label": np.zeros((240, 320), np.uint32)}, "expected labels as uint8 or uint16.* got uint32"),
    ({"color": np.zeros((240, 320), np.uint8)}, r"expected colour as uint8\[240, 320, 3\].* got uint8\[240, 320\]"),
    ({"color": np.zeros((240, 320, 3), np.float32)}, "expected colour .* got float32"),
])
def test_views_that_are_refused(changes, message):
    with pytest.raises(FrameError, match=f"^desk/a: {message}"):
        make_view(**changes)


def test_view_of_a_frame():
    given = make_view()
    frame = Frame(given.color, given.depth_m, given.intrinsics, "n")
    view = View.of(frame, Instances(given.label, ()))
    assert view.color is frame.color and view.label is given.label and view.name == "n"
    assert view.camera_matrix.tolist() == [[288, 0, 159.5], [0, 288, 119.5], [0, 0, 1]]
    with pytest.raises(FrameError, match="n: expected depth and intrinsics, got no depth"):
        View.of(frame.without_depth(), Instances(given.label, ()))


def test_the_refusal_tells_how_close_it_was():
    view = tiny([[1, 1, 1], [1, 1, 0]], [[1, 1, 1], [2, 2, 3]], name="desk/a")
    assert str(nothing_to_grasp(view, labelled_cloud(view), 50)).startswith(
        "desk/a: expected an object with at least 50 points with depth in range, got 3 objects with at most 3;")
    blank = tiny(np.ones((2, 3)), np.zeros((2, 3)))
    assert "got no object at all" in str(nothing_to_grasp(blank, labelled_cloud(blank), 50))


def test_table_frame_of_the_true_plane():
    view, table = make_view(), table_from_camera(true_plane())
    assert np.allclose(table[:3, :3] @ table[:3, :3].T, np.eye(3)) and np.linalg.det(table[:3, :3]) == pytest.approx(1)
    cloud = labelled_cloud(view)
    points = cloud.points_m @ table[:3, :3].T + table[:3, 3]
    assert np.abs(points[cloud.labels == 0, 2]).max() < 0.001, "the table is z = 0"
    assert [points[cloud.labels == k, 2].max() for k in (1, 2, 3)] == pytest.approx([0.08, 0.12, 0.06], abs=1e-3)
    assert table[:3, 3] == pytest.approx([0, 0, 0.6]), "the camera is 0.6 m above the table, z is up"
    assert table[0, :3] == pytest.approx([1, 0, 0]), "x is the camera's"


@pytest.mark.parametrize("normal", [(0, -1, 0), (1, 0, 0), (-1, 0, 0), (0, 0, -1)])
def test_table_frame_for_any_plane(normal):
    plane = true_plane()
    table = table_from_camera(type(plane)(np.float32(normal), 0.5, 1.0))
    assert np.allclose(table[:3, :3] @ table[:3, :3].T, np.eye(3)) and np.linalg.det(table[:3, :3]) == pytest.approx(1)
    assert table[:3, :3] @ np.array(normal) == pytest.approx([0, 0, 1])


def test_without_a_plane_the_box_is_the_cameras():
    assert np.array_equal(table_from_camera(None), np.eye(4))


@pytest.mark.parametrize("height, width", [(240, 320), (480, 640), (720, 1280)])
def test_the_plane_is_found_at_any_size(height, width):
    found, true = support_plane(make_view(height, width, holes=0.1)), true_plane()
    assert found.normal @ true.normal > 0.9999 and found.offset == pytest.approx(true.offset, abs=0.003)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_plane_of_a_rolled_camera_off_centre(size):
    """Thinning a large image must move the principal point, too."""
    k = Intrinsics(300.0 * size, 300.0 * size, 100.0 * size, 180.0 * size)
    normal = np.array([0.35, -0.6, -0.72]) / np.linalg.norm([0.35, -0.6, -0.72])
    x, y = np.meshgrid(np.arange(320 * size), np.arange(240 * size))
    rays = np.stack([(x - k.cx) / k.fx, (y - k.cy) / k.fy, np.ones(x.shape)], axis=-1)
    depth = (-0.5 / (rays @ normal)).astype(np.float32)
    found = support_plane(View(depth, k, np.zeros(depth.shape, np.uint16)))
    assert found.normal @ normal > 0.99999 and found.offset == pytest.approx(0.5, abs=0.001)


def test_no_plane_in_an_empty_image():
    assert support_plane(make_view(depth_m=np.zeros((240, 320), np.float32))) is None


def test_workspace_box():
    points = np.float32([[0, 0, 1], [0.1, 0, 1], [0.119, 0, 1], [0.121, 0, 1], [-0.019, 0, 1], [0.05, 0.021, 1]])
    cloud = LabelledCloud(points, np.uint16([1, 2, 0, 0, 0, 0]), np.arange(6))
    assert in_workspace(cloud, np.eye(4), 0.02).tolist() == [True, True, True, False, True, False]
    blank = LabelledCloud(points, np.zeros(6, np.uint16), np.arange(6))
    assert not in_workspace(blank, np.eye(4)).any()


def test_files_are_whole_or_refused(tmp_path):
    files.write_bytes(tmp_path / "a" / "b.bin", b"12")
    assert (tmp_path / "a" / "b.bin").read_bytes() == b"12" and len(list((tmp_path / "a").iterdir())) == 1
    with pytest.raises(InputError, match="expected a writable folder, got"):
        files.write_bytes(tmp_path / "a" / "b.bin" / "c", b"")


def test_stored_depth_has_no_wrap_around():
    view = tiny([[0.0004, 0.0006, 65.534, 1], [65.536, np.nan, 1e30, 2]], np.zeros((2, 4)))
    assert files.stored_depth(view).tolist() == [[0, 1, 65534, 1000], [0, 0, 0, 2000]]


def test_too_many_ids_for_eight_bits():
    assert files.label_u8(np.uint16([[255, 0]]), "a").dtype == np.uint8
    with pytest.raises(FrameError, match="a: expected ids up to 255 .* got 256; lower selection.max_instances"):
        files.label_u8(np.uint16([[256, 0]]), "a")


def test_exporters_stand_on_arrays_alone():
    """Only the verb, the node and the .mat writer reach for more than numpy and OpenCV, each inside a function."""
    for path in (Path(files.__file__).parent).glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else \
                [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            for name in names:
                assert name.split(".")[0] in {*sys.stdlib_module_names, "numpy", "cv2"}, f"{path.name} imports {name}"
