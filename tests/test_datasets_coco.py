"""COCO annotations: what is painted, what is wrong with a file, and how it is told."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from datasettrees import HEIGHT, WIDTH, coco_json, color, errors, ids, save

from uois_sam_ros.datasets import coco_file
from uois_sam_ros.datasets.base import NO_CAMERA, NO_DEPTH_FILE
from uois_sam_ros.datasets.coco import HIDDEN, NO_MASK, UNLABELLED, Coco
from uois_sam_ros.datasets.coco_file import CLASHING, LISTED_TWICE, ORPHAN, SAME_ID, CocoFile
from uois_sam_ros.datasets.coco_masks import paint
from uois_sam_ros.datasets.rle import encode_mask
from uois_sam_ros.datasets.tally import Tally
from uois_sam_ros.errors import InputError
from uois_sam_ros.replay.sources import InputOptions
from uois_sam_ros.types import Intrinsics

K = {"fx": 60.0, "fy": 60.0, "cx": 31.5, "cy": 23.5}


def image(number: int, file: str | None = None, **more) -> dict:
    return {"id": number, "file_name": file or f"{number}.png", "height": HEIGHT, "width": WIDTH, **more}


def annotation(number: int, image_id: int, x: int, **more) -> dict:
    """An 8x8 square at (x, 8), as a run-length code."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[8:16, x:x + 8] = True
    return {"id": number, "image_id": image_id, "category_id": 1, "bbox": [x, 8, 8, 8], "iscrowd": 0,
            "segmentation": encode_mask(mask), **more}


def write(root: Path, images: list[dict], annotations: list[dict], *, name="annotations.json", pictures=True) -> Path:
    if pictures:
        for k, entry in enumerate(images):
            save(root / entry["file_name"], color(k))
    coco_json(root / name, images, annotations)
    return root


def test_objects_in_their_order(tmp_path):
    write(tmp_path / "desk", [image(7), image(3)], [annotation(1, 3, 0), annotation(2, 7, 8), annotation(3, 7, 0)])
    dataset = Coco(tmp_path / "desk")
    first, second = dataset
    assert [(s.source, s.name) for s in (first, second)] == [("desk", "7"), ("desk", "3")] and not errors(dataset)
    assert np.array_equal(first.truth, ids(2, 1)) and np.array_equal(second.truth, ids(1))
    assert np.array_equal(first.frame.color, color(0)) and first.frame.depth_m is None and first.ignore is None
    assert pickle.loads(pickle.dumps(dataset)).sample(1).truth.max() == 1, "loader processes get a copy"


def test_polygons_and_lists_of_runs(tmp_path):
    polygon = [0, 8, 8, 8, 8, 16, 0, 16]
    runs = [8 * HEIGHT + 8] + [8, HEIGHT - 8] * 7 + [8, (WIDTH - 16) * HEIGHT + HEIGHT - 16]
    write(tmp_path, [image(1)], [annotation(1, 1, 0, segmentation=[polygon]),
                                 annotation(2, 1, 8, segmentation={"size": [HEIGHT, WIDTH], "counts": runs})])
    assert np.array_equal(Coco(tmp_path).sample(0).truth, ids(1, 2))


def test_later_objects_lie_on_top_and_hidden_ones_are_counted(tmp_path):
    write(tmp_path, [image(1)], [annotation(1, 1, 0), annotation(2, 1, 4), annotation(3, 1, 4)])
    dataset = Coco(tmp_path)
    truth = dataset.sample(0).truth
    assert (truth[8, :13].tolist(), dataset.tally.count(HIDDEN)) == ([1] * 4 + [3] * 8 + [0], 1)


def test_crowds_are_not_scored(tmp_path):
    write(tmp_path, [image(1)], [annotation(1, 1, 0), annotation(2, 1, 4, iscrowd=1)])
    sample = Coco(tmp_path).sample(0)
    assert np.array_equal(sample.truth, ids(1)) and sample.ignore.sum() == 64 and sample.ignore[8, 4:12].all()


def test_annotations_without_masks(tmp_path):
    """Some: their boxes are not scored, and counted. All of them: the frame is refused."""
    boxes = [{"id": 8, "image_id": 1, "bbox": [4, 8, 8, 8]}, annotation(9, 2, 0, segmentation=[]),
             {"id": 10, "image_id": 3, "bbox": None}]
    write(tmp_path, [image(1), image(2), image(3)], [annotation(1, 1, 0), *boxes, annotation(11, 3, 0)])
    dataset = Coco(tmp_path)
    first, second, third = dataset
    assert np.array_equal(first.truth, ids(1)), "a box hides nothing that is known"
    assert first.ignore.sum() == 32 and first.ignore[8, 8:12].all() and third.ignore is None
    assert second.error.startswith("2.png: expected masks (segmentation), got 1 annotations without one")
    assert dataset.tally.count(NO_MASK) == 2 and dataset.notes[0].startswith("COCO folder: 2 x annotation without mask")


