"""Saved results: read back by the folder reader, whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tabletop import tabletop

from uois_sam_ros import Segmenter
from uois_sam_ros.cli import main
from uois_sam_ros.errors import InputError
from uois_sam_ros.replay.sources import open_input
from uois_sam_ros.ros.result import Result
from uois_sam_ros.ros.save import save_result
from uois_sam_ros.types import Frame

FRAME, TRUTH, _ = tabletop()
INSTANCES = Segmenter.from_preset("geometry").segment(FRAME)
STAMP_NS = 1_700_000_000_033_000_000
#: Saves one result into the folder argv[1] with files of at most argv[2] bytes.
FILLS_UP = """
import resource, signal, sys
from pathlib import Path
from test_save import result
from uois_sam_ros.errors import InputError
from uois_sam_ros.ros.save import save_result
made = result()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    save_result(Path(sys.argv[1]), made)
except InputError as error:
    print(error)
"""


def result(depth_m=FRAME.depth_m, name="1700000000.033000000", ids=None):
    """The geometry preset's result for the tabletop; ``ids`` are published instead of 1..N."""
    instances = INSTANCES
    frame = Frame(FRAME.color, depth_m, FRAME.intrinsics, name, STAMP_NS)
    ids = tuple(ids or (item.id for item in instances.items))
    label = np.asarray([0, *ids], np.uint16)[instances.label]
    header = SimpleNamespace(frame_id="camera_color_optical_frame")
    return Result(header, frame, instances, label, ids)


def test_saved_frame_comes_back(tmp_path):
    made = result()
    path = save_result(tmp_path / "saved", made)
    assert path == tmp_path / "saved" / "1700000000.033000000_color.png" and path.exists()
    (sample,) = open_input(tmp_path / "saved")
    assert (sample.source, sample.name, sample.error) == ("saved", "1700000000.033000000", None)
    assert np.array_equal(sample.frame.color, FRAME.color)
    assert sample.frame.intrinsics == FRAME.intrinsics
    assert np.abs(sample.frame.depth_m - FRAME.depth_m).max() < 6e-5  # stored in tenths of millimetres
    assert np.array_equal(sample.truth, made.label) and sample.truth.max() == len(made.ids) >= 3


def test_the_command_line_reads_it(tmp_path, capsys):
    save_result(tmp_path / "saved", result())
    assert main(["eval", str(tmp_path / "saved"), "--preset", "geometry"]) == 0
    assert "1 scored" in capsys.readouterr().out


def test_metadata_has_the_published_ids(tmp_path):
    made = result(ids=(40, 7, 300))
    save_result(tmp_path, made)
    data = json.loads((tmp_path / "1700000000.033000000.json").read_text())
    assert [item["id"] for item in data["instances"]] == [40, 7, 300]
    assert (data["stamp_ns"], data["frame_id"], data["width"]) == (STAMP_NS, "camera_color_optical_frame", 320)
    (sample,) = open_input(tmp_path)
    assert set(np.unique(sample.truth)) == {0, 7, 40, 300}


def test_colour_alone(tmp_path):
    save_result(tmp_path, result(depth_m=None))
    (sample,) = open_input(tmp_path)
    assert sample.frame.depth_m is None and sample.error is None


def test_manifest_grows_and_the_same_stamp_replaces(tmp_path):
    for name in ("b", "a", "b", "c/d"):
        save_result(tmp_path, result(name=name))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert [image["name"] for image in manifest["images"]] == ["a", "b", "c_d"]
    assert [sample.error for sample in open_input(tmp_path)] == [None] * 3


def test_what_the_manifest_said_before_stays(tmp_path):
    (tmp_path / "manifest.json").write_text('{"images": [], "camera": "left"}')
    save_result(tmp_path, result())
    assert json.loads((tmp_path / "manifest.json").read_text())["camera"] == "left"


@pytest.mark.parametrize(("depths", "scale"), [
    ([0.8, 1.234, 9.0], 0.001),  # whole millimetres
    ([0.80004, 1.2345, 6.5], 0.0001),  # finer, near
    ([0.80004, 1.2345, 9.0], 0.001),  # finer, too far for tenths
])
def test_depth_scale(tmp_path, depths, scale):
    depth = np.full(TRUTH.shape, depths[0], np.float32)
    depth[:9], depth[9:20], depth[20:30] = depths[1], depths[2], np.nan
    save_result(tmp_path, result(depth_m=depth))
    (image,) = json.loads((tmp_path / "manifest.json").read_text())["images"]
    assert image["depth_scale"] == scale
    (sample,) = open_input(tmp_path)
    assert np.allclose(sample.frame.depth_m, np.nan_to_num(depth), atol=0.51 * scale)
    assert (sample.frame.depth_m[20:30] == 0).all()


@pytest.mark.parametrize("limit", [0, 1500])
def test_full_disk_leaves_nothing_half(tmp_path, limit):
    save_result(tmp_path, result(name="before"))
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    run = subprocess.run([sys.executable, "-c", FILLS_UP, str(tmp_path), str(limit)], capture_output=True, text=True,
                         check=False, cwd=Path(__file__).parent)
    assert "expected a folder with space that can be written, got: File too large; free some space" in run.stdout, run
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/saved: expected a folder .* got: Not a directory"):
        save_result(tmp_path / "file" / "saved", result())


@pytest.mark.parametrize("text", ["{", "[]", '{"images": [{}]}', '{"images": 3}'])
def test_foreign_manifest_is_left_alone(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="manifest.json: expected a manifest with a list of images"):
        save_result(tmp_path, result())
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
