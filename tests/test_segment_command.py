"""``uois-sam segment``, ``eval`` and ``ladder`` as a user runs them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import bagfiles as bags
import cv2
import numpy as np
import pytest
from picturefiles import write_source

from uois_sam_ros import Instances
from uois_sam_ros.cli import main
from uois_sam_ros.overlay import draw_overlay
from uois_sam_ros.replay.results import write_result
from uois_sam_ros.types import Frame, Instance, Intrinsics

ENGINES = Path(__file__).resolve().parents[1] / "engines" / "manifest.json"
needs_network = pytest.mark.skipif(not ENGINES.exists(), reason="engines/manifest.json: the networks are not there")
PRESETS = ["geometry", pytest.param("compact", marks=needs_network)]


@pytest.fixture
def pictures(tmp_path):
    """Two sources of tabletop frames, one of them without labels."""
    write_source(tmp_path / "in" / "desk", ("a", "b"))
    write_source(tmp_path / "in" / "shelf", ("c",), label=False)
    return tmp_path / "in"


@pytest.mark.parametrize("preset", PRESETS)
def test_segment_a_folder(pictures, tmp_path, capsys, preset):
    out = tmp_path / "out"
    assert main(["segment", str(pictures), "--out", str(out), "--preset", preset, "--overlay"]) == 0
    assert sorted(str(file.relative_to(out)) for file in out.rglob("*.*")) == sorted(
        f"{stem}{end}" for stem in ("desk/a", "desk/b", "shelf/c") for end in (".json", "_label.png", "_overlay.png"))
    label = cv2.imread(str(out / "desk" / "a_label.png"), cv2.IMREAD_UNCHANGED)
    assert label.dtype == np.uint16 and label.shape == (240, 320)
    described = json.loads((out / "desk" / "a.json").read_text())
    assert [item["id"] for item in described["instances"]] == list(range(1, int(label.max()) + 1))
    assert set(np.unique(label)) == set(range(int(label.max()) + 1))
    assert (described["preset"], described["depth_used"], described["width"]) == (preset, True, 320)
    for item in described["instances"]:
        assert set(item) == {"id", "score", "box_xyxy", "area_px", "centroid_px", "centroid_m", "valid_depth_ratio",
                             "touches_border"}
        rows, columns = np.nonzero(label == item["id"])
        assert item["area_px"] == len(rows)
        assert item["box_xyxy"] == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert item["centroid_px"] == pytest.approx([columns.mean(), rows.mean()], abs=0.02)
    printed = capsys.readouterr().out
    assert "3 frames written to" in printed and "0 refused" in printed
    assert "2 scored, 1 without labels" in printed  # labels that are there are used


@pytest.mark.parametrize("verb", ["eval", "ladder"])
def test_json_that_cannot_be_written_is_refused_before_the_run(pictures, tmp_path, capsys, verb):
    assert main([verb, str(pictures), "--json", str(tmp_path)]) == 2
    streams = capsys.readouterr()
    assert streams.out == "" and f"--json {tmp_path}: expected a writable file, got a folder" in streams.err


def test_geometry_finds_the_boxes(pictures, tmp_path, capsys):
    scores = tmp_path / "scores" / "all.json"
    assert main(["eval", str(pictures), "--preset", "geometry", "--json", str(scores), "--per-frame"]) == 0
    data = json.loads(scores.read_text())
    assert data["rows"]["desk"]["frames"] == 2 and list(data["rows"]) == ["desk", "all"]
    assert data["rows"]["all"]["overlap_f"] > 0.85 and data["rows"]["all"]["detected_75"] == 1.0
    assert (data["preset"], data["unlabelled"], data["refused"]) == ("geometry", 1, [])
    printed = capsys.readouterr().out
    assert "desk/b" in printed and "all (mean over frames)" in printed


def test_eval_groups_and_perturbs(tmp_path, capsys):
    folder = write_source(tmp_path / "glass", ("1_clear", "1_opaque"))
    assert main(["eval", str(folder), "--preset", "geometry", "--split", "clear|opaque", "--perturb", "shift:40"]) == 0
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if line.startswith("glass/opaque"))
    assert float(row.split()[4]) < 80  # forty pixels off: the objects are elsewhere


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_segment_a_recording(tmp_path, capsys, storage):
    folder = bags.write_bag(tmp_path / "run", bags.tabletop_messages(3, truth=True), storage)
    assert main(["segment", str(folder), "--out", str(tmp_path / "out"), "--preset", "geometry"]) == 0
    assert sorted(file.name for file in (tmp_path / "out" / "run").glob("*_label.png")) == [
        f"{index:06d}_label.png" for index in range(3)]
    described = json.loads((tmp_path / "out" / "run" / "000001.json").read_text())
    assert described["stamp_ns"] == bags.START_NS + bags.PERIOD_NS and len(described["instances"]) == 3
    streams = capsys.readouterr()
    assert "colour /cam/color/image_raw, depth /cam/aligned_depth_to_color/image_raw" in streams.err
    assert "3 scored" in streams.out


def test_segment_a_pair(pictures, tmp_path):
    arguments = ["segment", "--color", str(pictures / "desk" / "a_color.png"), "--depth-image",
                 str(pictures / "desk" / "a_depth.png"), "--intrinsics", "288,288,159.5,119.5", "--depth-scale", "0.001",
                 "--out", str(tmp_path / "out"), "--preset", "geometry"]
    assert main(arguments) == 0
    assert len(json.loads((tmp_path / "out" / "pair" / "a.json").read_text())["instances"]) == 3


def test_max_frames_and_config_file(pictures, tmp_path, capsys):
    config = tmp_path / "mine.yaml"
    config.write_text("preset: geometry\nselection: {max_instances: 1}\n")
    assert main(["segment", str(pictures), "--out", str(tmp_path / "out"), "--config", str(config),
                 "--max-frames", "1"]) == 0
    described = json.loads((tmp_path / "out" / "desk" / "a.json").read_text())
    assert len(described["instances"]) == 1 and described["preset"] == "mine"
    assert "1 frames written" in capsys.readouterr().out


@needs_network
def test_compact_without_depth(pictures, tmp_path):
    out = tmp_path / "out"
    assert main(["segment", str(pictures), "--out", str(out), "--depth", "off"]) == 0
    described = json.loads((out / "desk" / "a.json").read_text())
    assert described["depth_used"] is False and all(item["centroid_m"] is None for item in described["instances"])


@needs_network
def test_ladder_command(pictures, tmp_path, capsys):
    result = tmp_path / "ladder.json"
    assert main(["ladder", str(pictures), "--json", str(result), "--max-frames", "2"]) == 0
    assert "+ HDNet" in json.loads(result.read_text())["rungs"]
    assert "+ focus over geometry" in capsys.readouterr().out


@pytest.mark.skipif(not os.environ.get("UOIS_REAL_RGBD"), reason="UOIS_REAL_RGBD names no folder of real frames")
@pytest.mark.parametrize("preset", PRESETS)
def test_real_frames(capsys, preset):
    assert main(["eval", os.environ["UOIS_REAL_RGBD"], "--preset", preset]) == 0
    assert "18 scored" in capsys.readouterr().out


def result_of(label):
    items = tuple(Instance(k, 0.5, (0, 0, 1, 1), 1, (0.0, 0.0), None, 0.0, False) for k in range(1, int(label.max()) + 1))
    return Instances(label, items, {"total": 1.0})


def test_many_ids_survive_on_disk(tmp_path):
    label = np.arange(20 * 20, dtype=np.uint16).reshape(20, 20)
    frame = Frame(np.zeros((20, 20, 3), np.uint8))
    write_result(tmp_path, "s", "n", frame, result_of(label), preset="p")
    assert np.array_equal(cv2.imread(str(tmp_path / "s" / "n_label.png"), cv2.IMREAD_UNCHANGED), label)
    assert json.loads((tmp_path / "s" / "n.json").read_text())["instances"][0]["centroid_m"] is None


def test_no_instances_at_all(tmp_path):
    frame = Frame(np.full((20, 30, 3), 90, np.uint8), None, Intrinsics(20, 20, 15, 10))
    write_result(tmp_path, "s", "n", frame, result_of(np.zeros((20, 30), np.uint16)), preset="p", overlay=True)
    assert sorted(file.name for file in (tmp_path / "s").iterdir()) == ["n.json", "n_label.png", "n_overlay.png"]


def test_overlay_tints_the_masks_and_leaves_the_rest():
    color = np.full((60, 200, 3), 100, np.uint8)
    label = np.zeros((60, 200), np.uint16)
    label[10:50, 50:90], label[10:50, 110:150] = 1, 2
    items = (Instance(1, 0.9, (50, 10, 90, 50), 1600, (69.5, 29.5), None, 0.0, False),
             Instance(2, 0.8, (110, 10, 150, 50), 1600, (129.5, 29.5), None, 0.0, False))
    picture = draw_overlay(color, Instances(label, items))
    assert (color == 100).all() and (picture[:, :30] == 100).all() and (picture[:8] == 100).all()
    assert not np.array_equal(picture[13, 53], picture[13, 113])  # two tints
    assert (picture[13, 53] != 100).any()
