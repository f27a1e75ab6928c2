"""Result -> messages: every field by hand, and every message through the wire format."""

from __future__ import annotations

import array

import numpy as np
import pytest
from tabletop import BOXES, tabletop

from uois_sam_ros.config import EncodingConfig
from uois_sam_ros.encoding.transform import working_grid
from uois_sam_ros.errors import FrameError
from uois_sam_ros.overlay import draw_overlay
from uois_sam_ros.pipeline import StageResults
from uois_sam_ros.ros import api, compose
from uois_sam_ros.ros.convert import decode_color, decode_label
from uois_sam_ros.ros.result import Result, heatmap_on_image
from uois_sam_ros.selection.describe import describe
from uois_sam_ros.types import Features, Frame, Instances, Intrinsics, Plane, Prompts

HEADER = api.message("std_msgs/msg/Header")(
    stamp=api.message("builtin_interfaces/msg/Time")(sec=1700000000, nanosec=5), frame_id="camera_color_optical_frame")
K = Intrinsics(10.0, 20.0, 7.0, 5.0)
COLOR = np.arange(16 * 18 * 3, dtype=np.uint32).reshape(16, 18, 3).astype(np.uint8)
LABEL = np.zeros((16, 18), np.uint16)
LABEL[2:6, 3:9] = 1
LABEL[8:16, 10:14] = 2
DEPTH_M = np.full((16, 18), 0.5, np.float32)
DEPTH_M[3, 4], DEPTH_M[4, 4], DEPTH_M[0, 0] = 0, np.nan, np.inf


def make_result(label=LABEL, depth_m=DEPTH_M, *, ids=None, windows=((3, 2, 9, 6), (10, 8, 14, 16)), heatmap=None):
    """A result of the little picture; ``ids`` are those of tracked objects."""
    windows = windows if label.any() else ()
    scores = np.linspace(0.9, 0.8, len(windows)).astype(np.float32)
    instances = Instances(label, describe(label, windows, scores, depth_m, K))
    if ids is not None:
        label = np.asarray([0, *ids], np.uint16)[label]
    return Result(HEADER, Frame(COLOR, depth_m, K if depth_m is not None else None), instances, label,
                  tuple(ids or range(1, len(windows) + 1)), None, heatmap)


EMPTY = make_result(np.zeros((16, 18), np.uint16))
COMPOSERS = (compose.label_message, compose.detections_message, compose.objects_message, compose.cloud_message,
             compose.overlay_message, compose.heatmap_message)


def through_the_wire(message):
    """The message as a subscriber gets it."""
    if not api.STANDALONE:
        from rclpy.serialization import deserialize_message, serialize_message

        return deserialize_message(serialize_message(message), type(message))
    from uois_sam_ros.ros.standalone.messages import type_store

    kind = message.__msgtype__
    return type_store().deserialize_cdr(type_store().serialize_cdr(message, kind), kind)


def bytes_of(message):
    return np.frombuffer(message.data, np.uint8)


@pytest.mark.parametrize("composer", COMPOSERS)
@pytest.mark.parametrize("result", [make_result(), EMPTY, make_result(ids=(300, 7)), make_result(depth_m=None)],
                         ids=["plain", "empty", "tracked", "colour"])
def test_every_message_has_the_header_of_colour_and_survives_the_wire(composer, result):
    sent = composer(result)
    assert sent.header.stamp == HEADER.stamp and sent.header.frame_id == HEADER.frame_id
    received = through_the_wire(sent)
    assert received.header.frame_id == HEADER.frame_id
    for name in ("height", "width", "encoding", "step", "point_step", "row_step"):
        assert getattr(received, name, None) == getattr(sent, name, None)
    if hasattr(sent, "data"):
        assert bytes_of(received).tobytes() == bytes_of(sent).tobytes()
    else:
        assert [item.id for item in received.detections] == [item.id for item in sent.detections]
        assert all(item.header.frame_id == HEADER.frame_id for item in received.detections)


@pytest.mark.parametrize("composer", [compose.label_message, compose.cloud_message, compose.overlay_message])
def test_pixels_are_handed_over_as_array(composer, monkeypatch):
    kinds = []
    real = api.message

    def watch(name):
        def build(**fields):
            kinds.append(type(fields.get("data")))
            return real(name)(**fields)
        build.FLOAT32, build.UINT32 = 7, 6
        return build

    monkeypatch.setattr(api, "message", watch)
    composer(make_result())
    assert kinds[-1] is array.array  # the one buffer that real rclpy takes whole


