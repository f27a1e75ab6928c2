"""The node over real DDS, in a process of its own: lifecycle, outputs, services, parameters, faults."""

from __future__ import annotations

import importlib.util
import signal
import threading
import time

import numpy as np
import pytest

if not any(importlib.util.find_spec(name) for name in ("rclpy", "cyclonedds")):
    pytest.skip("the node's tests need ROS 2 or the dds extra", allow_module_level=True)
from noderig import SCENE, TRUTH, Rig, image, stamp_ns  # noqa: E402
from rosgraph import loopback_env, start_peer  # noqa: E402

from uois_sam_ros.example import box_scene  # noqa: E402
from uois_sam_ros.replay.metrics import score_frame  # noqa: E402
from uois_sam_ros.ros import api  # noqa: E402


@pytest.fixture(scope="module")
def graph():
    """Pin this process to loopback and join the graph."""
    patch, env = pytest.MonkeyPatch(), loopback_env()
    for name, value in env.items():
        patch.setenv(name, value)
    api.init()
    yield env
    api.try_shutdown()
    patch.undo()


@pytest.fixture(scope="module")
def rig(graph):
    """One node for all tests that leave it as they found it."""
    one = Rig(graph, outputs=("label", "detections", "objects", "cloud"))
    one.wait_active()
    yield one
    assert one.close() == 0


@pytest.fixture
def make_rig(graph):
    rigs = []

    def make(**options):
        rigs.append(Rig(graph, **options))
        return rigs[-1]

    yield make
    for one in rigs:
        one.close()


def label_of(message):
    return np.frombuffer(message.data, np.uint16).reshape(message.height, message.width)


def settled(rig):
    """Wait until every colour message has an outcome; return the counts."""
    rig.wait(lambda: rig.counts() and rig.counts()["waiting"] == 0, "settled counts")
    counts = rig.counts()
    assert counts["received"] == sum(counts[k] for k in ("processed", "replaced", "unpaired", "refused"))
    return counts


def test_outputs_carry_the_stamp_of_a_sent_pair(rig):
    rig.got["label"].clear()
    sent = rig.send_until(lambda: len(rig.got["label"]) >= 3, "labels")
    rig.wait(lambda: all(rig.got[name] for name in ("detections", "objects", "cloud")), "outputs")
    for name in ("label", "detections", "objects", "cloud"):
        message = rig.got[name][-1]
        assert stamp_ns(message) in sent and message.header.frame_id == "camera"
    message = rig.got["label"][-1]
    assert (message.encoding, message.height, message.width) == ("16UC1", 240, 320)
    label = label_of(message)
    scores = score_frame(label, TRUTH)
    assert scores.overlap_f > 0.8
    stamp = stamp_ns(message)
    rig.wait(lambda: any(stamp_ns(d) == stamp for d in rig.got["detections"]), "detections of the same stamp")
    same = [d for d in rig.got["detections"] if stamp_ns(d) == stamp]
    assert len(same[0].detections) == label.max() == len(np.unique(label)) - 1
    for detection in same[0].detections:
        rows, cols = np.nonzero(label == int(detection.id))
        assert abs(detection.bbox.center.position.x - (cols.min() + cols.max()) / 2) <= 1
        assert abs(detection.bbox.size_y - (rows.max() - rows.min() + 1)) <= 1
    boxes = rig.got["objects"][-1].detections
    assert boxes and all(0.2 < box.bbox.center.position.z < 2.0 for box in boxes)
    settled(rig)


def test_parameters_change_what_comes_next(rig):
    assert rig.set_parameter("selection.score_threshold", 5.0)[0] is False
    refused, reason = rig.set_parameter("color_topic", "/other")
    assert refused is False and "unconfigured" in reason
    assert rig.set_parameter("roi", [0, 0, 160, 240]) == (True, "")
    rig.got["label"].clear()
    rig.send_until(lambda: len(rig.got["label"]) >= 2, "labels")
    label = label_of(rig.got["label"][-1])
    assert label[:, :160].any() and not label[:, 160:].any()
    assert rig.set_parameter("roi", [0, 0, 0, 0]) == (True, "")
    refused, reason = rig.set_parameter("roi", [5, 5, 2, 9])
    assert refused is False and "x0 < x1" in reason


