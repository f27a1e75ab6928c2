"""GraspNet-1Billion folders: loaded as the planners load them, every one of their assumptions kept."""

from __future__ import annotations

import builtins
import json
import struct

import numpy as np
import planners
import pytest
import scipy.io
from graspscenes import make_view, true_plane
from PIL import Image

from uois_sam_ros.errors import BackendError, ConfigError, FrameError, InputError
from uois_sam_ros.grasping.graspnet_tree import FRAMES_PER_SCENE, GraspNetTree, write_graspnet_demo
from uois_sam_ros.types import Intrinsics


@pytest.fixture(scope="module")
def view():
    return make_view(720, 1280, holes=0.05)


@pytest.fixture(scope="module")
def tree(tmp_path_factory, view):
    """Two frames of one source: the second has lost object 2 and its depth is noise."""
    root = tmp_path_factory.mktemp("tree")
    writer = GraspNetTree(root, camera="kinect", first_scene=100)
    assert writer.add("desk", "a", view) == (1, 2, 3)
    label = np.where(view.label == 2, 0, view.label)
    depth = np.where(label > 0, np.random.default_rng(0).uniform(0.6, 0.8, label.shape), 0).astype(np.float32)
    assert writer.add("desk", "b", make_view(720, 1280, depth_m=depth, label=label)) == (1, 3)
    return root


def camera_folder(root):
    return root / "scenes" / "scene_0100" / "kinect"


def test_bit_depths(tree, view):
    folder = camera_folder(tree)
    kinds = {kind: Image.open(folder / kind / "0000.png") for kind in ("rgb", "depth", "label", "workspace_mask")}
    assert {kind: image.size for kind, image in kinds.items()} == dict.fromkeys(kinds, (1280, 720))
    assert kinds["rgb"].mode == "RGB" and np.array_equal(np.array(kinds["rgb"]), view.color), "RGB, not BGR"
    assert np.array(kinds["depth"]).dtype == np.uint16 and kinds["label"].mode == "L"
    raw = (folder / "workspace_mask" / "0000.png").read_bytes()
    assert struct.unpack_from(">IIBB", raw, 16) == (1280, 720, 1, 0), "IHDR: one bit, grey"
    depth = np.array(kinds["depth"]) / 1000
    known = np.isfinite(view.depth_m) & (view.depth_m > 0)
    assert np.abs(depth[known] - view.depth_m[known]).max() <= 0.0005001 and (depth[~known] == 0).all()


def test_labels_stand_only_where_there_is_depth(tree, view):
    """A labelled pixel without depth lies at the camera for the loaders: their box would reach up to it."""
    folder = camera_folder(tree)
    label, depth = (planners.open_image(folder / kind / "0000.png") for kind in ("label", "depth"))
    assert set(np.unique(label)) == {0, 1, 2, 3} and not label[depth == 0].any()
    assert np.array_equal(label > 0, (view.label > 0) & (depth > 0))
    meta = scipy.io.loadmat(folder / "meta" / "0000.mat")
    cloud = planners.graspnet_cloud(depth, meta)
    transform = np.load(folder / "cam0_wrt_table.npy") @ np.load(folder / "camera_poses.npy")[0]
    good = planners.box_around_labels(cloud, label, transform) & (depth > 0)
    bad = planners.box_around_labels(cloud, view.label, transform) & (depth > 0)
    assert good.sum() < 0.6 * bad.sum(), "with the labels as they were, the box reaches up to the camera"


def test_meta(tree, view):
    meta = scipy.io.loadmat(camera_folder(tree) / "meta" / "0000.mat")
    assert np.array_equal(meta["intrinsic_matrix"], view.camera_matrix) and meta["intrinsic_matrix"].dtype == float
    assert meta["factor_depth"].tolist() == [[1000.0]]
    assert meta["cls_indexes"].tolist() == [[1, 2, 3]] and meta["poses"].shape == (3, 4, 3)
    second = scipy.io.loadmat(camera_folder(tree) / "meta" / "0001.mat")
    assert second["cls_indexes"].flatten().astype(np.int32).tolist() == [1, 3]
    for k in range(2):
        assert np.array_equal(second["poses"][:, :3, k], np.eye(3)) and 0.4 < second["poses"][2, 3, k] < 1.0


