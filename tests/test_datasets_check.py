"""``uois-sam dataset``: counts against the published ones, what is missing by name, samples read whole, a picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from datasettrees import coco_json, ids, save, save_triple

from uois_sam_ros.cli import main
from uois_sam_ros.datasets.check import check_dataset, format_check, spread
from uois_sam_ros.datasets.osd import PARTS, Osd

FOLDERS = ("image_color", "disparity", "annotation")
NAMES = tuple(f"{part}{number}" for part, count in PARTS.items() for number in range(count))


def write(root: Path, names=NAMES) -> Path:
    for name in names:
        save_triple(root, FOLDERS, name, ids(1, 2, shape=(16, 24)))
    return root


def test_a_complete_data_set(tmp_path, capsys):
    assert main(["dataset", "check", "osd", str(write(tmp_path)), "--samples", "3"]) == 0
    printed = capsys.readouterr().out
    for line in ("found 111, published 111: as it should be", "learn 45, test 66",
                 "read      3 of 111 frames whole: 3 good", "image_color,annotation,disparity",
                 "of NVlabs/UnseenObjectClustering",
                 "unverified on the real files so far; here the count is the published one"):
        assert line in printed
    rows = [line.split() for line in printed.splitlines() if line.strip().startswith(("learn/", "test/"))]
    assert [row[0] for row in rows] == ["learn/learn0", "test/test10", "test/test65"]
    assert " ".join(rows[0]) == "learn/learn0 24x16 2 100 % valid, median 0.80 m 525.0 525.0 319.5 239.5"


def test_what_is_missing_and_what_is_broken(tmp_path, capsys):
    write(tmp_path, [name for name in NAMES if name not in ("test7", "learn3")])
    (tmp_path / "image_color/test65.png").write_bytes(b"x")
    (tmp_path / "disparity/learn0.png").unlink()
    assert main(["dataset", "check", "osd", str(tmp_path), "--samples", "2"]) == 1
    printed = capsys.readouterr().out
    for line in ("found 109, published 111: 2 missing", "missing   2 pictures: learn3, test7",
                 "missing   1 depth image: learn/learn0", "read      2 of 109 frames whole: 1 good, 1 refused",
                 "refused   test/test65: ",
                 "note      OSD: 1 x no depth image: read as colour only (first: learn/learn0)"):
        assert line in printed
    assert printed.splitlines()[-1] == "status    unverified on the real files"


def test_a_refused_sample_fails_a_complete_data_set(tmp_path):
    write(tmp_path)
    save(tmp_path / "annotation/test9.png", np.zeros((16, 24, 3), np.uint8) + np.uint8([1, 2, 3]))
    assert main(["dataset", "check", "osd", str(tmp_path), "--samples", "0"]) == 1
    assert main(["dataset", "check", "osd@learn", str(tmp_path), "--samples", "0"]) == 0


def test_too_many(tmp_path):
    found = check_dataset(Osd(write(tmp_path, (*NAMES, "extra1"))), 1)
    assert not found.passed and "published 111: 1 too many" in format_check(found)


def test_parts_without_a_published_count(tmp_path, capsys):
    coco_json(tmp_path / "annotations.json", [{"id": 1, "file_name": "a.png"}], [])
    save(tmp_path / "a.png", np.zeros((16, 24, 3), np.uint8))
    assert main(["dataset", "check", "coco", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "found 1, none is published for this part" in printed and "checked against pycocotools" in printed


@pytest.mark.parametrize(("total", "count", "expected"), [
    (10, 3, [0, 4, 9]), (3, 5, [0, 1, 2]), (3, 0, [0, 1, 2]), (5, 1, [0])])
def test_spread(total, count, expected):
    assert spread(total, count) == expected


def test_long_tables_are_cut_and_hold_no_pixels(tmp_path):
    """Checking all of 45,000 frames must neither keep their pixels nor print a row each."""
    found = check_dataset(Osd(write(tmp_path)), 0)
    assert len(found.looks) == 111 and all(isinstance(value, str) for value in vars(found.looks[0]).values())
    assert "and 81 more" in format_check(found) and len(format_check(found).splitlines()) < 50


def test_list_names_all(capsys):
    assert main(["dataset", "list"]) == 0
    printed = capsys.readouterr().out
    for text in ("ocid: OCID", "2,390", "45,000", "23,040", "@kinect", "@all", "adet/data/uoais.py of gist-ailab/uoais",
                 "NAME@word,word:ROOT"):
        assert text in printed
    assert printed.count("status        unverified on the real files") == 6


def test_preview(tmp_path, capsys):
    write(tmp_path, NAMES[:5])
    (tmp_path / "disparity/learn1.png").unlink()
    out = tmp_path / "p/osd.png"
    assert main(["dataset", "preview", "osd", str(tmp_path), "--out", str(out), "--frames", "3"]) == 0
    picture = cv2.imread(str(out))
    assert picture.shape == (2 * 258, 2 * 960, 3)
    assert len(np.unique(picture[20:230, 640:950].reshape(-1, 3), axis=0)) >= 3, "labels are tinted"
    (tmp_path / "image_color/learn0.png").write_bytes(b"x")
    assert main(["dataset", "preview", "osd", str(tmp_path), "--out", str(tmp_path / "q.png")]) == 1
    assert "refused learn/learn0: " in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "message"), [
    (["check", "osd", "/none"], "expected its folder"), (["check", "abc", "/"], "expected one of uoais-sim"),
    (["check", "osd", "/", "--samples", "-1"], "--samples: expected 0"),
    (["preview", "osd", "/", "--out", "x", "--frames", "0"], "--frames: expected 1")])
def test_refusals(arguments, message, capsys):
    assert main(["dataset", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_preview_that_cannot_be_written(tmp_path, capsys):
    write(tmp_path, NAMES[:1])
    assert main(["dataset", "preview", "osd", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "expected a file that can be written" in capsys.readouterr().err
