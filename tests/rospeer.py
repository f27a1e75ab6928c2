"""A second process in the graph of a test: mirrors messages, and calls services as it is told on stdin.

Run with ``start_peer("import rospeer; rospeer.main()", env=...)``. Works with rclpy and with the subset.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from typing import Any

import numpy as np

from uois_sam_ros.ros import api

NESTED = re.compile(r"(?:sequence<)?(\w+)/(\w+)(?:, \d+>|>|\[\d+\])?\Z")
KINDS = {
    "image": "sensor_msgs/msg/Image", "compressed": "sensor_msgs/msg/CompressedImage",
    "info": "sensor_msgs/msg/CameraInfo", "cloud": "sensor_msgs/msg/PointCloud2",
    "detections": "vision_msgs/msg/Detection2DArray", "objects": "vision_msgs/msg/Detection3DArray",
    "diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
}


def plain(value: Any) -> Any:
    """Return a message as dictionaries, lists and plain values."""
    if hasattr(value, "get_fields_and_field_types"):
        names = value.get_fields_and_field_types()
        return {name: plain(getattr(value, name)) for name in names if not name.startswith("structure_needs")}
    if isinstance(value, bytes):
        return list(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (str, int, float)):
        return value
    return [plain(item) for item in value]


def build(cls: Any, content: dict[str, Any]) -> Any:
    """Return a message of a class with the fields that ``content`` names."""
    result, kinds = cls(), cls.get_fields_and_field_types()
    for name, value in content.items():
        nested = NESTED.match(kinds[name])
        if nested:
            inner = api.message(f"{nested[1]}/msg/{nested[2]}")
            value = [build(inner, item) for item in value] if isinstance(value, list) else build(inner, value)
        elif kinds[name] == "octet":
            value = bytes(value)
        setattr(result, name, value)
    return result


class Peer(api.Node):
    """Sends back on ``<kind>/out`` what comes on ``<kind>/in``, for every message type of the node."""

    def __init__(self) -> None:
        super().__init__("peer", namespace="/peer")
        for key, kind in KINDS.items():
            cls = api.message(kind)
            back = self.create_publisher(cls, f"{key}/out", 10)
            self.create_subscription(cls, f"{key}/in", back.publish, 10)

    def call(self, kind: str, name: str, request: dict[str, Any], timeout_s: float) -> Any:
        """Return the response of a service as plain values."""
        cls = api.service(kind)
        client = self.create_client(cls, name, callback_group=api.MutuallyExclusiveCallbackGroup())
        try:
            if not client.wait_for_service(timeout_sec=timeout_s):
                return "no such service"
            done = threading.Event()
            future = client.call_async(build(cls.Request, request))
            future.add_done_callback(lambda _: done.set())
            return plain(future.result()) if done.wait(timeout_s) else "no response"
        finally:
            self.destroy_client(client)


def main() -> None:
    """Serve until stdin ends: each line is [service type, name, request, seconds]."""
    api.init(args=[])
    peer, executor = Peer(), api.MultiThreadedExecutor(2)
    executor.add_node(peer)
    threading.Thread(target=_spin, args=(executor,), daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(peer.call(*json.loads(line))), flush=True)
    api.try_shutdown()


def _spin(executor: Any) -> None:
    try:
        executor.spin()
    except api.ExternalShutdownException:
        pass
