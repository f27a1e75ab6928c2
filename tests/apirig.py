"""Nodes that spin and what they receive, for the tests of what the node relies on in ``ros/api.py``.

These tests run unchanged on the standalone subset and on real rclpy. The other side of the graph is a process of its
own (``rospeer``) wherever the wire matters.
"""

from __future__ import annotations

import json
import threading

import pytest
from rosgraph import joined, start_peer  # noqa: F401 (a fixture)

from uois_sam_ros.ros import api

#: Long enough for a machine with other work; only what is broken takes it.
TIMEOUT_S = 60.0
TRIGGER = "std_srvs/srv/Trigger"


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
