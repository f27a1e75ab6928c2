"""The node's subscriptions, and why a topic stays silent."""

from __future__ import annotations

from time import monotonic
from typing import Any

from . import api
from .intake import Intake
from .notices import ERROR, WARNING, Notices
from .qos import mismatch, profile
from .settings import NodeSettings

IMAGE, COMPRESSED, INFO = (
    "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo")
#: A topic without data for this long is named.
SILENT_S = 2.0


class Inputs:
    """Subscribes an ``Intake`` to its topics.

    CameraInfo and the ignore mask come streamed or latched. A volatile reader hears nothing that was
    latched before, so a second, latched one is added once the graph shows a publisher that latches.
    """

    def __init__(self, node: Any, settings: NodeSettings, intake: Intake, notices: Notices) -> None:
        self._node, self._intake, self._notices = node, intake, notices
        self._heard_s: dict[str, float] = {}
        self._wanted: dict[str, tuple[str, str, Any]] = {}
        self._subscriptions: list[Any] = []
        self._subscribe("color", settings.color_topic, image_type(settings.color_topic), intake.on_color,
                        settings.qos.color)
        if intake.uses_depth:
            self._subscribe("depth", settings.depth_topic, image_type(settings.depth_topic), intake.on_depth,
                            settings.qos.depth)
        self._subscribe("camera info", settings.camera_info_topic, INFO, intake.on_info,
                        settings.qos.camera_info)
        self._subscribe("ignore", settings.ignore_topic, IMAGE, intake.on_ignore, settings.qos.ignore)
        self._latched = {"camera info": intake.on_info, "ignore": intake.on_ignore}
        self._find_latched()

    def _subscribe(self, role: str, topic: str, kind: str, callback: Any, qos_name: str) -> None:
        if not topic:
            return
        self._heard_s[role] = monotonic()
        self._wanted[role] = (self._node.resolve_topic_name(topic), kind, profile(qos_name))

        self._listen(role, callback, profile(qos_name))

    def _listen(self, role: str, callback: Any, qos: Any) -> None:
        topic, kind, _ = self._wanted[role]

        def heard(message: Any) -> None:
            self._heard_s[role] = monotonic()
            callback(message)

        self._subscriptions.append(self._node.create_subscription(api.message(kind), topic, heard, qos))

    def _find_latched(self) -> None:
        for role in [role for role in self._latched if role in self._wanted]:
            publishers = self._node.get_publishers_info_by_topic(self._wanted[role][0])
            if any(other.qos_profile.durability == api.DurabilityPolicy.TRANSIENT_LOCAL for other in publishers):
                self._listen(role, self._latched.pop(role), profile("latched"))

    def check(self) -> None:
        """Name every topic that has been silent, with the reason that the graph shows."""
        self._find_latched()
        for role, (topic, kind, wanted) in self._wanted.items():
            silent_s = monotonic() - self._heard_s[role]
            once_is_enough = role in ("camera info", "ignore")
            if silent_s < SILENT_S or (once_is_enough and self._has(role)):
                self._notices.clear(f"silent {role}")
                continue
            level = WARNING if role == "ignore" or (role == "depth" and self._intake.falls_back) else ERROR
            more = "; going on with colour alone" if role == "depth" and self._intake.falls_back else ""
            self._notices.report(f"silent {role}", f"{topic}: no {role} for {silent_s:.0f} s: "
                                 f"{self._reason(topic, kind, wanted)}{more}", level)

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _has(self, role: str) -> bool:
        return self._intake.has_info if role == "camera info" else self._intake.has_ignore

    def _reason(self, topic: str, kind: str, wanted: Any) -> str:
        publishers = self._node.get_publishers_info_by_topic(topic)
        if not publishers:
            return "no publisher; check the name with 'ros2 topic list'"
        for other in publishers:
            if other.topic_type != kind:
                return f"node {other.node_name} publishes {other.topic_type}, expected {kind}"
            reason = mismatch(other.qos_profile, wanted)
            if reason:
                return f"quality of service of node {other.node_name}: {reason}; set the qos parameter of this topic"
        names = ", ".join(sorted({other.node_name for other in publishers}))
        return f"publisher {names} is there but sends nothing"


def image_type(topic: str) -> str:
    """Return the message type of an image topic, by the ending of its name as image_transport has it."""
    return COMPRESSED if topic.endswith(("/compressed", "/compressedDepth")) else IMAGE