@pytest.mark.parametrize(("encoding", "bytes_a_pixel"), [("16UC1", 2), ("mono8", 1)])
def test_label(encoding, bytes_a_pixel):
    for result, ids in ((make_result(), (1, 2)), (make_result(ids=(255, 7)), (255, 7))):
        message = compose.label_message(result, encoding)
        assert (message.height, message.width, message.encoding) == (16, 18, encoding)
        assert (message.step, message.is_bigendian) == (18 * bytes_a_pixel, 0)
        label = decode_label(message, "t")
        assert (label[2:6, 3:9] == ids[0]).all() and (label[8:, 10:14] == ids[1]).all()
        assert (label > 0).sum() == 24 + 32


def test_label_without_objects_is_all_zero():
    message = compose.label_message(EMPTY)
    assert message.encoding == "16UC1" and not bytes_of(message).any() and len(message.data) == 16 * 18 * 2


def test_labels_that_are_refused():
    with pytest.raises(FrameError, match="ids up to 255 for mono8, got id 256 among 2 objects; set label_encoding"):
        compose.label_message(make_result(ids=(256, 1)), "mono8")
    with pytest.raises(FrameError, match="expected encoding 16UC1 or mono8, got 'rgb8'"):
        compose.label_message(make_result(), "rgb8")


def test_detections():
    message = compose.detections_message(make_result(ids=(40, 41)))
    first, second = message.detections
    assert (first.id, second.id) == ("40", "41")
    assert (first.bbox.center.position.x, first.bbox.center.position.y) == (6, 4)  # 3..8 and 2..5, half-open
    assert (first.bbox.size_x, first.bbox.size_y, first.bbox.center.theta) == (6, 4, 0)
    (found,) = first.results
    assert (found.hypothesis.class_id, found.hypothesis.score) == ("object", pytest.approx(0.9))
    where = found.pose.pose
    assert (where.position.x, where.position.y, where.position.z) == pytest.approx((-0.075, -0.0375, 0.5))
    assert (where.orientation.x, where.orientation.y, where.orientation.z, where.orientation.w) == (0, 0, 0, 1)
    assert second.results[0].hypothesis.score == pytest.approx(0.8)
    assert compose.detections_message(EMPTY).detections == []


def test_detections_without_depth():
    (first, _) = compose.detections_message(make_result(depth_m=None)).detections
    assert first.results[0].pose.pose.position.z == 0 and first.bbox.size_x == 6


def tabletop_result(ids=(5, 9, 2)):
    frame, label, (normal, offset) = tabletop()
    depth_m = frame.depth_m.copy()
    depth_m[label == 2] = 0
    frame = Frame(frame.color, depth_m, frame.intrinsics)
    windows = [(int(c.min()), int(r.min()), int(c.max()) + 1, int(r.max()) + 1)
               for r, c in (np.nonzero(label == number) for number in (1, 2, 3))]
    instances = Instances(label, describe(label, windows, np.float32([0.9, 0.8, 0.7]), depth_m, frame.intrinsics))
    return Result(HEADER, frame, instances, np.asarray([0, *ids], np.uint16)[label], ids,
                  Plane(normal.astype(np.float32), offset, 0.9))


def test_objects():
    message = compose.objects_message(tabletop_result())
    assert [item.id for item in message.detections] == ["5", "2"]  # the second has no depth: no box, yet a detection
    assert [item.id for item in compose.detections_message(tabletop_result()).detections] == ["5", "9", "2"]
    third = message.detections[1]
    x0, y0, x1, y1, height = BOXES[2]
    size = third.bbox.size
    assert (size.x, size.y, size.z) == pytest.approx((x1 - x0, y1 - y0, height), abs=0.005)
    pitch = np.radians(50.0)
    offset = np.array([(x0 + x1) / 2, (y0 + y1) / 2, height / 2]) - [0, -0.5, 0.6]
    center = [offset[0], -np.sin(pitch) * offset[1] - np.cos(pitch) * offset[2],
              np.cos(pitch) * offset[1] - np.sin(pitch) * offset[2]]
    position, turn = third.bbox.center.position, third.bbox.center.orientation
    assert (position.x, position.y, position.z) == pytest.approx(center, abs=0.004)
    # the box's z axis is the table's normal: third column of the quaternion's rotation
    up = (2 * (turn.x * turn.z + turn.w * turn.y), 2 * (turn.y * turn.z - turn.w * turn.x),
          1 - 2 * (turn.x ** 2 + turn.y ** 2))
    assert up == pytest.approx((0, -np.cos(pitch), -np.sin(pitch)), abs=1e-6)
    assert third.results[0].pose.pose.position.z == position.z
    assert third.results[0].hypothesis.score == pytest.approx(0.7)


@pytest.mark.parametrize("result", [EMPTY, make_result(depth_m=None)])
def test_no_objects(result):
    assert compose.objects_message(result).detections == []


