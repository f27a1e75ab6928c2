"""Recordings: encodings, pairing, topics, and every way in which they can be broken.

Over 300 lines because each refusal needs a recording of its own that is broken in that way.
"""

from __future__ import annotations

import struct
from types import SimpleNamespace

import bagfiles as bags
import cv2
import numpy as np
import pytest
from bagfiles import COLOR, DEPTH, INFO, START_NS, TRUTH, write_bag

from uois_sam_ros import Intrinsics
from uois_sam_ros.errors import FrameError, InputError
from uois_sam_ros.ros.convert import decode_color, decode_depth, decode_intrinsics, decode_label
from uois_sam_ros.replay.recording import to_millimetres, write_recording
from uois_sam_ros.replay.sources import InputOptions, open_input
from uois_sam_ros.ros.sync import NearestSync
from uois_sam_ros.replay.topics import COMPRESSED, IMAGE, choose_topics
from uois_sam_ros.replay.topics import INFO as INFO_TYPE
from uois_sam_ros.types import Frame


def good(samples):
    return [sample for sample in samples if sample.error is None]


def first_refusal(path):
    """Damage may show when the recording is opened, or on the way."""
    try:
        return next((sample.error for sample in open_input(path) if sample.error), None)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("single_file", [False, True])
def test_raw_recording(tmp_path, storage, single_file):
    folder = write_bag(tmp_path / "run", bags.raw_messages(4), storage)
    path = next(folder.glob("*.mcap" if storage == "mcap" else "*.db3")) if single_file else folder
    reader = open_input(path)
    samples = list(reader)
    assert reader.count == 4 and len(good(samples)) == 4
    assert [sample.name for sample in samples] == ["000000", "000001", "000002", "000003"]
    assert {sample.source for sample in samples} == {"run"}
    for sample, (stamp, color, depth, label) in zip(samples, bags.frames(4)):
        assert np.array_equal(sample.frame.color, color[:, :, ::-1])
        assert np.allclose(sample.frame.depth_m, depth * 0.001)
        assert np.array_equal(sample.truth, label)
        assert sample.frame.stamp_ns == sample.stamp_ns == stamp
        assert sample.skew_ns == 4_000_000 and sample.convert_ms > 0
        assert sample.frame.intrinsics == Intrinsics(60, 60, 31.5, 23.5)


def test_folder_of_files_without_metadata(tmp_path):
    folder = write_bag(tmp_path / "run", bags.raw_messages(2))
    (folder / "metadata.yaml").unlink()
    assert len(good(open_input(folder))) == 2


def test_compressed_recording(tmp_path):
    messages = []
    for stamp, color, depth, label in bags.frames(3):
        messages += [
            (INFO, stamp, bags.camera_info(stamp, 64, 48)),
            (f"{COLOR}/compressed", stamp, bags.compressed(stamp, "bgr8; jpeg compressed bgr8",
                                                           cv2.imencode(".jpg", color)[1].tobytes())),
            (f"{DEPTH}/compressedDepth", stamp, bags.compressed(stamp, "16UC1; compressedDepth png",
                                                                bytes(12) + bags.png(depth))),
            (f"{TRUTH}/compressed", stamp, bags.compressed(stamp, "16UC1; png compressed", bags.png(label)))]
    samples = list(open_input(write_bag(tmp_path / "run", messages)))
    for sample, (_, color, depth, label) in zip(samples, bags.frames(3)):
        assert np.abs(sample.frame.color.astype(int) - color[:, :, ::-1]).mean() < 6
        assert np.allclose(sample.frame.depth_m, depth * 0.001)
        assert np.array_equal(sample.truth, label)


