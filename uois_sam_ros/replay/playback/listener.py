"""Records what the node publishes: labels, detections and its diagnostics, by subscription."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import FrameError
from ...ros import api
from ...ros.convert import decode_label
from .answers import Answers, Heard, is_of, read_health, stamp_ns

NODE_NAME = "uois_sam_replay"


class Listener:
    """Subscribes to the outputs of one node; ``api.init`` must have been called. Thread-safe.

    Args:
        node_path: full name of the node, "/namespace/name".
    """

    def __init__(self, node_path: str) -> None:
        self._path = node_path
        self._news = threading.Condition()
        self._labels: dict[int, Heard] = {}
        self._detections: dict[int, int] = {}
        self._health: dict[str, str] = {}
        self._notices: dict[str, str] = {}
        self._old: set[str] = set()
        self._reports = 0
        self._node = api.Node(NODE_NAME)
        reliable = api.QoSProfile(depth=10)
        self._node.create_subscription(
            api.message("vision_msgs/msg/Detection2DArray"), f"{node_path}/detections", self._on_detections, reliable)
        self._node.create_subscription(
            api.message("diagnostic_msgs/msg/DiagnosticArray"), "/diagnostics", self._on_diagnostics, reliable)
        self._node.create_subscription(
            api.message("sensor_msgs/msg/Image"), f"{node_path}/label", self._on_label, reliable)
        change = api.service("lifecycle_msgs/srv/ChangeState")
        self._change, self._request = self._node.create_client(change, f"{node_path}/change_state"), change.Request
        self._executor = api.MultiThreadedExecutor(num_threads=2)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    @property
    def health(self) -> Mapping[str, str]:
        """Key -> text of the newest diagnostics of the node."""
        with self._news:
            return dict(self._health)

    def answers(self) -> Answers:
        """Return everything that came so far; of the notices those since the first label, if there was one."""
        with self._news:
            return Answers(dict(self._labels), dict(self._detections), dict(self._health),
                           tuple(self._notices.values()))

    @property
    def reports(self) -> int:
        """Diagnostics received so far."""
        with self._news:
            return self._reports

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a condition holds, looked at whenever something arrives and ten times a second."""
        until = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() >= until:
                return False
            with self._news:
                self._news.wait(min(0.1, max(0.0, until - time.monotonic())))
        return True

    def deactivate(self, timeout_s: float) -> bool:
        """Deactivate the node, so that whatever waits in it is counted; return whether it did."""
        if not self._change.wait_for_service(timeout_sec=timeout_s):
            return False
        request = self._request()
        request.transition.id = 4  # lifecycle_msgs/msg/Transition.TRANSITION_DEACTIVATE
        future = self._change.call_async(request)
        return self.wait_for(future.done, timeout_s) and bool(future.result().success)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._thread.join(timeout=10)
        self._node.destroy_node()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except api.ExternalShutdownException:
            pass

    def _on_label(self, message: Any) -> None:
        received_ns = time.monotonic_ns()
        try:
            heard = Heard.of(received_ns, decode_label(message, "label"))
        except FrameError as error:
            with self._news:
                self._notices["label"] = str(error)
            return
        with self._news:
            if not self._labels:
                self._old = set(self._notices.values())
                self._notices.clear()
            self._labels.setdefault(stamp_ns(message), heard)
            self._news.notify_all()

    def _on_detections(self, message: Any) -> None:
        with self._news:
            self._detections[stamp_ns(message)] = len(message.detections)
            self._news.notify_all()

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if not is_of(status, self._path):
                continue
            with self._news:
                self._health = read_health(status)
                self._notices.update({key: text for key, text in self._health.items()
                                      if key.startswith("notice_") and text not in self._old})
                self._reports += 1
                self._news.notify_all()
