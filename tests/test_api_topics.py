"""Messages, topics, quality of service and the graph, as the node relies on them in ``ros/api.py``."""

from __future__ import annotations

import itertools
import threading
import time
from array import array

import numpy as np
import pytest
from apirig import TIMEOUT_S, Inbox, joined, node, peer  # noqa: F401 (fixtures)
from rosgraph import wait_for
from rospeer import KINDS, build, plain

from uois_sam_ros.errors import BackendError
from uois_sam_ros.ros import api

NUMBERS = itertools.count()
HEADER = {"stamp": {"sec": 12, "nanosec": 345678901}, "frame_id": "camera_optical"}
POSE = {"position": {"x": 0.5, "y": -1.5, "z": 2.0}, "orientation": {"x": 0.0, "y": 0.6, "z": 0.0, "w": 0.8}}
RESULT = {"hypothesis": {"class_id": "object", "score": 0.75}, "pose": {"pose": POSE, "covariance": [0.25] * 36}}
SAMPLES = {
    "image": {"header": HEADER, "height": 2, "width": 3, "encoding": "16UC1", "is_bigendian": 0, "step": 6,
              "data": list(range(12))},
    "compressed": {"header": HEADER, "format": "png", "data": [137, 80, 78, 71, 0, 255]},
    "info": {"header": HEADER, "height": 480, "width": 640, "distortion_model": "plumb_bob",
             "d": [0.1, -0.2, 0.0], "k": [600.0, 0.0, 320.0, 0.0, 600.0, 240.0, 0.0, 0.0, 1.0],
             "r": [1.0] * 9, "p": [2.0] * 12, "binning_x": 1, "binning_y": 2,
             "roi": {"x_offset": 1, "y_offset": 2, "height": 3, "width": 4, "do_rectify": True}},
    "cloud": {"header": HEADER, "height": 1, "width": 2, "is_bigendian": False, "point_step": 8, "row_step": 16,
              "fields": [{"name": "x", "offset": 0, "datatype": 7, "count": 1},
                         {"name": "label", "offset": 4, "datatype": 6, "count": 1}],
              "data": list(range(16)), "is_dense": True},
    "detections": {"header": HEADER, "detections": [
        {"header": HEADER, "results": [RESULT], "id": "1", "bbox": {
            "center": {"position": {"x": 10.5, "y": 20.5}, "theta": 0.0}, "size_x": 4.0, "size_y": 6.0}},
        {"header": HEADER, "results": [], "id": "a longer id", "bbox": {
            "center": {"position": {"x": 1.0, "y": 2.0}, "theta": 0.5}, "size_x": 1.0, "size_y": 1.0}}]},
    "objects": {"header": HEADER, "detections": [
        {"header": HEADER, "results": [RESULT, RESULT], "id": "7", "bbox": {
            "center": POSE, "size": {"x": 0.1, "y": 0.2, "z": 0.3}}}]},
    "diagnostics": {"header": HEADER, "status": [
        {"level": [2], "name": "uois_sam", "message": "no depth", "hardware_id": "",
         "values": [{"key": "rate", "value": "29.9"}, {"key": "", "value": ""}]}]},
}


@pytest.mark.parametrize("key", KINDS)
def test_every_message_type_crosses_the_wire_and_back(node, peer, key):
    cls = api.message(KINDS[key])
    publisher = node.create_publisher(cls, f"/peer/{key}/in", 10)
    inbox = Inbox(node, KINDS[key], f"/peer/{key}/out", 10)
    sent = build(cls, SAMPLES[key])
    assert wait_for(lambda: publisher.get_subscription_count() == 1)
    assert wait_for(lambda: node.count_publishers(f"/peer/{key}/out") == 1)
    assert wait_for(lambda: publisher.publish(sent) or inbox.messages), "until the peer has found the way back"
    assert plain(inbox.messages[0]) == plain(sent)
    assert {name: plain(sent)[name] for name in SAMPLES[key]} == SAMPLES[key]


@pytest.mark.parametrize("make", [
    lambda pixels: array("B", pixels.tobytes()), lambda pixels: pixels.tobytes(), lambda pixels: pixels,
    lambda pixels: pixels.tolist()], ids=["array", "bytes", "numpy", "list"])
def test_image_data_in_every_form(node, make):
    pixels = np.arange(6, dtype=np.uint8)
    image = api.message("sensor_msgs/msg/Image")()
    image.data = make(pixels)
    assert np.frombuffer(image.data, np.uint8).tolist() == pixels.tolist()


def test_defaults():
    assert plain(api.message("geometry_msgs/msg/Pose")())["orientation"] == {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}
    info = plain(api.message("sensor_msgs/msg/CameraInfo")())
    assert info["k"] == [0.0] * 9 and info["d"] == [] and info["roi"]["do_rectify"] is False
    status = api.message("diagnostic_msgs/msg/DiagnosticStatus")
    assert status().level == status.OK == b"\x00" and status(level=status.ERROR).level == b"\x02"


def test_unknown_types_are_refused():
    with pytest.raises(ValueError, match="no_msgs/msg/None"):
        api.message("no_msgs/msg/None")
    with pytest.raises(ValueError, match="no_srvs/srv/None"):
        api.service("no_srvs/srv/None")


def test_names_of_a_node(node):
    assert node.get_name() == "tested" and node.get_namespace() == "/cell"
    assert node.get_fully_qualified_name() == "/cell/tested"
    assert [node.resolve_topic_name(name) for name in ("~/label", "color", "/tf")] == [
        "/cell/tested/label", "/cell/color", "/tf"]


def profile(reliability, durability="VOLATILE", depth=5):
    return api.QoSProfile(depth=depth, history=api.HistoryPolicy.KEEP_LAST,
                          reliability=getattr(api.ReliabilityPolicy, reliability),
                          durability=getattr(api.DurabilityPolicy, durability))


