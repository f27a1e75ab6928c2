"""The consumer: messages paired by stamp without ROS, and the node over real DDS on loopback."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import bagfiles as bags
import numpy as np
import pytest
from graspmessages import T0, message_of, scene_messages, spin
from rosgraph import loopback_env
from tabletop import tabletop

from uois_sam_ros.errors import FrameError
from uois_sam_ros.grasping.assembler import Assembler, StampedBuffer, Unpaired
from uois_sam_ros.grasping.consumer import GraspNode, main
from uois_sam_ros.ros import api

MS = 1_000_000
WAIT_S = 20


def test_buffer_finds_the_nearest_and_starts_anew_when_time_goes_back():
    buffer = StampedBuffer(3)
    for stamp in (10, 20, 30, 40):
        buffer.add(stamp, str(stamp))
    assert buffer.nearest(26, 5) == "30" and buffer.nearest(24, 5) == "20" and buffer.nearest(10, 5) is None
    assert buffer.nearest(30) == "30" and buffer.nearest(31) is None
    buffer.add(5, "5")
    assert buffer.nearest(40, 100) == "5"


def filled(**options):
    """An assembler that has three frames, 33 ms apart; and the label message of the second."""
    assembler = Assembler(uses_color=True, **options)
    for k in range(3):
        color, depth, info, _ = scene_messages(T0 + 33 * k * MS)
        color.data[:3] = k
        depth.data[:2] = [k + 1, 0]
        assembler.on_color(color), assembler.on_depth(depth), assembler.on_info(info)
    return assembler, scene_messages(T0 + 33 * MS)[3]


def test_a_late_label_meets_its_own_frame():
    assembler, label = filled()
    view = assembler.view(label)
    assert view.color[0, 0].tolist() == [1, 1, 1], "colour of that very stamp"
    assert view.depth_m[0, 0] == np.float32(0.002), "the nearest depth, in metres"
    assert view.intrinsics.fx == 288 and view.label.dtype == np.uint16 and view.label.max() == 3
    assert view.name == "label 1700000000.033000000"


def test_what_is_missing_is_named():
    label = scene_messages()[3]
    assembler = Assembler(uses_color=True)
    with pytest.raises(Unpaired, match="expected camera info, got none yet; check camera_info_topic"):
        assembler.view(label)
    color, depth, info, _ = scene_messages(depth_after_ms=25)
    assembler.on_info(info), assembler.on_depth(depth)
    with pytest.raises(Unpaired, match="expected depth within 20 ms, got none; check depth_topic"):
        assembler.view(label)
    assembler.on_depth(scene_messages(T0 + 40 * MS, depth_after_ms=-25)[1])
    assembler.on_color(scene_messages(T0 - 1 * MS)[0])
    with pytest.raises(Unpaired, match="expected colour of the same stamp, got none"):
        assembler.view(label)
    assembler.on_color(color)
    assert assembler.view(label).color is not None


def test_without_colour():
    _, depth, info, label = scene_messages()
    assembler = Assembler(uses_color=False)
    assembler.on_info(info), assembler.on_depth(depth)
    assert assembler.view(label).color is None


def test_depth_of_another_camera_is_refused():
    assembler, label = filled()
    label.header.frame_id = "color_optical"
    with pytest.raises(FrameError, match="expected depth in frame 'color_optical' like the label, got 'camera'; align"):
        assembler.view(label)
    assembler, label = filled(check_frames=False)
    label.header.frame_id = "color_optical"
    assert assembler.view(label)


def test_sizes_must_agree():
    assembler, _ = filled()
    small = bags.image(T0, "16UC1", np.ones((120, 160), np.uint16))
    with pytest.raises(FrameError, match=r"label 1700000000.000000000: expected labels .*\[120, 160\]"):
        assembler.view(small)


def test_old_messages_are_dropped():
    assembler, label = filled(size=1)
    with pytest.raises(Unpaired, match="raise buffer"):
        assembler.view(label)


# The node


class Rig:
    """A grasp node, a camera beside it in one process, and what the two exchange."""

    def __init__(self, plan, parameters, latched_info=False):
        api.init(args=["test", "--ros-args", *[part for key, value in parameters.items()
                                               for part in ("-p", f"{key}:={value}")]])
        self.node, self.camera = GraspNode(plan), api.Node("camera")
        self.poses, self.came = [], threading.Semaphore(0)
        reliable = api.QoSProfile(depth=10, reliability=api.ReliabilityPolicy.RELIABLE,
                                  durability=api.DurabilityPolicy.VOLATILE, history=api.HistoryPolicy.KEEP_LAST)
        topics = {"color": ("Image", "color"), "depth": ("Image", "aligned_depth_to_color/image_raw"),
                  "info": ("CameraInfo", "color/camera_info"), "label": ("Image", "uois_sam/label")}
        latched = api.QoSProfile(depth=1, reliability=api.ReliabilityPolicy.RELIABLE,
                                 durability=api.DurabilityPolicy.TRANSIENT_LOCAL, history=api.HistoryPolicy.KEEP_LAST)
        self.publishers = {role: self.camera.create_publisher(
            api.message(f"sensor_msgs/msg/{kind}"), topic, latched if role == "info" and latched_info else reliable)
            for role, (kind, topic) in topics.items()}
        self.camera.create_subscription(api.message("geometry_msgs/msg/PoseArray"), f"{self.node.get_name()}/grasps",
                                        self._on_poses, reliable)
        self.executor = api.MultiThreadedExecutor(num_threads=3)
        self.executor.add_node(self.node), self.executor.add_node(self.camera)
        self.thread = threading.Thread(target=spin, args=(self.executor,), daemon=True)
        self.thread.start()
        roles = [role for role in topics if role != "color" or parameters.get("color_topic")]
        wait_for(lambda: all(self.publishers[role].get_subscription_count() for role in roles))
        wait_for(lambda: self.node.grasps.get_subscription_count())

    def _on_poses(self, message):
        self.poses.append(message)
        self.came.release()

    def send(self, stamp=T0, **options):
        """Publish a frame; the label last, when the rest of it has come, as segmenting takes its time."""
        color, depth, info, label = scene_messages(stamp, **options)
        for role, message in (("color", color), ("depth", depth), ("info", info)):
            self.publishers[role].publish(message_of(message))
        wait_for(lambda: self.can_pair(label))
        self.publishers["label"].publish(message_of(label))

    def can_pair(self, label):
        try:
            self.node.assembler.view(label)
        except Unpaired:
            return False
        except FrameError:
            pass
        return True

    def wait_for_outcome(self, outcome, count=1):
        wait_for(lambda: self.node.counts[outcome] >= count)

    def close(self):
        self.executor.shutdown()
        self.node.destroy_node(), self.camera.destroy_node()
        api.try_shutdown()
        self.thread.join(WAIT_S)


def wait_for(condition, limit_s=WAIT_S):
    """Poll a condition that has no event of its own, every 10 ms."""
    tick = threading.Event()
    for _ in range(int(limit_s * 100)):
        if condition():
            return
        tick.wait(0.01)
    raise AssertionError("timed out")


def enter_graph(monkeypatch):
    if api.STANDALONE:
        pytest.importorskip("cyclonedds", reason="no ROS 2 and no cyclonedds here")
    for name, value in loopback_env().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def rig(monkeypatch):
    """Start a rig: rig(plan, **parameters)."""
    enter_graph(monkeypatch)
    started = []

    def start(plan=None, latched_info=False, **parameters):
        started.append(Rig(plan, parameters, latched_info))
        return started[-1]

    yield start
    for one in started:
        one.close()


def grasp_on_two(scene, objects, view):
    """A planner that grasps the middle of object 2 and says what it was given."""
    point = objects[1].point_clouds.mean(axis=0)
    SEEN.append(SimpleNamespace(scene=scene, objects=objects, view=view))
    return np.array([[0.4, .08, .02, .02, 1, 0, 0, 0, 1, 0, 0, 0, 1, *point, 2],
                     [0.9, .08, .02, .02, 0, 0, 1, 1, 0, 0, 0, 1, 0, *point, 2]])


SEEN: list[SimpleNamespace] = []


def test_from_topics_to_grasps(rig, tmp_path):
    SEEN.clear()
    one = rig(grasp_on_two, points=500, out=str(tmp_path))
    one.send()
    one.wait_for_outcome("planned")
    assert one.came.acquire(timeout=WAIT_S)
    (seen,) = SEEN
    assert seen.scene.point_clouds.shape == (500, 3) and [part.id for part in seen.objects] == [1, 2, 3]
    assert seen.view.color is None and seen.view.depth_m.dtype == np.float32
    (answer,) = one.poses
    assert answer.header.frame_id == "camera" and answer.header.stamp.sec * 10**9 + answer.header.stamp.nanosec == T0
    first, second = answer.poses
    turn = first.orientation
    assert (turn.x, turn.y, turn.z, turn.w) == pytest.approx((0.5, 0.5, 0.5, 0.5)), "best score first"
    assert second.orientation.w == pytest.approx(1)
    assert (first.position.x, first.position.z) == pytest.approx(seen.objects[1].point_clouds.mean(axis=0)[[0, 2]])
    assert one.node.counts == {"received": 1, "planned": 1}
    stored = np.load(tmp_path / f"{T0}_scene.npz")
    assert np.array_equal(stored["point_clouds"], seen.scene.point_clouds)
    assert np.load(tmp_path / f"{T0}_objects.npz")["ids"].tolist() == [1, 2, 3]


def test_every_label_ends_as_one_thing_and_the_node_goes_on(rig):
    SEEN.clear()
    one = rig(grasp_on_two, points=100)
    one.send(T0)
    one.wait_for_outcome("planned")
    one.send(T0 + 100 * MS, label=np.zeros((240, 320), np.uint16))
    one.wait_for_outcome("empty")
    only_one = tabletop()[1]
    only_one[only_one != 1] = 0
    one.send(T0 + 200 * MS, label=only_one)  # the planner asks for a second object
    one.wait_for_outcome("failed")
    one.send(T0 + 300 * MS, label=np.ones((100, 100), np.uint16))
    one.wait_for_outcome("refused")
    label = scene_messages(T0 + 900 * MS)[3]
    one.publishers["label"].publish(message_of(label))
    one.wait_for_outcome("unpaired")
    one.send(T0 + 1000 * MS)
    one.wait_for_outcome("planned", 2)
    assert one.node.counts == {"received": 6, "planned": 2, "empty": 1, "failed": 1, "refused": 1, "unpaired": 1}
    for _ in range(3):
        assert one.came.acquire(timeout=WAIT_S)
    assert sorted(len(message.poses) for message in one.poses) == [0, 2, 2], "no object: an empty message, no old grasp"
    assert len(SEEN) == 2, "never called with an empty mask"


def test_colour_on_request(rig):
    SEEN.clear()
    one = rig(grasp_on_two, points=100, color_topic="color")
    one.send()
    one.wait_for_outcome("planned")
    assert np.array_equal(SEEN[0].view.color, tabletop()[0].color)


def test_a_wrong_depth_scale_is_refused():
    assembler, label = filled(depth_scale=1.0)
    with pytest.raises(FrameError, match="label 1700000000.033000000: expected depth in metres .* depth scale"):
        assembler.view(label)


def test_the_executable_is_installed():
    setup = (Path(__file__).resolve().parents[1] / "setup.py").read_text()
    assert f'"uois_sam_grasp_node = {main.__module__}:{main.__name__}"' in setup


def test_camera_info_that_was_latched_before_the_node_came(rig):
    one = rig(latched_info=True)
    one.publishers["info"].publish(message_of(scene_messages()[2]))
    later = GraspNode(name="later")
    one.executor.add_node(later)
    _, depth, _, label = scene_messages()
    later.assembler.on_depth(depth)

    def has_info():
        try:
            return later.assembler.view(label)
        except Unpaired:
            return None

    wait_for(has_info)
    later.destroy_node()


@pytest.mark.parametrize("arguments, message", [
    (["-p", "plan:=no_such_module:plan"], "plan 'no_such_module:plan': expected module:function, got ModuleNotFound"),
    (["-p", "plan:=json"], "plan 'json': expected module:function, got"),
    (["-p", "plan:=sys:path"], "plan 'sys:path': expected a function, got list"),
    (["-p", "points:=0"], "graspness points: expected 1 or more, got 0"),
    (["-p", "slop_s:=-1.0"], "parameters: expected depth_scale above 0, slop_s from 0 and buffer from 1, got"),
])
def test_parameters_that_are_refused(monkeypatch, capsys, arguments, message):
    enter_graph(monkeypatch)
    assert main(["uois_sam_grasp_node", "--ros-args", *arguments]) == 2
    assert f"uois_sam_grasp_node: error: {message}" in capsys.readouterr().err
