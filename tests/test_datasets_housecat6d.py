"""HouseCat6D: 41 scenes in three splits, one frame in ten, background 0 and 255."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datasettrees import errors, ids, save_triple

from uois_sam_ros.datasets.housecat6d import SPLITS, HouseCat6D
from uois_sam_ros.errors import InputError
from uois_sam_ros.types import Intrinsics

MATRIX = "9.1e+02 0.0 8.0\n0.0 9.2e+02 7.0\n0.0 0.0 1.0\n"
SMALL = (16, 24)


def label() -> np.ndarray:
    image = ids(1, 2, 3, shape=SMALL)
    image[image == 0] = 255
    image[0] = 0
    return image


def write(root: Path, frames: dict[str, int], *, indexed=True) -> Path:
    for scene, count in frames.items():
        for k in range(count):
            save_triple(root / scene, ("rgb", "depth", "instance"), f"{k:06d}", label(), seed=k, indexed=indexed)
        (root / scene / "intrinsics.txt").write_text(MATRIX)
    return root


@pytest.mark.parametrize("indexed", [True, False])
def test_frames(tmp_path, indexed):
    scenes = {"test_scene1": 11, "scene02": 1, "val_scene2": 1, "scene10": 1}
    dataset = HouseCat6D(write(tmp_path, scenes, indexed=indexed))
    assert [dataset.where(k) for k in range(len(dataset))] == [
        ("scene02", "000000"), ("scene10", "000000"), ("val_scene2", "000000"), ("test_scene1", "000000"),
        ("test_scene1", "000010")]
    assert not errors(dataset)
    sample = dataset.sample(4)
    assert set(np.unique(sample.truth)) == {0, 1, 2, 3}, "0 and 255 are background"
    assert sample.frame.intrinsics == Intrinsics(910.0, 920.0, 8.0, 7.0) and np.allclose(sample.frame.depth_m, 0.8)
    assert sample.tags == {"split": "test"}


@pytest.mark.parametrize(("words", "count"), [
    (["test"], 2), (["test", "all"], 11), (["train"], 1), (["all"], 13), ([], 4)])
def test_words(tmp_path, words, count):
    write(tmp_path, {"test_scene1": 11, "scene02": 1, "val_scene2": 1})
    assert len(HouseCat6D(tmp_path, words)) == count


def test_counts(tmp_path):
    scenes = [scene for split in SPLITS.values() for scene in split]
    assert len(scenes) == 41
    write(tmp_path, {scene: 1 for scene in scenes if scene not in ("scene07", "val_scene1")})
    inventory = HouseCat6D(tmp_path).inventory()
    assert (inventory.found, inventory.published) == (39, 2503)
    assert inventory.missing == ("2 scenes: scene07, val_scene1",)
    assert HouseCat6D(tmp_path, ["test"]).inventory().complete, "no count is published for a split"


@pytest.mark.parametrize("content", ["", "1 2 3", "a b c d e f g h i", "0 0 0 0 0 0 0 0 0"])
def test_bad_intrinsics_refuse_their_scene(tmp_path, content):
    write(tmp_path, {"scene01": 1, "scene02": 1})
    (tmp_path / "scene01/intrinsics.txt").write_text(content)
    refused = errors(HouseCat6D(tmp_path))
    assert list(refused) == ["scene01/000000"] and "expected nine numbers" in refused["scene01/000000"]


def test_what_is_no_housecat(tmp_path):
    (tmp_path / "scene01").mkdir()
    with pytest.raises(InputError, match="HouseCat6D"):
        HouseCat6D(tmp_path)
