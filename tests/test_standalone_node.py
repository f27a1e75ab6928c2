"""Nodes, executors and endpoints of the standalone subset where it has rules of its own."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
from rosgraph import joined, loopback_env, start_peer, wait_for  # noqa: F401 (a fixture)

from uois_sam_ros.errors import RosError
from uois_sam_ros.ros import api

if not api.STANDALONE:
    pytest.skip("tests the standalone subset", allow_module_level=True)

from uois_sam_ros.ros.standalone import dds, idl
from uois_sam_ros.ros.standalone.context import default_context
from uois_sam_ros.ros.standalone.executor import MutuallyExclusiveCallbackGroup
from uois_sam_ros.ros.standalone.names import dds_topic
from uois_sam_ros.ros.standalone.qos import QoSProfile

INFO, IMAGE, TRIGGER = "sensor_msgs/msg/CameraInfo", "sensor_msgs/msg/Image", "std_srvs/srv/Trigger"
TIMEOUT_S = 20.0


@pytest.fixture
def node(joined):
    node = api.Node("tested")
    yield node
    node.destroy_node()


@pytest.fixture
def executor(node):
    executor = api.MultiThreadedExecutor(2)
    executor.add_node(node)
    yield executor
    assert executor.shutdown(timeout_sec=TIMEOUT_S)


def spin(executor):
    """Spin in a thread; return what ends it."""
    ended = []

    def run():
        try:
            ended.append(executor.spin())
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, ended


def test_error_in_a_callback_ends_spin(node, executor):
    def fail():
        raise KeyError("boom")

    node.create_timer(0.01, fail)
    with pytest.raises(KeyError, match="boom"):
        executor.spin()
    assert executor.shutdown()


def test_shutdown_waits_for_running_callbacks(node, executor):
    entered, gate = threading.Event(), threading.Event()

    def block():
        entered.set()
        gate.wait(TIMEOUT_S)

    node.create_timer(0.01, block)
    thread, ended = spin(executor)
    assert entered.wait(TIMEOUT_S)
    assert not executor.shutdown(timeout_sec=0.05)
    gate.set()
    assert executor.shutdown(timeout_sec=TIMEOUT_S)
    thread.join(TIMEOUT_S)
    assert ended == [None] and node.executor is None


def test_shutdown_in_a_callback(node, executor):
    node.create_timer(0.01, lambda: executor.shutdown(timeout_sec=0))
    executor.spin()


def test_a_node_is_served_once_and_can_be_taken_off(node, executor):
    assert not executor.add_node(node)
    ticks = []
    node.create_timer(0.01, lambda: ticks.append(1))
    thread, _ = spin(executor)
    assert wait_for(lambda: ticks)
    executor.remove_node(node)
    executor.remove_node(node)
    time.sleep(0.02)  # a call that was under way
    count = len(ticks)
    assert not wait_for(lambda: len(ticks) > count, timeout_s=0.1)
    executor.shutdown()
    thread.join(TIMEOUT_S)


def test_timer_in_a_busy_group_runs_when_it_is_free(node, executor):
    group, order, gate = MutuallyExclusiveCallbackGroup(), [], threading.Event()

    def block():
        order.append("block")
        blocker.cancel()
        gate.wait(TIMEOUT_S)

    def late():
        order.append("late")
        other.cancel()

    blocker = node.create_timer(0.01, block, callback_group=group)
    other = node.create_timer(0.03, late, callback_group=group)
    thread, _ = spin(executor)
    assert not wait_for(lambda: len(order) > 1, timeout_s=0.1)
    gate.set()
    assert wait_for(lambda: order == ["block", "late"])


@pytest.mark.parametrize("period", [0, -1.0])
def test_timer_without_a_period_is_refused(node, period):
    with pytest.raises(RosError, match="timer: expected a period above 0 s"):
        node.create_timer(period, print)


def test_negative_depth_is_refused():
    with pytest.raises(RosError, match="QoS depth: expected 0 or more samples, got -1"):
        QoSProfile(depth=-1)


def test_publishing_something_else_is_refused(node):
    publisher = node.create_publisher(api.message(INFO), "~/typed", 5)
    with pytest.raises(RosError, match="/tested/typed: expected a sensor_msgs/msg/CameraInfo, got a Image"):
        publisher.publish(api.message(IMAGE)())
    assert node.destroy_publisher(publisher) and not node.destroy_publisher(publisher)
    with pytest.raises(RosError, match="/tested/typed: publish"):
        publisher.publish(api.message(INFO)())


def test_classes_of_others_are_refused(node):
    with pytest.raises(RosError, match=r"expected a class from api.message\(\)"):
        node.create_publisher(dict, "~/x", 5)


def test_service_that_answers_nothing_is_an_error(node, executor):
    node.create_service(api.service(TRIGGER), "~/mute", lambda request, response: None)
    client = node.create_client(api.service(TRIGGER), "~/mute")
    assert client.wait_for_service(TIMEOUT_S)
    client.call_async(api.service(TRIGGER).Request())
    with pytest.raises(RosError, match="/tested/mute: expected the callback to return a Trigger.Response, got None"):
        executor.spin()
    with pytest.raises(RosError, match="/tested/mute: expected a Trigger.Request, got dict"):
        client.call_async({})


def test_wait_for_a_service_that_comes_late(node, executor):
    client = node.create_client(api.service(TRIGGER), "~/late")
    assert not client.service_is_ready() and not client.wait_for_service(timeout_sec=0.05)
    timer = threading.Timer(0.1, lambda: node.create_service(api.service(TRIGGER), "~/late", lambda a, b: b))
    timer.start()
    assert client.wait_for_service(timeout_sec=TIMEOUT_S)
    timer.join()


def test_messages_that_do_not_decode_are_told_and_left_out(node, executor, capfd, monkeypatch):
    """DDS drops malformed samples itself; what passes there and still does not decode must not end the node."""
    seen, failed, decode = [], [], idl.decode

    def fail_once(data, kind):
        if kind != INFO or failed:
            return decode(data, kind)
        failed.append(kind)
        raise RosError("no such message")

    node.create_subscription(api.message(INFO), "~/wild", seen.append, 5)
    publisher = node.create_publisher(api.message(INFO), "~/wild", 5)
    monkeypatch.setattr(idl, "decode", fail_once)
    publisher.publish(api.message(INFO)(width=1))
    publisher.publish(api.message(INFO)(width=2))
    spin(executor)
    assert wait_for(lambda: [info.width for info in seen] == [2])
    assert "[ERROR]" in capfd.readouterr().err


def test_malformed_samples_are_dropped(node, executor):
    seen = []
    node.create_subscription(api.message(INFO), "~/bad", lambda info: seen.append(info.width), 5)
    publisher = node.create_publisher(api.message(INFO), "~/bad", 5)
    assert dds.write(publisher.handle, bytearray(b"\x00\x01\x00\x00" + b"\xff" * 20)) < 0
    publisher.publish(api.message(INFO)(width=3))
    spin(executor)
    assert wait_for(lambda: seen == [3])


def test_received_images_outlive_their_subscription(node, executor):
    images, pixels = [], np.arange(30000, dtype=np.uint16).view(np.uint8)
    subscription = node.create_subscription(api.message(IMAGE), "~/kept", images.append, 5)
    publisher = node.create_publisher(api.message(IMAGE), "~/kept", 5)
    publisher.publish(api.message(IMAGE)(data=pixels))
    spin(executor)
    assert wait_for(lambda: images)
    node.destroy_subscription(subscription)
    for _ in range(20):
        publisher.publish(api.message(IMAGE)(data=pixels[::-1].copy()))
    assert not images[0].data.flags.writeable and np.array_equal(images[0].data, pixels)


STALLING = """
import os, sys, threading
from uois_sam_ros.ros import api
api.init(args=[])
node, executor = api.Node("stalling"), api.MultiThreadedExecutor(1)
executor.add_node(node)
image = api.message("sensor_msgs/msg/Image")
node.create_subscription(image, "/stalled", lambda message: print(message.height, flush=True), 1)
try:
    executor.spin()
