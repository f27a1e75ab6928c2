"""Playing a recording: what is due when, stamps, choice of topics, and a real graph on loopback."""

from __future__ import annotations

import json
import signal
import struct
import threading

import bagfiles as bags
import numpy as np
import pytest
from bagfiles import COLOR, DEPTH, INFO, PERIOD_NS, START_NS, STORE, TRUTH, write_bag
from rosgraph import loopback_env, start_peer

from uois_sam_ros.cli import main
from uois_sam_ros.errors import InputError
from uois_sam_ros.replay.bag_messages import BagFile
from uois_sam_ros.replay.playback.player import PlayOptions, choose, rebuild
from uois_sam_ros.replay.playback.restamp import shift_all, shift_header
from uois_sam_ros.replay.playback.schedule import schedule
from uois_sam_ros.ros import api
from uois_sam_ros.ros.convert import header_stamp_ns

CLI = "import sys; from uois_sam_ros.cli import main; sys.exit(main(sys.argv[1:]))"
RECORDED = [("a", 1_000_000_000 * k, b"%d" % k) for k in range(4)] + [("b", 3_500_000_000, b"x")]


@pytest.fixture(autouse=True)
def graph(monkeypatch):
    """A loopback domain of its own for this process and its children."""
    env = loopback_env()
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return env


def dues(limit=None, **options):
    found = []
    for due in schedule(lambda: iter(RECORDED), **options):
        found.append((due.topic, due.raw, due.due_s, due.shift_ns))
        if len(found) == limit:
            break
    return found


@pytest.mark.parametrize(("options", "expected"), [
    ({}, [(b"0", 0), (b"1", 1), (b"2", 2), (b"3", 3), (b"x", 3.5)]),
    ({"rate": 2.0}, [(b"0", 0), (b"1", 0.5), (b"2", 1), (b"3", 1.5), (b"x", 1.75)]),
    ({"start_s": 1.5}, [(b"2", 0), (b"3", 1), (b"x", 1.5)]),
    ({"duration_s": 1.0}, [(b"0", 0), (b"1", 1)]),
    ({"start_s": 1.0, "duration_s": 2.0}, [(b"1", 0), (b"2", 1), (b"3", 2)]),
    ({"start_s": 9.0}, []), ({"start_s": 9.0, "loop": True}, []),
])
def test_what_is_due_when(options, expected):
    assert [(raw, due) for _, raw, due, _ in dues(**options)] == expected


def test_passes_of_a_loop_follow_after_one_period():
    found = dues(limit=11, loop=True)
    assert [due for *_, due, _ in found] == [0, 1, 2, 3, 3.5, 4.666666666, 5.666666666, 6.666666666, 7.666666666,
                                            8.166666666, 9.333333332]
    assert {shift for *_, shift in found} == {0, 4_666_666_666, 9_333_333_332}  # the busiest topic has 3 gaps in 3.5 s


@pytest.mark.parametrize("big_endian", [False, True])
def test_header_stamp_of_serialised_messages(big_endian):
    message = bags.image(START_NS + 7, "mono8", np.arange(48, dtype=np.uint8).reshape(6, 8))
    raw = bytes(STORE.serialize_cdr(message, message.__msgtype__, little_endian=not big_endian))
    moved = shift_header(raw, 1_000_000_001, 5)
    assert header_stamp_ns(moved) == START_NS + 1_000_000_008
    assert moved[:4] == raw[:4] and moved[12:] == raw[12:]
    unset = shift_header(raw[:4] + bytes(8) + raw[12:], 100, 5)
    assert header_stamp_ns(unset) == 105