def test_own_recording_comes_back(tmp_path):
    frames = [(Frame(np.ascontiguousarray(color[:, :, ::-1]), depth * np.float32(0.001), Intrinsics(60, 61, 30, 20),
                     "f", stamp), label) for stamp, color, depth, label in bags.frames(3)]
    assert write_recording(tmp_path / "demo.mcap", frames, jpeg_quality=95) == 3
    assert [file.name for file in tmp_path.iterdir()] == ["demo.mcap"]
    for sample, (frame, label) in zip(open_input(tmp_path / "demo.mcap"), frames):
        assert np.allclose(sample.frame.depth_m, frame.depth_m)
        assert (sample.frame.intrinsics, sample.frame.stamp_ns) == (frame.intrinsics, frame.stamp_ns)
        assert np.array_equal(sample.truth, label)


def test_stored_depth():
    depth = np.array([[0.0, np.nan, np.inf, 0.0004, 0.5006, 1.2345, 70.0]], np.float32)
    assert to_millimetres(depth).tolist() == [[0, 0, 0, 0, 501, 1234, 0]]
    assert to_millimetres(depth, step_mm=4).tolist() == [[0, 0, 0, 0, 500, 1232, 0]]


def test_orbit_turns_around_the_centre():
    record = pytest.importorskip("uois_sam_ros.synthetic.record")
    pose = np.eye(4)
    pose[:3, 3] = (2.0, 1.0, 0.5)
    cameras = record.orbit_cameras(record.Camera(64, 48, (60, 60, 32, 24), pose), np.array([1.0, 1.0, 0.0]), 3, 180.0)
    assert np.allclose([camera.pose[:3, 3] for camera in cameras], [[1, 0, 0.5], [2, 1, 0.5], [1, 2, 0.5]])
    assert np.allclose(cameras[0].pose[:3, 0], [0, -1, 0])


@pytest.mark.parametrize(("name", "frames", "message"), [
    ("a.bag", [], "ends in .mcap"), ("a.mcap", [], "at least one frame"),
    ("a.mcap", [(Frame(np.zeros((16, 16, 3), np.uint8)), None)], "intrinsics")])
def test_recording_refuses(tmp_path, name, frames, message):
    with pytest.raises(InputError, match=message):
        write_recording(tmp_path / name, frames)
    assert not list(tmp_path.iterdir())


PIXELS = np.arange(20 * 18 * 4).reshape(20, 18, 4).astype(np.uint8)


@pytest.mark.parametrize(("encoding", "order"), [
    ("rgb8", (0, 1, 2)), ("bgr8", (2, 1, 0)), ("rgba8", (0, 1, 2)), ("bgra8", (2, 1, 0)), ("mono8", (0, 0, 0))])
@pytest.mark.parametrize("padding", [0, 6])
def test_colour_encodings_and_row_padding(encoding, order, padding):
    pixels = PIXELS[:, :, :{"rgb8": 3, "bgr8": 3, "mono8": 1}.get(encoding, 4)]
    message = bags.image(0, encoding, np.ascontiguousarray(pixels), padding=padding)
    assert np.array_equal(decode_color(message, "t"), PIXELS[:, :, list(order)])


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("padding", [0, 4])
def test_depth_byte_order_and_row_padding(big_endian, padding):
    depth = np.arange(500, 500 + 20 * 18, dtype=np.uint16).reshape(20, 18)
    message = bags.image(0, "16UC1", depth, padding=padding, big_endian=big_endian)
    assert np.allclose(decode_depth(message, 0.001, "t"), depth * 0.001)
    message = bags.image(0, "32FC1", depth.astype(np.float32), padding=padding, big_endian=big_endian)
    assert np.array_equal(decode_depth(message, 0.001, "t"), depth)  # metres already


def test_quantised_float_depth():
    depth = np.array([[0.5, 1.0], [2.0, 0.0]], np.float32)
    a, b = 4000.0, 10.0
    stored = np.where(depth > 0, np.round(a / np.maximum(depth, 1e-3) + b), 0).astype(np.uint16)
    message = bags.compressed(0, "32FC1; compressedDepth", struct.pack("<iff", 0, a, b) + bags.png(stored))
    assert np.allclose(decode_depth(message, 0.001, "t"), depth, atol=1e-3)


