"""``train hpg`` and ``train hdnet`` on data and checkpoints that are not as they should be: counted, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")
from datasettrees import save_indexed  # noqa: E402
from picturefiles import write_source  # noqa: E402
from tinynets import write_tiny_checkpoints  # noqa: E402

from uois_sam_ros.cli import main  # noqa: E402
from uois_sam_ros.images import read_label  # noqa: E402
from uois_sam_ros.models.heads import load_head  # noqa: E402
from uois_sam_ros.training.frames import LabelledFrames  # noqa: E402
from uois_sam_ros.training.prepare import make_item  # noqa: E402

NAMES = tuple("abcdefgh")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return write_tiny_checkpoints(tmp_path_factory.mktemp("weights"))


def train(stage, data, out, sam, *more) -> int:
    return main(["train", stage, "--preset", "shared-tiny", "--sam", str(sam), "--data", data, "--out", str(out),
                 "--threads", "1", "--workers", "0", "--epochs", "1", *more])


def annotations(folder: Path) -> Path:
    return next(folder.rglob("annotations.json"))


def test_a_run_names_what_it_leaves_out_and_goes_on(weights, tmp_path, capsys):
    """Eight frames: one unreadable in the middle, one without masks, two that bear one id; four are left, and whole."""
    write_source(tmp_path / "desk", NAMES)
    assert main(["dataset", "to-coco", str(tmp_path / "desk"), "--out", str(tmp_path / "coco")]) == 0
    file = annotations(tmp_path / "coco")
    content = json.loads(file.read_text())
    images = content["images"]
    torn = file.parent / images[1]["file_name"]
    torn.write_bytes(torn.read_bytes()[:200])
    for entry in content["annotations"]:
        if entry["image_id"] == images[3]["id"]:
            del entry["segmentation"]
    images[5]["id"] = images[4]["id"]
    file.write_text(json.dumps(content))
    for stage, more in (("hpg", ["--widths", "8,8", "--batch", "2"]), ("hdnet", ["--clicks", "6"])):
        assert train(stage, f"coco:{tmp_path / 'coco'}", tmp_path / "run", weights / "sam_tiny.pth", *more) == 0
        shown = capsys.readouterr().out
        assert "3 frames to train on, 1 to validate with" in shown
        for part, count in (("is cut off", 1), ("expected masks (segmentation)", 1),
                            ("expected an image id of its own", 2)):
            assert shown.count(part) == count, (part, shown)
    assert load_head(tmp_path / "run/hdnet.pth", "sam_tiny_hdnet")[1]["frames"] == 3


def test_what_is_missing_to_validate_with_is_said(weights, tmp_path, capsys):
    """The last frame of a source validates; here it is the one that cannot be read."""
    folder = write_source(tmp_path / "desk", NAMES[:4])
    (folder / "d_color.png").write_bytes(b"")
    assert train("hpg", str(folder), tmp_path / "run", weights / "sam_tiny.pth") == 2
    assert "expected labelled frames to validate with, got none (1 x refused: " in capsys.readouterr().err


def test_labels_with_a_palette_are_the_same_labels(tmp_path):
    """The ids are what is stored; the colours are for the eye."""
    plain, indexed = (write_source(tmp_path / name, ("a",)) for name in ("plain", "indexed"))
    label = read_label(plain / "a_label.png")
    save_indexed(indexed / "a_label.png", label)
    assert (indexed / "a_label.png").read_bytes()[25] == 3, "the colour type of an indexed PNG"
    items = [make_item(sample) for folder in (plain, indexed) for _, sample in LabelledFrames(str(folder)).read([0])]
    assert items[0].labelled_key == items[1].labelled_key and np.array_equal(items[1].label(), label)


def test_missing_depth_changes_nothing(weights, tmp_path):
    """The backbones see colour alone."""
    folder = write_source(tmp_path / "desk", NAMES[:3])
    for path in (folder / "b_depth.png", folder / "c_depth.png"):
        path.unlink()
    assert train("hdnet", str(folder), tmp_path / "run", weights / "sam_tiny.pth", "--clicks", "6") == 0
    assert load_head(tmp_path / "run/hdnet.pth", "sam_tiny_hdnet")[1]["frames"] == 2


@pytest.mark.parametrize("stage", ["hpg", "hdnet"])
@pytest.mark.parametrize("file, words", [
    ("dinov2_tiny.pth", "expected SAM tiny, got DINOv2 tiny"), ("head.pth", "expected SAM tiny, got sam_tiny_hpg"),
    ("model.onnx", "no checkpoint"), ("picture.png", "no checkpoint")])
def test_checkpoints_of_another_kind(weights, tmp_path, capsys, stage, file, words):
    given = tmp_path / file
    if file == "head.pth":
        torch.save({"network": "sam_tiny_hpg", "state": {"layer": torch.zeros(3)}}, given)
    else:
        given.write_bytes((weights / file).read_bytes() if file.startswith("dinov2") else b"\x08\x09" * 4000)
    folder = write_source(tmp_path / "desk", ("a", "b"))
    assert train(stage, str(folder), tmp_path / "run", given) == 2
    assert words in capsys.readouterr().err
    assert not list((tmp_path / "run").glob("*.pth"))
