"""What the node relies on in ``ros/api.py``; runs unchanged on the standalone subset and on real rclpy.

The other side of the graph is a process of its own (``rospeer``) wherever the wire matters.
"""

from __future__ import annotations

import functools
import itertools
import json
import signal
import threading
import time
from array import array

import numpy as np
import pytest
from rosgraph import joined, start_peer, wait_for  # noqa: F401 (a fixture)
from rospeer import KINDS, build, plain

from uois_sam_ros.errors import BackendError
from uois_sam_ros.ros import api

TIMEOUT_S = 20.0
NUMBERS = itertools.count()
SUCCESS, FAILURE, ERROR = (
    api.TransitionCallbackReturn.SUCCESS, api.TransitionCallbackReturn.FAILURE, api.TransitionCallbackReturn.ERROR)
TRIGGER = "std_srvs/srv/Trigger"
PARAMETERS = "rcl_interfaces/srv/"


class Spinning:
    """An executor that spins in a thread of its own."""

    def __init__(self, *nodes) -> None:
        self.executor = api.MultiThreadedExecutor(num_threads=4)
        for node in nodes:
            self.executor.add_node(node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        try:
            self.executor.spin()
        except api.ExternalShutdownException:
            pass

    def end(self) -> None:
        self.executor.shutdown()
        assert self.has_ended()

    def has_ended(self) -> bool:
        self._thread.join(TIMEOUT_S)
        return not self._thread.is_alive()


@pytest.fixture
def node(joined):
    node = api.Node("tested", namespace="/cell")
    spinning = Spinning(node)
    yield node
    spinning.end()
    node.destroy_node()


@pytest.fixture(scope="module")
def peer(joined):
    process = start_peer("import rospeer; rospeer.main()", env=joined)
    assert process.stdout.readline().strip() == "ready", process.stderr.read()

    def call(kind, name, request=None, timeout_s=TIMEOUT_S):
        process.stdin.write(json.dumps([kind, name, request or {}, timeout_s]) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield call
    process.stdin.close()
    process.wait(TIMEOUT_S)
    process.stdout.close()
    process.stderr.close()


class Inbox:
    """Collects what a subscription gets."""

    def __init__(self, node, kind, topic, qos, **options):
        self.messages, self._came = [], threading.Condition()
        self.subscription = node.create_subscription(api.message(kind), topic, self._take, qos, **options)

    def _take(self, message):
        with self._came:
            self.messages.append(message)
            self._came.notify_all()

    def wait(self, count=1, timeout_s=TIMEOUT_S):
        with self._came:
            assert self._came.wait_for(lambda: len(self.messages) >= count, timeout_s), len(self.messages)
            return self.messages


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


def test_timer_calls_until_it_is_cancelled(node):
    ticks, other = [], []

    def tick():
        ticks.append(time.monotonic())
        if len(ticks) == 10:
            timer.cancel()

    timer = node.create_timer(0.01, tick)
    assert wait_for(lambda: len(ticks) >= 10)
    assert ticks[9] - ticks[0] >= 0.07, "nine periods, but for the lateness of the first"
    node.create_timer(0.05, lambda: other.append(1))
    assert wait_for(lambda: len(other) >= 3)
    assert len(ticks) == 10
    assert node.destroy_timer(timer)


def trigger_service(node, name, answer, **options):
    def callback(request, response):
        response.success, response.message = answer()
        return response
    return node.create_service(api.service(TRIGGER), name, callback, **options)


def test_service_is_called_from_another_process(node, peer):
    trigger_service(node, "~/segment", lambda: (True, "7 objects"))
    assert peer(TRIGGER, "/cell/tested/segment") == {"success": True, "message": "7 objects"}
    assert peer(TRIGGER, "/cell/tested/none", timeout_s=0.3) == "no such service"


def test_own_client_and_service(node):
    trigger_service(node, "~/own", lambda: (False, "não"))
    client = node.create_client(api.service(TRIGGER), "~/own")
    assert client.wait_for_service(timeout_sec=TIMEOUT_S)
    done, found = threading.Event(), []
    futures = [client.call_async(api.service(TRIGGER).Request()) for _ in range(5)]
    for future in futures:
        future.add_done_callback(lambda future: (found.append(future.result().message), len(found) == 5 and done.set()))
    assert done.wait(TIMEOUT_S) and found == ["não"] * 5
    assert all(future.done() for future in futures)
    node.destroy_client(client)


def test_clients_get_their_own_answers(node):
    kind, answers, done = api.service("std_srvs/srv/SetBool"), {True: [], False: []}, threading.Event()

    def serve(request, response):
        response.message = str(request.data)
        return response

    def keep(sent, future):
        answers[sent].append(future.result().message)
        if len(answers[True]) == len(answers[False]) == 3:
            done.set()

    node.create_service(kind, "~/shared", serve)
    clients = {sent: node.create_client(kind, "~/shared") for sent in (True, False)}
    assert all(client.wait_for_service(timeout_sec=TIMEOUT_S) for client in clients.values())
    for _ in range(3):
        for sent, client in clients.items():
            client.call_async(kind.Request(data=sent)).add_done_callback(functools.partial(keep, sent))
    assert done.wait(TIMEOUT_S) and answers == {True: ["True"] * 3, False: ["False"] * 3}


def test_blocking_service_does_not_stop_subscriptions_and_timers(node, peer):
    kind, entered, gate = "sensor_msgs/msg/CameraInfo", threading.Event(), threading.Event()

    def block():
        entered.set()
        return gate.wait(TIMEOUT_S), "late"

    trigger_service(node, "~/block", block, callback_group=api.MutuallyExclusiveCallbackGroup())
    inbox, ticks, answers = Inbox(node, kind, "~/alive", 5), [], []
    publisher = node.create_publisher(api.message(kind), "~/alive", 5)
    caller = threading.Thread(target=lambda: answers.append(peer(TRIGGER, "/cell/tested/block")))
    caller.start()
    assert entered.wait(TIMEOUT_S)
    node.create_timer(0.01, lambda: ticks.append(1))
    for width in range(3):
        publisher.publish(api.message(kind)(width=width))
    inbox.wait(3)
    assert wait_for(lambda: len(ticks) >= 3)
    assert answers == []
    gate.set()
    caller.join(TIMEOUT_S)
    assert answers == [{"success": True, "message": "late"}]


def test_a_group_runs_one_callback_at_a_time(node):
    kind, running, overlaps, done = "sensor_msgs/msg/CameraInfo", [], [], []

    def enter(message):
        running.append(1)
        overlaps.append(len(running))
        time.sleep(0.002)
        running.pop()
        done.append(1)

    for topic in ("~/one", "~/two"):
        node.create_subscription(api.message(kind), topic, enter, 50)
    publishers = [node.create_publisher(api.message(kind), topic, 50) for topic in ("~/one", "~/two")]
    assert wait_for(lambda: all(publisher.get_subscription_count() == 1 for publisher in publishers))
    for _ in range(20):
        for publisher in publishers:
            publisher.publish(api.message(kind)())
    assert wait_for(lambda: len(done) == 40)
    assert set(overlaps) == {1}


@pytest.fixture
def declared(node):
    node.declare_parameter("rate", 5.0, api.ParameterDescriptor(
        description="Hz", floating_point_range=[api.FloatingPointRange(from_value=0.0, to_value=30.0, step=0.0)]))
    node.declare_parameter("count", 4, api.ParameterDescriptor(
        integer_range=[api.IntegerRange(from_value=0, to_value=10, step=2)]))
    node.declare_parameter("model", "compact", api.ParameterDescriptor(read_only=True))
    node.declare_parameter("track", False)
    node.declare_parameter("roi", [0, 0, 640, 480])
    node.declare_parameter("stage.size", [0.5, 1.5])
    return node


@pytest.mark.parametrize("name, value, accepted", [
    ("rate", 30.0, True), ("rate", 30.5, False), ("rate", -0.1, False), ("rate", 5, False), ("rate", "5", False),
    ("count", 6, True), ("count", 5, False), ("count", 12, False), ("count", 6.0, False),
    ("model", "paper", False), ("track", True, True), ("track", 1, False),
    ("roi", [1, 2, 3, 4], True), ("roi", [0.5], False), ("stage.size", [1.0], True),
])
def test_parameters_keep_type_range_and_read_only(declared, name, value, accepted):
    before = declared.get_parameter(name).value
    result, = declared.set_parameters([api.Parameter(name, value=value)])
    assert result.successful == accepted
    assert bool(result.reason) != accepted
    found = declared.get_parameter(name).value
    assert (list(found) if isinstance(value, list) else found) == (value if accepted else before)


def test_parameter_callback_may_refuse(declared):
    asked = []

    def check(parameters):
        asked.extend((parameter.name, parameter.value) for parameter in parameters)
        good = all(parameter.value is not True for parameter in parameters)
        return api.SetParametersResult(successful=good, reason="" if good else "not while active")

    declared.add_on_set_parameters_callback(check)
    assert declared.set_parameters([api.Parameter("rate", api.Parameter.Type.DOUBLE, 7.0)])[0].successful
    result, = declared.set_parameters([api.Parameter("track", api.Parameter.Type.BOOL, True)])
    assert not result.successful and result.reason == "not while active"
    assert asked == [("rate", 7.0), ("track", True)] and declared.get_parameter("track").value is False


def test_wrong_declarations_are_refused(declared):
    limits = [api.FloatingPointRange(from_value=0.0, to_value=1.0, step=0.0)]
    for name, value, descriptor in (("rate", 1.0, api.ParameterDescriptor()),
                                    ("high", 2.0, api.ParameterDescriptor(floating_point_range=limits))):
        with pytest.raises(Exception, match=name):
            declared.declare_parameter(name, value, descriptor)
    with pytest.raises(Exception, match="never"):
        declared.get_parameter("never")


def test_parameters_are_served_to_another_process(declared, peer):
    base = "/cell/tested/"
    listed = peer(PARAMETERS + "ListParameters", base + "list_parameters")["result"]
    assert {"rate", "count", "model", "track", "roi", "stage.size", "use_sim_time"} <= set(listed["names"])
    listed = peer(PARAMETERS + "ListParameters", base + "list_parameters", {"prefixes": ["stage"]})["result"]
    assert listed == {"names": ["stage.size"], "prefixes": ["stage"]}
    described, = peer(PARAMETERS + "DescribeParameters", base + "describe_parameters",
                      {"names": ["rate"]})["descriptors"]
    assert described["name"] == "rate" and described["type"] == 3 and described["description"] == "Hz"
    assert described["floating_point_range"] == [{"from_value": 0.0, "to_value": 30.0, "step": 0.0}]
    types = peer(PARAMETERS + "GetParameterTypes", base + "get_parameter_types", {"names": ["model", "roi"]})
    assert types == {"types": [4, 7]}
    values = peer(PARAMETERS + "GetParameters", base + "get_parameters", {"names": ["rate", "roi", "stage.size"]})
    assert [value["type"] for value in values["values"]] == [3, 7, 8]
    assert values["values"][0]["double_value"] == 5.0
    assert values["values"][1]["integer_array_value"] == [0, 0, 640, 480]
    changes = [{"name": "rate", "value": {"type": 3, "double_value": 9.0}},
               {"name": "rate", "value": {"type": 3, "double_value": 99.0}},
               {"name": "nobody", "value": {"type": 1, "bool_value": True}}]
    results = peer(PARAMETERS + "SetParameters", base + "set_parameters", {"parameters": changes})["results"]
    assert [result["successful"] for result in results] == [True, False, False]
    assert all(result["reason"] for result in results[1:]) and declared.get_parameter("rate").value == 9.0
    changes = [{"name": "count", "value": {"type": 2, "integer_value": 8}}, changes[1]]
    result = peer(PARAMETERS + "SetParametersAtomically", base + "set_parameters_atomically",
                  {"parameters": changes})["result"]
    assert not result["successful"] and declared.get_parameter("count").value == 4


def test_parameter_changes_are_published(declared):
    inbox = Inbox(declared, "rcl_interfaces/msg/ParameterEvent", "/parameter_events", 100)
    assert wait_for(lambda: declared.count_subscribers("/parameter_events") == 1)
    declared.set_parameters([api.Parameter("rate", value=11.0)])
    event = inbox.wait()[-1]
    assert event.node == "/cell/tested"
    assert [(item.name, item.value.double_value) for item in event.changed_parameters] == [("rate", 11.0)]


class Managed(api.LifecycleNode):
    """Notes what it is asked, and answers as it is told."""

    def __init__(self):
        super().__init__("managed", namespace="/cell")
        self.answers, self.asked = {}, []

    def _answer(self, name, state):
        self.asked.append((name, state.label))
        answer = self.answers.get(name, SUCCESS)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def on_configure(self, state):
        return self._answer("configure", state)

    def on_activate(self, state):
        return self._answer("activate", state)

    def on_deactivate(self, state):
        return self._answer("deactivate", state)

    def on_cleanup(self, state):
        return self._answer("cleanup", state)

    def on_shutdown(self, state):
        return self._answer("shutdown", state)

    def on_error(self, state):
        return self._answer("error", state)


@pytest.fixture
def managed(joined):
    node = Managed()
    spinning = Spinning(node)
    yield node
    spinning.end()
    node.destroy_node()


LIFECYCLE = "lifecycle_msgs/srv/"


def state_of(peer):
    return peer(LIFECYCLE + "GetState", "/cell/managed/get_state")["current_state"]["label"]


def change(peer, label, number=0):
    return peer(LIFECYCLE + "ChangeState", "/cell/managed/change_state",
                {"transition": {"id": number, "label": label}})["success"]


def test_lifecycle_is_driven_from_another_process(managed, peer):
    events = Inbox(managed, "lifecycle_msgs/msg/TransitionEvent", "~/transition_event", 20)
    assert state_of(peer) == "unconfigured"
    for label, state in (("configure", "inactive"), ("activate", "active"), ("deactivate", "inactive"),
                         ("cleanup", "unconfigured"), ("shutdown", "finalized")):
        assert change(peer, label)
        assert state_of(peer) == state
    assert managed.asked == [("configure", "unconfigured"), ("activate", "inactive"), ("deactivate", "active"),
                             ("cleanup", "inactive"), ("shutdown", "unconfigured")]
    goals = [event.goal_state.label for event in events.wait(10)]
    assert goals == ["configuring", "inactive", "activating", "active", "deactivating", "inactive", "cleaningup",
                     "unconfigured", "shuttingdown", "finalized"]


def test_lifecycle_failure_keeps_the_state(managed, peer):
    managed.answers = {"configure": FAILURE, "activate": FAILURE}
    assert not change(peer, "configure")
    assert state_of(peer) == "unconfigured"
    managed.answers = {"activate": FAILURE, "deactivate": FAILURE}
    assert change(peer, "", 1)
    assert not change(peer, "activate")
    assert state_of(peer) == "inactive"
    managed.answers = {}
    assert not change(peer, "deactivate"), "not possible here"
    assert state_of(peer) == "inactive"


def test_lifecycle_error_is_handled(managed, peer):
    managed.answers = {"configure": RuntimeError("no model"), "error": SUCCESS}
    assert not change(peer, "configure")
    assert state_of(peer) == "unconfigured"
    assert [name for name, _ in managed.asked] == ["configure", "error"]
    managed.answers = {"configure": ERROR, "error": FAILURE}
    assert not change(peer, "configure")
    assert state_of(peer) == "finalized"


def test_lifecycle_triggers_in_process(managed, peer):
    assert managed.trigger_configure() == SUCCESS
    assert managed.trigger_activate() == SUCCESS
    assert managed.trigger_deactivate() == SUCCESS
    managed.answers = {"cleanup": FAILURE}
    assert managed.trigger_cleanup() == FAILURE
    assert state_of(peer) == "inactive"
    with pytest.raises(Exception):
        managed.trigger_deactivate()
    assert managed.trigger_shutdown() == SUCCESS


def test_lifecycle_states_and_transitions_are_listed(managed, peer):
    states = peer(LIFECYCLE + "GetAvailableStates", "/cell/managed/get_available_states")["available_states"]
    assert {state["id"]: state["label"] for state in states} == {
        0: "unknown", 1: "unconfigured", 2: "inactive", 3: "active", 4: "finalized", 10: "configuring",
        11: "cleaningup", 12: "shuttingdown", 13: "activating", 14: "deactivating", 15: "errorprocessing"}
    kind = LIFECYCLE + "GetAvailableTransitions"
    found = peer(kind, "/cell/managed/get_available_transitions")["available_transitions"]
    assert {(item["transition"]["id"], item["transition"]["label"], item["goal_state"]["label"]) for item in found} == {
        (1, "configure", "configuring"), (5, "shutdown", "shuttingdown")}
    graph = peer(kind, "/cell/managed/get_transition_graph")["available_transitions"]
    ids = sorted(item["transition"]["id"] for item in graph)
    assert ids == [1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52, 60, 61, 62]


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


ARGUMENTS = """
import sys
from uois_sam_ros.ros import api
api.init(args=sys.argv)
node = api.LifecycleNode("plain")
node.declare_parameter("rate", 1.0)
node.declare_parameter("stage.size", 1)
node.declare_parameter("names", ["x"])
node.declare_parameter("text", "default")
print(node.get_fully_qualified_name(), node.resolve_topic_name("color"), node.resolve_topic_name("~/label"))
print([node.get_parameter(name).value for name in ("rate", "stage.size", "names", "text")])
api.shutdown()
"""


def test_names_and_parameters_of_the_command_line(joined, tmp_path):
    params = tmp_path / "params.yaml"
    params.write_text("/**:\n  ros__parameters:\n    rate: 2.5\n    stage:\n      size: 7\n"
                      "/cam/renamed:\n  ros__parameters:\n    names: [a, b]\n"
                      "/other:\n  ros__parameters:\n    text: wrong\n")
    process = start_peer(ARGUMENTS, "program", "--ros-args", "-r", "__node:=renamed", "-r", "__ns:=/cam", "-r",
                         "color:=/rgb/image", "-r", "~/label:=masks", "--params-file", str(params), "-p",
                         "rate:=3.5", env=joined)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert out.splitlines() == ["/cam/renamed /rgb/image /cam/masks", "[3.5, 7, ['a', 'b'], 'default']"], err


SIGNALLED = """
from uois_sam_ros.ros import api
api.init(args=[])
node, executor = api.LifecycleNode("signalled"), api.MultiThreadedExecutor(2)
executor.add_node(node)
node.create_timer(0.01, lambda: print("up", flush=True))
try:
    executor.spin()
except api.ExternalShutdownException:
    print("down", api.ok())
executor.shutdown()
node.destroy_node()
api.try_shutdown()
print("end")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_signals_end_spinning(joined, number):
    process = start_peer(SIGNALLED, env=joined)
    assert process.stdout.readline().strip() == "up"
    process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert [line for line in out.splitlines() if line != "up"] == ["down False", "end"], err
    assert process.returncode == 0


def test_a_second_interrupt_ends_what_hangs(joined):
    script = SIGNALLED.replace('print("down", api.ok())', "pass").replace("executor.shutdown()", """
import time
try:
    print("down", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("enough", flush=True)
""")
    process = start_peer(script, env=joined)
    for line in ("up\n", "down\n"):
        while process.stdout.readline() != line:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert out.splitlines()[-2:] == ["enough", "end"], err


def test_shutdown_ends_spinning(joined):
    script = SIGNALLED.replace('print("up", flush=True)', "api.shutdown()")
    process = start_peer(script, env=joined)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert out.splitlines() == ["down False", "end"], err


def test_backend_is_named():
    assert api.BACKEND_NAME == ("standalone on Cyclone DDS" if api.STANDALONE else "rclpy")
    assert issubclass(BackendError, ValueError)