except api.ExternalShutdownException:
    pass
api.try_shutdown()
"""


@pytest.mark.parametrize("history, warnings", [(api.HistoryPolicy.KEEP_LAST, 0), (api.HistoryPolicy.KEEP_ALL, 1)])
def test_subscriber_that_stalls_holds_nobody_up(node, joined, capfd, history, warnings):
    publisher = node.create_publisher(api.message(IMAGE), "/stalled", QoSProfile(depth=1, history=history))
    peer = start_peer(STALLING, env=joined)
    assert wait_for(lambda: publisher.get_subscription_count() == 1)
    os.kill(peer.pid, signal.SIGSTOP)
    pixels, slowest_s = np.zeros(4_000_000, np.uint8), 0.0
    for number in range(6):
        begin = time.monotonic()
        publisher.publish(api.message(IMAGE)(height=number, data=pixels))
        slowest_s = max(slowest_s, time.monotonic() - begin)
    os.kill(peer.pid, signal.SIGCONT)
    assert slowest_s < 2.0
    assert capfd.readouterr().err.count("/stalled: expected its reliable subscribers to keep up") == warnings
    heard = []
    reader = threading.Thread(target=lambda: heard.extend(iter(peer.stdout.readline, "")))
    reader.start()
    assert wait_for(lambda: publisher.publish(api.message(IMAGE)(height=99)) or "99\n" in heard), "it recovers"
    peer.terminate()
    reader.join(TIMEOUT_S)
    peer.communicate(timeout=TIMEOUT_S)


def test_nothing_is_left_behind(node, executor):
    ours, before = default_context().participant, None
    spin(executor)
    for _ in range(3):
        made = [node.create_publisher(api.message(IMAGE), "~/left", 5),
                node.create_subscription(api.message(IMAGE), "~/left", print, 5),
                node.create_service(api.service(TRIGGER), "~/left_service", print),
                node.create_client(api.service(TRIGGER), "~/left_service"), node.create_timer(1.0, print)]
        for member, destroy in zip(made, (node.destroy_publisher, node.destroy_subscription, node.destroy_service,
                                          node.destroy_client, node.destroy_timer)):
            assert destroy(member)
        other = api.LifecycleNode("other")
        executor.add_node(other)
        other.destroy_node()
        other.destroy_node()
        children = dds.library().dds_get_children(ours.handle, None, 0)
        now = (children, len(ours._uses), len(ours._topics), len(executor._members), len(executor._timers),
               len(os.listdir("/proc/self/fd")), threading.active_count())
        assert before in (None, now)
        before = now
    assert node.count_publishers("~/left") == node.count_subscribers("~/left") == 0


def test_memory_stays_flat(node, executor):
    def resident_kb():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4

    came = threading.Semaphore(0)
    node.create_subscription(api.message(IMAGE), "~/flood", lambda image: came.release(), 5)
    publisher = node.create_publisher(api.message(IMAGE), "~/flood", 5)
    spin(executor)
    pixels, sizes = np.zeros(640 * 480 * 3, np.uint8), []
    for number in range(1200):
        publisher.publish(api.message(IMAGE)(data=pixels))
        assert came.acquire(timeout=TIMEOUT_S)
        if number % 400 == 399:
            sizes.append(resident_kb())
    assert sizes[-1] - sizes[0] < 3000, sizes


def test_endpoints_of_unknown_nodes_are_listed(node):
    ours = default_context().participant
    foreign = ours.create_writer(dds_topic("/foreign"), INFO, QoSProfile(1))
    info, = node.get_publishers_info_by_topic("/foreign")
    assert info.node_name == "_NODE_NAME_UNKNOWN_" and info.topic_type == INFO
    ours.delete(foreign)


def test_graph_forgets_participants_that_are_gone(node):
    graph = default_context().graph
    gone = {bytes([number]) * 16 for number in range(70)}
    graph._owners.update({guid: {b"x": ("gone", "/")} for guid in gone})
    graph.refresh()
    assert not gone & set(graph._owners)


def test_graph_outlives_nonsense(node):
    writer = default_context().graph._writer
    sample = idl.encode(api.message("rmw_dds_common/msg/ParticipantEntitiesInfo")())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(idl, "decode", lambda data, kind: (_ for _ in ()).throw(RosError("nonsense")))
        assert dds.write(writer, sample) == 0
        default_context().graph.refresh()
    assert node.count_publishers("/rosout") == 1


JOIN = """
from uois_sam_ros.ros import api
from uois_sam_ros.errors import RosError
try:
    api.Node("early")