@pytest.mark.parametrize(("decode", "message", "complaint"), [
    (decode_color, bags.image(0, "64FC1", PIXELS[:, :, 0].astype(np.float64)), "expected encoding rgb8.*got '64FC1'"),
    (decode_color, bags.image(0, "16UC1", PIXELS[:, :, 0].astype(np.uint16)), "got '16UC1'"),
    (decode_color, bags.compressed(0, "png", bags.png(PIXELS[:, :, 0].astype(np.uint16))), "8-bit colour"),
    (decode_color, bags.compressed(0, "jpeg", b"\xff\xd8 not much"), "cut off"),
    (decode_label, bags.compressed(0, "jpeg", cv2.imencode(".jpg", PIXELS[:, :, 0])[1].tobytes()), "JPEG changes ids"),
    (lambda m, w: decode_depth(m, 0.001, w), bags.compressed(0, "16UC1; compressedDepth rvl", b"abc" * 20), "rvl"),
    (lambda m, w: decode_depth(m, 0.001, w), bags.image(0, "rgb8", PIXELS[:, :, :3]), "16UC1 or 32FC1"),
])
def test_encodings_that_are_refused(decode, message, complaint):
    with pytest.raises(FrameError, match=complaint):
        decode(message, "topic")


def test_short_image_data_is_refused():
    message = bags.image(0, "bgr8", np.ascontiguousarray(PIXELS[:, :, :3]))
    message.data = message.data[:-40]
    with pytest.raises(FrameError, match="20 rows of 54 bytes.*cut off"):
        decode_color(message, "topic")


def test_camera_info_of_another_size():
    info = bags.camera_info(0, 128, 96, focal=120)
    assert decode_intrinsics(info, (48, 64), "t").fx == 60
    with pytest.raises(FrameError, match="expected camera info for 64x64, got one for 128x96"):
        decode_intrinsics(info, (64, 64), "t")
    with pytest.raises(FrameError, match="fx, fy > 0"):
        decode_intrinsics(bags.camera_info(0, 64, 48, focal=0), (48, 64), "t")


def match(leads, others, slop, **options):
    """Feed both streams in order of time; return {lead: match}."""
    sync = NearestSync(["depth"], slop, **options)
    events = sorted([(t, "lead") for t in leads] + [(t, "depth") for t in others])
    found = []
    for t, kind in events:
        found += sync.push_lead(t, t) if kind == "lead" else sync.push("depth", t, t)
    return {m.lead: m.others["depth"] for m in found + sync.flush()}


@pytest.mark.parametrize(("leads", "others", "slop", "expected"), [
    ([0, 33, 66], [5, 38, 71], 10, {0: 5, 33: 38, 66: 71}),  # constant delay
    ([0, 33], [11], 10, {0: None, 33: None}),  # too far from both
    ([0, 10], [9], 20, {0: None, 10: 9}),  # the nearer lead gets it, though it comes second
    ([0, 33, 66], [1, 65], 10, {0: 1, 33: None, 66: 65}),  # a gap in depth
    ([20], [15, 22, 24], 10, {20: 22}),  # nearest, not first
    ([5], [], 10, {5: None}),
    ([0], [10], 10, {0: 10}),  # the limit itself counts
])
def test_pairing(leads, others, slop, expected):
    assert match(leads, others, slop) == expected


def test_pairing_is_bounded_when_a_stream_stops():
    sync = NearestSync(["depth"], 10, max_pending=5)
    decided = [m for t in range(0, 2000, 100) for m in sync.push_lead(t, t)]
    assert [m.lead for m in decided] == list(range(0, 1500, 100))


CAMERA = {"/c/color/image_raw": IMAGE, "/c/aligned_depth_to_color/image_raw": IMAGE, "/c/color/camera_info": INFO_TYPE,
          "/c/depth/image_rect_raw": IMAGE, "/c/depth/camera_info": INFO_TYPE, "/c/infra1/image_rect_raw": IMAGE,
          "/c/color/image_raw/compressed": COMPRESSED, "/tf": "tf2_msgs/msg/TFMessage"}


