"""``uois-sam grasp`` as a user runs it: every format, refusals counted, options checked before the work."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import planners
import pytest
from picturefiles import write_source
from tabletop import tabletop

from uois_sam_ros.cli import main
from uois_sam_ros.example import bundled_recording

ENGINES = Path(__file__).resolve().parents[1] / "engines" / "manifest.json"


@pytest.fixture
def desk(tmp_path):
    """Two frames of 320x240 with depth; the third has none, the fourth nothing on the table."""
    folder = write_source(tmp_path / "in" / "desk", ("a", "b", "c", "d"))
    (folder / "c_depth.png").unlink()
    frame, _, _ = tabletop(boxes=())
    cv2.imwrite(str(folder / "d_depth.png"), np.round(frame.depth_m * 1000).astype(np.uint16))
    return folder


def grasp(*arguments):
    return main(["grasp", *(str(argument) for argument in arguments), "--preset", "geometry"])


def test_graspness(desk, tmp_path, capsys):
    out = tmp_path / "out"
    assert grasp("graspness", desk, "--out", out, "--points", 800, "--context", 0.05, "--seed", 3) == 1
    assert sorted(file.name for file in (out / "desk").iterdir()) == [
        f"{name}_{kind}.npz" for name in "ab" for kind in ("objects", "scene")]
    objects = np.load(out / "desk" / "a_objects.npz")
    assert objects["ids"].tolist() == [1, 2, 3] and objects["point_clouds"].shape == (3, 800, 3)
    assert (objects["labels"] == 0).any(), "with context"
    streams = capsys.readouterr()
    assert "2 frames with 6 objects written to" in streams.out and "2 refused" in streams.out
    assert "refused desk/c: expected a frame with depth, got colour only" in streams.err
    assert "refused desk/d: d: expected an object with at least 50 points" in streams.err
    assert grasp("graspness", desk, "--out", tmp_path / "again", "--points", 800, "--context", 0.05, "--seed", 3) == 1
    again = np.load(tmp_path / "again" / "desk" / "a_objects.npz")
    assert np.array_equal(again["point_clouds"], objects["point_clouds"])


def test_anygrasp_and_contact_graspnet(desk, tmp_path, capsys):
    assert grasp("anygrasp", desk, "--out", tmp_path / "any", "--max-frames", 1, "--max-depth", 0.9) == 0
    stored = np.load(tmp_path / "any" / "desk" / "a" / "anygrasp.npz")
    assert stored["points"][:, 2].max() < 0.9 and set(stored["labels"].tolist()) == {0, 1, 2, 3}
    assert grasp("contact-graspnet", desk, "--out", tmp_path / "cgn", "--max-frames", 1, "--z-range", 0.3, 0.9) == 0
    _, segments, rgb = planners.load_contact_graspnet(tmp_path / "cgn" / "desk_a.npz", (0.3, 0.9))
    assert len(segments) == 3 and np.array_equal(rgb[:, :, ::-1], cv2.imread(str(desk / "a_color.png")))
    assert capsys.readouterr().out.count("1 frames with 3 objects written to") == 2


def test_graspnet_refuses_the_size_of_every_frame(desk, tmp_path, capsys):
    for form in ("graspnet", "graspnet-demo"):
        assert grasp(form, desk, "--out", tmp_path / form) == 1
        streams = capsys.readouterr()
        assert "refused desk/a: a: expected 1280x720 pixels, which the GraspNet loaders assert, got 320" in streams.err
        assert "0 frames with 0 objects" in streams.out and not (tmp_path / form).exists()


def test_graspnet_at_its_size(tmp_path):
    frame, _, _ = tabletop(height=720, width=1280)
    folder, k = tmp_path / "hd", frame.intrinsics
    folder.mkdir()
    cv2.imwrite(str(folder / "a_color.png"), frame.color[:, :, ::-1])
    cv2.imwrite(str(folder / "a_depth.png"), np.round(frame.depth_m * 1000).astype(np.uint16))
    (folder / "manifest.json").write_text(json.dumps(
        {"depth_scale": 0.001, "intrinsics": {"fx": k.fx, "fy": k.fy, "cx": k.cx, "cy": k.cy}}))
    assert grasp("graspnet", folder, "--out", tmp_path / "tree", "--camera", "kinect", "--first-scene", 100,
                 "--method", "mine") == 0
    assert planners.load_graspness(tmp_path / "tree", 100, "kinect", 0)["point_clouds"].shape == (15_000, 3)
    assert list(planners.load_graspness_objects(tmp_path / "tree", 100, "kinect", 0, "mine")) == [85, 170, 255]
    assert grasp("graspnet-demo", folder, "--out", tmp_path / "demo") == 0
    assert planners.load_baseline_demo(tmp_path / "demo" / "hd" / "a")["point_clouds"].shape == (1, 20_000, 3)


def test_the_bundled_recording_with_the_shipped_model(tmp_path, capsys):
    if not ENGINES.exists() or bundled_recording() is None:
        pytest.skip("engines/manifest.json or the recording is not there")
    assert main(["grasp", "graspness", str(bundled_recording()), "--out", str(tmp_path), "--max-frames", "1"]) == 0
    (scene,) = tmp_path.rglob("*_scene.npz")
    stored = np.load(scene)
    batch = planners.collate_for_sparse_network([{key: stored[key] for key in ("point_clouds", "coors", "feats")}])
    assert batch["point_clouds"].shape == (1, 15_000, 3) and 0.2 < np.median(batch["point_clouds"][..., 2]) < 3
    assert len(np.load(next(tmp_path.rglob("*_objects.npz")))["ids"]) >= 3
    assert "colour /" in capsys.readouterr().err, "what the reader chose is told"


@pytest.mark.parametrize("arguments, message", [
    (["graspness", "--points", "0"], "graspness points: expected 1 or more, got 0"),
    (["graspness", "--context", "-1"], "graspness context_m: expected 0 or more, got -1"),
    (["graspness", "--min-points", "0"], "--min-points: expected 1 or more, got 0"),
    (["graspness", "--depth", "off"], "--depth off: expected depth to be used, got colour only"),
    (["anygrasp", "--max-depth", "0"], "--max-depth: expected metres above 0, got 0"),
    (["anygrasp", "--max-depth", "nan"], "--max-depth: expected metres above 0, got nan"),
    (["contact-graspnet", "--z-range", "2", "1"], "z range: expected 0 <= near < far in metres, got 2 1"),
    (["graspnet", "--first-scene", "-1"], "first scene: expected 0 to 9999, got -1"),
])
def test_requests_that_are_refused(desk, tmp_path, capsys, arguments, message):
    assert grasp(arguments[0], desk, "--out", tmp_path / "out", *arguments[1:]) == 2
    assert f"error: {message}" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [["grasp"], ["grasp", "no-such-format"], ["grasp", "graspness", "in"],
                                       ["grasp", "graspnet", "in", "--out", "o", "--camera", "zed"],
                                       ["grasp", "anygrasp", "in", "--out", "o", "--points", "5"]])
def test_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2 and "usage: uois-sam" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(desk, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert grasp("graspness", desk, "--out", tmp_path / "file") == 2
    assert "expected a writable folder, got" in capsys.readouterr().err
