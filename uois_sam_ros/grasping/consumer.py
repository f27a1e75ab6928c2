"""A node that feeds a grasp planner: label, depth and camera info in, planner inputs and grasps out.

It is meant to be read and replaced. What to keep is the pairing, and that the planner is never called with an empty
mask. Give it a planner in Python, ``main(plan=...)``, or by the parameter ``plan``.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from ..errors import ConfigError, UoisError
from ..ros import api
from .assembler import Assembler, Unpaired, stamp_ns
from .grasps import COLUMNS, grasp_rows, poses
from .graspness import GraspnessInput, GraspnessSettings, object_inputs, scene_input, write_inputs
from .points import View
from .table import support_plane

#: (scene, objects, view) -> grasps as rows of 17 numbers (see ``grasps``), or ``None`` for no grasp. It runs in the
#: thread of the label topic: while it works, only the newest label image waits.
Plan = Callable[[GraspnessInput, tuple[GraspnessInput, ...], View], Any]
NODE_NAME = "uois_sam_grasp"
#: Seconds between two log lines of one kind, and between two looks for a camera that latches its info.
LOG_PERIOD_S, LOOK_PERIOD_S = 5.0, 0.5
PARAMETERS = {
    "label_topic": ("uois_sam/label", "label images of the segmenting node"),
    "depth_topic": ("aligned_depth_to_color/image_raw", "depth aligned to colour, raw or .../compressedDepth"),
    "camera_info_topic": ("color/camera_info", "CameraInfo of the colour camera, latched or streamed"),
    "color_topic": ("", "the colour topic that is segmented, for planners that take colours; empty = none"),
    "depth_scale": (0.001, "metres per unit of 16UC1 depth; 0.001 = millimetres"),
    "slop_s": (0.02, "seconds; label and depth further apart than this are no pair"),
    "buffer": (30, "depth and colour messages that wait for their label; must outlast the time of segmenting"),
    "check_frames": (True, "refuse depth whose frame_id differs from the label's: it is not aligned"),
    "points": (15_000, "points of every input"),
    "context_m": (0.0, "add what lies within this many metres of an object to its input; 0 = nothing"),
    "min_points": (50, "leave out objects with fewer points with depth"),
    "plan": ("", "planner to call, as module:function; the folder the node was started in is searched, too"),
    "out": ("", "folder to write every input to, as .npz; empty = none"),
}


class GraspNode(api.Node):
    """Subscribes, pairs, calls the planner and publishes its grasps as ``~/grasps`` (geometry_msgs/PoseArray).

    Args:
        plan: the planner; ``None``: what the parameter ``plan`` names, if anything.

    Attributes:
        counts: labels received, and as what each ended: planned, empty, unpaired, refused or failed.
        assembler: what pairs the messages.
        grasps: the publisher.

    Raises:
        ConfigError: a parameter that cannot be used.
    """

    def __init__(self, plan: Plan | None = None, name: str = NODE_NAME, **options: Any) -> None:
        super().__init__(name, **options)
        for key, (default, text) in PARAMETERS.items():
            self.declare_parameter(key, default, api.ParameterDescriptor(description=text, read_only=True))
        value = {key: self.get_parameter(key).value for key in PARAMETERS}
        if not value["depth_scale"] > 0 or not value["slop_s"] >= 0 or value["buffer"] < 1:
            raise ConfigError("parameters: expected depth_scale above 0, slop_s from 0 and buffer from 1, got "
                              f"{value['depth_scale']:g}, {value['slop_s']:g} and {value['buffer']}")
        self._settings = GraspnessSettings(points=value["points"], context_m=value["context_m"],
                                           min_points=value["min_points"])
        self._plan = plan or (load_plan(value["plan"]) if value["plan"] else None)
        self._out = Path(value["out"]).expanduser() if value["out"] else None
        self.assembler = Assembler(uses_color=bool(value["color_topic"]), depth_scale=value["depth_scale"],
                                    slop_ns=round(value["slop_s"] * 1e9), size=value["buffer"],
                                    check_frames=value["check_frames"])
        self.counts: Counter[str] = Counter()
        self._logged_s: dict[str, float] = {}
        self.grasps = self.create_publisher(api.message("geometry_msgs/msg/PoseArray"), "~/grasps", _qos(1, True))
        self._subscribe(value["depth_topic"], self.assembler.on_depth, _qos(5))
        if value["color_topic"]:
            self._subscribe(value["color_topic"], self.assembler.on_color, _qos(5))
        self._info = (api.message("sensor_msgs/msg/CameraInfo"), value["camera_info_topic"], self.assembler.on_info)
        self.create_subscription(*self._info, _qos(1))
        self._look = self.create_timer(LOOK_PERIOD_S, self._find_latched)
        own = api.MutuallyExclusiveCallbackGroup()  # planning must not keep depth from coming in
        self._subscribe(value["label_topic"], self._on_label, _qos(1), own)

    def _find_latched(self) -> None:
        """Subscribe to camera info as latched, too, once a publisher latches it: the first subscription hears nothing
        that was sent before it, and a latched one beside volatile publishers only would bring warnings."""
        others = self.get_publishers_info_by_topic(self.resolve_topic_name(self._info[1]))
        if any(other.qos_profile.durability == api.DurabilityPolicy.TRANSIENT_LOCAL for other in others):
            self.create_subscription(*self._info, _qos(1, True, latched=True))
            self._look.cancel()

    def _subscribe(self, topic: str, callback: Callable[[Any], None], qos: Any, group: Any = None) -> None:
        packed = topic.endswith(("/compressed", "/compressedDepth"))
        kind = api.message(f"sensor_msgs/msg/{'CompressedImage' if packed else 'Image'}")
        self.create_subscription(kind, topic, callback, qos, callback_group=group)

    def _on_label(self, message: Any) -> None:
        self.counts["received"] += 1
        outcome, text = self._handle(message)
        self.counts[outcome] += 1
        if monotonic() - self._logged_s.get(outcome, float("-inf")) >= LOG_PERIOD_S:
            self._logged_s[outcome] = monotonic()
            totals = ", ".join(f"{key} {count}" for key, count in self.counts.items())
            if outcome in ("planned", "empty"):  # two lines: rclpy ties a line of code to one severity
                self.get_logger().info(f"{text} ({totals})")
            else:
                self.get_logger().warning(f"{text} ({totals})")

    def _handle(self, message: Any) -> tuple[str, str]:
        """Return as what a label ended, and a sentence about it; a label that fails costs one label."""
        try:
            view = self.assembler.view(message)
            plane = support_plane(view)
            scene = scene_input(view, self._settings, plane)
            if scene is None:
                self._publish(message.header, None)
                return "empty", f"{view.name}: no object with {self._settings.min_points} points, planner not called"
            objects = object_inputs(view, self._settings, plane)
            if self._out is not None:
                write_inputs(self._out, f"{stamp_ns(message)}", scene, objects)
        except Unpaired as error:
            return "unpaired", str(error)
        except UoisError as error:
            return "refused", str(error)
        ids = ", ".join(str(one.id) for one in objects)
        try:
            found = self._publish(message.header, None if self._plan is None else self._plan(scene, objects, view))
        except Exception as error:  # the planner is foreign code: its fault must not end the node
            return "failed", f"{view.name}: planner: {type(error).__name__}: {error}"
        return "planned", f"{view.name}: objects {ids}; {found} grasps"

    def _publish(self, header: Any, grasps: Any) -> int:
        """Publish grasps with the label's header, best first; return how many. No grasp is an empty message, so that
        nobody acts on an old one."""
        rows = grasp_rows(np.empty((0, COLUMNS)) if grasps is None else grasps)
        pose, point = api.message("geometry_msgs/msg/Pose"), api.message("geometry_msgs/msg/Point")
        turn = api.message("geometry_msgs/msg/Quaternion")
        listed = [pose(position=point(x=float(t[0]), y=float(t[1]), z=float(t[2])),
                       orientation=turn(x=float(q[0]), y=float(q[1]), z=float(q[2]), w=float(q[3])))
                  for t, q in zip(*poses(rows))]
        self.grasps.publish(api.message("geometry_msgs/msg/PoseArray")(header=header, poses=listed))
        return len(rows)


def load_plan(name: str) -> Plan:
    """Import ``module:function``.

    Raises:
        ConfigError: no such module or function, or one that fails while it is imported.
    """
    module, _, function = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        plan = getattr(importlib.import_module(module), function)
    except Exception as error:  # whatever a foreign module raises while it is imported
        raise ConfigError(f"plan '{name}': expected module:function, got {type(error).__name__}: {error}") from error
    if not callable(plan):
        raise ConfigError(f"plan '{name}': expected a function, got {type(plan).__name__}")
    return plan


def main(args: Sequence[str] | None = None, *, plan: Plan | None = None) -> int:
    """Spin the node until it is told to stop.

    Args:
        args: the command line, ROS arguments included; default ``sys.argv``.
        plan: the planner, instead of the parameter ``plan``.

    Returns:
        0 after a shutdown, 2 when the node could not be made.
    """
    try:
        api.init(args=list(sys.argv if args is None else args))
        node = GraspNode(plan)
    except UoisError as error:
        print(f"uois_sam_grasp_node: error: {error}", file=sys.stderr)
        api.try_shutdown()
        return 2
    executor = api.MultiThreadedExecutor(num_threads=2)
    executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, api.ExternalShutdownException):
        pass
    finally:
        executor.shutdown()
        node.destroy_node()
        api.try_shutdown()
    return 0


def _qos(depth: int, reliable: bool = False, latched: bool = False) -> Any:
    return api.QoSProfile(
        depth=depth, history=api.HistoryPolicy.KEEP_LAST,
        reliability=api.ReliabilityPolicy.RELIABLE if reliable else api.ReliabilityPolicy.BEST_EFFORT,
        durability=api.DurabilityPolicy.TRANSIENT_LOCAL if latched else api.DurabilityPolicy.VOLATILE)
