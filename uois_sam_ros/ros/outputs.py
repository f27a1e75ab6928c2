"""The node's publishers: each message is composed only when somebody subscribes to its topic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import FrameError
from . import api, compose
from .notices import ERROR, Notices
from .qos import mismatch, profile
from .result import Result
from .settings import NodeSettings

#: name -> message type; the topic is ~/name.
TYPES = {
    "label": "sensor_msgs/msg/Image",
    "detections": "vision_msgs/msg/Detection2DArray",
    "objects": "vision_msgs/msg/Detection3DArray",
    "cloud": "sensor_msgs/msg/PointCloud2",
    "overlay": "sensor_msgs/msg/Image",
    "heatmap": "sensor_msgs/msg/Image",
}


class Outputs:
    """All result publishers of a node.

    Args:
        node: creates and destroys the publishers.
        settings: quality of service and label encoding.
    """

    def __init__(self, node: Any, settings: NodeSettings, notices: Notices) -> None:
        self._node, self._settings, self._notices = node, settings, notices
        self._publishers = {
            name: node.create_publisher(api.message(kind), f"~/{name}", profile(getattr(settings.qos, name)))
            for name, kind in TYPES.items()}

    def configure(self, settings: NodeSettings) -> None:
        """Take over settings that may change while running."""
        self._settings = settings

    def wanted(self, name: str) -> bool:
        """True when somebody subscribes to ``~/name``."""
        return self._publishers[name].get_subscription_count() > 0

    def any_wanted(self) -> bool:
        """True when somebody subscribes to any output."""
        return any(self.wanted(name) for name in self._publishers)

    def publish(self, result: Result) -> None:
        """Publish everything that is subscribed to, under one stamp.

        An output that cannot be composed is named, the others are published all the same.
        """
        composers: dict[str, Callable[[Result], Any]] = {
            "label": lambda r: compose.label_message(r, self._settings.label_encoding),
            "detections": compose.detections_message,
            "objects": compose.objects_message,
            "cloud": compose.cloud_message,
            "overlay": compose.overlay_message,
            "heatmap": compose.heatmap_message,
        }
        for name, make in composers.items():
            if not self.wanted(name):
                continue
            try:
                self._publishers[name].publish(make(result))
            except FrameError as error:
                self._notices.report(f"output {name}", str(error), ERROR)
            else:
                self._notices.clear(f"output {name}")

    def check_subscribers(self) -> None:
        """Name subscribers whose quality of service keeps them from receiving anything."""
        for name, publisher in self._publishers.items():
            offered = profile(getattr(self._settings.qos, name))
            for other in self._node.get_subscriptions_info_by_topic(publisher.topic_name):
                reason = mismatch(offered, other.qos_profile)
                if reason:
                    self._notices.report(f"qos {name}", f"{publisher.topic_name}: node {other.node_name} gets nothing: "
                                         f"{reason}; set qos.{name} to reliable or latched")

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers = {}