def test_cloud():
    message = compose.cloud_message(make_result(ids=(300, 7)))
    assert (message.height, message.width, message.point_step, message.row_step) == (16, 18, 20, 360)
    assert (message.is_bigendian, message.is_dense) == (False, False)
    assert [(f.name, f.offset, f.datatype, f.count) for f in message.fields] == [
        ("x", 0, 7, 1), ("y", 4, 7, 1), ("z", 8, 7, 1), ("rgb", 12, 7, 1), ("label", 16, 6, 1)]
    points = np.frombuffer(message.data, [("xyz", "<f4", 3), ("rgb", "<u4"), ("label", "<u4")]).reshape(16, 18)
    assert points["xyz"][10, 12] == pytest.approx(((12 - 7) / 10 * 0.5, (10 - 5) / 20 * 0.5, 0.5))
    assert np.argwhere(np.isnan(points["xyz"]).all(axis=-1)).tolist() == [[0, 0], [3, 4], [4, 4]]
    assert np.isnan(points["xyz"]).any(axis=-1).sum() == 3
    red, green, blue = (int(value) for value in COLOR[10, 12])
    assert points["rgb"][10, 12] == red << 16 | green << 8 | blue
    assert (points["rgb"] >> 24 == 0).all()  # any other top byte could make the float a NaN
    assert np.array_equal(points["label"], np.asarray([0, 300, 7])[LABEL])


def test_cloud_without_holes_and_without_depth():
    assert compose.cloud_message(make_result(depth_m=np.ones_like(DEPTH_M))).is_dense
    message = compose.cloud_message(make_result(depth_m=None))
    points = np.frombuffer(message.data, "<f4").reshape(16, 18, 5)
    assert np.isnan(points[..., :3]).all() and not message.is_dense
    assert points.view("<u4")[2, 3, 4] == 1


def test_cloud_of_a_picture_that_must_not_be_written_to():
    color, depth_m = COLOR.copy(), DEPTH_M.copy()
    color.flags.writeable = depth_m.flags.writeable = False
    result = make_result()
    frozen = Result(HEADER, Frame(color, depth_m, K), result.instances, result.label, result.ids)
    for composer in COMPOSERS:
        assert composer(frozen) == composer(result)


def test_overlay():
    message = compose.overlay_message(make_result())
    assert message.encoding == "rgb8"
    assert np.array_equal(decode_color(message, "t"), draw_overlay(COLOR, make_result().instances))
    assert np.array_equal(decode_color(compose.overlay_message(EMPTY), "t"), COLOR)


def test_overlay_shows_published_ids():
    one, other = (decode_color(compose.overlay_message(make_result(ids=ids)), "t") for ids in ((1, 2), (300, 7)))
    assert not np.array_equal(one[9:15, 11:13], other[9:15, 11:13])  # another id, another tint


def test_heatmap():
    heatmap = np.zeros((16, 18), np.float32)
    heatmap[3, 4], heatmap[5, 6] = 1.0, 0.5
    message = compose.heatmap_message(make_result(heatmap=heatmap))
    pixels = bytes_of(message).reshape(16, 18)
    assert message.encoding == "mono8" and (pixels[3, 4], pixels[5, 6], pixels.sum()) == (255, 128, 383)
    assert not bytes_of(compose.heatmap_message(make_result())).any()


def test_heatmap_on_image_leaves_the_padding_out():
    grid = working_grid((100, 150), EncodingConfig(short_side=100, long_side=150, multiple=32))
    assert (grid.resized_hw, grid.padded_hw) == ((100, 150), (128, 160))
    heatmap = np.full(grid.padded_hw, 1.0, np.float32)
    heatmap[:100, :150] = np.arange(150, dtype=np.float32) / 200
    prompts = Prompts(np.zeros((0, 2), np.float32), np.zeros(0, np.float32), heatmap=heatmap)
    nothing = Instances(np.zeros((100, 150), np.uint16), ())
    stages = StageResults(Features(grid, {}), prompts, None, nothing)
    assert np.allclose(heatmap_on_image(stages), heatmap[:100, :150])
    half = working_grid((200, 300), EncodingConfig(short_side=100, long_side=150, multiple=32))
    found = heatmap_on_image(StageResults(Features(half, {}), prompts, None, nothing))
    assert found.shape == (200, 300) and found[100, 151] == pytest.approx((151.5 / 2 - 0.5) / 200, abs=1e-4)


@pytest.mark.parametrize("prompts", [None, Prompts(np.zeros((0, 2), np.float32), np.zeros(0, np.float32))])
def test_no_heatmap(prompts):
    grid = working_grid((100, 150), EncodingConfig())
    stages = StageResults(Features(grid, {}), prompts, None, Instances(np.zeros((100, 150), np.uint16), ()))
    assert heatmap_on_image(stages) is None


def test_published_instances():
    result = make_result(ids=(300, 7))
    published = result.published()
    assert published.label is result.label and [item.id for item in published.items] == [300, 7]
    assert published.items[0].box_xyxy == result.instances.items[0].box_xyxy
    plain = make_result()
    assert plain.published() is plain.instances
