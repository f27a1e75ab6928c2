"""A pair of messages to a result, without a middleware: conversion, checks, region, mask, tracking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from uois_sam_ros.config import preset, update
from uois_sam_ros.errors import ConfigError, FrameError
from uois_sam_ros.example import box_scene
from uois_sam_ros.ros import api
from uois_sam_ros.ros.framing import to_frame
from uois_sam_ros.ros.intake import Pair
from uois_sam_ros.ros.processor import Processor
from uois_sam_ros.ros.settings import NodeSettings

SETTINGS = NodeSettings()
STAMP_NS = 5_000_000_042


def image(encoding, pixels, frame_id="camera"):
    message = api.message("sensor_msgs/msg/Image")()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(STAMP_NS, 10**9)
    message.header.frame_id = frame_id
    message.height, message.width = pixels.shape[:2]
    message.encoding, message.step = encoding, pixels[0].nbytes
    message.data = pixels.tobytes()
    return message


def camera_info(frame):
    k = frame.intrinsics
    message = api.message("sensor_msgs/msg/CameraInfo")()
    message.width, message.height = frame.width, frame.height
    message.k = [k.fx, 0.0, k.cx, 0.0, k.fy, k.cy, 0.0, 0.0, 1.0]
    return message


@pytest.fixture(scope="module")
def scene():
    return box_scene(320, 240, boxes=6)[0]


@pytest.fixture
def pair(scene):
    depth = np.round(np.nan_to_num(scene.depth_m) * 1000).astype(np.uint16)
    return Pair(image("rgb8", scene.color), image("16UC1", depth), camera_info(scene), None, STAMP_NS, 0, 0.0, 0.0)


@pytest.fixture(scope="module")
def processor():
    return Processor(SETTINGS, preset("geometry"))


def test_a_pair_becomes_the_frame(pair, scene):
    frame = to_frame(pair, SETTINGS)
    assert np.array_equal(frame.color, scene.color) and frame.stamp_ns == STAMP_NS
    assert np.allclose(frame.depth_m, scene.depth_m, atol=6e-4) and frame.name == "5.000000042"
    assert frame.intrinsics == scene.intrinsics
    assert np.allclose(to_frame(pair, replace(SETTINGS, depth_scale=0.002)).depth_m, 2 * frame.depth_m)


def test_color_alone(pair, scene):
    assert to_frame(replace(pair, depth=None, info=None), SETTINGS).intrinsics is None
    assert to_frame(replace(pair, depth=None), SETTINGS).intrinsics == scene.intrinsics


@pytest.mark.parametrize(("change", "text"), [
    (lambda p, s: replace(p, info=None), "expected a CameraInfo on color/camera_info"),
    (lambda p, s: replace(p, depth=image("16UC1", np.ones((240, 320), np.uint16), "depth_optical")),
     "expected the frame_id of colour .'camera'., got 'depth_optical': it is not aligned"),
    (lambda p, s: replace(p, depth=image("16UC1", np.ones((120, 160), np.uint16))), "320x240"),
    (lambda p, s: replace(p, depth=image("32FC1", np.full((240, 320), 800, np.float32))), "millimetres"),
    (lambda p, s: replace(p, color=image("16UC1", np.ones((240, 320), np.uint16))), "16UC1"),
])
def test_pairs_that_cannot_be_used(pair, scene, change, text):
    with pytest.raises(FrameError, match=text):
        to_frame(change(pair, scene), SETTINGS)


def test_frame_ids_need_not_agree_when_told_so(pair):
    other = replace(pair, depth=image("16UC1", np.full((240, 320), 700, np.uint16), "depth_optical"))
    assert to_frame(other, replace(SETTINGS, check_frames=False)).depth_m is not None


def test_result(pair, processor):
    done = processor(pair)
    result = done.result
    assert result.header is pair.color.header and result.label is result.instances.label
    assert result.ids == tuple(range(1, len(result.instances) + 1)) and len(result.ids) == 6
    assert result.plane is not None and result.heatmap is None
    assert {"conversion", "encoding", "selection", "segment", "finishing"} <= set(done.stages_ms)
    assert 0.9 < done.valid_depth <= 1.0


def test_region_and_mask(pair, scene, processor):
    whole = processor(pair).result
    mask = np.zeros((240, 320), np.uint8)
    x0, y0, x1, y1 = whole.instances.items[0].box_xyxy
    mask[y0:y1, x0:x1] = 255
    less = processor(replace(pair, ignore=image("mono8", mask))).result
    assert len(less.instances) < len(whole.instances) and not less.label[mask > 0].any()
    with pytest.raises(FrameError, match="320x240"):
        processor(replace(pair, ignore=image("mono8", mask[:100])))
    roi = (0, 0, 160, 240)
    processor.configure(replace(SETTINGS, roi=roi), preset("geometry"))
    left = processor(pair).result
    processor.configure(SETTINGS, preset("geometry"))
    assert left.label.shape == (240, 320) and left.label[:, :160].any() and not left.label[:, 160:].any()


def test_tracked_ids_last(pair, processor):
    processor.configure(replace(SETTINGS, track=True), preset("geometry"))
    first = processor(pair).result
    mask = np.zeros((240, 320), np.uint8)
    x0, y0, x1, y1 = first.instances.items[0].box_xyxy
    mask[y0:y1, x0:x1] = 255
    second = processor(replace(pair, ignore=image("mono8", mask))).result
    processor.configure(SETTINGS, preset("geometry"))
    assert set(second.ids) < set(first.ids) and 1 not in second.ids
    for number in second.ids:
        assert (second.label == number).sum() == ((first.label == number) & (mask == 0)).sum()


def test_settings_change_without_loading_again(processor):
    before = processor.segmenter
    config = update(preset("geometry"), {"selection": {"min_area": 0.2}})
    processor.configure(SETTINGS, config)
    assert processor.segmenter.config == config and dict(processor.segmenter.models) == dict(before.models)
    processor.configure(SETTINGS, preset("geometry"))


def test_networks_are_shared_after_a_change(pair):
    one = Processor(SETTINGS, preset("compact"))
    models = dict(one.segmenter.models)
    one.configure(SETTINGS, update(preset("compact"), {"selection": {"score_threshold": 0.6}}))
    assert all(one.segmenter.models[name] is model for name, model in models.items())
    result = one(pair, with_heatmap=True).result
    assert result.heatmap.shape == (240, 320) and result.heatmap.max() > 0.3
    assert len(result.instances) >= 4
    alone = one(replace(pair, depth=None)).result
    assert alone.plane is None and not alone.instances.depth_used


def test_a_setting_that_cannot_be_is_refused(processor):
    with pytest.raises(ConfigError):
        processor.configure(SETTINGS, update(preset("geometry"), {"selection": {"min_area": 2.0}}))


def test_heatmap_from_the_device_path(pair):
    """The map comes to the host when somebody asks, and looks as the host path's."""
    pytest.importorskip("torch", reason="the device path needs torch")
    runtime = {"backend": "torch", "frame_path": "device", "torch_device": "cpu", "threads": 1}
    small = {"encoding": {"short_side": 96, "long_side": 128, "focus": "off"}}
    expected = Processor(SETTINGS, update(preset("compact"), small))(pair, with_heatmap=True).result.heatmap
    one = Processor(SETTINGS, update(preset("compact"), {**small, "runtime": runtime}))
    found = one(pair, with_heatmap=True).result.heatmap
    assert found.shape == expected.shape == (240, 320) and found.dtype == np.float32
    assert expected.max() > 0.3 and np.abs(found - expected).mean() < 0.01
    assert one(pair).result.heatmap is None