def test_images_without_annotations_are_not_labelled(tmp_path):
    write(tmp_path, [image(1), image(2, labelled=True)], [])
    dataset = Coco(tmp_path)
    unlabelled, empty = dataset
    assert unlabelled.truth is None and dataset.tally.count(UNLABELLED) == 1
    assert empty.truth is not None and empty.truth.max() == 0


@pytest.mark.parametrize(("numbers", "expected"), [
    ((5, 9), (5, 9)), ((5, 5), (1, 2)), ((5, None), (1, 2)), ((0, 3), (1, 2)), ((5, 70000), (1, 2))])
def test_label_ids(tmp_path, numbers, expected):
    annotations = [annotation(k, 1, 8 * k, **({} if n is None else {"label_id": n})) for k, n in enumerate(numbers)]
    write(tmp_path, [image(1)], annotations)
    assert np.array_equal(Coco(tmp_path).sample(0).truth, ids(*expected))


@pytest.mark.parametrize(("change", "message"), [
    ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": "05"}}, "annotation 2: expected runs that add up to 64x48"),
    ({"segmentation": {"size": [24, 32], "counts": [768]}}, "expected a mask of 64x48 like the picture, got 32x24"),
    ({"segmentation": [[1, 2]]}, "three corners or more"),
    ({"segmentation": "abc"}, "run-length code or polygons, got str")])
def test_a_damaged_mask_refuses_its_frame_alone(tmp_path, change, message):
    write(tmp_path, [image(1), image(2)], [annotation(1, 1, 0), annotation(2, 1, 8, **change), annotation(3, 2, 0)])
    first, second = Coco(tmp_path)
    assert message in first.error and first.error.startswith("1.png, ") and second.error is None


def test_bad_pictures_do_not_end_the_run(tmp_path):
    images = [image(n) for n in range(1, 6)]
    write(tmp_path, images, [annotation(n, n, 0) for n in range(1, 6)])
    (tmp_path / "2.png").write_bytes(b"\x89PNG")
    (tmp_path / "3.png").unlink()
    save(tmp_path / "4.png", color(4, (24, 32)))
    samples = list(Coco(tmp_path))
    assert [sample.error is None for sample in samples] == [True, False, False, False, True]
    assert "cannot be decoded" in samples[1].error and "3.png: expected the picture in" in samples[2].error
    assert "4.png: expected 64x48 as annotations.json says, got 32x24" in samples[3].error
    assert Coco(tmp_path).inventory().missing == ("1 files (file_name): 3.png",)


def test_duplicated_ids(tmp_path):
    images = [image(1), image(1), image(2, "a.png"), image(2, "b.png"), image(3)]
    annotations = [annotation(1, 1, 0), annotation(5, 2, 0), annotation(6, 3, 0), annotation(6, 3, 8)]
    dataset = Coco(write(tmp_path, images, annotations))
    assert [dataset.where(k)[1] for k in range(len(dataset))] == ["1", "a", "b", "3"]
    refused = errors(dataset)
    assert list(refused) == [f"{tmp_path.name}/a", f"{tmp_path.name}/b"]
    assert "expected an image id of its own, got 2, which another picture has too" in refused[f"{tmp_path.name}/a"]
    assert np.array_equal(dataset.sample(3).truth, ids(1, 2)), "the same annotation id twice is two objects"
    assert {key: dataset.tally.count(key) for key in (LISTED_TWICE, CLASHING, SAME_ID, ORPHAN)} == {
        LISTED_TWICE: 1, CLASHING: 1, SAME_ID: 1, ORPHAN: 0}
    assert "id 6" in dataset.notes[-1]


def test_annotations_of_unlisted_images(tmp_path):
    dataset = Coco(write(tmp_path, [image(1)], [annotation(1, 1, 0), annotation(2, 99, 0), annotation(3, 1.0, 8)]))
    assert dataset.tally.count(ORPHAN) == 1 and "annotation 2, image 99" in dataset.notes[0]
    assert np.array_equal(dataset.sample(0).truth, ids(1, 2)), "1.0 is the image 1"


def test_depth_and_camera(tmp_path):
    more = {"depth_file_name": "d/1.png", "depth_scale": 0.001, "intrinsics": K}
    images = [image(1, **more), image(2, **{**more, "depth_file_name": "d/none.png"}),
              image(3, depth_file_name="d/1.png"), image(4, depth_file_name="d/1.png", intrinsics=K),
              image(5, **{**more, "intrinsics": {"fx": 1}})]
    write(tmp_path, images, [])
    save(tmp_path / "d/1.png", np.full((HEIGHT, WIDTH), 800, np.uint16))
    dataset = Coco(tmp_path)
    samples = list(dataset)
    assert np.allclose(samples[0].frame.depth_m, 0.8) and samples[0].frame.intrinsics == Intrinsics(**K)
    assert samples[1].frame.depth_m is None and dataset.tally.count(NO_DEPTH_FILE) == 1
    assert samples[2].frame.depth_m is None and dataset.tally.count(NO_CAMERA) == 1
    assert "expected depth_scale in annotations.json" in samples[3].error
    assert "expected intrinsics with fx, fy, cx, cy" in samples[4].error
    options = InputOptions(intrinsics=Intrinsics(**K), depth_scale=0.002)
    assert np.allclose(Coco(tmp_path, options=options).sample(2).frame.depth_m, 1.6)
    assert Coco(tmp_path, options=InputOptions(read_depth=False)).sample(4).error is None
    assert "1 files (depth_file_name): d/none.png" in dataset.inventory().missing