def test_topics_of_a_realsense():
    found = choose_topics(CAMERA, {}, InputOptions())
    assert (found.color, found.depth, found.info, found.truth) == (
        "/c/color/image_raw", "/c/aligned_depth_to_color/image_raw", "/c/color/camera_info", "")


def test_topics_told_apart_by_encoding_and_by_option():
    plain = {"/a": IMAGE, "/b": IMAGE, "/i": INFO_TYPE, "/seg/labels": IMAGE}
    found = choose_topics(plain, {"/a": "32FC1", "/b": "rgb8"}, InputOptions())
    assert (found.color, found.depth, found.truth) == ("/b", "/a", "/seg/labels")
    chosen = choose_topics(CAMERA, {}, InputOptions(depth_topic="/c/depth/image_rect_raw"))
    assert chosen.depth == "/c/depth/image_rect_raw"


@pytest.mark.parametrize(("types", "options", "message"), [
    (CAMERA, InputOptions(depth_topic="/d"), r"--depth-topic /d: .*no such topic.*/c/color/image_raw \(sensor_msgs"),
    (CAMERA, InputOptions(color_topic="/tf"), "got a tf2_msgs/msg/TFMessage"),
    ({"/tf": "tf2_msgs/msg/TFMessage"}, InputOptions(), r"expected a colour image topic.*/tf \(tf2_msgs"),
])
def test_missing_topics_list_what_exists(types, options, message):
    with pytest.raises(InputError, match=message):
        choose_topics(types, {}, options)


def test_no_camera_info(tmp_path):
    folder = write_bag(tmp_path / "run", bags.raw_messages(2, skip=("info",)))
    with pytest.raises(InputError, match="CameraInfo.*--intrinsics.*the recording has /cam"):
        open_input(folder)
    samples = list(open_input(folder, InputOptions(intrinsics=Intrinsics(50, 50, 30, 20))))
    assert [sample.frame.intrinsics.fx for sample in samples] == [50, 50]


def test_camera_info_sent_once_and_late(tmp_path):
    messages = bags.raw_messages(3, skip=("info",))
    folder = write_bag(tmp_path / "run", [*messages, (INFO, messages[-1][1], bags.camera_info(0, 64, 48))])
    assert all(sample.frame.intrinsics.fx == 60 for sample in open_input(folder))


def test_colour_only_recording(tmp_path):
    reader = open_input(write_bag(tmp_path / "run", bags.raw_messages(2, skip=("depth", "info"))))
    samples = list(reader)
    assert [(s.frame.depth_m, s.skew_ns) for s in samples] == [(None, None), (None, None)]
    assert "depth none" in reader.notes[0]


def test_unpaired_images_are_counted(tmp_path):
    kept = [m for m in bags.raw_messages(4) if m[0] != DEPTH or m[1] < START_NS + 60_000_000]
    reader = open_input(write_bag(tmp_path / "run", kept))
    assert [sample.name for sample in reader] == ["000000", "000001"]
    assert "2 of 4 colour images have no depth within 0.02 s" in reader.notes[-1]
    assert reader.unpaired == [(f"00000{k}", START_NS + k * bags.PERIOD_NS) for k in (2, 3)]


def test_no_pair_at_all(tmp_path):
    reader = open_input(write_bag(tmp_path / "run", bags.raw_messages(3)), InputOptions(slop_s=0.001))
    with pytest.raises(InputError, match="within 0.001 s, got no such pair among 3.*raise --slop"):
        list(reader)


def test_unset_header_stamps_fall_back_to_log_time(tmp_path):
    messages = bags.raw_messages(2)
    for _, _, message in messages:
        message.header.stamp = bags.make("builtin_interfaces/msg/Time", 0, 0)
    samples = list(open_input(write_bag(tmp_path / "run", messages)))
    assert [sample.frame.stamp_ns for sample in samples] == [START_NS, START_NS + bags.PERIOD_NS]