except RosError as error:
    print(error)
try:
    api.shutdown()
except RosError as error:
    print("no shutdown")
for _ in range(2):
    api.init(args=[])
    try:
        api.init(args=[])
    except RosError as error:
        print(error)
    node, executor = api.LifecycleNode("again"), api.MultiThreadedExecutor(1)
    executor.add_node(node)
    print(api.ok())
    api.shutdown()
    api.try_shutdown()
    node.destroy_node()
    executor.shutdown()
    print(api.ok())
print(open("/proc/self/status").read().split("Threads:")[1].split()[0])
"""


def test_init_and_shutdown_again(joined):
    peer = start_peer(JOIN, env=loopback_env())
    out, err = peer.communicate(timeout=TIMEOUT_S)
    lines = out.splitlines()
    assert "expected init() before nodes" in lines[0] and lines[1] == "no shutdown", err
    assert ["expected one call before shutdown" in lines[k] for k in (2, 5)] == [True, True]
    assert [lines[k] for k in (3, 4, 6, 7)] == ["True", "False", "True", "False"] and lines[8:] in (["1"], ["2"])


def test_simulated_time(node, executor):
    clock = node.create_publisher(api.message("rosgraph_msgs/msg/Clock"), "/clock", 5)
    spin(executor)
    assert node.set_parameters([api.Parameter("use_sim_time", value=True)])[0].successful
    assert node.get_clock().now().nanoseconds == 0
    sample = api.message("rosgraph_msgs/msg/Clock")()
    sample.clock.sec, sample.clock.nanosec = 5, 7
    assert wait_for(lambda: clock.publish(sample) or node.get_clock().now().nanoseconds == 5_000_000_007)
    assert node.set_parameters([api.Parameter("use_sim_time", value=False)])[0].successful
    assert node.get_clock().now().nanoseconds > 10**18


def test_log_lines(joined, node, executor, capfd):
    lines = []
    node.create_subscription(api.message("rcl_interfaces/msg/Log"), "/rosout", lines.append, 50)
    logger = node.get_logger()
    for write in (logger.debug, logger.info, logger.warning, logger.error):
        write("text")
    shown = capfd.readouterr().err.splitlines()
    assert [line.split()[0] for line in shown] == ["[INFO]", "[WARN]", "[ERROR]"]
    assert shown[0].endswith("[tested]: text")
    spin(executor)
    assert wait_for(lambda: [(line.level, line.name, line.msg) for line in lines] == [
        (level, "tested", "text") for level in (20, 30, 40)])