def test_every_header_of_a_decoded_message():
    vector = bags.make("geometry_msgs/msg/Vector3", 0, 0, 0)
    turn = bags.make("geometry_msgs/msg/Quaternion", 0, 0, 0, 1)
    links = [bags.make("geometry_msgs/msg/TransformStamped", bags.header(stamp), "child",
                       bags.make("geometry_msgs/msg/Transform", vector, turn)) for stamp in (START_NS, 0)]
    message = bags.make("tf2_msgs/msg/TFMessage", links)
    assert shift_all(message, 2_000_000_000, 5)
    assert [(link.header.stamp.sec, link.header.stamp.nanosec) for link in links] == [
        (START_NS // 10**9 + 2, 0), (2, 5)]
    assert not shift_all(bags.make("std_msgs/msg/String", "x"), 1, 1)


@pytest.mark.skipif(not api.STANDALONE, reason="rclpy publishes serialised messages as they are")
def test_messages_are_rebuilt_for_the_middleware():
    message = rebuild(bags.camera_info(START_NS, 64, 48))
    assert type(message) is api.message("sensor_msgs/msg/CameraInfo")
    assert (message.header.stamp.sec, message.width, message.k[0]) == (START_NS // 10**9, 64, 60.0)


@pytest.fixture
def recording(tmp_path):
    """Six frames at 30 Hz, and a topic of a type that nobody knows."""
    return write_bag(tmp_path / "run", bags.raw_messages(6))


def test_topics_of_unknown_types_are_left_out(recording):
    bag = BagFile(recording)
    bag.types["/odd"], bag.counts["/odd"] = "vendor_msgs/msg/Odd", 3
    chosen, skipped = choose(bag, ())
    assert chosen == sorted([COLOR, DEPTH, INFO, TRUTH]) and "vendor_msgs/msg/Odd" in skipped["/odd"]
    with pytest.raises(InputError, match="--topics /odd: vendor_msgs/msg/Odd"):
        choose(bag, ("/odd",))
    bag.types, bag.counts = {"/odd": "vendor_msgs/msg/Odd"}, {"/odd": 3}
    with pytest.raises(InputError, match="expected a topic with messages of a known type, got none"):
        choose(bag, ())


@pytest.mark.parametrize(("arguments", "message"), [
    (["--rate", "0"], "--rate: expected 0.001 or more, got 0"),
    (["--start", "-1"], "--start: expected 0 or more, got -1"),
    (["--wait", "nan"], "--wait: expected 0 or more, got nan"),
    (["--remap", "a:b"], "--remap: expected FROM:=TO, got 'a:b'"),
    (["--remap", "/none:=/x"], "--remap /none: expected a topic of the recording"),
    (["--topics", "/none"], "--topics /none: expected a topic with messages, got no such topic; the recording has"),
    (["--start", "60"], "--start 60, --duration 0: expected messages in that part of the recording, got none"),
    (["--log", "."], "--log .: expected a writable file, got a folder"),
])
def test_refusals(recording, capsys, arguments, message):
    assert main(["play", str(recording), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_no_recording(tmp_path, capsys):
    assert main(["play", str(tmp_path / "none.mcap")]) == 2
    assert "none.mcap: expected a recording, got no such file or folder" in capsys.readouterr().err


def test_options_of_a_caller():
    with pytest.raises(InputError, match="--duration"):
        PlayOptions(duration_s=float("inf"))


class Ears:
    """Subscribes in this process and counts down to an event."""

    def __init__(self, topics, wanted):
        self.heard = {topic: [] for topic, _ in topics}
        self.done, self._left, self._lock = threading.Event(), wanted, threading.Lock()
        api.init(args=[])
        self.node = api.Node("ears")
        for topic, kind in topics:
            self.node.create_subscription(api.message(kind), topic, lambda message, topic=topic: self._hear(
                topic, message), api.QoSProfile(depth=50))
        self._executor = api.MultiThreadedExecutor(num_threads=2)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin)
        self._thread.start()

    def _hear(self, topic, message):
        with self._lock:
            self.heard[topic].append(message)
            self._left -= 1
            if self._left <= 0:
                self.done.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        api.shutdown()


def stamp(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_over_the_wire(recording, tmp_path, graph):
    """A restamped, renamed recording arrives whole, in order, with its offsets, at its pace."""
    image, info = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
    with Ears([("/left/rgb", image), (DEPTH, image), (INFO, info)], wanted=18) as ears:
        player = start_peer(CLI, "play", str(recording), "--restamp", "--wait", "30", "--topics", COLOR, DEPTH, INFO,
                            "--remap", f"{COLOR}:=/left/rgb", "--log", str(tmp_path / "sent.jsonl"), env=graph)
        out, err = player.communicate(timeout=60)
        assert player.returncode == 0, err
        assert ears.done.wait(20)
    colors, depths, infos = ears.heard.values()
    assert [len(each) for each in (colors, depths, infos)] == [6, 6, 6]
    assert {b - a for a, b in zip(map(stamp, colors), map(stamp, colors[1:]))} == {PERIOD_NS}
    assert {stamp(d) - stamp(c) for c, d in zip(colors, depths)} == {4_000_000}
    for (_, color, depth, _), got, deep in zip(bags.frames(6), colors, depths):
        assert np.array_equal(np.asarray(got.data), color.ravel()) and got.encoding == "bgr8"
        assert np.array_equal(np.asarray(deep.data).view(np.uint16), depth.ravel())
    sent = [json.loads(line) for line in (tmp_path / "sent.jsonl").read_text().splitlines()]
    assert [entry["stamp_ns"] for entry in sent if entry["topic"] == COLOR] == list(map(stamp, colors))
    assert [entry["recorded_ns"] for entry in sent if entry["topic"] == COLOR] == [
        START_NS + k * PERIOD_NS for k in range(6)]
    last, first = sent[-1]["published_ns"], sent[0]["published_ns"]
    assert last - first > 4 * PERIOD_NS
    assert "played 18 messages of 3 topics in 0." in out


def test_looped_until_interrupted(recording, graph):
    """Latched CameraInfo reaches a subscriber that asks for it; SIGINT ends the player in good order."""
    image = "sensor_msgs/msg/Image"
    with Ears([(COLOR, image)], wanted=15) as ears:
        player = start_peer(CLI, "play", str(recording), "--loop", "--restamp", "--rate", "4", env=graph)
        assert ears.done.wait(60)
        (info,) = ears.node.get_publishers_info_by_topic(INFO)
        (color,) = ears.node.get_publishers_info_by_topic(COLOR)
        player.send_signal(signal.SIGINT)
        out, err = player.communicate(timeout=30)
        assert player.returncode == 0, err
    assert (info.node_name, info.qos_profile.durability) == ("uois_sam_play", api.DurabilityPolicy.TRANSIENT_LOCAL)
    assert color.qos_profile.durability == api.DurabilityPolicy.VOLATILE
    assert {color.qos_profile.reliability, info.qos_profile.reliability} == {api.ReliabilityPolicy.RELIABLE}
    stamps = [stamp(message) for message in ears.heard[COLOR]]
    assert all(a < b for a, b in zip(stamps, stamps[1:]))  # also from one pass to the next
    assert "messages of 4 topics" in out