@pytest.mark.parametrize(("make", "text"), [
    (lambda stamp: image("64FC1", np.zeros((240, 320), np.float64), stamp), "64FC1"),
    (lambda stamp: image("rgb8", np.zeros((120, 160, 3), np.uint8), stamp), "160x120"),
])
def test_a_bad_frame_costs_one_frame(rig, make, text):
    settled(rig)
    before = rig.counts()["refused"]
    rig.send(color=make)
    rig.wait(lambda: rig.counts()["refused"] == before + 1, "refusal")
    assert text in rig.values()["notice_frame"] and rig.got["diagnostics"][-1].status[0].level in (b"\x02", 2)
    rig.got["label"].clear()
    rig.send_until(lambda: rig.got["label"], "label after the fault")
    rig.wait(lambda: "notice_frame" not in rig.values(), "recovery")
    settled(rig)


def test_stamps_of_zero_and_going_back(rig):
    settled(rig)
    before = rig.counts()
    rig.send(stamp=0)
    rig.wait(lambda: rig.counts()["refused"] == before["refused"] + 1, "refusal of stamp 0")
    rig.got["label"].clear()
    old = time.time_ns() - 3600 * 10**9
    rig.send(stamp=old)
    rig.wait(lambda: rig.got["label"], "label of an older time")
    assert stamp_ns(rig.got["label"][-1]) == old
    settled(rig)


def test_a_camera_that_restarts_with_another_resolution(rig):
    other, _ = box_scene(400, 300, boxes=4)
    rig.got["label"].clear()
    rig.send_info(other)
    rig.send_until(lambda: any(m.width == 400 for m in rig.got["label"]), "label of the new size", scene=other)
    rig.send_info()
    rig.send_until(lambda: rig.got["label"][-1].width == 320, "label of the old size")
    settled(rig)


def test_a_camera_matrix_of_nan_is_named(rig):
    settled(rig)
    before = rig.counts()["refused"]
    rig.send_info(k=[float("nan")] * 9)
    time.sleep(0.2)
    rig.send()
    rig.wait(lambda: rig.counts()["refused"] > before, "refusal")
    assert "cam/info" in rig.values()["notice_frame"]
    rig.send_info()
    rig.got["label"].clear()
    rig.send_until(lambda: rig.got["label"], "label again")


def test_lifecycle(rig):
    assert rig.state() == "active"
    assert rig.transition("deactivate") and rig.state() == "inactive"
    rig.wait(lambda: rig.color.get_subscription_count() == 0, "unsubscribed node")
    answer = rig.trigger("segment")
    assert not answer.success and "inactive" in answer.message
    assert rig.transition("cleanup") and rig.state() == "unconfigured"
    assert not rig.trigger("save").success
    assert rig.set_parameter("slop_s", 0.03) == (True, "")
    assert rig.transition("configure") and rig.transition("activate")
    rig.wait_active()
    rig.got["label"].clear()
    rig.send_until(lambda: rig.got["label"], "label after a restart")


def test_depth_that_goes_away(make_rig):
    one = make_rig(depth_timeout_s=0.6)
    one.wait_active()
    one.send_until(lambda: one.got["label"], "labels")
    one.send_until(lambda: "notice_silent depth" in one.values(), "named silence", depth=False)
    assert "colour alone" in one.values()["notice_silent depth"]
    one.got["label"].clear()
    one.send_until(lambda: one.counts()["refused"] > 0, "colour alone, which the geometry preset refuses", depth=False)
    one.send_until(lambda: one.got["label"], "labels with depth again")
    one.wait(lambda: "notice_silent depth" not in one.values(), "recovery")
    settled(one)