def test_one_object_keeps_three_axes(tmp_path):
    """MATLAB drops a last axis of one; the loaders index it."""
    only = np.where(make_view(720, 1280).label == 2, np.uint16(2), np.uint16(0))
    GraspNetTree(tmp_path).add("s", "n", make_view(720, 1280, label=only))
    meta = scipy.io.loadmat(tmp_path / "scenes" / "scene_0000" / "realsense" / "meta" / "0000.mat")
    assert meta["poses"].shape == (3, 4, 1) and meta["cls_indexes"].tolist() == [[2]]


def test_graspness_loads_both_frames(tree):
    for frame in (0, 1):
        got = planners.load_graspness(tree, 100, "kinect", frame)
        assert got["point_clouds"].shape == (15_000, 3) and got["point_clouds"].dtype == np.float32
        planners.collate_for_sparse_network([got])
        stored = planners.open_image(camera_folder(tree) / "workspace_mask" / f"{frame:04d}.png")
        assert stored.dtype == bool
        assert np.array_equal(stored, got["workspace"]), "our mask is the loader's workspace"


def test_transforms_lie_on_the_table(tree):
    folder = camera_folder(tree)
    poses, cam0 = np.load(folder / "camera_poses.npy"), np.load(folder / "cam0_wrt_table.npy")
    assert poses.shape == (FRAMES_PER_SCENE, 4, 4) and cam0.shape == (4, 4) and poses.dtype == cam0.dtype == float
    assert np.allclose(poses[0], np.eye(4)) and np.array_equal(poses[2:], np.tile(np.eye(4), (254, 1, 1)))
    up, height = true_plane().normal, true_plane().offset
    assert cam0[2, :3] == pytest.approx(up, abs=0.005) and cam0[2, 3] == pytest.approx(height, abs=0.003)
    index = json.loads((tree / "index.json").read_text())
    assert index["0100/kinect/0001"] == {"source": "desk", "name": "b", "objects": [1, 3], "table_found": False}
    assert np.allclose(cam0 @ poses[1], np.eye(4)), "no table found: the box is aligned with the camera"


def test_what_the_graspnet_api_opens_beside(tree, view):
    assert np.array_equal(np.load(camera_folder(tree) / "camK.npy"), view.camera_matrix)
    listed = (tree / "scenes" / "scene_0100" / "object_id_list.txt").read_text().splitlines()
    assert [int(line) for line in listed] == [0, 1, 2]


def test_method_masks(tree, view):
    mask = planners.open_image(tree / "uois_sam_mask" / "scene_0100" / "kinect" / "0000.png")
    assert mask.dtype == np.uint8 and np.unique(mask).tolist() == [0, 85, 170, 255]
    for number, value in ((1, 85), (2, 170), (3, 255)):
        assert np.array_equal(mask == value, view.label == number), "whole masks, with holes of depth"
    second = planners.open_image(tree / "uois_sam_mask" / "scene_0100" / "kinect" / "0001.png")
    assert np.unique(second).tolist() == [0, 127, 255]
    objects = planners.load_graspness_objects(tree, 100, "kinect", 0, "uois_sam")
    assert list(objects) == [85, 170, 255] and all(points.shape == (1024, 3) for points in objects.values())


