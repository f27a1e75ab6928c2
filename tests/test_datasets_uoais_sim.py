"""UOAIS-Sim: visible masks of amodal annotations, splits and kinds of scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datasettrees import HEIGHT, WIDTH, coco_json, color, errors, ids, save

from uois_sam_ros.datasets.base import NO_CAMERA
from uois_sam_ros.datasets.rle import encode_mask
from uois_sam_ros.datasets.uoais_sim import UoaisSim
from uois_sam_ros.errors import InputError
from uois_sam_ros.replay.sources import InputOptions
from uois_sam_ros.types import Intrinsics

NAMES = ("bin/color/000000.png", "bin/color/000001.png", "tabletop/color/000000.png")


def square(x: int, width: int = 8) -> dict:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[8:16, x:x + width] = True
    return encode_mask(mask)


def annotations(image_id: int) -> list[dict]:
    """Two objects, the second of which reaches under the first: amodal 16 wide, visible 8."""
    return [{"id": 2 * image_id + k, "image_id": image_id, "category_id": 1, "bbox": [0, 8, 8, 8], "iscrowd": 0,
             "segmentation": square(0, 8 + 8 * k), "visible_mask": square(8 * k), "visible_bbox": [8 * k, 8, 8, 8],
             "occluded_mask": square(0, 8 * k), "occluded_rate": 0.5 * k} for k in range(2)]


def write(root: Path, split: str = "train", *, names=NAMES, file="coco_anns_uoais_sim_{}.json", change=None) -> Path:
    images, found = [], []
    for number, name in enumerate(names):
        depth = name.replace("color", "depth")
        images.append({"id": number, "file_name": name, "depth_file_name": depth, "height": HEIGHT, "width": WIDTH})
        found += annotations(number)
        save(root / split / name, color(number))
        save(root / split / depth, np.full((HEIGHT, WIDTH), 8000, np.uint16))
    for place, more in (change or {}).items():
        found[place] |= more
    coco_json(root / "annotations" / file.format(split), images, found)
    return root


def test_visible_masks_become_labels(tmp_path):
    dataset = UoaisSim(write(tmp_path / "UOAIS-Sim"))
    samples = list(dataset)
    assert [(s.source, s.name) for s in samples] == [
        ("bin", "bin_color_000000"), ("bin", "bin_color_000001"), ("tabletop", "tabletop_color_000000")]
    assert not errors(samples) and all(np.array_equal(s.truth, ids(1, 2)) for s in samples)


def test_depth_needs_intrinsics(tmp_path):
    dataset = UoaisSim(write(tmp_path))
    assert dataset.sample(0).frame.depth_m is None and dataset.tally.count(NO_CAMERA) == 1
    k = Intrinsics(600.0, 600.0, 31.5, 23.5)
    frame = UoaisSim(tmp_path, options=InputOptions(intrinsics=k)).sample(0).frame
    assert np.allclose(frame.depth_m, 0.8), "tenths of a millimetre"


@pytest.mark.parametrize(("words", "count", "published"), [
    ([], 3, 45000), (["train"], 3, 45000), (["val"], 1, 5000), (["bin"], 2, 22500), (["tabletop", "train"], 1, 22500),
    (["bin", "tabletop"], 3, None)])
def test_parts(tmp_path, words, count, published):
    write(tmp_path)
    write(tmp_path, "val", names=NAMES[:1], file="{}.json")
    dataset = UoaisSim(tmp_path, words)
    assert (len(dataset), dataset.inventory().published) == (count, published)
    assert not errors(dataset)


def test_amodal_masks_never_stand_in_for_visible_ones(tmp_path):
    """An annotation with segmentation alone has no mask; so has an image of such annotations."""
    change = {0: {"visible_mask": None}, 2: {"visible_mask": []}, 3: {"visible_mask": {}}}
    dataset = UoaisSim(write(tmp_path, change=change))
    first, second, third = dataset
    assert np.array_equal(first.truth, ids(0, 1)) and first.ignore.sum() == 64
    assert "bin/color/000001.png: expected masks (visible_mask), got 2 annotations without one" in second.error
    assert third.error is None and "1 x annotation without mask" in dataset.notes[0]


def test_unreadable_frames_in_the_middle_are_skipped_and_named(tmp_path):
    names = tuple(f"tabletop/color/{k:06d}.png" for k in range(40))
    write(tmp_path, names=names)
    broken = (7, 20, 33)
    for k in broken:
        (tmp_path / "train" / names[k]).write_bytes((tmp_path / "train" / names[k]).read_bytes()[:100])
    samples = list(UoaisSim(tmp_path, options=InputOptions(read_depth=False)))
    assert len(samples) == 40 and list(errors(samples)) == [f"tabletop/tabletop_color_{k:06d}" for k in broken]
    assert all("is cut off" in reason for reason in errors(samples).values())


def test_what_is_missing(tmp_path):
    write(tmp_path)
    (tmp_path / "train" / NAMES[1]).unlink()
    inventory = UoaisSim(tmp_path).inventory()
    assert inventory.missing == ("1 files (file_name): bin/color/000001.png",) and not inventory.complete
    with pytest.raises(InputError, match="expected one split, got both"):
        UoaisSim(tmp_path, ["train", "val"])
    with pytest.raises(InputError, match="coco_anns_uoais_sim"):
        UoaisSim(tmp_path, ["val"])