def test_on_demand_and_save(make_rig, tmp_path):
    one = make_rig(mode="on_demand", save_dir=tmp_path / "saved", service_timeout_s=1.0)
    one.wait_active()
    answer = one.trigger("segment")
    assert not answer.success and "within 1 s" in answer.message
    sent = [one.send() for _ in range(5)]
    one.wait(lambda: one.counts().get("received", 0) == 5, "pairs")
    assert not one.got["label"]
    answer = one.trigger("segment")
    assert answer.success, answer.message
    one.wait(lambda: one.got["label"], "label on demand")
    assert stamp_ns(one.got["label"][0]) == sent[-1]
    answer = one.trigger("save")
    assert answer.success, answer.message
    from uois_sam_ros.replay.sources import InputOptions, open_input

    samples = list(open_input(str(tmp_path / "saved"), InputOptions()))
    assert len(samples) == 1 and np.array_equal(samples[0].frame.color, SCENE.color)
    assert np.array_equal(samples[0].truth, label_of(one.got["label"][0]))
    assert one.set_parameter("save_dir", "/proc/nowhere") == (True, "")
    answer = one.trigger("save")
    assert not answer.success and "/proc/nowhere" in answer.message
    one.wait(lambda: "notice_save" in one.values(), "named trouble")


def test_models_that_are_missing(make_rig, tmp_path):
    one = make_rig(preset="compact", runtime__model_dir=tmp_path)
    one.wait(lambda: "notice_configure" in one.values(), "failed configure")
    assert str(tmp_path) in one.values()["notice_configure"] and one.state() == "unconfigured"
    assert one.transition("configure") is False
    assert one.set_parameter("runtime.model_dir", "") == (True, "")
    assert one.transition("configure") and one.transition("activate")
    one.wait_active()
    one.send_until(lambda: one.got["label"], "labels of the network")
    assert "compact_encoder" in one.values()["models"]


def test_quality_of_service_that_does_not_meet(make_rig):
    one = make_rig(outputs=("detections",), qos__color="latched")
    one.wait(lambda: "notice_silent color" in one.values(), "named mismatch")
    text = one.values()["notice_silent color"]
    assert "rig" in text and "transient local" in text


def test_nothing_is_computed_for_nobody(make_rig):
    one = make_rig(outputs=())
    one.wait_active()
    one.send_until(lambda: one.counts().get("received", 0) >= 10, "pairs")
    assert one.counts()["processed"] == 0 and one.counts()["replaced"] >= 8


@pytest.mark.parametrize(("name", "value", "text"), [
    ("preset", "unknown", "compact"),
    ("slop_s", 1, "parameter slop_s: expected a value like 0.02"),
    ("max_rate_hz", -1.0, "parameter max_rate_hz"),
])
def test_a_parameter_that_cannot_be(make_rig, name, value, text):
    one = make_rig(outputs=(), **{name: value})
    assert one.process.wait(20) == 2
    one.wait(lambda: any(text in line for line in one.log), f"message with {text}")


STALLING_READER = """
import sys, threading
from uois_sam_ros.ros import api
from uois_sam_ros.ros.qos import profile
api.init()
node = api.Node("stalling", namespace=sys.argv[1])
seen = threading.Event()
for name, kind, qos in (("label", "sensor_msgs/msg/Image", "sensor_data"),
                        ("detections", "vision_msgs/msg/Detection2DArray", "reliable")):
    node.create_subscription(api.message(kind), f"uois_sam/{name}", lambda message: seen.set(), profile(qos))
executor = api.MultiThreadedExecutor(num_threads=1)
executor.add_node(node)
threading.Thread(target=executor.spin, daemon=True).start()
seen.wait(30)
print("seen", flush=True)
threading.Event().wait()
"""


def test_a_subscriber_that_stalls_holds_nobody_up(make_rig, graph):
    one = make_rig()
    one.wait_active()
    peer = start_peer(STALLING_READER, one.ns, env=graph)
    try:
        seen = []
        threading.Thread(target=lambda: seen.append(peer.stdout.readline()), daemon=True).start()
        one.send_until(lambda: seen, "message at the other subscriber")
        peer.send_signal(signal.SIGSTOP)
        one.got["label"].clear()
        one.got["detections"].clear()
        one.send_until(lambda: len(one.got["label"]) >= 30 and len(one.got["detections"]) >= 30, "labels all the same")
        assert float(one.values()["publishing_ms_p50"]) < 50
    finally:
        peer.kill()
        peer.wait(5)