@pytest.mark.parametrize("offered, wanted, matches", [
    (profile("RELIABLE"), profile("RELIABLE"), True),
    (profile("RELIABLE"), profile("BEST_EFFORT"), True),
    (profile("BEST_EFFORT"), profile("BEST_EFFORT"), True),
    (profile("BEST_EFFORT"), profile("RELIABLE"), False),
    (profile("RELIABLE"), profile("RELIABLE", "TRANSIENT_LOCAL"), False),
])
def test_quality_of_service_must_match(node, offered, wanted, matches):
    kind, topic = "sensor_msgs/msg/CameraInfo", f"~/qos_{next(NUMBERS)}"
    publisher = node.create_publisher(api.message(kind), topic, offered)
    inbox = Inbox(node, kind, topic, wanted)
    assert wait_for(lambda: node.count_subscribers(topic) == node.count_publishers(topic) == 1)
    publisher.publish(api.message(kind)(width=9))
    assert publisher.get_subscription_count() == int(matches)
    if matches:
        assert inbox.wait()[0].width == 9
    assert wait_for(lambda: [found.node_name for found in node.get_publishers_info_by_topic(topic)] == ["tested"])
    info, = node.get_publishers_info_by_topic(topic)
    assert (info.node_namespace, info.topic_type) == ("/cell", kind)
    assert info.qos_profile.reliability == offered.reliability
    info, = node.get_subscriptions_info_by_topic(topic)
    assert (info.qos_profile.reliability, info.qos_profile.durability) == (wanted.reliability, wanted.durability)


def test_latched_message_reaches_a_late_subscriber(node):
    kind, latched = "sensor_msgs/msg/CameraInfo", profile("RELIABLE", "TRANSIENT_LOCAL", depth=1)
    publisher = node.create_publisher(api.message(kind), "~/latched", latched)
    for width in (1, 2):
        publisher.publish(api.message(kind)(width=width))
    inbox = Inbox(node, kind, "~/latched", latched)
    assert inbox.wait()[0].width == 2


def test_slow_subscriber_gets_the_newest(node):
    kind, gate, entered = "sensor_msgs/msg/CameraInfo", threading.Event(), threading.Event()
    seen, last = [], threading.Event()

    def slow(message):
        seen.append(message.width)
        entered.set()
        gate.wait(TIMEOUT_S)
        if message.width == 9:
            last.set()

    node.create_subscription(api.message(kind), "~/slow", slow, profile("BEST_EFFORT", depth=1))
    publisher = node.create_publisher(api.message(kind), "~/slow", profile("BEST_EFFORT", depth=1))
    assert wait_for(lambda: publisher.get_subscription_count() == 1)
    publisher.publish(api.message(kind)(width=0))
    assert entered.wait(TIMEOUT_S)
    for width in range(1, 10):
        publisher.publish(api.message(kind)(width=width))
    gate.set()
    assert last.wait(TIMEOUT_S)
    assert seen[0] == 0 and seen[-1] == 9 and len(seen) <= 3


def test_publishing_from_many_threads(node):
    kind, threads, each = "sensor_msgs/msg/Image", 4, 50
    inbox = Inbox(node, kind, "~/busy", profile("RELIABLE", depth=threads * each))
    publisher = node.create_publisher(api.message(kind), "~/busy", profile("RELIABLE", depth=threads * each))
    assert wait_for(lambda: publisher.get_subscription_count() == 1)

    def publish(number):
        for index in range(each):
            publisher.publish(api.message(kind)(height=number, width=index, data=array("B", bytes([number]) * 5000)))

    workers = [threading.Thread(target=publish, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    messages = inbox.wait(threads * each)
    for number in range(threads):
        mine = [message for message in messages if message.height == number]
        assert [message.width for message in mine] == list(range(each)), "in order, none lost"
        assert all(set(bytes(message.data)) == {number} for message in mine)


def test_destroyed_subscription_hears_no_more(node):
    kind = "sensor_msgs/msg/CameraInfo"
    publisher = node.create_publisher(api.message(kind), "~/gone", 5)
    inbox, stays = Inbox(node, kind, "~/gone", 5), Inbox(node, kind, "~/gone", 5)
    assert wait_for(lambda: publisher.get_subscription_count() == 2)
    node.destroy_subscription(inbox.subscription)
    assert wait_for(lambda: publisher.get_subscription_count() == 1)
    publisher.publish(api.message(kind)())
    stays.wait()
    assert inbox.messages == []
    node.destroy_publisher(publisher)
    assert wait_for(lambda: node.count_publishers("~/gone") == 0)


def test_the_graph_names_the_other_process(node, peer):
    assert wait_for(lambda: [info.node_name for info in node.get_publishers_info_by_topic("/peer/image/out")]
                    == ["peer"])
    info, = node.get_subscriptions_info_by_topic("/peer/image/in")
    assert (info.node_namespace, info.topic_type) == ("/peer", "sensor_msgs/msg/Image")
    assert ("/peer/image/in", ["sensor_msgs/msg/Image"]) in node.get_topic_names_and_types()
    assert node.count_publishers("/nowhere") == node.count_subscribers("/nowhere") == 0


def test_the_clock_runs(node):
    before, stamp = time.time_ns(), node.get_clock().now()
    assert abs(stamp.nanoseconds - before) < 1_000_000_000
    assert stamp.to_msg().sec * 10**9 + stamp.to_msg().nanosec == stamp.nanoseconds


def test_backend_is_named():
    assert api.BACKEND_NAME == ("standalone on Cyclone DDS" if api.STANDALONE else "rclpy")
    assert issubclass(BackendError, ValueError)
