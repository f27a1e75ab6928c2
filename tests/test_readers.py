"""Folders, pairs and shards: what is read, and one sentence for everything that cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from picturefiles import write_source
from tabletop import tabletop

from uois_sam_ros import Intrinsics
from uois_sam_ros.errors import FrameError, InputError
from uois_sam_ros.replay.folder import fit_intrinsics
from uois_sam_ros.images import to_label, to_metres
from uois_sam_ros.replay.sources import InputOptions, open_input

K = Intrinsics(288.0, 288.0, 159.5, 119.5)


def test_one_source(tmp_path):
    reader = open_input(write_source(tmp_path / "kitchen"))
    samples = list(reader)
    frame, truth, _ = tabletop(noise_m=0.0005, seed=0)
    assert reader.count == 2 and [(s.source, s.name) for s in samples] == [("kitchen", "a"), ("kitchen", "b")]
    assert np.array_equal(samples[0].frame.color, frame.color)
    assert np.abs(samples[0].frame.depth_m - frame.depth_m).max() < 0.00051
    assert np.array_equal(samples[0].truth, truth) and samples[0].truth.dtype == np.uint16
    assert samples[0].frame.intrinsics == K and samples[0].ignore is None


def test_folder_of_sources_in_order(tmp_path):
    for name in ("zoo", "attic"):
        write_source(tmp_path / name, ("x",))
    (tmp_path / "notes").mkdir()
    assert [sample.source for sample in open_input(tmp_path)] == ["attic", "zoo"]


def test_optional_files(tmp_path):
    folder = write_source(tmp_path / "s", ("a",))
    (folder / "a_depth.png").unlink()
    (folder / "a_label.png").unlink()
    ignore = np.zeros((240, 320), np.uint8)
    ignore[:50] = 255
    cv2.imwrite(str(folder / "a_ignore.png"), ignore)
    (sample,) = open_input(folder)
    assert sample.frame.depth_m is None and sample.truth is None
    assert sample.ignore.dtype == bool and sample.ignore.sum() == 50 * 320


def test_facts_of_one_image_win(tmp_path):
    images = [{"name": "a", "depth_scale": 0.002}, {"name": "b"}]
    first, second = open_input(write_source(tmp_path / "s", images=images))
    assert np.allclose(first.frame.depth_m, 2 * second.frame.depth_m, rtol=0.01)


@pytest.mark.parametrize(("native", "intrinsics", "expected", "noted"), [
    (None, K, K, False),
    ((320, 240), K, K, False),
    ((640, 480), Intrinsics(576, 576, 319.5, 239.5), K, False),  # stored at half size
    (None, Intrinsics(576, 576, 319.5, 239.5), Intrinsics(288, 288, 159.5, 119.5), True),  # said nowhere
])
def test_intrinsics_follow_the_picture(native, intrinsics, expected, noted):
    found, tags = fit_intrinsics(intrinsics, (240, 320), native)
    assert found == expected and bool(tags) == noted


def test_options_replace_the_manifest(tmp_path):
    folder = write_source(tmp_path / "s", ("a",), manifest=False)
    (sample,) = open_input(folder)
    assert "a_depth.png: expected depth_scale in manifest.json" in sample.error
    (sample,) = open_input(folder, InputOptions(depth_scale=0.001))
    assert "expected fx, fy, cx, cy together with depth" in sample.error
    (sample,) = open_input(folder, InputOptions(depth_scale=0.001, intrinsics=K))
    assert sample.error is None and sample.frame.intrinsics == K


def corrupt(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:200])


@pytest.mark.parametrize(("damage", "message"), [
    (lambda f: corrupt(f / "a_color.png"), "a_color.png: expected a whole PNG or JPEG image, got 200 bytes.*cut off"),
    (lambda f: corrupt(f / "a_depth.png"), "a_depth.png: expected a whole PNG"),
    (lambda f: (f / "a_color.png").write_bytes(b"hello"), "5 bytes that cannot be decoded"),
    (lambda f: (f / "a_color.png").write_bytes(b""), "0 bytes that cannot be decoded"),
    (lambda f: (f / "a_color.png").unlink(), "a_color.png: expected a readable image file.*No such file"),
    (lambda f: cv2.imwrite(str(f / "a_depth.png"), np.zeros((240, 320, 3), np.uint8)), "colour-mapped depth"),
    (lambda f: cv2.imwrite(str(f / "a_depth.png"), np.ones((120, 160), np.uint16)), "expected 320x240 like the colour"),
    (lambda f: cv2.imwrite(str(f / "a_label.png"), np.ones((120, 160), np.uint8)), "a_label.png: expected 320x240"),
    (lambda f: cv2.imwrite(str(f / "a_color.png"), np.ones((240, 320, 3), np.uint16)), "expected uint8"),
    (lambda f: cv2.imwrite(str(f / "a_label.png"), np.arange(230400).reshape(240, 320, 3).astype(np.uint8)),
     "write ids, not colours"),
])
def test_one_bad_picture_is_refused_and_the_rest_is_read(tmp_path, damage, message):
    folder = write_source(tmp_path / "s")
    damage(folder)
    first, second = open_input(folder)
    assert first.frame is None and second.error is None
    with pytest.raises(FrameError, match=message):
        raise FrameError(first.error)


@pytest.mark.parametrize(("scale", "message"), [(1.0, "look like millimetres"), (0.00001, "scale was applied twice")])
def test_wrong_depth_unit_is_named(tmp_path, scale, message):
    folder = write_source(tmp_path / "s", ("a",))
    (sample,) = open_input(folder, InputOptions(depth_scale=scale))
    assert message in sample.error


@pytest.mark.parametrize(("content", "message"), [
    ("{", "manifest.json: expected JSON"), ('{"images": [{"path": "x"}]}', "each with a name"),
    ("[1]", "expected JSON")])
def test_bad_manifest(tmp_path, content, message):
    folder = write_source(tmp_path / "s", manifest=False)
    (folder / "manifest.json").write_text(content)
    with pytest.raises(InputError, match=message):
        open_input(folder)


def test_manifest_with_half_the_intrinsics(tmp_path):
    (sample, _) = open_input(write_source(tmp_path / "s", intrinsics={"fx": 1.0}))
    assert "expected intrinsics with fx, fy, cx and cy" in sample.error


def test_what_is_no_input(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "old.bag").write_text("x")
    for path, message in ((tmp_path / "none", "no such file"), (tmp_path, "got none of them"), (None, "got nothing"),
                          (tmp_path / "notes.txt", "single picture goes in by --color"),
                          (tmp_path / "old.bag", "rosbags-convert")):
        with pytest.raises(InputError, match=message):
            open_input(path)


def pair(folder, **changes):
    values = {"color": str(folder / "a_color.png"), "depth": str(folder / "a_depth.png"), "intrinsics": K,
              "depth_scale": 0.001, **changes}
    return open_input(None, InputOptions(**values))


def test_pair(tmp_path):
    folder = write_source(tmp_path / "s", ("a",))
    (sample,) = pair(folder)
    assert (sample.source, sample.name, sample.error) == ("pair", "a", None)
    (sample,) = pair(folder, depth="")
    assert sample.frame.depth_m is None
    (sample,) = pair(folder, depth=str(folder / "none.png"))
    assert "none.png: expected a readable image file" in sample.error


@pytest.mark.parametrize(("changes", "message"), [
    ({"color": ""}, "expected --color FILE"), ({"intrinsics": None}, "--intrinsics: expected fx,fy,cx,cy"),
    ({"depth_scale": None}, "--depth-scale: expected metres per unit")])
def test_incomplete_pair(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        pair(tmp_path, **changes)
    with pytest.raises(InputError, match="got both"):
        open_input(tmp_path, InputOptions(color="c.png"))


def test_shards(tmp_path):
    shards = pytest.importorskip("uois_sam_ros.datasets.shards")
    frame, truth, _ = tabletop()
    k = frame.intrinsics
    stored = shards.SyntheticFrame(
        frame.color, frame.depth_m, truth, truth, np.float32([k.fx, k.fy, k.cx, k.cy]), np.stack([truth == 1]),
        {"layout": "tower", "sensor": "tof", "renderer": "raycast", "objects": []})
    shards.ShardWriter(tmp_path).write("shard_00000.npz", [stored, stored])
    samples = list(open_input(tmp_path))
    assert [(s.source, s.name, s.tags["sensor"]) for s in samples] == [("tower", "000000", "tof"), ("tower", "000001", "tof")]
    assert np.abs(samples[0].frame.depth_m - frame.depth_m).max() < 0.00013
    assert np.array_equal(samples[0].truth, truth)


def test_stored_types():
    assert to_metres(np.full((2, 2), 1500, np.uint16), 0.001, "d").dtype == np.float32
    assert to_label(np.full((2, 2), 300, np.uint16), "l")[0, 0] == 300
    with pytest.raises(FrameError, match="expected labels as uint8 or uint16"):
        to_label(np.zeros((2, 2), np.float32), "l")


@pytest.mark.skipif(not os.environ.get("UOIS_REAL_RGBD"), reason="UOIS_REAL_RGBD names no folder of real frames")
def test_real_frames():
    samples = list(open_input(os.environ["UOIS_REAL_RGBD"]))
    assert not [sample.error for sample in samples if sample.error]
    assert all(sample.frame.depth_m is not None for sample in samples)
    assert sum(sample.truth is not None for sample in samples) >= 18