@pytest.mark.parametrize(("file", "picture"), [
    ("annotations.json", "1.png"), ("annotations.json", "images/1.png"), ("_annotations.coco.json", "1.png"),
    ("annotations/instances_default.json", "images/1.png"), ("annotations/instances_default.json", "1.png")])
def test_layouts_of_annotation_tools(tmp_path, file, picture):
    save(tmp_path / picture, color())
    coco_json(tmp_path / file, [image(1)], [annotation(1, 1, 0)])
    for root in (tmp_path, tmp_path / file):
        (sample,) = Coco(root)
        assert sample.error is None and np.array_equal(sample.truth, ids(1))


def test_which_file(tmp_path):
    for name in ("train", "val"):
        coco_json(tmp_path / f"annotations/{name}.json", [image(1)], [])
    with pytest.raises(InputError, match="expected one annotation file, got train.json, val.json; name it: coco:"):
        Coco(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="expected one annotation file, got none"):
        Coco(tmp_path / "empty")
    coco_json(tmp_path / "other/annotations.json", [], [])
    with pytest.raises(InputError, match="expected annotations.json"):
        Coco(tmp_path / "other")


@pytest.mark.parametrize(("content", "message"), [
    (b"", "empty"), (b"{", "ends at byte 1, in the middle"), (b"[]", r"'\[' in place of \{ at byte 0"),
    (b'{"annotations": []}', "without a list of images"), (b'{"images": [{"id": 1}]}', "without id or file_name"),
    (b'{"images": [{"id": 1, "file_name": "a.png"}', "ends at byte"), (b'{"images": [1 2]}', "without id"),
    (b'{"images": [], "annotations": [{"id": 1 "a"}]}', "delimiter"), (b'{"images": {}}', r"in place of \["),
    (b'{"images": [], "annotations": [{}', "ends at byte"), (b'{"images": [], "x": nope}', "Expecting value")])
def test_damaged_files(tmp_path, content, message):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=f"a.json: expected COCO annotations.*{message}"):
        CocoFile(tmp_path / "a.json", Tally())


@pytest.mark.parametrize("window", [1, 7, 100, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_any_window_and_any_writing(tmp_path, monkeypatch, window, indent, ascii_only):
    monkeypatch.setattr(coco_file, "_WINDOW", window)
    images = [image(n, f"bänke/日本/{n}.png", coco_url="x" * 50) for n in range(4)]
    annotations = [annotation(n, n % 4, 0, note="ü\n\"]},") for n in range(9)]
    data = {"licenses": [{"name": "[{"}], "annotations": annotations, "images": images, "n": 1.5e3, "categories": None}
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only)
    (tmp_path / "a.json").write_text(("" if ascii_only else "\ufeff") + text, encoding="utf-8")
    file = CocoFile(tmp_path / "a.json", Tally())
    assert [entry["file_name"] for entry in file.images] == [f"bänke/日本/{n}.png" for n in range(4)]
    assert "coco_url" not in file.images[0]
    for n in range(4):
        assert file.annotations(n) == annotations[n::4]


def test_a_file_that_changes_while_it_is_read(tmp_path):
    file = CocoFile(coco_json(tmp_path / "a.json", [image(1)], [annotation(1, 1, 0)]), Tally())
    (tmp_path / "a.json").write_text("x" * 5000)
    with pytest.raises(InputError, match="do not change the file while it is read"):
        file.annotations(0)


def test_names_of_pictures_in_folders(tmp_path):
    write(tmp_path, [image(1, "a/x.png"), image(2, "b/x.png"), image(3, "c.png", source="desk", name="mine")], [])
    dataset = Coco(tmp_path)
    assert [dataset.where(k) for k in range(3)] == [(tmp_path.name, "a_x"), (tmp_path.name, "b_x"), ("desk", "mine")]


def test_paint_prefers_the_visible_mask():
    both = annotation(1, 1, 0, visible_mask=annotation(0, 0, 16)["segmentation"])
    assert np.array_equal(paint([both], (HEIGHT, WIDTH), "m").label, ids(0, 0, 1))
    assert np.array_equal(paint([both], (HEIGHT, WIDTH), "m", "segmentation").label, ids(1))