def test_many_objects_get_distinct_mask_values(tmp_path):
    view = make_view(720, 1280)
    label = np.zeros((720, 1280), np.uint16)
    for k in range(255):
        row, column = 30 * (k // 20) + 100, 60 * (k % 20)
        label[row:row + 12, column:column + 12] = k + 1
    ids = GraspNetTree(tmp_path).add("s", "n", make_view(720, 1280, label=label, depth_m=view.depth_m))
    assert ids == tuple(range(1, 256))
    mask = planners.open_image(tmp_path / "uois_sam_mask" / "scene_0000" / "realsense" / "0000.png")
    assert len(np.unique(mask)) == 256


def test_baseline_demo(tmp_path, view):
    assert write_graspnet_demo(tmp_path, "desk", "a", view) == (1, 2, 3)
    folder = tmp_path / "desk" / "a"
    assert sorted(file.stem for file in folder.iterdir()) == ["color", "depth", "meta", "workspace_mask"]
    got = planners.load_baseline_demo(folder)
    assert got["point_clouds"].shape == (1, 20_000, 3) and got["cloud_colors"].shape == (20_000, 3)
    assert 0.4 < got["point_clouds"][..., 2].min() and got["point_clouds"][..., 2].max() < 1.2


def test_an_eight_bit_mask_would_break_the_demo(tmp_path, view):
    """Why the bit depth matters: the same mask as 0/1 picks rows of the picture instead of points, 28 GB of them."""
    write_graspnet_demo(tmp_path, "desk", "a", view)
    mask = planners.open_image(tmp_path / "desk" / "a" / "workspace_mask.png")
    assert mask.dtype == bool and np.zeros(mask.shape, np.int8)[mask].shape == (mask.sum(),)
    four_columns = np.zeros((len(mask), 4), np.int8)
    assert four_columns[mask.astype(np.uint8)].shape == (*mask.shape, 4)


def test_a_scene_ends_with_its_source_its_camera_or_256_frames(tmp_path, monkeypatch, view):
    monkeypatch.setattr("uois_sam_ros.grasping.graspnet_tree.FRAMES_PER_SCENE", 2)
    writer = GraspNetTree(tmp_path, first_scene=7)
    zoomed = make_view(720, 1280, intrinsics=Intrinsics(900.0, 900.0, 639.5, 359.5))
    for source, name, one in (("a", "0", view), ("a", "1", view), ("a", "2", view), ("b", "0", view),
                              ("b", "1", zoomed)):
        writer.add(source, name, one)
    index = json.loads((tmp_path / "index.json").read_text())
    assert [(key[:4], key[-4:], fact["source"], fact["name"]) for key, fact in index.items()] == [
        ("0007", "0000", "a", "0"), ("0007", "0001", "a", "1"), ("0008", "0000", "a", "2"), ("0009", "0000", "b", "0"),
        ("0010", "0000", "b", "1")]
    assert np.load(tmp_path / "scenes" / "scene_0010" / "realsense" / "camK.npy")[0, 0] == 900


@pytest.mark.parametrize("height, width", [(240, 320), (320, 240), (720, 1279)])
@pytest.mark.parametrize("write", [lambda folder, one: GraspNetTree(folder).add("desk", "a", one),
                                   lambda folder, one: write_graspnet_demo(folder, "desk", "a", one)],
                         ids=["tree", "demo"])
def test_other_sizes_are_refused_by_name(tmp_path, write, height, width):
    depth, label = np.ones((height, width), np.float32), np.ones((height, width), np.uint16)
    with pytest.raises(FrameError) as caught:
        write(tmp_path, make_view(depth_m=depth, label=label, color=None))
    assert str(caught.value) == (
        f"desk/a: expected 1280x720 pixels, which the GraspNet loaders assert, got {width}x{height}; run the camera at "
        "1280x720, or use the formats graspness, anygrasp or contact-graspnet, which take any size")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("changes, message", [
    ({"label": np.zeros((720, 1280), np.uint16)}, "expected an object .* got no object at all"),
    ({"color": None}, "expected a colour picture"),
    ({"label": np.full((720, 1280), 256, np.uint16)}, "expected ids up to 255 .* got 256"),
])
def test_refused_frames_leave_no_gap(tmp_path, view, changes, message):
    writer = GraspNetTree(tmp_path)
    with pytest.raises(FrameError, match=f"desk/a: {message}"):
        writer.add("desk", "bad", make_view(720, 1280, **changes))
    assert not list(tmp_path.iterdir())
    writer.add("desk", "good", view)
    assert list(json.loads((tmp_path / "index.json").read_text())) == ["0000/realsense/0000"]


def test_a_scene_that_is_there_is_not_overwritten(tmp_path, view):
    GraspNetTree(tmp_path).add("desk", "a", view)
    with pytest.raises(InputError, match="scene_0000/realsense: expected a new scene, got one that is there"):
        GraspNetTree(tmp_path).add("desk", "a", view)


@pytest.mark.parametrize("options, message", [
    ({"camera": "zed"}, "camera: expected one of realsense, kinect, got 'zed'"),
    ({"first_scene": -1}, "first scene: expected 0 to 9999, got -1"),
    ({"method": "a/b"}, "method: expected a name without folders, got 'a/b'"),
    ({"method": ""}, "method: expected a name without folders, got ''"),
])
def test_options_that_are_refused(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        GraspNetTree(tmp_path, **options)


def test_scipy_is_named_when_it_is_missing(tmp_path, monkeypatch, view):
    real = builtins.__import__

    def without_scipy(name, *rest, **more):
        if name.partition(".")[0] == "scipy":
            raise ModuleNotFoundError("No module named 'scipy'", name="scipy")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_scipy)
    for write in (lambda: GraspNetTree(tmp_path), lambda: write_graspnet_demo(tmp_path, "s", "n", view)):
        with pytest.raises(BackendError, match="expected the package 'scipy', which writes meta.mat, got none; pip"):
            write()
