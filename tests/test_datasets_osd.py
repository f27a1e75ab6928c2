"""OSD: 111 names that are known, indexed labels, depth in a folder called disparity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datasettrees import errors, ids, save_triple

from uois_sam_ros.datasets.osd import OPENNI, PARTS, Osd
from uois_sam_ros.errors import InputError

FOLDERS = ("image_color", "disparity", "annotation")


def write(root: Path, names) -> Path:
    for seed, name in enumerate(names):
        save_triple(root, FOLDERS, name, ids(1, 2, 7), seed=seed, indexed=True)
    return root


def test_frames_in_natural_order(tmp_path):
    samples = list(Osd(write(tmp_path, ("test10", "test2", "learn0"))))
    assert [(s.source, s.name) for s in samples] == [("learn", "learn0"), ("test", "test2"), ("test", "test10")]
    assert not errors(samples)
    for sample in samples:
        assert set(np.unique(sample.truth)) == {0, 1, 2, 7}, "0 alone is background"
        assert sample.frame.intrinsics == OPENNI and np.allclose(sample.frame.depth_m, 0.8)


def test_count_and_missing_names(tmp_path):
    names = [f"{part}{number}" for part, count in PARTS.items() for number in range(count)]
    assert len(names) == 111
    small = ids(1, shape=(16, 16))
    for name in names:
        save_triple(tmp_path, FOLDERS, name, small)
    inventory = Osd(tmp_path).inventory()
    assert inventory.complete and (inventory.found, inventory.groups) == (111, {"learn": 45, "test": 66})
    (tmp_path / "image_color/test3.png").unlink()
    (tmp_path / "annotation/learn5.png").unlink()
    inventory = Osd(tmp_path).inventory()
    assert not inventory.complete and inventory.missing == ("1 pictures: test3", "1 label image: learn/learn5")
    assert Osd(tmp_path, ["learn"]).inventory().published == 45
    assert Osd(tmp_path, ["test"]).inventory().missing == ("1 pictures: test3",)


def test_a_colour_picture_is_no_label(tmp_path):
    from datasettrees import color, save

    save(write(tmp_path, ("learn0", "learn1")) / "annotation/learn0.png", color(3))
    first, second = Osd(tmp_path)
    assert "expected labels as uint8 or uint16[H, W]" in first.error and "write ids, not colours" in first.error
    assert second.error is None


def test_other_folders_are_refused(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match="image_color,annotation,disparity"):
        Osd(tmp_path)