def test_one_bad_image_is_refused_and_the_rest_is_read(tmp_path):
    messages = bags.raw_messages(4)
    for _, _, message in messages:
        if message.__msgtype__ == IMAGE and message.encoding == "16UC1" and message.header.stamp.nanosec == 37_000_000:
            message.data = message.data[:100]
    samples = list(open_input(write_bag(tmp_path / "run", messages)))
    assert [sample.error is None for sample in samples] == [True, False, True, True]
    assert "/cam/aligned_depth_to_color/image_raw: expected 48 rows" in samples[1].error


def test_labels_of_another_size(tmp_path):
    messages = bags.raw_messages(1, skip=("truth",))
    messages.append((TRUTH, START_NS, bags.image(START_NS, "16UC1", np.zeros((24, 32), np.uint16))))
    (sample,) = open_input(write_bag(tmp_path / "run", messages))
    assert "expected labels of 64x48 like the colour image, got 32x24" in sample.error


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("keep", [0, 60, 0.4])
def test_truncated_file(tmp_path, storage, keep):
    folder = write_bag(tmp_path / "run", bags.raw_messages(6), storage)
    file = next(f for f in folder.iterdir() if f.suffix in (".mcap", ".db3"))
    data = file.read_bytes()
    file.write_bytes(data[:keep if isinstance(keep, int) else int(keep * len(data))])
    for path in (folder, file):
        assert "expected a whole" in str(first_refusal(path))


def test_recording_that_breaks_in_the_middle(tmp_path):
    folder = write_bag(tmp_path / "run", bags.raw_messages(30, (120, 160)))  # several chunks
    file = next(folder.glob("*.mcap"))
    data = bytearray(file.read_bytes())
    middle = len(data) * 6 // 10
    data[middle:middle + 70_000] = b"\xff" * 70_000
    file.write_bytes(data)
    reader = open_input(folder)
    samples = list(reader)
    assert 5 <= len(good(samples)) < 30
    assert [sample.error is None for sample in samples] == [True] * (len(samples) - 1) + [False]
    assert "the recording breaks here" in samples[-1].error == reader.broken


def test_damaged_database(tmp_path):
    folder = write_bag(tmp_path / "run", bags.raw_messages(30), "sqlite3")
    file = next(folder.glob("*.db3"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2:len(data) // 2 + 30000] = b"\xff" * 30000
    file.write_bytes(data)
    with pytest.raises(InputError, match="malformed"):
        open_input(folder)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_empty_recording(tmp_path, storage):
    folder = write_bag(tmp_path / "run", [(COLOR, IMAGE), (DEPTH, IMAGE)], storage)
    with pytest.raises(InputError, match="expected recorded messages, got none; the recording has /cam"):
        open_input(folder)


def test_no_images_on_the_topic(tmp_path):
    folder = write_bag(tmp_path / "run", [(COLOR, IMAGE), (INFO, START_NS, bags.camera_info(START_NS, 64, 48))])
    with pytest.raises(InputError, match="expected images on /cam/color/image_raw, got none"):
        open_input(folder)


def test_topics_without_messages_are_not_chosen(tmp_path):
    messages = [(COLOR, IMAGE), (DEPTH, IMAGE), ("/cam/color/camera_info", bags.camera_info(0, 8, 8).__msgtype__)]
    for topic, stamp, message in bags.raw_messages(2, skip=("truth",)):
        messages.append((topic.replace("/cam/", "/wrist/"), stamp, message))
    reader = open_input(write_bag(tmp_path / "run", messages))
    assert (reader.topics.color, reader.topics.depth, reader.topics.info) == (
        "/wrist/color/image_raw", "/wrist/aligned_depth_to_color/image_raw", "/wrist/color/camera_info")
    assert len(good(reader)) == 2
    with pytest.raises(InputError, match="expected images on /cam/color/image_raw, got none"):
        open_input(tmp_path / "run", InputOptions(color_topic=COLOR))


def test_ros1_camera_info_spelling():
    info = SimpleNamespace(K=[60, 0, 32, 0, 60, 24, 0, 0, 1], width=64, height=48)
    assert decode_intrinsics(info, (48, 64), "t") == Intrinsics(60, 60, 32, 24)
