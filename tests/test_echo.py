"""The verb ``echo``: text of messages, and the verb itself on a topic of another process."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest
from rosgraph import loopback_env, start_peer

from uois_sam_ros.cli import main
from uois_sam_ros.ros import api
from uois_sam_ros.ros.echo import _rate_line, _size, to_text

if api.STANDALONE:
    pytest.importorskip("cyclonedds", reason="needs ROS 2 or the dds extra")

CAMERA = """
import sys
from uois_sam_ros.ros import api
api.init(args=[])
node, executor = api.Node("camera"), api.MultiThreadedExecutor(1)
executor.add_node(node)
image, info = api.message("sensor_msgs/msg/Image"), api.message("sensor_msgs/msg/CameraInfo")
sensor = api.QoSProfile(depth=5, history=api.HistoryPolicy.KEEP_LAST, reliability=api.ReliabilityPolicy.BEST_EFFORT)
latched = api.QoSProfile(depth=1, history=api.HistoryPolicy.KEEP_LAST, reliability=api.ReliabilityPolicy.RELIABLE,
                         durability=api.DurabilityPolicy.TRANSIENT_LOCAL)
images = node.create_publisher(image, "/color", sensor)
infos = node.create_publisher(info, "/info", latched)
infos.publish(info(width=640))
node.create_publisher(info, "/silent", 5)

def tick():
    message = image(height=10, width=10, step=30, encoding="rgb8", data=bytes(300))
    message.header.stamp = node.get_clock().now().to_msg()
    images.publish(message)

node.create_timer(0.02, tick)
print("up", flush=True)
try:
    executor.spin()
except api.ExternalShutdownException:
    pass
api.try_shutdown()
"""


@pytest.fixture(scope="module")
def camera():
    env = loopback_env()
    process = start_peer(CAMERA, env=env)
    assert process.stdout.readline() == "up\n", process.stderr.read()
    yield env
    process.terminate()
    process.communicate(timeout=20)


@pytest.fixture
def echo(camera, monkeypatch, capsys):
    for name, value in camera.items():
        monkeypatch.setenv(name, value)

    def run(*args):
        code = main(["echo", *args])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_one_message(echo):
    code, out, _ = echo("/color", "--once")
    assert code == 0
    assert "height: 10\nwidth: 10\nencoding: 'rgb8'" in out and "# 300 values" in out and out.endswith("---\n")


def test_latched_message(echo):
    code, out, _ = echo("/info", "--once")
    assert code == 0 and "width: 640" in out and "k: [0, 0, 0, 0, 0, 0, 0, 0, 0]" in out


def test_topics_are_listed(echo):
    code, out, _ = echo()
    assert code == 0
    assert {"/color", "/info", "/silent"} <= {line.split()[0] for line in out.splitlines()}
    assert "sensor_msgs/msg/Image" in out


def test_unknown_topic_names_the_others(echo):
    code, _, err = echo("/colour", "--timeout", "0.5")
    assert code == 2 and "expected the topic /colour" in err and "there are /color, /info" in err


def test_silent_topic(echo):
    code, _, err = echo("/silent", "--once", "--timeout", "0.2")
    assert code == 2 and "expected a message on /silent, got none within 0.2 s" in err


@pytest.mark.skipif(not api.STANDALONE, reason="rclpy hands a signal to the first context of a process alone")
@pytest.mark.parametrize("option, expected", [(["--hz"], " bytes each, "), ([], "encoding: 'rgb8'")])
def test_runs_until_it_is_interrupted(echo, option, expected):
    stop = threading.Timer(2.2, os.kill, (os.getpid(), signal.SIGINT))
    stop.start()
    code, out, _ = echo("/color", *option)
    stop.join()
    assert code == 0 and expected in out


def test_text_of_nested_messages():
    point, fields = api.message("sensor_msgs/msg/PointField"), []
    for name in "xy":
        fields.append(point(name=name, datatype=7))
    text = to_text(api.message("sensor_msgs/msg/PointCloud2")(fields=fields, is_dense=True, data=bytes(range(12))))
    assert text.splitlines()[:7] == ["header:", "  stamp:", "    sec: 0", "    nanosec: 0", "  frame_id: ''",
                                     "height: 0", "width: 0"]
    assert "fields:\n- name: 'x'\n  offset: 0\n  datatype: 7\n  count: 0\n- name: 'y'" in text
    assert "is_dense: true" in text and "data: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]" in text


def test_text_of_special_fields():
    status = api.message("diagnostic_msgs/msg/DiagnosticStatus")
    assert to_text(status(level=status.ERROR)).startswith("level: 2\n") and "values: []" in to_text(status())
    image = api.message("sensor_msgs/msg/Image")()
    image.data = np.arange(13, dtype=np.uint8).tobytes()
    assert to_text(image).endswith("data: [0, 1, 2, 3, 4, 5, ..., 7, 8, 9, 10, 11, 12]  # 13 values")


def test_size_and_rate():
    image = api.message("sensor_msgs/msg/Image")(encoding="rgb8")
    image.data = bytes(300)
    assert 300 <= _size(image) <= 400
    line = _rate_line([0.0, 0.1, 0.2], 3_000_000, [2.0, 9.0, 3.0])
    assert line == "10.00 Hz, 1,000,000 bytes each, 10.00 MB/s, age 3.0 ms"
    assert _rate_line([0.0], 1, []) == "1 messages in the last second"
