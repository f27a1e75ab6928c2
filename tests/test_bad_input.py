"""Each refusal, as a user meets it: one sentence, the right exit code, and the other frames stay."""

from __future__ import annotations

import bagfiles as bags
import cv2
import numpy as np
import pytest
from picturefiles import write_source
from tabletop import tabletop

from uois_sam_ros.cli import build_parser, main
from uois_sam_ros.replay.options import input_from
from uois_sam_ros.replay.sources import InputOptions, open_input


@pytest.fixture
def run(tmp_path, capsys):
    """Run ``segment --preset geometry``; return exit code, written labels and stderr lines."""

    def segment(*arguments, preset="geometry", out=tmp_path / "out"):
        code = main(["segment", *map(str, arguments), "--out", str(out), "--preset", preset])
        written = sorted(file.name for file in out.rglob("*_label.png"))
        return code, written, capsys.readouterr().err

    return segment


def write_pixels(file, value, dtype, shape=(240, 320)):
    cv2.imwrite(str(file), np.full(shape, value, dtype))


DAMAGED_PICTURES = [
    ("b_color.png", lambda f: f.write_bytes(f.read_bytes()[:300]), "b_color.png: expected a whole PNG"),
    ("b_depth.png", lambda f: f.write_bytes(b"nothing"), "b_depth.png: expected a whole PNG"),
    ("b_color.png", lambda f: write_pixels(f, 9, np.uint16, (240, 320, 3)), "colour image: expected uint8"),
    ("b_color.png", lambda f: write_pixels(f, 9, np.uint8, (8, 8, 3)), "at least 16x16 pixels"),
    ("b_depth.png", lambda f: write_pixels(f, 9, np.uint8), "expected depth as uint16"),
    ("b_depth.png", lambda f: write_pixels(f, 900, np.uint16, (120, 160)), "depth image: expected 320x240"),
    ("b_depth.png", lambda f: write_pixels(f, 60000, np.uint16), "these look like millimetres"),
    ("b_depth.png", lambda f: write_pixels(f, 2, np.uint16), "look like metres that were taken for millimetres"),
    ("b_depth.png", lambda f: write_pixels(f, 0, np.uint16), "expected a depth image with readings"),
    ("b_depth.png", lambda f: f.unlink(), "expected a depth image with readings"),
]


@pytest.mark.parametrize(("name", "damage", "sentence"), DAMAGED_PICTURES)
def test_one_bad_picture(tmp_path, run, name, damage, sentence):
    folder = write_source(tmp_path / "desk", ("a", "b", "c"))
    damage(folder / name)
    code, written, errors = run(folder)
    assert code == 1 and written == ["a_label.png", "c_label.png"]
    (refusal,) = [line for line in errors.splitlines() if line.startswith("refused")]
    assert refusal.startswith("refused desk/b: ") and sentence in refusal


def test_eval_reports_refusals_too(tmp_path, capsys):
    folder = write_source(tmp_path / "desk", ("a", "b"))
    (folder / "b_color.png").write_bytes(b"")
    assert main(["eval", str(folder), "--preset", "geometry"]) == 1
    streams = capsys.readouterr()
    assert "refused desk/b" in streams.err and "1 scored, 0 without labels, 1 refused" in streams.out


def test_eval_without_labels_is_no_success(tmp_path, capsys):
    folder = write_source(tmp_path / "desk", ("a",), label=False)
    assert main(["eval", str(folder), "--preset", "geometry"]) == 1
    assert "no labelled frame was scored (1 without labels" in capsys.readouterr().out


def test_no_intrinsics(tmp_path, run):
    code, written, errors = run(write_source(tmp_path / "desk", ("a",), manifest=False), "--depth-scale", "0.001")
    assert (code, written) == (1, []) and "intrinsics: expected fx, fy, cx, cy together with depth" in errors


def test_depth_that_is_not_there_but_required(tmp_path, run):
    folder = write_source(tmp_path / "desk", ("a",))
    (folder / "a_depth.png").unlink()
    code, _, errors = run(folder, "--depth", "require")
    assert code == 1 and "refused desk/a" in errors and "depth" in errors


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_readings_that_are_none(tmp_path, run, value):
    """Holes of any spelling are holes: the frame is segmented."""
    frame, _, _ = tabletop()
    depth = frame.depth_m.copy()
    depth[::7, ::5] = value
    stamp = bags.START_NS
    folder = bags.write_bag(tmp_path / "run", [
        (bags.COLOR, stamp, bags.image(stamp, "rgb8", frame.color)),
        (bags.DEPTH, stamp, bags.image(stamp, "32FC1", depth)),
        (bags.INFO, stamp, bags.camera_info(stamp, 320, 240, focal=288))])
    assert run(folder)[:2] == (0, ["000000_label.png"])


