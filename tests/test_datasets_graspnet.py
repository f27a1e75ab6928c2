"""GraspNet-1Billion: scenes, cameras and splits of the public tree, and what this package writes in its layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datasettrees import errors, ids, save_triple
from tabletop import tabletop

from uois_sam_ros.datasets.graspnet import DEFAULTS, NO_CAMERA_FILE, GraspNet
from uois_sam_ros.errors import InputError
from uois_sam_ros.types import Intrinsics

SMALL = (16, 24)
MATRIX = np.array([[900.0, 0, 12], [0, 901.0, 8], [0, 0, 1]])


def write(root: Path, scenes, views: int = 1, camera: str = "realsense", *, matrix=True) -> Path:
    for scene in scenes:
        folder = root / "scenes" / f"scene_{scene:04d}" / camera
        for k in range(views):
            save_triple(folder, ("rgb", "depth", "label"), f"{k:04d}", ids(1, 88, shape=SMALL), seed=k)
        if matrix:
            np.save(folder / "camK.npy", MATRIX)
    return root


def test_the_test_split_by_its_three_groups(tmp_path):
    dataset = GraspNet(write(tmp_path, (5, 100, 135, 189), views=2))
    assert [dataset.where(k) for k in range(len(dataset))] == [
        ("test_seen", "scene_0100_0000"), ("test_seen", "scene_0100_0001"), ("test_similar", "scene_0135_0000"),
        ("test_similar", "scene_0135_0001"), ("test_novel", "scene_0189_0000"), ("test_novel", "scene_0189_0001")]
    assert not errors(dataset)
    sample = dataset.sample(3)
    assert set(np.unique(sample.truth)) == {0, 1, 88}
    assert sample.frame.intrinsics == Intrinsics(900.0, 901.0, 12.0, 8.0) and np.allclose(sample.frame.depth_m, 0.8)
    assert len(GraspNet(tmp_path / "scenes")) == 6, "the folder scenes itself will do"


@pytest.mark.parametrize(("words", "names"), [
    (["train"], ["scene_0005_0000"]), (["test_novel"], ["scene_0189_0000"]),
    (["test_similar", "realsense"], ["scene_0135_0000"]), (["kinect"], ["scene_0100_0000"]),
    (["every_scene"], [f"scene_{n:04d}_0000" for n in (5, 100, 135, 189)])])
def test_words(tmp_path, words, names):
    write(tmp_path, (5, 100, 135, 189))
    write(tmp_path, (100,), camera="kinect")
    dataset = GraspNet(tmp_path, words)
    assert [dataset.where(k)[1] for k in range(len(dataset))] == names


def test_constants_where_the_matrix_is_missing(tmp_path):
    write(tmp_path, (100,), views=2, matrix=False)
    write(tmp_path, (101,), camera="kinect", matrix=False)
    dataset = GraspNet(tmp_path)
    assert all(sample.frame.intrinsics == DEFAULTS["realsense"] for sample in dataset)
    assert dataset.tally.count(NO_CAMERA_FILE) == 1, "once a scene"
    assert GraspNet(tmp_path, ["kinect"]).sample(0).frame.intrinsics == DEFAULTS["kinect"]


def test_published_counts():
    counts = GraspNet.info.published
    assert (counts[""], counts["kinect"], counts["train"], counts["kinect,test_seen"]) == (23040, 23040, 25600, 7680)
    assert counts["every_scene"] == 48640


def test_missing_scenes_and_views(tmp_path):
    write(tmp_path, range(160, 190), views=1)
    (tmp_path / "scenes/scene_0161/realsense/depth/0000.png").unlink()
    (tmp_path / "scenes/scene_0189/realsense/rgb/0000.png").unlink()
    inventory = GraspNet(tmp_path, ["realsense", "test_novel"]).inventory()
    assert (inventory.found, inventory.published) == (29, 7680)
    assert inventory.missing[0] == "1 scenes: scene_0189"
    assert inventory.missing[1].startswith("views of 29 scenes: scene_0160 (1 of 256 views), ")
    assert inventory.missing[2] == "1 depth image: test_novel/scene_0161_0000"


def test_bad_matrix_and_bad_words(tmp_path):
    write(tmp_path, (100, 101))
    (tmp_path / "scenes/scene_0100/realsense/camK.npy").write_bytes(b"x")
    np.save(tmp_path / "scenes/scene_0101/realsense/camK.npy", np.zeros(4))
    refused = errors(GraspNet(tmp_path))
    assert len(refused) == 2 and all("camK.npy: expected a 3x3 camera matrix" in text for text in refused.values())
    for words in (["kinect", "realsense"], ["test", "train"]):
        with pytest.raises(InputError, match="read them one after the other"):
            GraspNet(tmp_path, words)
    with pytest.raises(InputError, match="scenes/scene_NNNN"):
        GraspNet(tmp_path, ["test_novel"])


def test_reads_the_tree_that_the_grasping_export_writes(tmp_path):
    pytest.importorskip("scipy")
    from uois_sam_ros.grasping.graspnet_tree import GraspNetTree
    from uois_sam_ros.grasping.points import View

    frame, label, _ = tabletop(height=720, width=1280)
    view = View(frame.depth_m, frame.intrinsics, label, frame.color, "a")
    GraspNetTree(tmp_path, first_scene=100).add("desk", "a", view)
    (sample,) = GraspNet(tmp_path)
    assert sample.error is None and sample.frame.intrinsics == frame.intrinsics
    assert np.abs(sample.frame.depth_m - frame.depth_m).max() < 0.0006
    assert np.array_equal(sample.truth, label)
