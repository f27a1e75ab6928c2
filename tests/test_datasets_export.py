"""Labels to COCO and back: the same pixels, depth and camera, whatever the tool edits."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from picturefiles import write_source
from tabletop import tabletop

from uois_sam_ros.cli import main
from uois_sam_ros.datasets.coco import Coco
from uois_sam_ros.datasets.coco_export import CocoWriter
from uois_sam_ros.errors import InputError
from uois_sam_ros.replay.sources import open_input
from uois_sam_ros.types import Frame


def scribbled(seed: int, shape=(96, 128)) -> np.ndarray:
    """A label with holes, islands, border contact, objects inside holes, and ids with gaps."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.random(shape).astype(np.float32), (0, 0), 4)
    label = np.digitize(noise, np.quantile(noise, np.linspace(0, 1, 9)[1:-1])).astype(np.uint16)
    label = np.array([0, 3, 300, 0, 7, 65535, 0, 1], np.uint16)[label]
    label[40:60, 50:70] = 9
    label[46:52, 56:62] = 0
    label[48, 58] = 11
    return label


@pytest.mark.parametrize("polygons", [False, True])
def test_every_pixel_comes_back(tmp_path, polygons):
    frame, truth, _ = tabletop()
    labels = [scribbled(seed) for seed in range(4)] + [np.zeros((96, 128), np.uint16)]
    color = np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8)
    ignore = np.zeros(truth.shape, bool)
    ignore[:40, :100] = True
    with CocoWriter(tmp_path / "c", polygons=polygons) as writer:
        for k, label in enumerate(labels):
            assert writer.add("scribble", f"s{k}", Frame(color, name="x"), label) == len(np.unique(label)) - 1
        writer.add("desk", "a", frame, truth, ignore=ignore)
        writer.add("desk", "b", frame)
    samples = list(Coco(tmp_path / "c"))
    assert [(s.source, s.name, s.error) for s in samples] == [
        *(("scribble", f"s{k}", None) for k in range(5)), ("desk", "a", None), ("desk", "b", None)]
    for sample, label in zip(samples, labels):
        assert np.array_equal(sample.truth, label) and np.array_equal(sample.frame.color, color)
    desk, unlabelled = samples[5:]
    assert np.array_equal(desk.truth, truth) and np.array_equal(desk.ignore, ignore)
    assert desk.frame.intrinsics == frame.intrinsics and np.abs(desk.frame.depth_m - frame.depth_m).max() < 0.00013
    assert unlabelled.truth is None and unlabelled.ignore is None


def test_annotations_are_plain_coco(tmp_path):
    label = np.zeros((96, 128), np.uint16)
    label[10:20, 30:50] = 4
    with CocoWriter(tmp_path) as writer:
        writer.add("s", "a", Frame(np.zeros((96, 128, 3), np.uint8)), label, scores={4: 0.75})
    data = json.loads((tmp_path / "annotations.json").read_text())
    (image,), (annotation,), (category,) = data["images"], data["annotations"], data["categories"]
    assert (image["width"], image["height"], image["file_name"]) == (128, 96, "images/s/a.png")
    assert annotation["bbox"] == [30, 10, 20, 10] and annotation["area"] == 200 and annotation["iscrowd"] == 0
    assert (annotation["image_id"], annotation["category_id"]) == (image["id"], category["id"])
    assert (annotation["score"], annotation["label_id"]) == (0.75, 4)
    assert not (tmp_path / "annotations.json.part").exists()


def test_pycocotools_loads_it(tmp_path, capsys):
    api = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    labels = [scribbled(1), scribbled(2)]
    for polygons in (False, True):
        folder = tmp_path / str(polygons)
        with CocoWriter(folder, polygons=polygons) as writer:
            for k, label in enumerate(labels):
                writer.add("s", f"{k}", Frame(np.zeros((96, 128, 3), np.uint8)), label)
        coco = api.COCO(str(folder / "annotations.json"))
        for label, image_id in zip(labels, coco.getImgIds()):
            painted = np.zeros_like(label)
            for annotation in coco.loadAnns(coco.getAnnIds(image_id)):
                painted[coco.annToMask(annotation) > 0] = annotation["label_id"]
            assert np.array_equal(painted, label)


def test_mended_annotations_are_never_overwritten(tmp_path):
    (tmp_path / "annotations.json").write_text("{}")
    with pytest.raises(InputError, match="may have been mended: choose another folder"):
        CocoWriter(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="expected a folder that can be written"):
        CocoWriter(tmp_path / "file")


def test_a_run_that_fails_leaves_no_annotations(tmp_path):
    with pytest.raises(InputError, match="label of s/a: expected 128x96 like the colour image, got 16x16"):
        with CocoWriter(tmp_path) as writer:
            writer.add("s", "a", Frame(np.zeros((96, 128, 3), np.uint8)), np.zeros((16, 16), np.uint16))
    assert not list(tmp_path.glob("annotations.json*"))


@pytest.mark.parametrize("more", [[], ["--polygons"]])
def test_command_on_a_folder(tmp_path, capsys, more):
    write_source(tmp_path / "in/desk", ("a", "b"))
    write_source(tmp_path / "in/shelf", ("c",), label=False)
    assert main(["dataset", "to-coco", str(tmp_path / "in"), "--out", str(tmp_path / "out"), *more]) == 0
    assert "3 frames, 2 of them labelled with 6 objects, 0 refused" in capsys.readouterr().out
    before, after = list(open_input(tmp_path / "in")), list(open_input(f"coco:{tmp_path / 'out'}"))
    assert [(s.source, s.name) for s in before] == [(s.source, s.name) for s in after]
    for one, other in zip(before, after):
        assert (one.truth is None) == (other.truth is None)
        assert one.truth is None or np.array_equal(one.truth, other.truth)
        assert np.abs(one.frame.depth_m - other.frame.depth_m).max() < 1e-6, "whole millimetres stay what they are"
    assert main(["dataset", "to-coco", str(tmp_path / "in"), "--out", str(tmp_path / "out"), *more]) == 2


def test_command_on_predictions(tmp_path, capsys):
    write_source(tmp_path / "desk", ("a", "b"), label=False)
    assert main(["segment", str(tmp_path / "desk"), "--out", str(tmp_path / "found"), "--preset", "geometry"]) == 0
    (tmp_path / "found/desk/b_label.png").unlink()
    out = tmp_path / "edit"
    export = ["dataset", "to-coco", str(tmp_path / "desk"), "--labels", str(tmp_path / "found"), "--out"]
    assert main([*export, str(out)]) == 1
    streams = capsys.readouterr()
    assert "1 frames, 1 of them labelled with 3 objects, 1 refused" in streams.out
    assert "refused desk/b: " in streams.err and "b_label.png: expected a readable image file" in streams.err
    (sample,) = Coco(out)
    found = cv2.imread(str(tmp_path / "found/desk/a_label.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(sample.truth, found)
    scores = [item["score"] for item in json.loads((out / "annotations.json").read_text())["annotations"]]
    assert all(0 < score <= 1 for score in scores)
    (tmp_path / "found/desk/a.json").write_text("[]")
    assert main([*export, str(tmp_path / "again")]) == 1
    assert "expected the instances that 'uois-sam segment' wrote" in capsys.readouterr().err