def test_one_bad_message(tmp_path, run):
    messages = bags.tabletop_messages(3)
    messages[4][2].data = messages[4][2].data[:99]
    code, written, errors = run(bags.write_bag(tmp_path / "run", messages))
    assert (code, written) == (1, ["000000_label.png", "000002_label.png"])
    assert "refused run/000001: /cam/aligned_depth_to_color/image_raw: expected 240 rows" in errors


def test_depth_of_another_size_in_a_recording(tmp_path, run):
    messages = bags.tabletop_messages(2)
    stamp = messages[1][1]
    messages[1] = (bags.DEPTH, stamp, bags.image(stamp, "16UC1", np.full((100, 200), 900, np.uint16)))
    code, written, errors = run(bags.write_bag(tmp_path / "run", messages))
    assert (code, written) == (1, ["000001_label.png"]) and "register depth to colour" in errors


def test_recording_that_breaks_keeps_what_was_written(tmp_path, run):
    folder = bags.write_bag(tmp_path / "run", bags.tabletop_messages(12))
    file = next(folder.glob("*.mcap"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2:len(data) // 2 + 400_000] = b"\xff" * 400_000
    file.write_bytes(data)
    code, written, errors = run(folder)
    assert code == 1 and 1 <= len(written) < 12
    assert "the recording breaks here" in errors


def test_one_message_that_is_no_message(tmp_path, run):
    """Too short even for a header: its frame is refused, those after it are read."""
    messages = bags.tabletop_messages(4)
    messages[3] = (bags.COLOR, messages[3][1], bags.Raw(b"\0\1\0\0", "sensor_msgs/msg/Image"))
    code, written, errors = run(bags.write_bag(tmp_path / "run", messages))
    assert (code, written) == (1, ["000000_label.png", "000002_label.png", "000003_label.png"])
    assert "refused run/000001: /cam/color/image_raw: expected a sensor_msgs/msg/Image, got 4 bytes" in errors


def test_one_camera_info_that_does_not_decode(tmp_path, run):
    messages = bags.tabletop_messages(4)
    messages[5] = (bags.INFO, messages[5][1], bags.Raw(b"\0\1\0\0" + b"\xff" * 40, "sensor_msgs/msg/CameraInfo"))
    code, written, errors = run(bags.write_bag(tmp_path / "run", messages))
    assert code == 1 and "000000_label.png" in written and "000003_label.png" in written
    assert errors.count("/cam/color/camera_info: expected a sensor_msgs/msg/CameraInfo") == 1


def test_image_without_rows(tmp_path, run):
    messages = bags.tabletop_messages(2)
    messages[0][2].height = 0
    code, written, errors = run(bags.write_bag(tmp_path / "run", messages))
    assert (code, written) == (1, ["000001_label.png"])
    assert "/cam/color/image_raw: expected an image with pixels, got 320x0" in errors


def test_uncalibrated_camera_is_named(tmp_path, run):
    messages = bags.tabletop_messages(1)
    messages[2][2].k[:] = 0
    code, _, errors = run(bags.write_bag(tmp_path / "run", messages))
    assert code == 1
    assert "/cam/color/camera_info: intrinsics: expected finite fx, fy > 0" in errors and "--intrinsics" in errors


@pytest.mark.parametrize("skip", [(), (bags.DEPTH,)])
def test_colour_alone_needs_no_calibration(tmp_path, skip):
    messages = [m for m in bags.tabletop_messages(2) if m[0] not in skip]
    for topic, _, message in messages:
        if topic == bags.INFO:
            message.k[:] = 0
    samples = open_input(bags.write_bag(tmp_path / "run", messages), InputOptions(read_depth=False))
    assert [(s.error, s.frame.depth_m) for s in samples] == [(None, None)] * 2


def test_depth_off_leaves_broken_depth_alone(tmp_path):
    folder = write_source(tmp_path / "desk", ("a", "b"), manifest=False)
    (folder / "b_depth.png").write_bytes(b"nothing")
    pair = ["--color", str(folder / "b_color.png"), "--depth-image", str(folder / "b_depth.png")]
    for source, count in (([str(folder)], 2), (pair, 1)):
        args = build_parser().parse_args(["segment", *source, "--out", "out", "--depth", "off"])
        samples = list(input_from(args))
        assert [(s.error, s.frame.depth_m) for s in samples] == [(None, None)] * count


@pytest.mark.parametrize(("facts", "sentence"), [
    ({"depth_scale": "mm"}, "expected depth_scale in metres per unit, above 0, got 'mm'"),
    ({"depth_scale": 0}, "expected depth_scale in metres per unit, above 0, got 0"),
    ({"native_resolution": "320x240"}, "expected the resolution as [width, height] in pixels, got '320x240'"),
    ({"native_resolution": [0, 240]}, "expected the resolution as [width, height] in pixels, got [0, 240]"),
])
def test_manifest_with_impossible_facts(tmp_path, run, facts, sentence):
    write_source(tmp_path / "in" / "desk", ("a",), **facts)
    write_source(tmp_path / "in" / "shelf", ("b",))
    code, written, errors = run(tmp_path / "in")
    assert (code, written) == (1, ["b_label.png"]) and "refused desk/a: " in errors and sentence in errors


@pytest.mark.parametrize(("manifest", "sentence"), [
    ('{"images": [', "expected JSON with depth_scale"), ('{"images": [{"name": "../a"}]}', "without folders, got '../a'")])
def test_bad_manifest_of_one_source(tmp_path, run, manifest, sentence):
    """Its pictures are refused; other sources are read; alone it is no input; nothing is written beside DIR."""
    bad = write_source(tmp_path / "in" / "desk", ("a", "b"))
    (bad / "manifest.json").write_text(manifest)
    assert run(bad)[0] == 2
    write_source(tmp_path / "in" / "shelf", ("c",))
    code, written, errors = run(tmp_path / "in")
    assert (code, written) == (1, ["c_label.png"])
    assert errors.count("refused desk/") == 2 and errors.count(sentence) == 2


def refuse_truncated(tmp_path):
    file = next(bags.write_bag(tmp_path / "run", bags.tabletop_messages(2)).glob("*.mcap"))
    file.write_bytes(file.read_bytes()[:5000])
    return [file]


def refuse_empty_file(tmp_path):
    (tmp_path / "empty.mcap").touch()
    return [tmp_path / "empty.mcap"]


def refuse_empty_bag(tmp_path):
    return [bags.write_bag(tmp_path / "run", [(bags.COLOR, "sensor_msgs/msg/Image")])]


def refuse_missing_topic(tmp_path):
    return [bags.write_bag(tmp_path / "run", bags.tabletop_messages(1)), "--depth-topic", "/camera/depth"]


def refuse_no_camera_info(tmp_path):
    return [bags.write_bag(tmp_path / "run", [m for m in bags.tabletop_messages(1) if m[0] != bags.INFO])]


def refuse_unknown_path(tmp_path):
    return [tmp_path / "nowhere"]


def refuse_empty_folder(tmp_path):
    (tmp_path / "void").mkdir()
    return [tmp_path / "void"]


@pytest.mark.parametrize(("make", "sentence"), [
    (refuse_truncated, "expected a whole rosbag2 recording"),
    (refuse_empty_file, "seems to be empty"),
    (refuse_empty_bag, "expected recorded messages, got none; the recording has /cam/color/image_raw"),
    (refuse_missing_topic, "--depth-topic /camera/depth: expected a topic of type"),
    (refuse_no_camera_info, "expected a sensor_msgs/msg/CameraInfo topic"),
    (refuse_unknown_path, "got no such file or folder"),
    (refuse_empty_folder, "expected a recording"),
])
def test_inputs_refused_as_a_whole(tmp_path, run, make, sentence):
    code, written, errors = run(*make(tmp_path))
    assert code == 2 and written == []
    (line,) = errors.strip().splitlines()
    assert line.startswith("uois-sam: error: ") and sentence in line


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["--preset", "compcat"], "did you mean 'compact'"),
    (["--config", "{tmp}/bad.yaml"], "selection.nms: unknown key"),
    (["--config", "{tmp}/bad.yaml", "--preset", "geometry"], "got both"),
    (["--preset", "geometry", "--depth-scale", "-1"], "--depth-scale: expected metres per unit"),
    (["--preset", "geometry", "--depth-scale", "nan"], "--depth-scale: expected metres per unit"),
    (["--preset", "geometry", "--slop", "-1"], "--slop: expected seconds"),
    (["--preset", "geometry", "--slop", "nan"], "--slop: expected seconds"),
    (["--preset", "geometry", "--max-frames", "-3"], "--max-frames: expected 0 (all) or more, got -3"),
    (["--model-dir", "{tmp}"], "{tmp}"),
])
def test_options_refused(tmp_path, capsys, arguments, sentence):
    (tmp_path / "bad.yaml").write_text("selection: {nms: 0.5}")
    folder = bags.write_bag(tmp_path / "run", bags.tabletop_messages(1))
    filled = [argument.format(tmp=tmp_path) for argument in arguments]
    assert main(["segment", str(folder), "--out", str(tmp_path / "out"), *filled]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("uois-sam: error: ") and sentence.format(tmp=tmp_path) in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [["--perturb", "turn:3"], ["--perturb", "shift:x"], ["--split", "("]])
def test_eval_options_refused(tmp_path, capsys, arguments):
    assert main(["eval", str(write_source(tmp_path / "s", ("a",))), "--preset", "geometry", *arguments]) == 2
    assert arguments[0] in capsys.readouterr().err


def test_intrinsics_that_are_no_numbers(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["segment", "--color", "c.png", "--intrinsics", "1,2,3", "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert "expected four numbers fx,fy,cx,cy" in capsys.readouterr().err


def test_unwritable_output(tmp_path, run):
    (tmp_path / "file").write_text("in the way")
    code, _, errors = run(write_source(tmp_path / "desk", ("a",)), out=tmp_path / "file")
    assert code == 2 and "expected a writable folder" in errors
