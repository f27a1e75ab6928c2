"""PhoCAL: one frame in ten of each sequence, camera and depth unit from scene_camera.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from datasettrees import errors, ids, save, save_triple

from uois_sam_ros.datasets.base import NO_CAMERA
from uois_sam_ros.datasets.phocal import Phocal
from uois_sam_ros.errors import InputError
from uois_sam_ros.types import Intrinsics

CAMERA = {"fx": 1000.0, "fy": 1001.0, "cx": 31.5, "cy": 23.5, "width": 64, "height": 48, "depth_scale": 1000.0}
SMALL = (16, 16)


def write(root: Path, frames: dict[str, int], *, camera=CAMERA, scale=0.001) -> Path:
    label = ids(1, 5, shape=SMALL)
    for sequence, count in frames.items():
        for k in range(count):
            save_triple(root / sequence, ("rgb", "depth", "mask"), f"{k:06d}", label, seed=k, scale=scale)
        if camera is not None:
            (root / sequence / "scene_camera.json").write_text(json.dumps({"rgb": camera, "pol": {}}))
    return root


def test_one_frame_in_ten_of_each_sequence(tmp_path):
    dataset = Phocal(write(tmp_path, {"sequence_10": 11, "sequence_2": 25}))
    assert [dataset.where(k) for k in range(len(dataset))] == [
        ("sequence_2", "000000"), ("sequence_2", "000010"), ("sequence_2", "000020"),
        ("sequence_10", "000000"), ("sequence_10", "000010")]
    assert not errors(dataset) and len(Phocal(tmp_path, ["all"])) == 36
    sample = dataset.sample(1)
    assert set(np.unique(sample.truth)) == {0, 1, 5} and np.allclose(sample.frame.depth_m, 0.8)
    assert sample.frame.intrinsics == Intrinsics(1000.0, 1001.0, 31.5, 23.5)


@pytest.mark.parametrize(("said", "scale"), [(1000.0, 0.001), (1.0, 0.001), (0.1, 0.0001), (None, 0.001)])
def test_both_meanings_of_depth_scale(tmp_path, said, scale):
    camera = {key: value for key, value in {**CAMERA, "depth_scale": said}.items() if value is not None}
    (sample,) = Phocal(write(tmp_path, {"sequence_1": 1}, camera=camera, scale=scale))
    assert np.allclose(sample.frame.depth_m, 0.8)


def test_without_camera_file_it_is_colour_only(tmp_path):
    dataset = Phocal(write(tmp_path, {"sequence_1": 11}, camera=None))
    assert all(sample.frame.depth_m is None for sample in dataset)
    assert dataset.tally.count(NO_CAMERA) == 2 and "pass --intrinsics" in dataset.notes[0]


@pytest.mark.parametrize("content", ["{", "{}", '{"rgb": {"fx": 1}}', '{"rgb": 3}',
                                     json.dumps({"rgb": {**CAMERA, "depth_scale": 0}})])
def test_a_bad_camera_file_refuses_its_sequence_alone(tmp_path, content):
    write(tmp_path, {"sequence_1": 1, "sequence_2": 1})
    (tmp_path / "sequence_1/scene_camera.json").write_text(content)
    refused = errors(Phocal(tmp_path))
    assert list(refused) == ["sequence_1/000000"] and "scene_camera.json: expected" in refused["sequence_1/000000"]


def test_counts(tmp_path):
    frames = {f"sequence_{n}": 1 for n in range(1, 25) if n != 7}
    write(tmp_path, frames)
    (tmp_path / "sequence_3/mask/000000.png").unlink()
    inventory = Phocal(tmp_path).inventory()
    assert (inventory.found, inventory.published) == (23, 721)
    assert inventory.missing == ("1 sequences: sequence_7", "1 label image: sequence_3/000000")
    assert Phocal(tmp_path, ["all"]).inventory().published is None


def test_pictures_may_be_jpeg_and_other_folders_are_not_read(tmp_path):
    write(tmp_path, {"sequence_1": 1})
    rgb = tmp_path / "sequence_1/rgb"
    save(rgb / "000000.jpg", np.zeros((*SMALL, 3), np.uint8))
    (rgb / "000000.png").unlink()
    (tmp_path / "models").mkdir()
    assert not errors(Phocal(tmp_path))
    with pytest.raises(InputError, match="sequence_N"):
        Phocal(tmp_path / "models")
